"""Postings as arrays: which documents have a stem, how often, how long they are (SPEC, On disk, Postings).

A posting is a stem (24 bits), an entry of 32 bits (document x 8 + public x 4 + frequency class), and the
one-byte code of the document's length. So a posting can be scored without looking at its document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pkn_protocol.text.sketch import length_code

Words: TypeAlias = NDArray[np.uint32]
Codes: TypeAlias = NDArray[np.uint8]

_DOC_SHIFT = 3
_PUBLIC = 4
CLASS_MASK = 3
MOST_DOCUMENT = (1 << 32 - _DOC_SHIFT) - 1
"""Documents are rows of records; an entry has room for 536,870,911."""
_LITTLE = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a document is found by: frequency class by stem, the length in stems, whether it is public."""

    doc: int
    classes: Mapping[int, int]
    length: int
    public: bool


@dataclass(frozen=True, slots=True)
class Postings:
    """Parallel arrays, in ascending order of (stem, document)."""

    stems: Words
    entries: Words
    codes: Codes

    def __len__(self) -> int:
        return len(self.stems)

    @property
    def docs(self) -> Words:
        return documents_of(self.entries)

    def of(self, stem: int) -> tuple[Words, Codes]:
        """The entries and length codes of one stem."""
        first, last = np.searchsorted(self.stems, (stem, stem + 1))
        return self.entries[first:last], self.codes[first:last]

    def where(self, kept: NDArray[np.bool_]) -> Postings:
        return Postings(self.stems[kept], self.entries[kept], self.codes[kept])


def postings_of(documents: Sequence[Terms]) -> Postings:
    """The postings of documents.

    Raises:
        ValueError: a document beyond what an entry can name.
    """
    stems: list[int] = []
    entries: list[int] = []
    sizes: list[int] = []
    codes: list[int] = []
    for one in documents:
        if not 0 <= one.doc <= MOST_DOCUMENT:
            raise ValueError(f"document {one.doc} is beyond what postings can name")
        low = one.doc << _DOC_SHIFT | (_PUBLIC if one.public else 0)
        stems += one.classes
        entries += [low | kind for kind in one.classes.values()]
        sizes.append(len(one.classes))
        codes.append(length_code(one.length))
    return ordered(
        Postings(
            np.array(stems, np.uint32),
            np.array(entries, np.uint32),
            np.repeat(np.array(codes, np.uint8), np.array(sizes, np.intp)),
        )
    )


def ordered(postings: Postings) -> Postings:
    """The same, sorted."""
    order = np.argsort(postings.stems.astype(np.uint64) << np.uint64(32) | postings.entries, kind="stable")
    return Postings(postings.stems[order], postings.entries[order], postings.codes[order])


def joined(parts: Iterable[Postings]) -> Postings:
    """All of several, sorted."""
    held = list(parts)
    if not held:
        return postings_of(())
    return ordered(
        Postings(
            np.concatenate([part.stems for part in held]),
            np.concatenate([part.entries for part in held]),
            np.concatenate([part.codes for part in held]),
        )
    )


def documents_of(entries: Words) -> Words:
    return entries >> np.uint32(_DOC_SHIFT)


def classes_of(entries: Words) -> Words:
    return entries & np.uint32(CLASS_MASK)


def are_public(entries: Words) -> NDArray[np.bool_]:
    public: NDArray[np.bool_] = (entries & np.uint32(_PUBLIC)) != 0
    return public


def words_of(blob: bytes) -> Words:
    return np.frombuffer(blob, _LITTLE).astype(np.uint32, copy=False)


def codes_of(blob: bytes) -> Codes:
    return np.frombuffer(blob, np.uint8)


def blob_of(words: Words) -> bytes:
    return words.astype(_LITTLE, copy=False).tobytes()

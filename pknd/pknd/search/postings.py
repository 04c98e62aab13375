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
from pkn_protocol.text.sketches import Entries

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


@dataclass(frozen=True, slots=True)
class Sketched:
    """A document that is found by a decoded sketch and a few `extra` stems, which count once each."""

    doc: int
    length: int
    public: bool
    extra: Sequence[int] = ()


def postings_of_sketches(documents: Sequence[Sketched | None], decoded: Entries) -> Postings:
    """The postings of documents by the place of their sketches; None: this one is left out.

    Raises:
        ValueError: a document beyond what an entry can name.
    """
    lows = np.array([0 if one is None else _low(one.doc, public=one.public) for one in documents], np.uint32)
    codes = np.array([0 if one is None else length_code(one.length) for one in documents], np.uint8)
    kept = np.array([one is not None for one in documents], np.bool_)[decoded.owners]
    owners = decoded.owners[kept]
    found = Postings(
        decoded.stems[kept], lows[owners] | decoded.classes[kept].astype(np.uint32), codes[owners]
    )
    added = [(stem, at) for at, one in enumerate(documents) if one is not None for stem in one.extra]
    if not added:
        return ordered(found)
    places = np.array([at for _, at in added], np.intp)
    extra = Postings(np.array([stem for stem, _ in added], np.uint32), lows[places], codes[places])
    # Of a stem that is in both, or twice among the extra ones, the highest class is the last.
    both = ordered(
        Postings(
            np.concatenate([found.stems, extra.stems]),
            np.concatenate([found.entries, extra.entries]),
            np.concatenate([found.codes, extra.codes]),
        )
    )
    names = both.stems.astype(np.uint64) << np.uint64(32) | both.docs
    return both.where(np.append(names[1:] != names[:-1], True))


def _low(doc: int, *, public: bool) -> int:
    """What all entries of a document begin with."""
    if not 0 <= doc <= MOST_DOCUMENT:
        raise ValueError(f"document {doc} is beyond what postings can name")
    return doc << _DOC_SHIFT | (_PUBLIC if public else 0)


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
        low = _low(one.doc, public=one.public)
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


def ordered(postings: Postings, *, in_runs: bool = False) -> Postings:
    """The same, sorted; `in_runs`: it is a few sorted parts, which the stable way merges."""
    # Stem, entry and code make one number of 64 bits: to sort numbers is a few times as quick as to find
    # their order.
    keys = postings.stems.astype(np.uint64) << np.uint64(40)
    keys |= postings.entries.astype(np.uint64) << np.uint64(8)
    keys |= postings.codes
    keys.sort(kind="stable" if in_runs else None)
    return Postings(
        (keys >> np.uint64(40)).astype(np.uint32),
        (keys >> np.uint64(8)).astype(np.uint32),
        keys.astype(np.uint8),
    )


def joined(parts: Iterable[Postings]) -> Postings:
    """All of several, each of which is sorted."""
    held = [part for part in parts if len(part)]
    if len(held) == 1:
        return held[0]
    if not held:
        return postings_of(())
    return ordered(
        Postings(
            np.concatenate([part.stems for part in held]),
            np.concatenate([part.entries for part in held]),
            np.concatenate([part.codes for part in held]),
        ),
        in_runs=True,
    )


def documents_of(entries: Words) -> Words:
    return entries >> np.uint32(_DOC_SHIFT)


def first_entry(docs: Words) -> Words:
    """The least entry that a document can have."""
    return docs << np.uint32(_DOC_SHIFT)


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

"""What a user typed for an item: a CID, or the beginning of one."""

from __future__ import annotations

import shlex
import sqlite3
from base64 import b32decode

from pkn_protocol.control.errors import Candidate, ErrorCode
from pkn_protocol.control.references import FIRST_VERSION
from pkn_protocol.records.ids import CID_BYTES, Cid, cid_text
from pknd.errors import DomainError
from pknd.store.records import Held, get, versions, with_prefix

_BEGINNING = "bafyrei"
_LEAST_CHARS = 8
_CID_CHARS = 59
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_MOST_CANDIDATES = 10
SHOWN_CHARS = 8
"""Characters after `bafyrei` in tables; longer where two would look alike."""


def split_version(typed: str) -> tuple[str, str | None]:
    """A reference, and what stands behind its `@`; None where there is none."""
    reference, at, version = typed.strip().partition("@")
    return reference, version if at else None


def find_item(db: sqlite3.Connection, typed: str) -> Held:
    """The current version of the item, or the very version, that a reference names.

    An item's own id (that of its first version) means its newest version; a later version's id means that
    version; either with `@1` behind it means the first version.

    Raises:
        DomainError: not a reference, ambiguous, retracted, or nothing of that name is here.
    """
    reference, version = split_version(typed)
    if version is not None and version != FIRST_VERSION[1:]:
        raise DomainError(
            ErrorCode.BAD_REFERENCE,
            f"{typed!r} is no item's reference: only the first version has a number, {FIRST_VERSION}",
            f"`pkn history {reference}` lists what to type for the others",
        )
    low, high = _range(reference)
    found = with_prefix(db, low, high, most=_MOST_CANDIDATES + 1)
    retracted = db.execute(
        "SELECT item FROM retracted WHERE item >= ? AND item <= ? LIMIT 2", (low, high)
    ).fetchall()
    if not found and retracted:
        raise DomainError(ErrorCode.RETRACTED, f"{typed} was retracted by its author")
    if not found:
        raise DomainError(
            ErrorCode.NO_SUCH_ITEM,
            f"nothing here is called {typed}",
            "`pkn list` shows what is held, `pkn query WORDS` finds it",
        )
    if len(found) > 1:
        raise DomainError(
            ErrorCode.AMBIGUOUS,
            f"{typed} may mean {len(found)} things",
            "type more of it",
            tuple(_candidate(db, cid) for cid in found[:_MOST_CANDIDATES]),
        )
    held = get(db, found[0])
    if held is None:
        raise DomainError(ErrorCode.NO_SUCH_ITEM, f"{typed} has just gone")
    return _newest(db, held) if version is None else _first(db, held)


def _first(db: sqlite3.Connection, held: Held) -> Held:
    first = get(db, held.record.item_id)
    if first is None:
        raise DomainError(
            ErrorCode.NO_SUCH_ITEM,
            "the first version of it is not here",
            f"`pkn history {cid_text(held.record.id)}` lists those that are",
        )
    return first


def _newest(db: sqlite3.Connection, held: Held) -> Held:
    if not held.record.is_item or held.head or held.record.item is not None:
        return held
    heads = [version for version in versions(db, held.record.item_id) if version.head]
    return heads[0] if heads else held


def _candidate(db: sqlite3.Connection, cid: Cid) -> Candidate:
    held = get(db, cid)
    title = getattr(held.record.body, "title", held.record.kind) if held is not None else ""
    return Candidate(cid_text(cid), str(title))


def _range(typed: str) -> tuple[bytes, bytes]:
    text = typed.strip().removeprefix("pkn:").lower()
    if not all(char in _ALPHABET for char in text):
        raise DomainError(
            ErrorCode.BAD_REFERENCE,
            f"{typed!r} is no item's reference",
            f"references are letters a to z and digits 2 to 7, as in `pkn list`; {_by_title(typed)}",
        )
    if not text.startswith(_BEGINNING):
        text = _BEGINNING + text
    if len(text) < len(_BEGINNING) + _LEAST_CHARS and len(text) != _CID_CHARS:
        raise DomainError(
            ErrorCode.BAD_REFERENCE,
            f"{typed!r} is no item's reference, or too short for one",
            f"type {_LEAST_CHARS} or more characters of the first column of `pkn list`; {_by_title(typed)}",
        )
    if len(text) > _CID_CHARS:
        raise DomainError(ErrorCode.BAD_REFERENCE, f"{typed!r} is too long for an item's reference")
    try:
        low = _decoded(text.ljust(_CID_CHARS, "a"))
        high = _decoded(text.ljust(_CID_CHARS, "7"))
    except ValueError:
        raise DomainError(
            ErrorCode.BAD_REFERENCE,
            f"{typed!r} is no item's reference",
            f"references are letters a to z and digits 2 to 7, as in `pkn list`; {_by_title(typed)}",
        ) from None
    return low, high


def _by_title(typed: str) -> str:
    return f"titles are found with: pkn query {shlex.quote(typed)}"


def _decoded(text: str) -> bytes:
    data = text[1:].upper()
    return b32decode(data + "=" * (-len(data) % 8))[:CID_BYTES]

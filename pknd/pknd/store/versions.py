"""Which versions of an item are shown, and which of those are its heads (SPEC, On disk, Invariants).

Both are functions of the records held and of the authors near the reader, whatever the order of arrival:

- A version is shown if it is understood and was written by the author of the first version, or, on a page,
  by somebody near. While the first version is not held, nobody can be called a stranger to the item.
- A shown version is a head unless another shown version replaces it that is by the same author or, on a
  page, by somebody near.

Only heads are documents of the search index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pkn_protocol.records.ids import AuthorId, Cid
from pknd.search.index import add_document, remove_document
from pknd.store.records import ITEM_KIND_LIST, get_row

PUBLIC_SCOPE = b""
_PAGE = "page"


@dataclass(frozen=True, slots=True)
class _Version:
    rowid: int
    cid: bytes
    author: bytes
    kind: str
    understood: bool
    head: bool
    shown: bool
    scope: bytes


def refresh_item(db: sqlite3.Connection, item: Cid, near: Collection[AuthorId] = ()) -> None:
    """Set `head` and `shown` of all versions of an item, and the index with them.

    `near`: authors near the reader beside those of table `near`.
    """
    versions = [
        _Version(*row)
        for row in db.execute(
            "SELECT rowid, id, author, kind, understood, head, shown, scope FROM record"  # noqa: S608
            f" WHERE item = ? AND kind IN ({ITEM_KIND_LIST})",
            (item,),
        )
    ]
    trusted = _near_of(db, versions, near)
    shown = {v.rowid: v for v in _shown(versions, item, trusted)}
    heads = shown.keys() - _replaced(db, shown, trusted)
    for version in versions:
        is_head, is_shown = version.rowid in heads, version.rowid in shown
        if (is_head, is_shown) != (bool(version.head), bool(version.shown)):
            db.execute(
                "UPDATE record SET head = ?, shown = ? WHERE rowid = ?", (is_head, is_shown, version.rowid)
            )
        if is_head != bool(version.head):
            _index(db, version, is_head)


def set_near(db: sqlite3.Connection, authors: Iterable[AuthorId]) -> int:
    """Say whose versions of others' pages count from now on; how many pages were looked at again.

    To be called whenever trust or a vouch changes.
    """
    wanted = {bytes(author) for author in authors}
    held = {author for (author,) in db.execute("SELECT author FROM near")}
    db.executemany("DELETE FROM near WHERE author = ?", [(author,) for author in held - wanted])
    db.executemany("INSERT INTO near (author) VALUES (?)", [(author,) for author in wanted - held])
    pages = {
        item
        for author in wanted ^ held
        for (item,) in db.execute(
            "SELECT DISTINCT item FROM record WHERE kind = 'page' AND author = ? AND item <> id", (author,)
        )
    }
    for item in sorted(pages):
        refresh_item(db, Cid(item))
    return len(pages)


def _near_of(
    db: sqlite3.Connection, versions: list[_Version], near: Collection[AuthorId]
) -> frozenset[bytes]:
    authors = {version.author for version in versions}
    if len(authors) < 2:
        return frozenset()
    stored = "SELECT 1 FROM near WHERE author = ?"
    return frozenset(a for a in authors if a in near or db.execute(stored, (a,)).fetchone() is not None)


def _shown(versions: list[_Version], item: Cid, near: frozenset[bytes]) -> Iterable[_Version]:
    first = next((version for version in versions if version.cid == item), None)
    for version in versions:
        if version.understood and (first is None or _may_follow(first, version, near)):
            yield version


def _replaced(db: sqlite3.Connection, shown: dict[int, _Version], near: frozenset[bytes]) -> set[int]:
    if len(shown) < 2:
        return set()
    rows = {version.cid: version for version in shown.values()}
    found = set()
    for later in shown.values():
        for (old,) in db.execute("SELECT old FROM replaced WHERE record = ?", (later.rowid,)):
            earlier = rows.get(old)
            if earlier is not None and _may_follow(earlier, later, near):
                found.add(earlier.rowid)
    return found


def _may_follow(earlier: _Version, later: _Version, near: frozenset[bytes]) -> bool:
    """Whether a version counts as a later one: by the same author, or on a page by somebody near."""
    if later.author == earlier.author:
        return True
    return later.kind == earlier.kind == _PAGE and later.author in near


def _index(db: sqlite3.Connection, version: _Version, is_head: bool) -> None:
    held = get_row(db, version.rowid)
    if held is None:
        return
    if is_head:
        add_document(db, version.rowid, held.record, public=version.scope == PUBLIC_SCOPE)
    else:
        remove_document(db, version.rowid)

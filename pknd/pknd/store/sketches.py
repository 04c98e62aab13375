"""Authors whose sketch was found not to be that of its text: none of theirs counts here any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from pkn_protocol.records.codec import decode_record
from pkn_protocol.records.ids import AuthorId, Cid
from pknd.search.index import NewDocument, add_documents
from pknd.store.doubted import doubted_key, is_doubted
from pknd.store.settings import put_setting

_INDEXED_AT_ONCE = 500


def doubt(db: sqlite3.Connection, author: AuthorId, by: Cid) -> bool:
    """Remember that an author's sketches say nothing, as the item `by` has shown; whether that is new.

    What is held of the author is found by titles and tags from now on, in the same transaction.
    """
    if is_doubted(db, author):
        return False
    put_setting(db, doubted_key(author), by)
    add_documents_of(db, author)
    return True


def add_documents_of(db: sqlite3.Connection, author: AuthorId) -> None:
    """Index anew what is found of an author."""
    found = db.execute(
        "SELECT record.rowid, record.block, record.scope = x'' FROM record JOIN document"
        " ON document.doc = record.rowid WHERE record.author = ?",
        (author,),
    ).fetchall()
    for start in range(0, len(found), _INDEXED_AT_ONCE):
        add_documents(db, list(_documents(found[start : start + _INDEXED_AT_ONCE])))


def _documents(rows: Iterable[tuple[int, bytes, int]]) -> Iterable[NewDocument]:
    for rowid, block, public in rows:
        yield NewDocument(rowid, decode_record(block), bool(public))

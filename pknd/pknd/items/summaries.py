"""How an item looks in lists and results: its record, and where it stands with the user."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from pkn_protocol.control.summaries import ItemSummary
from pkn_protocol.records.ids import AuthorId, cid_text, did_key
from pkn_protocol.records.model import Item
from pknd.people.circles import PUBLIC
from pknd.people.view import PeopleView
from pknd.store.blocks import is_complete
from pknd.store.records import Held


@dataclass(frozen=True, slots=True)
class Holders:
    """Devices that are online now, by author; `own` is this one."""

    own: str
    online: dict[AuthorId, tuple[str, ...]]

    def of(self, author: AuthorId, *, have: bool) -> tuple[str, ...]:
        return ((self.own,) if have else ()) + self.online.get(author, ())


def summary_of(db: sqlite3.Connection, held: Held, view: PeopleView, holders: Holders) -> ItemSummary:
    """The shape of an item's current record; `verified` since nothing unverified is ever stored."""
    record, item = held.record, held.record.body
    if not isinstance(item, Item):
        raise TypeError(f"a {record.kind} is no item")
    name, claimed = view.name(record.author)
    have = item.payload is None or is_complete(db, held.rowid)
    return ItemSummary(
        id=cid_text(record.id),
        item=cid_text(record.item_id),
        kind=record.kind,
        title=item.title,
        author=did_key(record.author),
        author_name=name,
        author_claimed=claimed,
        trust=view.trust(record.author),
        distance=view.distances.get(record.author),
        time=record.time,
        tags=item.tags,
        excerpt=item.excerpt,
        audience=record.audience or PUBLIC,
        lang=item.lang,
        media_type=None if item.payload is None else item.payload.type,
        size=0 if item.payload is None else item.payload.size,
        have_payload=have,
        sources=holders.of(record.author, have=have),
        verified=True,
        doubted=record.author in view.doubted,
    )


def fields_of(summary: ItemSummary) -> dict[str, Any]:
    """Its fields by name, for the shapes that are a summary and something more."""
    return {name: getattr(summary, name) for name in ItemSummary.__slots__}

"""One item in full: its fields, what others said about it, its versions, its text."""

from __future__ import annotations

import sqlite3

from pkn_protocol.control.items import (
    Comment,
    Contributor,
    History,
    ItemDetail,
    Ratings,
    Reference,
    TextState,
    Version,
)
from pkn_protocol.control.references import FIRST_VERSION
from pkn_protocol.records import model
from pkn_protocol.records.ids import AuthorId, cid_text, did_key
from pkn_protocol.search.believed import is_text
from pknd.items.content import SHOWN_TEXT_BYTES, read_text
from pknd.items.summaries import Holders, summary_of
from pknd.people.view import PeopleView
from pknd.store.files import BlockFiles
from pknd.store.originals import lost_original
from pknd.store.records import Held, about, backlinks, versions

_MOST_BACKLINKS = 50


def detail_of(
    db: sqlite3.Connection, files: BlockFiles, held: Held, view: PeopleView, holders: Holders
) -> ItemDetail:
    """Everything that `pkn show` prints; nothing is fetched."""
    record, item = held.record, held.record.body
    if not isinstance(item, model.Item):
        raise TypeError(f"a {record.kind} is no item")
    summary = summary_of(db, held, view, holders)
    all_versions = versions(db, record.item_id)
    contributors = dict.fromkeys(version.record.author for version in reversed(all_versions))
    text = read_text(db, files, held, most=SHOWN_TEXT_BYTES)
    if item.payload is None or not is_text(item.payload):
        state = TextState.NONE
    elif text is None:
        state = TextState.UNREACHABLE
    else:
        state = TextState.CUT if item.payload.size > SHOWN_TEXT_BYTES else TextState.WHOLE
    return ItemDetail(
        id=summary.id,
        item=summary.item,
        kind=summary.kind,
        title=summary.title,
        author=summary.author,
        author_name=summary.author_name,
        author_claimed=summary.author_claimed,
        by=record.by.hex(),
        trust=summary.trust,
        distance=summary.distance,
        time=record.time,
        dated=record.dated,
        expires=record.expires,
        tags=item.tags,
        lang=item.lang,
        excerpt=item.excerpt,
        audience=summary.audience,
        url=item.url,
        name=item.name,
        media_type=summary.media_type,
        size=summary.size,
        payload_cid=None if item.payload is None else cid_text(item.payload.cid),
        have_payload=summary.have_payload,
        sources=summary.sources,
        verified=True,
        replaces=tuple(map(cid_text, record.replaces)),
        derived_from=None if item.derived_from is None else cid_text(item.derived_from),
        links=tuple(map(cid_text, item.links)),
        heads=tuple(cid_text(version.record.id) for version in all_versions if version.head),
        versions=len(all_versions),
        contributors=tuple(
            Contributor(*_named(view, author), own=author == view.me) for author in contributors
        ),
        comments=_comments(db, held, view),
        ratings=_ratings(db, held, view),
        backlinks=tuple(
            Reference(cid_text(other.record.item_id), other.record.body.title)
            for other in backlinks(db, record.item_id, most=_MOST_BACKLINKS)
            if isinstance(other.record.body, model.Item)
        ),
        text=text,
        text_state=state,
        lost_original=str(lost) if (lost := lost_original(db, held.rowid)) is not None else None,
    )


def history_of(db: sqlite3.Connection, held: Held, view: PeopleView) -> History:
    """The versions held of an item, newest first."""
    found = []
    for version in versions(db, held.record.item_id):
        record, item = version.record, version.record.body
        if isinstance(item, model.Item):
            author, name, claimed = _named(view, record.author)
            found.append(
                Version(
                    id=cid_text(record.id),
                    time=record.time,
                    author=author,
                    author_name=name,
                    author_claimed=claimed,
                    title=item.title,
                    size=0 if item.payload is None else item.payload.size,
                    replaces=tuple(map(cid_text, record.replaces)),
                    head=version.head,
                    own=record.author == view.me,
                    ref=_reference(version),
                )
            )
    return History(cid_text(held.record.item_id), tuple(found))


def _reference(version: Held) -> str:
    """What to type for a version. The id of an item's first version is the item's, and means the newest."""
    cid = cid_text(version.record.id)
    return cid if version.head or version.record.item is not None else cid + FIRST_VERSION


def _named(view: PeopleView, author: AuthorId) -> tuple[str, str, bool]:
    name, claimed = view.name(author)
    return did_key(author), name, claimed


def _comments(db: sqlite3.Connection, held: Held, view: PeopleView) -> tuple[Comment, ...]:
    return tuple(
        comment_of(c.record, c.record.body, view)
        for c in about(db, held.record.item_id, "comment")
        if isinstance(c.record.body, model.Comment)
    )


def comment_of(record: model.Record, body: model.Comment, view: PeopleView) -> Comment:
    """The shape of a comment."""
    own = record.author == view.me
    return Comment(cid_text(record.id), *_named(view, record.author), record.time, body.text, own=own)


def _ratings(db: sqlite3.Connection, held: Held, view: PeopleView) -> Ratings:
    """The mean over people within the horizon, the latest rating of each."""
    latest = {
        rating.record.author: rating.record.body.value
        for rating in about(db, held.record.item_id, "rating")
        if isinstance(rating.record.body, model.Rating) and rating.record.author in view.distances
    }
    return Ratings(sum(latest.values()) / len(latest) if latest else None, len(latest))

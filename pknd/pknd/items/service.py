"""Items as the control API has them: publish, edit, retract, list, show, content, history, tags."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.items import (
    EditRequest,
    FetchSummary,
    History,
    ItemDetail,
    Published,
    PublishRequest,
    Reference,
    Retracted,
    TagCount,
    Tags,
)
from pkn_protocol.control.summaries import ItemList, ListFilter
from pkn_protocol.control.work import Progress
from pkn_protocol.records.ids import AuthorId, cid_text
from pkn_protocol.records.model import Item, Record, Retraction
from pknd.capture.tags import clean_tags
from pknd.control.services import PayloadContent
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.detail import detail_of, history_of
from pknd.items.drafts import notes_on
from pknd.items.editing import edited, links_after
from pknd.items.fetching import Fetcher
from pknd.items.origins import note_on_edit, replaced_by_next
from pknd.items.publisher import Draft, Publisher
from pknd.items.publishing import Unchanged, prepare
from pknd.items.reading import Contents
from pknd.items.references import find_item, split_version
from pknd.items.summaries import Holders, summary_of
from pknd.people.circles import PRIVATE, PUBLIC, TRUSTED
from pknd.people.references import find_person
from pknd.people.view import PeopleView
from pknd.store.records import Filter, Held, listed, tag_counts

RelatedTo = Callable[[sqlite3.Connection, Held, int], Sequence[Held]]
"""What is like an item, at most so many."""
_MOST_RELATED = 3


class Items:
    """`fetcher` pulls contents from peers; `holders` says who is online; `erase` wipes after a retraction."""

    def __init__(
        self,
        env: Environment,
        publisher: Publisher,
        *,
        view: Callable[[], PeopleView],
        holders: Callable[[], Holders],
        default_audience: Callable[[], str],
        fetcher: Fetcher,
        related: RelatedTo,
    ) -> None:
        self._env = env
        self._publisher = publisher
        self._view = view
        self._holders = holders
        self._default_audience = default_audience
        self._contents = Contents(env, fetcher, online=lambda: holders().online)
        self._related = related

    async def publish(self, request: PublishRequest) -> Published:
        """Write an item; of a file or an address that is published already the next version, or nothing where
        it is as it was."""
        default, publisher, me = self._default_audience(), self._publisher, self._env.keys.author
        ready = await asyncio.to_thread(prepare, self._env.store, publisher, request, me=me, default=default)
        if isinstance(ready, Unchanged):
            return self._told(ready.record, (), unchanged=True)
        planned, made = ready
        if made is None:
            [made] = await publisher.publish([planned.draft])
        else:
            await publisher.write([made])
        return self._told(made.record, (*notes_on(made.draft.captured), *planned.notes))

    async def edit(self, ref: str, request: EditRequest) -> Published:
        held = await self._env.store.read(lambda db: find_item(db, ref))
        item = _own_item(held, self._env.keys.author, "edit")
        replaces = await self._env.store.read(lambda db: replaced_by_next(db, held.record.item_id))
        captured = await asyncio.to_thread(edited, self._env.store, held, item, request)
        links = await self._env.store.read(lambda db: links_after(db, held, item, captured, request))
        draft = Draft(
            captured,
            held.record.audience or PUBLIC,
            item=held.record.item_id,
            replaces=replaces,
            links=links,
        )
        [made] = await self._publisher.publish([draft])
        note = await self._env.store.read(lambda db: note_on_edit(db, held.record.item_id, request.path))
        return self._told(made.record, (*notes_on(captured), *note))

    async def retract(self, ref: str) -> Retracted:
        whole, version = split_version(ref)
        if version is not None:
            raise DomainError(
                ErrorCode.BAD_REQUEST,
                f"{ref} names one version, and only a whole item can be taken back, with all its versions",
                f"pkn retract {whole}",
            )
        held = await self._env.store.read(lambda db: find_item(db, ref))
        _own_item(held, self._env.keys.author, "retract")
        item = held.record.item_id
        record, outcome = await self._publisher.write_record(
            "retraction", Retraction(), audience=held.record.audience, item=item
        )
        await self._env.store.erase_traces()
        return Retracted(cid_text(item), cid_text(record.id), outcome.removed)

    async def listed(self, wanted: ListFilter) -> ItemList:
        view, holders = self._view(), self._holders()

        def work(db: sqlite3.Connection) -> ItemList:
            found = listed(
                db,
                _filter(db, wanted, view, self._env),
                limit=wanted.limit + 1,
                before=_cursor(wanted.cursor),
            )
            page = found[: wanted.limit]
            more = len(found) > wanted.limit
            return ItemList(
                tuple(summary_of(db, held, view, holders) for held in page),
                f"{page[-1].record.time}.{page[-1].rowid}" if more else None,
            )

        return await self._env.store.read(work)

    async def show(self, ref: str, *, fetch: bool, timeout_s: float) -> ItemDetail:
        held = await self._env.store.read(lambda db: find_item(db, ref))
        if fetch and isinstance(held.record.body, Item) and held.record.body.payload is not None:
            # The summary is shown even where the content would not fit.
            with contextlib.suppress(DomainError):
                await self._contents.bring(held, timeout_s)
        view, holders, files = self._view(), self._holders(), self._env.store.files

        def work(db: sqlite3.Connection) -> ItemDetail:
            detail = detail_of(db, files, held, view, holders)
            others = [
                Reference(cid_text(one.record.id), one.record.body.title)
                for one in self._related(db, held, _MOST_RELATED)
                if isinstance(one.record.body, Item)
            ]
            return replace(detail, related=tuple(others))

        return await self._env.store.read(work)

    async def payload(
        self, ref: str, *, timeout_s: float, first: int = 0, last: int | None = None
    ) -> PayloadContent:
        return await self._contents.payload(ref, timeout_s=timeout_s, first=first, last=last)

    def fetch(self, ref: str, *, timeout_s: float) -> AsyncGenerator[Progress | FetchSummary, None]:
        return self._contents.fetch(ref, timeout_s=timeout_s)

    async def history(self, ref: str) -> History:
        view = self._view()

        def work(db: sqlite3.Connection) -> History:
            return history_of(db, find_item(db, ref), view)

        return await self._env.store.read(work)

    async def tags(self, *, author: str | None, limit: int) -> Tags:
        view = self._view()

        def work(db: sqlite3.Connection) -> Tags:
            who = None if author is None else find_person(db, view, author)
            return Tags(tuple(TagCount(tag, count) for tag, count in tag_counts(db, who, limit=limit)))

        return await self._env.store.read(work)

    def _told(self, record: Record, notes: tuple[str, ...], *, unchanged: bool = False) -> Published:
        item = record.body
        audience = record.audience or PUBLIC
        readers = {PUBLIC: None, PRIVATE: 0, TRUSTED: len(self._view().trusted)}[audience]
        return Published(
            id=cid_text(record.id),
            kind=record.kind,
            title=item.title if isinstance(item, Item) else "",
            time=record.time,
            size=item.payload.size if isinstance(item, Item) and item.payload is not None else 0,
            audience=audience,
            item=cid_text(record.item_id),
            readers=readers,
            warnings=notes,
            unchanged=unchanged,
        )


_INSTEAD = {
    "edit": "publish what you know of it as an item of your own",
    "retract": "pkn block keeps all of its author's items away from this machine",
}


def _own_item(held: Held, me: AuthorId, verb: str) -> Item:
    if not isinstance(held.record.body, Item):
        raise DomainError(ErrorCode.CONFLICT, f"a {held.record.kind} cannot be {verb}ed", "name an item")
    if held.record.author != me:
        raise DomainError(
            ErrorCode.NOT_YOURS,
            f"only its author can {verb} an item",
            _INSTEAD[verb],
        )
    return held.record.body


def _filter(db: sqlite3.Connection, wanted: ListFilter, view: PeopleView, env: Environment) -> Filter:
    author = view.me if wanted.mine else None
    if wanted.author is not None:
        author = find_person(db, view, wanted.author)
    return Filter(clean_tags(wanted.tags), author, wanted.kind, wanted.since, wanted.audience, env.now())


def _cursor(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    time, _, row = text.partition(".")
    if not (time.isdigit() and row.isdigit() and len(text) < 40):
        raise DomainError(ErrorCode.BAD_REQUEST, "the cursor is not one of an earlier page")
    return int(time), int(row)

"""What `pkn publish` puts in: a file, a text or a bookmark, once however often it is said."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.items import PublishRequest
from pkn_protocol.records.ids import AuthorId, Cid, cid_text
from pkn_protocol.records.model import Item, Record
from pknd.capture.captured import Captured, ItemKind, first_line
from pknd.capture.files import capture_file
from pknd.capture.language import LANGUAGE_HINT, language_tag
from pknd.capture.markdown import capture_markdown
from pknd.capture.tags import clean_tags
from pknd.errors import DomainError
from pknd.items.bookmarks import bookmark, carried_bookmark, note_of, own_bookmark
from pknd.items.carrying import carried
from pknd.items.linking import linked_items
from pknd.items.origins import digest_of, is_here, note_on_import, replaced_by_next
from pknd.items.publisher import Draft, Made, Publisher, audience_of
from pknd.people.circles import PUBLIC
from pknd.store.files import BlockFiles
from pknd.store.records import Held, get, versions
from pknd.store.sources import source_at
from pknd.store.store import Store


@dataclass(frozen=True, slots=True)
class Given:
    """What a request gives: the content with the request's own fields, and of a file where it lies and the
    digest of it alone."""

    captured: Captured
    path: Path | None = None
    digest: bytes = b""
    alone: Captured | None = None
    """The file without the request's fields."""


@dataclass(frozen=True, slots=True)
class ToWrite:
    """The item to be written, with what there is to say of it."""

    draft: Draft
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The version that says all of it already."""

    record: Record


def capture_given(request: PublishRequest) -> Given:
    """Read what is to be published; blocking.

    Raises:
        DomainError: not exactly one thing is given, it cannot be read, or a field cannot be.
    """
    given = [part for part in (request.path, request.text, request.url) if part is not None]
    if request.path is not None and len(given) == 1:
        path = Path(request.path)
        captured = capture_file(path)
        return Given(_with_fields(captured, request), path, digest_of(path, captured), captured)
    if request.url is not None and request.path is None:
        return Given(_with_fields(bookmark(request.url, request.text, request.title), request))
    if request.text is not None and len(given) == 1:
        captured = capture_markdown(request.text, fallback_title="")
        # Of what its author wrote no line is the title before the front matter is told from it.
        titled = replace(captured, title=captured.title or _first_line(captured.text or ""))
        return Given(_with_fields(titled, request))
    raise DomainError(ErrorCode.BAD_REQUEST, "give one of path, text and url")


def prepare(
    store: Store, publisher: Publisher, request: PublishRequest, *, me: AuthorId, default: str
) -> Unchanged | tuple[ToWrite, Made | None]:
    """Capture, plan, and sign what is public; what is sealed may need a key first. Blocking, for a thread: on
    a busy machine several of them, one for each step, would each wait for its turn."""
    given = capture_given(request)
    lang = publisher.default_lang
    planned = store.read_now(
        lambda db: plan(db, store.files, given, request, me=me, default=default, default_lang=lang)
    )
    if isinstance(planned, Unchanged):
        return planned
    if planned.draft.audience != PUBLIC:
        return planned, None
    [made] = publisher.make_all([planned.draft], {})
    return planned, made


def plan(
    db: sqlite3.Connection,
    files: BlockFiles,
    given: Given,
    request: PublishRequest,
    *,
    me: AuthorId,
    default: str,
    default_lang: str,
) -> ToWrite | Unchanged:
    """What is to be done. A file or bookmark stays for those for whom it was published before, unless it is
    said anew."""
    captured, path = given.captured, given.path
    links = linked_items(db, captured, path)
    if path is None:
        if (url := request.url) is not None:
            again = own_bookmark(db, me, url, kind=captured.kind, audience=request.audience)
            if again is not None:
                return _bookmark_again(db, files, captured, request, again)
        return ToWrite(
            Draft(captured, audience_of(request.audience, captured.audience, default), links=links)
        )
    origin = (path, given.digest)
    known = source_at(db, path)
    before = None if known is None else get(db, known.record)
    if known is None or before is None or not isinstance(before.record.body, Item):
        audience = audience_of(request.audience, captured.audience, default)
        return ToWrite(Draft(captured, audience, links=links, source=origin))
    was = before.record.audience or PUBLIC
    audience = audience_of(request.audience, captured.audience, was)
    if audience != was:
        return ToWrite(
            Draft(captured, audience, links=links, source=origin), (_note_on_other(was, known.item),)
        )
    newest = next((version for version in versions(db, known.item) if version.head), before)
    if known.digest == given.digest and is_here(db, before) and _says_all(newest.record, request):
        return Unchanged(newest.record)
    if given.alone is not None:
        said = carried(
            db,
            files,
            given.alone,
            path,
            before=newest.record,
            digest=known.digest,
            default_lang=default_lang,
        )
        captured = _with_fields(said, request)
    replaced = note_on_import(known, newest.record)
    draft = Draft(captured, audience, known.item, replaced_by_next(db, known.item), links, origin)
    return ToWrite(draft, () if replaced is None else (replaced,))


def _bookmark_again(
    db: sqlite3.Connection, files: BlockFiles, captured: Captured, request: PublishRequest, before: Held
) -> ToWrite | Unchanged:
    item, record = before.record.body, before.record
    was = record.audience or PUBLIC
    audience = audience_of(request.audience, captured.audience, was)
    links = linked_items(db, captured, None)
    if audience != was or not isinstance(item, Item):
        return ToWrite(Draft(captured, audience, links=links), (_note_on_other(was, record.item_id),))
    note = note_of(db, files, item)
    is_new = request.text is not None and request.text != note
    if not is_new and _says_all(record, request):
        return Unchanged(record)
    said = carried_bookmark(before, item, request.text or "" if is_new else note, is_new=is_new)
    return ToWrite(
        Draft(
            _with_fields(said, request),
            audience,
            record.item_id,
            replaced_by_next(db, record.item_id),
            links if is_new else item.links,
        )
    )


def _note_on_other(audience: str, item: Cid) -> str:
    return (
        f"it was published to {audience} before, and that item stays: "
        f"pkn retract {cid_text(item)} takes it back"
    )


def _says_all(record: Record, request: PublishRequest) -> bool:
    """Whether a version has the fields that a request gives."""
    item = record.body
    return (
        isinstance(item, Item)
        and (request.title is None or " ".join(request.title.split()) == item.title)
        and set(clean_tags(request.tags)) <= set(item.tags)
        and request.kind in (None, record.kind)
        and given_language(request.lang) in (None, item.lang)
        and request.dated in (None, record.dated)
    )


def _with_fields(captured: Captured, request: PublishRequest) -> Captured:
    tags = tuple(dict.fromkeys((*captured.tags, *clean_tags(request.tags))))
    return replace(
        captured,
        title=request.title or captured.title,
        tags=tags,
        kind=ItemKind(request.kind) if request.kind is not None else captured.kind,
        lang=given_language(request.lang) or captured.lang,
        dated=request.dated if request.dated is not None else captured.dated,
    )


def given_language(given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return language_tag(given)
    except ValueError as error:
        raise DomainError(ErrorCode.BAD_REQUEST, str(error), f"give {LANGUAGE_HINT}") from None


def _first_line(text: str) -> str:
    first = first_line(text, strip="#") or "Untitled"
    return first if len(first) <= 80 else first[:79] + "…"

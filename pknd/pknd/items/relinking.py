"""Links to files that were published after those that link to them.

An item's id is the digest of its first version, links and signature included, so of two notes that link to
each other one is signed before the other has an id. Once both have one, the first gets another version.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.limits import LINKS
from pkn_protocol.records.model import Item
from pknd.capture.captured import Captured, ItemKind
from pknd.capture.files import capture_file
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.linking import linked_items, neighbour
from pknd.items.origins import digest_of, replaced_by_next
from pknd.items.publisher import Draft, Publisher
from pknd.people.circles import PUBLIC
from pknd.store.records import Held, get
from pknd.store.sources import source_at

_BATCH = 100
_BATCH_BYTES = 32 * 1024 * 1024
"""As an import's."""


@dataclass(frozen=True, slots=True)
class LateLinks:
    """A file, and files it links to that may have become items since it was signed. `unchanged`: it was not
    signed by this import."""

    path: Path
    targets: tuple[Path, ...]
    unchanged: bool


def late_links(
    db: sqlite3.Connection, captured: Captured, path: Path, made: Collection[Path]
) -> LateLinks | None:
    """What a new version of a file links to and is no item yet, neither on disk nor among those just `made`;
    None where that is nothing."""
    late = tuple(t for t in _targets(captured, path) if t not in made and source_at(db, t) is None)
    return LateLinks(path, late, unchanged=False) if late else None


def late_links_of_unchanged(
    db: sqlite3.Connection, captured: Captured, path: Path, held: Held
) -> LateLinks | None:
    """What an unchanged file links to, if its version may lack a link when all is imported."""
    targets = _targets(captured, path)
    if not targets or not held.head:
        return None
    if all(source_at(db, target) for target in targets) and not _lacking(db, captured, path, held):
        return None
    return LateLinks(path, targets, unchanged=True)


@dataclass(frozen=True, slots=True)
class Relinked:
    """How many of the late ones were seen to until now; in this step, how many unchanged files got a new
    version, and whose links could not be written."""

    seen: int
    linked: int
    failed: tuple[tuple[LateLinks, DomainError], ...] = ()


async def relink(
    env: Environment, publisher: Publisher, late: Sequence[LateLinks]
) -> AsyncGenerator[Relinked, None]:
    """Write the missing links as new versions. One that cannot be written keeps no other from it, and the
    files themselves are items already."""
    seen = 0
    for part in parts(late):
        found = await asyncio.to_thread(_drafts, env, part)
        failed = await _write(publisher, found)
        seen += len(part)
        amiss = {one for one, _ in failed}
        yield Relinked(seen, sum(one.unchanged for one, _ in found if one not in amiss), tuple(failed))


def parts(late: Sequence[LateLinks]) -> Iterator[Sequence[LateLinks]]:
    """As many at once as fit into memory: their files are read whole."""
    part: list[LateLinks] = []
    size = 0
    for one in late:
        try:
            bytes_now = one.path.stat().st_size
        except OSError:
            bytes_now = 0  # it is passed over when it is captured
        if part and (len(part) >= _BATCH or size + bytes_now > _BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += bytes_now
    if part:
        yield part


async def _write(
    publisher: Publisher, found: Sequence[tuple[LateLinks, Draft]]
) -> list[tuple[LateLinks, DomainError]]:
    """All at once, or if that is not to be, one by one: those that cannot be."""
    if not found:
        return []
    try:
        await publisher.publish([draft for _, draft in found])
    except DomainError:
        failed = []
        for one, draft in found:
            try:
                await publisher.publish([draft])
            except DomainError as error:
                failed.append((one, error))
        return failed
    return []


def _targets(captured: Captured, path: Path) -> tuple[Path, ...]:
    found = (neighbour(href, path) for href in captured.links)
    return tuple(dict.fromkeys(target for target in found if target is not None and target != path))


def _lacking(db: sqlite3.Connection, captured: Captured, path: Path, held: Held) -> tuple[Cid, ...]:
    """All links of a file, if the version that is held lacks some of them."""
    item = held.record.body
    links = tuple(cid for cid in linked_items(db, captured, path) if cid != held.record.item_id)[:LINKS]
    return links if isinstance(item, Item) and not set(links) <= set(item.links) else ()


def _drafts(env: Environment, part: Sequence[LateLinks]) -> list[tuple[LateLinks, Draft]]:
    def due(db: sqlite3.Connection) -> list[LateLinks]:
        return [one for one in part if any(source_at(db, target) for target in one.targets)]

    # Files are read while no snapshot of the database is held.
    captured = [(one, found) for one in env.store.read_now(due) if (found := _captured(one.path)) is not None]

    def work(db: sqlite3.Connection) -> list[tuple[LateLinks, Draft]]:
        return [
            (one, draft)
            for one, (file, digest) in captured
            if (draft := _draft(db, one.path, file, digest)) is not None
        ]

    return env.store.read_now(work)


def _captured(path: Path) -> tuple[Captured, bytes] | None:
    try:
        captured = capture_file(path)
        return captured, digest_of(path, captured)
    except (DomainError, OSError):
        return None


def _draft(db: sqlite3.Connection, path: Path, captured: Captured, digest: bytes) -> Draft | None:
    """The next version of a file's item, with all its links and nothing else changed; None where the file or
    the item was changed since."""
    source = source_at(db, path)
    held = None if source is None else get(db, source.record)
    if source is None or held is None or not held.head or not isinstance(held.record.body, Item):
        return None
    if digest != source.digest:
        return None
    links, item = _lacking(db, captured, path, held), held.record.body
    if not links:
        return None
    captured = replace(
        captured,
        kind=ItemKind(held.record.kind),
        title=item.title,
        tags=item.tags,
        lang=item.lang,
        dated=held.record.dated,
    )
    return Draft(
        captured,
        held.record.audience or PUBLIC,
        held.record.item_id,
        replaced_by_next(db, held.record.item_id),
        links,
        (path, source.digest),
    )

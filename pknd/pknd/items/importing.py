"""Importing files and folders: idempotent, bounded in memory, bad files told and passed over."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import ChainMap, Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.work import (
    FailedFile,
    FileNote,
    ImportRequest,
    ImportSummary,
    LeftItem,
    Progress,
)
from pkn_protocol.records.circles import EpochKey
from pkn_protocol.records.ids import Cid, cid_text
from pkn_protocol.records.model import Item, Record
from pknd.capture.captured import Captured
from pknd.capture.files import capture_file, shown
from pknd.capture.folder import Found, walk
from pknd.environment import Environment
from pknd.errors import DomainError
from pknd.items.carrying import carried
from pknd.items.drafts import notes_on
from pknd.items.gone import gone_from
from pknd.items.linking import linked_items, neighbour
from pknd.items.origins import digest_of, is_here, note_on_import, replaced_by_next, source_of
from pknd.items.publisher import Draft, Made, Publisher, audience_of
from pknd.items.relinking import LateLinks, late_links, late_links_of_unchanged, relink
from pknd.people.circles import PUBLIC
from pknd.store.records import get, versions
from pknd.store.sources import Source, move_source, was_retracted

BATCH = 100
"""Files captured, signed and stored together: one transaction and one fsync.

While one is written the next is made. That is a gain because writing takes few statements: were there one a
record, the two threads would hinder each other in Python more than they gain.
"""
BATCH_BYTES = 32 * 1024 * 1024
MOST_FILES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A captured file, its digest, and what it was imported as before. `audience` None: nobody said it.
    `note` is what to say once its version is made."""

    path: Path
    captured: Captured
    digest: bytes
    audience: str | None
    before: Source | None = None
    note: str | None = None


@dataclass(slots=True)
class _Examined:
    """A batch that was captured: what is new or changed, what only lies elsewhere now (from, to), how many
    are unchanged, and what failed."""

    new: list[_Candidate] = field(default_factory=list)
    moved: list[tuple[Path, Path]] = field(default_factory=list)
    unchanged: int = 0
    failed: list[FailedFile] = field(default_factory=list)
    skipped: list[FileNote] = field(default_factory=list)
    left: list[LeftItem] = field(default_factory=list)
    late: list[LateLinks] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """A batch on its way: `made` is to be written, `items` are what its files became. The links of the next
    batch are resolved with them, since they may not be on disk yet."""

    last: Path
    files: int
    made: list[Made] = field(default_factory=list)
    items: dict[Path, Cid] = field(default_factory=dict)
    late: list[LateLinks] = field(default_factory=list)
    notes: list[FileNote] = field(default_factory=list)


class Importer:
    def __init__(
        self, env: Environment, publisher: Publisher, *, default_audience: Callable[[], str]
    ) -> None:
        self._env = env
        self._publisher = publisher
        self._default_audience = default_audience

    async def run(self, request: ImportRequest) -> AsyncGenerator[Progress | ImportSummary, None]:
        """Import, with a progress event a batch and the summary last."""
        for path in request.paths:
            if not Path(path).is_absolute():
                raise DomainError(ErrorCode.BAD_REQUEST, f"{path} is not an absolute path")
        if request.audience is not None:
            audience_of(request.audience, None, PUBLIC)
        found = await asyncio.to_thread(lambda: list(walk([Path(path) for path in request.paths])))
        if len(found) > MOST_FILES:
            raise DomainError(ErrorCode.TOO_LARGE, f"{len(found)} files; at most {MOST_FILES} at once")
        failed = [_failure(one.path, one.problem) for one in found if one.problem is not None]
        files = [one for one in found if one.problem is None]
        imported, unchanged, audiences = 0, 0, Counter[str]()
        skipped, notes, left = list[FileNote](), list[FileNote](), list[LeftItem]()
        late, linked = list[LateLinks](), 0
        elsewhere = set[Path]()
        done = 0
        writing: asyncio.Future[None] | None = None
        before: _Batch | None = None
        try:
            for batch in _batches(files):
                examined = await asyncio.to_thread(self._examine, batch, request)
                failed += examined.failed
                unchanged += examined.unchanged + len(examined.moved)
                imported += len(examined.new)
                audiences.update(_audience(candidate) for candidate in examined.new)
                skipped += examined.skipped
                left += examined.left
                notes += _notes(examined.new)
                elsewhere |= _earlier_places(examined)
                made = _Batch(batch[-1].path, len(batch))
                if not request.dry_run:
                    refused = await self._make_batch(examined, made, before)
                    failed += refused
                    imported -= len(refused)
                    late += examined.late + made.late
                    notes += made.notes
                if writing is not None and before is not None:
                    await writing
                    done += before.files
                    yield Progress(done, len(files), shown(before.last))
                writing, before = asyncio.ensure_future(self._write(made)), made
            if writing is not None and before is not None:
                await writing
                yield Progress(len(files), len(files), shown(before.last))
            async for step in relink(self._env, self._publisher, late):
                linked += step.linked
                notes += [_not_linked(one.path, error) for one, error in step.failed]
                yield Progress(step.seen, len(late), "links")
        finally:
            if writing is not None:
                # What was handed over is finished, also when nobody listens any more.
                await asyncio.gather(writing, return_exceptions=True)
        gone, more = await asyncio.to_thread(
            gone_from, self._env, map(Path, request.paths), {one.path for one in found}, elsewhere
        )
        yield ImportSummary(
            imported,
            unchanged,
            tuple(failed),
            dict(audiences),
            request.dry_run,
            tuple(skipped),
            (*notes, *more),
            tuple(left),
            linked,
            tuple(gone),
        )

    async def _write(self, batch: _Batch) -> None:
        if batch.made:
            await self._publisher.write(batch.made)

    async def _make_batch(
        self, examined: _Examined, batch: _Batch, before: _Batch | None
    ) -> list[FailedFile]:
        """Make what is to be written; files that only lie elsewhere now are noted at once."""
        if examined.moved:
            await self._env.store.write(partial(_move_all, moved=examined.moved))
        if not examined.new:
            return []
        audiences = {_audience(candidate) for candidate in examined.new} - {PUBLIC}
        epochs = {name: await self._publisher.epoch(name) for name in audiences}
        earlier = {} if before is None else before.items
        return await asyncio.to_thread(self._make, examined.new, epochs, batch, earlier)

    def _examine(self, batch: Sequence[Found], request: ImportRequest) -> _Examined:
        examined = _Examined()
        candidates: list[_Candidate] = []
        default = self._default_audience()
        for one in batch:
            try:
                captured = capture_file(one.path)
                said = audience_of(request.audience, captured.audience, default)
                digest = digest_of(one.path, captured)
            except DomainError as error:
                examined.failed.append(_failure(one.path, error))
                continue
            open_ = request.audience is None and captured.audience is None
            candidates.append(_Candidate(one.path, captured, digest, None if open_ else said))

        def work(db: sqlite3.Connection) -> None:
            for candidate in candidates:
                _sort(db, candidate, examined, default=default, again=request.again)

        self._env.store.read_now(work)
        return examined

    def _make(
        self,
        candidates: Sequence[_Candidate],
        epochs: dict[str, EpochKey],
        batch: _Batch,
        earlier: dict[Path, Cid],
    ) -> list[FailedFile]:
        failed: list[FailedFile] = []

        def work(db: sqlite3.Connection) -> None:
            ordered = [self._carried(db, one) for one in _targets_first(candidates)]
            analysed = self._publisher.analyse([candidate.captured for candidate in ordered])
            for candidate, read in zip(ordered, analysed, strict=True):
                try:
                    items = ChainMap(batch.items, earlier)
                    draft = _draft(db, candidate, items)
                    one = self._publisher.make(draft, read, epochs.get(draft.audience))
                except DomainError as error:
                    failed.append(_failure(candidate.path, error))
                    continue
                late = late_links(db, candidate.captured, candidate.path, items)
                if late is not None:
                    batch.late.append(late)
                batch.items[candidate.path] = one.record.item_id
                batch.made.append(one)
                if candidate.note is not None:
                    batch.notes.append(FileNote(shown(candidate.path), candidate.note))

        self._env.store.read_now(work)
        self._publisher.check_room(batch.made)
        return failed

    def _carried(self, db: sqlite3.Connection, candidate: _Candidate) -> _Candidate:
        """A changed file with what was said of it beside it."""
        before = _published_before(db, candidate)
        if before is None or candidate.before is None:
            return candidate
        newest = next((one.record for one in versions(db, before.item_id) if one.head), before)
        captured = carried(
            db,
            self._env.store.files,
            candidate.captured,
            candidate.path,
            before=newest,
            digest=candidate.before.digest,
            default_lang=self._publisher.default_lang,
        )
        return replace(candidate, captured=captured, note=note_on_import(candidate.before, newest))


def _move_all(db: sqlite3.Connection, moved: Sequence[tuple[Path, Path]]) -> None:
    for old, new in moved:
        move_source(db, old, new)


def _sort(
    db: sqlite3.Connection, candidate: _Candidate, examined: _Examined, *, default: str, again: bool
) -> None:
    """Tell what is to be done with a file. Without a word about who may read it, it stays for those for whom
    it was imported."""
    source, held = source_of(db, candidate.path, candidate.digest)
    if source is None and not again and was_retracted(db, candidate.path, candidate.digest):
        examined.skipped.append(FileNote(shown(candidate.path), "it was retracted"))
        return
    before = None if held is None else held.record.audience or PUBLIC
    audience = candidate.audience or before or default
    if source is not None and held is not None and before != audience:
        examined.left.append(
            LeftItem(shown(candidate.path), cid_text(source.item), before or PUBLIC, audience)
        )
    moved = source is not None and source.path != candidate.path
    # A moved file that kept its name has the same item; another name is another version.
    same = source is not None and source.digest == candidate.digest and before == audience
    if same and held is not None:
        # The file is what it was, though its item may have let go of the content since.
        same = is_here(db, held)
    if not same or source is None or (moved and source.path.name != candidate.path.name):
        examined.new.append(replace(candidate, audience=audience, before=source))
        return
    if moved:
        examined.moved.append((source.path, candidate.path))
    else:
        examined.unchanged += 1
    late = None if held is None else late_links_of_unchanged(db, candidate.captured, candidate.path, held)
    if late is not None:
        examined.late.append(late)


def _audience(candidate: _Candidate) -> str:
    if candidate.audience is None:
        raise ValueError("nobody has said who may read the file")
    return candidate.audience


def _earlier_places(examined: _Examined) -> set[Path]:
    """Where files lay that were recognised under another name."""
    renamed = {one.before.path for one in examined.new if one.before and one.before.path != one.path}
    return renamed | {old for old, _ in examined.moved}


def _notes(candidates: Sequence[_Candidate]) -> list[FileNote]:
    return [
        FileNote(shown(candidate.path), note)
        for candidate in candidates
        for note in notes_on(candidate.captured)
    ]


def _draft(db: sqlite3.Connection, candidate: _Candidate, items: Mapping[Path, Cid]) -> Draft:
    captured = candidate.captured
    links = dict.fromkeys(linked_items(db, captured, candidate.path))
    for href in captured.links:
        target = neighbour(href, candidate.path)
        if target is not None and target in items:
            links.setdefault(items[target])
    source = (candidate.path, candidate.digest)
    before = _published_before(db, candidate)
    if before is None:
        return Draft(captured, _audience(candidate), links=tuple(links), source=source)
    replaced = replaced_by_next(db, before.item_id)
    return Draft(captured, _audience(candidate), before.item_id, replaced, tuple(links), source)


def _published_before(db: sqlite3.Connection, candidate: _Candidate) -> Record | None:
    """The version to go on from: none if the audience is another now, since a version keeps its item's."""
    if candidate.before is None or (held := get(db, candidate.before.record)) is None:
        return None
    if not isinstance(held.record.body, Item) or (held.record.audience or PUBLIC) != _audience(candidate):
        return None
    return held.record


def _targets_first(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """An order in which what is linked to comes before what links to it, as far as there are no circles."""
    by_path = {candidate.path: candidate for candidate in candidates}
    ordered: dict[Path, _Candidate] = {}
    visited: set[Path] = set()
    for start in by_path:
        stack = [(start, False)]
        while stack:
            path, leaving = stack.pop()
            if leaving:
                ordered.setdefault(path, by_path[path])
            elif path not in visited:
                visited.add(path)
                stack.append((path, True))
                for href in by_path[path].captured.links:
                    target = neighbour(href, path)
                    if target in by_path and target not in visited:
                        stack.append((target, False))
    return list(ordered.values())


def _batches(files: Sequence[Found]) -> list[Sequence[Found]]:
    batches: list[Sequence[Found]] = []
    batch: list[Found] = []
    size = 0
    for one in files:
        batch.append(one)
        try:
            size += one.path.stat().st_size
        except OSError:
            size += 0  # it is told when it is captured
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            batches.append(batch)
            batch, size = [], 0
    if batch:
        batches.append(batch)
    return batches


def _not_linked(path: Path, error: DomainError) -> FileNote:
    return FileNote(shown(path), f"it is imported, but not all its links are in it: {error.line()}")


def _failure(path: Path, error: DomainError | None) -> FailedFile:
    """The path is told beside the error, so the error need not begin with it."""
    line = error.line() if error is not None else ""
    return FailedFile(shown(path), line.removeprefix(shown(path)).strip())

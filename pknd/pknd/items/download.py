"""One payload on its way here: from everybody who has parts of it, each kept as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pkn_protocol.bulk.schedule import Ask, Fetch, GiveUp, Loss, Schedule
from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import CloseCode
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Payload
from pkn_protocol.records.payload import BLOCK_BYTES, BadManifest, stored_size
from pkn_protocol.records.walk import BadBlock, WantedBlock, check_length, check_place
from pknd import log
from pknd.environment import Environment
from pknd.items.arrivals import Arrival, Keeper
from pknd.items.changes import Changes
from pknd.items.missing import MissingBlocks
from pknd.store.blocks import IN_ROW_BYTES, bytes_used
from pknd.store.failures import translated
from pknd.store.partials import PartialFile
from pknd.sync.link import LinkClosed, PeerLink, SourceBusy

PATIENCE_S = 30.0
"""When nobody who is here has what is missing, though something came: a daemon that restarts is back then."""
PATIENCE_ASKED_S = 4.0
"""The same when only manifests came: by then all were asked once more, as one may be fetching it itself."""
_TICK_S = 0.25
_HAVE_S = 10.0
_AUTHOR_FIRST, _OTHERS = 0.0, 1.0


@dataclass(slots=True)
class _Fetching:
    task: asyncio.Task[None]
    size: int
    into: PartialFile | None = None
    given_up: bool = False


class Download:
    """`run` once. `done` and `total` count stored bytes, those included that an earlier run has left here.
    `absent` is told each device that answers that it has not got the payload's first block."""

    def __init__(
        self,
        env: Environment,
        links: Callable[[], Sequence[PeerLink]],
        record: int,
        author: AuthorId,
        payload: Payload,
        absent: Callable[[DeviceId], None] = lambda device: None,
    ) -> None:
        self.done = 0
        self.total = stored_size(payload.size, sealed=payload.key is not None)
        self.changes = Changes()
        self.author_lacks = False
        """The author, connected, has answered that a part of it is not to be had there."""
        self.is_abandoned = False
        """Nobody waits for it any more: it ends as soon as something would have to be fetched."""
        self._env = env
        self._links = links
        self._record = record
        self._author = author
        self._payload = payload
        self._absent = absent
        self._missing = MissingBlocks(env, record, payload)
        self._schedule: Schedule[PeerLink] = Schedule()
        self._keeper = Keeper(env, record, self._on_kept)
        self._met: set[PeerLink] = set()
        self._fetching: dict[tuple[PeerLink, Cid], _Fetching] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._fetched = 0
        self._has_chunks = False
        self._look_round_at = 0.0
        self._stuck_since: float | None = None
        self._failure: BaseException | None = None

    @property
    def has_all(self) -> bool:
        """Whether nothing is to be fetched that is known of: what came is to be kept, the end to be noted."""
        return self._missing.has_looked and not self._missing.window and not self._fetching

    def look_again(self) -> None:
        """Somebody new is connected."""
        self._look_round_at = 0.0
        self._wake.set()

    def read_at(self, stored: int) -> None:
        """A reader waits at that stored byte: what follows it comes first."""
        if self._missing.read_at(stored):
            self._wake.set()

    async def run(self) -> bool:
        """Whether the payload is here now.

        Raises:
            BadManifest: its author's tree is invalid. ItemGone. DiskFull. NothingStays.
        """
        self._missing.begin()
        self.done = await self._env.store.read(lambda db: bytes_used(db, self._record))
        self.changes.tell()
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self._keeper.run())
                complete = await self._work(tasks)
                keeping.cancel()
                for fetching in self._fetching.values():
                    fetching.task.cancel()
                for asking in self._asking:
                    asking.cancel()
        except* Exception as group:
            raise _first(group) from None
        finally:
            await self._keeper.close()
            await asyncio.to_thread(self._env.store.files.partials.trim)
            self.changes.tell()
        return complete

    async def _work(self, tasks: asyncio.TaskGroup) -> bool:
        while True:
            self._wake.clear()
            if self._failure is not None:
                raise self._failure
            if await self._missing.look(self._keeper.cids):
                wanted = self._missing.window.values()
                self._schedule.want([(one.cid, one.stored if one.level == 0 else 0) for one in wanted])
            if self._missing.is_empty and not self._keeper.cids:
                if await self._missing.note_complete():
                    return True
                continue
            if self.is_abandoned and self._missing.window:
                return False
            now = self._env.monotonic()
            if now >= self._look_round_at:
                self._look_round_at = now + _TICK_S
                self._meet()
                self._tell_progress(now)
            if not self._keeper.is_full:
                for effect in self._schedule.next(now):
                    self._do(effect, tasks)
            if self._is_stuck(now):
                return False
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _is_stuck(self, now: float) -> bool:
        """Whether it has been hopeless for too long."""
        if self._fetching or self._keeper.cids or not self._schedule.is_hopeless(now):
            self._stuck_since = None
            return False
        if self._stuck_since is None:
            self._stuck_since = now
        patience = PATIENCE_S if self._has_chunks else PATIENCE_ASKED_S if self._fetched else 0.0
        return now - self._stuck_since >= patience

    def _meet(self) -> None:
        links = set(self._links())
        for link in self._met - links:
            self._schedule.leave(link)
        self._met &= links
        # Up to one block it is cheaper to try than to ask.
        assumed = self.total <= BLOCK_BYTES
        for link in links - self._met:
            first = _AUTHOR_FIRST if link.peer.author == self._author else _OTHERS
            self._schedule.join(
                link, preference=first + min(link.rtt_ms or 0.0, 5000.0) / 10_000, assumed=assumed
            )
            self._met.add(link)

    def _tell_progress(self, now: float) -> None:
        for (link, cid), fetching in self._fetching.items():
            if fetching.into is not None:
                self._schedule.moved(link, cid, max(0, fetching.into.length - fetching.into.had), now)

    def _do(
        self, effect: Ask[PeerLink] | Fetch[PeerLink] | GiveUp[PeerLink], tasks: asyncio.TaskGroup
    ) -> None:
        match effect:
            case Ask():
                asking = tasks.create_task(self._ask(effect.source, effect.cids))
                self._asking.add(asking)
                asking.add_done_callback(self._asking.discard)
            case Fetch():
                wanted = self._missing.window[effect.cid]
                task = tasks.create_task(self._fetch(effect.source, wanted))
                self._fetching[effect.source, effect.cid] = _Fetching(task, wanted.stored)
                task.add_done_callback(partial(self._on_ended, effect.source, effect.cid))
            case GiveUp():
                if (fetching := self._fetching.get((effect.source, effect.cid))) is not None:
                    fetching.given_up = True
                    fetching.task.cancel()

    async def _ask(self, link: PeerLink, cids: tuple[Cid, ...]) -> None:
        held: Sequence[bool] = ()
        try:
            reply = await link.request(m.Have(cids), timeout_s=_HAVE_S)
            if isinstance(reply, m.Holds):
                held = [bool(one) for one in reply.held]
                self.author_lacks |= link.peer.author == self._author and not all(held)
        except (LinkClosed, TimeoutError) as error:
            log.event("fetch.unanswered", LogLevel.DEBUG, device=_name(link), error=str(error))
        self._schedule.told(link, cids, held, self._env.monotonic())
        self._wake.set()

    async def _fetch(self, link: PeerLink, wanted: WantedBlock) -> None:
        """Fetch one block, and tell the schedule what became of it."""
        key = link, wanted.cid
        loss: Loss | None = Loss.BROKEN
        try:
            loss = await self._from(link, wanted)
            if loss is Loss.ABSENT and wanted.cid == self._payload.cid:
                self._absent(link.peer.device)
        except asyncio.CancelledError:
            if not self._fetching[key].given_up:
                raise
            loss = Loss.GIVEN_UP
        except SourceBusy:
            loss = Loss.BUSY
        except LinkClosed as error:
            # The connection may be gone with it.
            self._look_round_at = 0.0
            log.event("fetch.broken", LogLevel.DEBUG, device=_name(link), error=str(error))
        except BadBlock as error:
            await link.close(CloseCode.BAD_RECORD, str(error))
            self._schedule.leave(link)
        except OSError as error:
            self._failure = translated(error, self._env.store.path)
        finally:
            del self._fetching[key]
        if loss is not None:
            self.author_lacks |= link.peer.author == self._author and loss is Loss.ABSENT
            self._schedule.lost(link, wanted.cid, loss, self._env.monotonic())
        self._wake.set()

    def _on_ended(self, link: PeerLink, cid: Cid, task: asyncio.Task[None]) -> None:
        """A fetch that was given up before its task began never came to tell the schedule so."""
        fetching = self._fetching.get((link, cid))
        if fetching is None or fetching.task is not task:
            return
        del self._fetching[link, cid]
        self._schedule.lost(link, cid, Loss.GIVEN_UP, self._env.monotonic())
        self._wake.set()

    async def _from(self, link: PeerLink, wanted: WantedBlock) -> Loss | None:
        """None: it came, and can stand in its place."""
        if wanted.most_bytes <= IN_ROW_BYTES:
            block = await link.fetch_block(wanted.cid, most_bytes=BLOCK_BYTES)
            if block is None:
                return Loss.ABSENT
            check_place(wanted, block)
            self._came(link, Arrival(wanted.cid, block), len(block))
            return None
        partials = self._env.store.files.partials
        into = partials.open(wanted.cid, most_bytes=BLOCK_BYTES)
        self._fetching[link, wanted.cid].into = into
        try:
            if not await link.receive_block(wanted.cid, into):
                into.close()
                return Loss.ABSENT
            check_length(wanted, into.length)
        except BadManifest:
            into.close(keep=False)
            raise
        except BaseException:
            into.close(keep=not self._keeper.is_gone)
            raise
        self._came(link, Arrival(wanted.cid, into), max(0, into.length - into.had))
        return None

    def _came(self, link: PeerLink, arrival: Arrival, fetched: int) -> None:
        self._schedule.came(link, arrival.cid, fetched, self._env.monotonic())
        self._fetched += fetched
        wanted = self._missing.window.pop(arrival.cid, None)
        self._has_chunks = self._has_chunks or (wanted is not None and wanted.level == 0)
        if arrival.cid in self._missing and arrival.cid not in self._keeper.cids:
            self._keeper.put(arrival)
        elif isinstance(arrival.block, PartialFile):
            # It was given up, another source brought it, and then it came all the same.
            arrival.block.close(keep=False)

    async def _on_kept(self, kept: Sequence[Arrival], lost: Sequence[Cid]) -> None:
        """A group is on disk."""
        self._missing.kept(kept)
        self.done = min(self.total, self.done + sum(arrival.size for arrival in kept))
        self._wake.set()
        self.changes.tell()


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _name(link: PeerLink) -> str:
    return link.peer.device.hex()[:16]

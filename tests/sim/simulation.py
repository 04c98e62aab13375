"""A run: the people and their plan, the network, the nodes, and what was found in the end."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from math import inf
from random import Random
from typing import Any

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Record
from pkn_protocol.sync.comparing import COMPARE_EVERY_MS
from tests.sim.events import Events
from tests.sim.handshake import handshake_bytes
from tests.sim.library import Library
from tests.sim.measure import Journey
from tests.sim.meetings import Meetings
from tests.sim.meter import Meter
from tests.sim.network import Connection, LinkModel, Network
from tests.sim.node import Node
from tests.sim.oracle import Oracle, Verdict, horizon
from tests.sim.overlay import Overlay
from tests.sim.people import Author, Texts
from tests.sim.plan import Act, Restart, make_plan
from tests.sim.report import figures, report
from tests.sim.settings import MINUTE_MS, Settings
from tests.sim.writer import Writer

DISK_MS = 5.0
"""Mean time until a transaction is on disk or a read is answered."""
FIRST_PHASE_MS = 2 * MINUTE_MS
_LOOK_EVERY_MS = MINUTE_MS
_SPENT_EVERY_MS = 2_000.0
_COMPARED_WITHIN_MS = 1.2 * COMPARE_EVERY_MS


class Simulation:
    """Everything of a run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.random = Random(settings.seed)
        self.events = Events()
        self.meter = Meter(settings.nodes)
        model = LinkModel(
            settings.delay_ms,
            settings.spread,
            loss=settings.loss,
            breaks=settings.breaks,
            bandwidth=settings.bandwidth,
        )
        self.network = Network(self.events, self.random, model)
        self.plan = make_plan(settings, self.random)
        self.authors = [Author(settings.seed, number) for number in range(settings.nodes)]
        self.number_of = {author.author: author.number for author in self.authors}
        ties = self.plan.ties
        self.opinions = [
            (self._people(trusted), self._people(blocked))
            for trusted, blocked in zip(ties.trusted, ties.blocked, strict=True)
        ]
        self.library = Library()
        self.meetings = Meetings(self.authors, self.library, settings.seed)
        self._next_number = 0
        self._side: dict[int, int] | None = None
        self._began = time.perf_counter()
        self.writers = self._write_history()
        device = self.writers[0].written[0].block
        self._handshake_bytes = [
            handshake_bytes(self.authors[0], device, is_known=is_known) for is_known in (False, True)
        ]
        self.nodes = [Node(self, number) for number in range(settings.nodes)]
        self.overlay = Overlay(self, settings.neighbours)
        self._late: dict[int, list[Act]] = defaultdict(list)
        self.stopped: set[int] = set()

    # What nodes ask for

    def next_number(self) -> int:
        self._next_number += 1
        return self._next_number

    def disk_delay(self) -> float:
        return self.random.uniform(0, 2 * DISK_MS)

    def count_handshake(self, connection: Connection) -> None:
        """The bytes of hello, proof and welcome, which are not sent here."""
        caller, called = connection.nodes
        is_known = self.authors[called].device in self.nodes[caller].store.devices
        for node, size in zip(connection.nodes, self._handshake_bytes[is_known], strict=True):
            self.meter.message(node, "Handshake", size)

    # The run

    def run(
        self, progress: Callable[[str], None] | None = None, *, most_seconds: float = inf
    ) -> dict[str, Any]:
        """Run to the end and say what was found; `progress` is told once a virtual minute how far it is.

        The end is reached when all nodes hold what they should, or when the time to settle is over; and,
        `finished` is false then, with the virtual minute in which so many real seconds have passed.
        """
        # What dies here dies by its reference count; looking for cycles in so much that lives takes long.
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._run(progress or (lambda line: None), most_seconds)
        finally:
            if collects:
                gc.enable()

    def _run(self, tell: Callable[[str], None], most_seconds: float) -> dict[str, Any]:
        built = time.perf_counter() - self._began
        plan, settings = self.plan, self.settings
        for number, begins in enumerate(plan.begins):
            self.events.at(begins, self._begin, number)
        for act in plan.acts:
            self.events.at(act.when, self._act, act)
        for restart in plan.restarts:
            self.events.at(restart.when, self._stop, restart)
        for partition, sides in zip(settings.partitions, plan.sides, strict=True):
            self.events.at(partition.start * MINUTE_MS, self._divide, sides)
            self.events.at((partition.start + partition.minutes) * MINUTE_MS, self._heal)
        self.events.at(FIRST_PHASE_MS, self.meter.first_phase_ends)
        live = settings.minutes * MINUTE_MS
        while self.events.now < live and self._spent() < most_seconds:
            self._go_on(min(live, self.events.now + _LOOK_EVERY_MS), most_seconds)
            tell(self._how_far())
        latest = live + settings.settle_minutes * MINUTE_MS
        verdicts = self.verdicts()
        while self.events.now < latest and (late := [v for v in verdicts if not v.right]):
            if self._spent() >= most_seconds:
                break
            self._go_on(min(latest, self.events.now + _LOOK_EVERY_MS), most_seconds)
            # Who is right is looked at again when the others are.
            oracle = self.oracle()
            verdicts = [self.judge(oracle, self.nodes[verdict.node]) for verdict in late]
            tell(f"{self._how_far()}, {sum(not v.right for v in verdicts)} nodes not right yet")
            if all(verdict.right for verdict in verdicts):
                verdicts = self.verdicts()
        finished = all(verdict.right for verdict in verdicts) or self.events.now >= latest
        found = report(self, [verdict for verdict in verdicts if not verdict.right])
        kept_to = [{**asdict(figure), "met": figure.met} for figure in figures(found)]
        return {
            "settings": asdict(settings),
            "finished": finished,
            "figures": kept_to,
            **found,
            "last_comparisons": self._compare_once_more() if finished else None,
            "cost": {
                "build_s": round(built, 1),
                "run_s": round(time.perf_counter() - self._began - built, 1),
                "cpu_s": round(time.process_time(), 1),
                "events": self.events.done,
                "resident_mib": _resident_mib(),
            },
        }

    def _go_on(self, until: float, most_seconds: float) -> None:
        while self.events.now < until and self._spent() < most_seconds:
            self.events.run_until(min(until, self.events.now + _SPENT_EVERY_MS))

    def _how_far(self) -> str:
        minutes = self.events.now / MINUTE_MS
        return f"minute {minutes:.0f}: {self.events.done} events, {self._spent():.0f} s"

    def _spent(self) -> float:
        """Real seconds since the simulation was made."""
        return time.perf_counter() - self._began

    def _compare_once_more(self) -> dict[str, int]:
        """Go on until every connection has been compared again, and count what that found."""
        # Those that are made meanwhile may be between people who have never met.
        links = [link for node in self.nodes for link in node.links.values()]
        for link in links:
            link.sent.clear()
        self.events.run_until(self.events.now + _COMPARED_WITHIN_MS)
        during = Counter[str]()
        for link in links:
            during.update(link.sent)
        return {
            "connections": len(links) // 2,
            "comparisons": during["Compare"],
            "same": during["Same"],
            "differences": during["Rows"],
        }

    def verdicts(self) -> list[Verdict]:
        """What is wrong at each node now."""
        oracle = self.oracle()
        return [self.judge(oracle, node) for node in self.nodes]

    def oracle(self) -> Oracle:
        written = [writer.written for writer in self.writers]
        return Oracle(self.plan.ties, written, max_disk=self.settings.max_disk)

    def judge(self, oracle: Oracle, node: Node) -> Verdict:
        held = {self.number_of[author]: ids for author, ids in node.store.ids().items()}
        # With whom it is connected for a moment only, it is not in step yet.
        connected = {o for o, li in node.by_node.items() if li.since + _COMPARED_WITHIN_MS <= self.events.now}
        return oracle.judge(node.number, held, node.now(), connected=connected, met=node.met)

    def wide(self) -> list[Journey]:
        """The journeys of records that everybody wants and no partition disturbed."""
        starts = [partition.start * MINUTE_MS for partition in self.settings.partitions]
        return [
            journey
            for journey in self.meter.settled()
            if journey.origin in self.plan.ties.hubs and not journey.is_disturbed_by(starts)
        ]

    def _write_history(self) -> list[Writer]:
        texts = Texts(self.random)
        writers = []
        for author in self.authors:
            number = author.number
            writer = Writer(author, texts, self.random, self.plan.clocks[number])
            vouched = [self.authors[other] for other in self.plan.ties.vouches[number]]
            writer.begin(self.plan.history[number], vouched, alike=number in self.plan.prolific)
            for record in writer.written:
                self.library.add(record)
            writers.append(writer)
        return writers

    def _begin(self, number: int) -> None:
        node = self.nodes[number]
        if not node.store.authors:
            for record in self.writers[number].written:
                node.store.ingest(record, node.now())
            if number in self.plan.acquainted:
                for other in horizon(self.plan.ties, number):
                    node.fill(self._known(other, all_of_it=number in self.plan.in_step))
        node.start()
        self.stopped.discard(number)
        self.overlay.started(number)
        for act in self._late.pop(number, ()):
            self._act(act)

    def _known(self, other: int, *, all_of_it: bool) -> list[Record]:
        """What others have of a person when the run begins."""
        writer = self.writers[other]
        return [r for r in writer.written[: writer.before] if all_of_it or r.is_standing]

    def _act(self, act: Act) -> None:
        node = self.nodes[act.node]
        if not node.up:
            # Whoever is away writes it when they are back.
            self._late[act.node].append(act)
            return
        record = self.writers[act.node].act(act, self.events.now)
        if record is None:
            return
        self.library.add(record)
        side = None if self._side is None else self._side[act.node]
        wanted_by = [
            reader
            for reader in self._readers[act.node]
            if self.nodes[reader].up and (self._side is None or self._side[reader] == side)
        ]
        self.meter.wrote(record, act.node, self.events.now, wanted_by)
        node.write(record)

    @cached_property
    def _readers(self) -> Sequence[Sequence[int]]:
        found = self.oracle().readers()
        return [found.get(node, ()) for node in range(self.settings.nodes)]

    def _stop(self, restart: Restart) -> None:
        node = self.nodes[restart.node]
        if not node.up:
            return
        self.meter.stopped(restart.node, self.events.now)
        self.network.stop(restart.node)
        node.stop()
        self.overlay.stopped(restart.node)
        self.events.after(restart.away, self._begin, restart.node)

    def _divide(self, sides: dict[int, int]) -> None:
        self._side = sides
        self.network.partition(sides)

    def _heal(self) -> None:
        self._side = None
        self.network.heal()

    def _people(self, numbers: frozenset[int]) -> frozenset[AuthorId]:
        return frozenset(self.authors[number].author for number in numbers)


def _resident_mib() -> int:
    """The most memory that the process has had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // (1024 * 1024 if sys.platform == "darwin" else 1024)

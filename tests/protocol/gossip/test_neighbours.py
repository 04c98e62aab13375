"""The active view: small, of the right neighbours, and together one network whatever dies."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.gossip.active_view import ActiveView, Dial, Disconnect, ViewEffects, ViewWake
from pkn_protocol.gossip.neighbourhood import Candidate, Neighbourhood, ViewLimits
from pkn_protocol.records.ids import AuthorId
from tests.protocol.gossip.network import author

SMALL = ViewLimits(full=8, target=6, most=10, exchange_every=60.0)


class Overlay:
    """Nodes that all know each other's addresses; dialling takes 50 ms, one that is cut off 5 s."""

    def __init__(self, count: int, *, seed: int, limits: ViewLimits = SMALL) -> None:
        self.random = Random(seed)
        self.limits = limits
        self.now = 0.0
        self.alive = set(range(count))
        self.links: set[frozenset[int]] = set()
        self.side = dict.fromkeys(range(count), 0)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self.views = {n: ActiveView[int](chance=self.random.random, limits=limits) for n in range(count)}
        for node, view in self.views.items():
            for other in range(count):
                if other != node:
                    self._do(node, view.candidate(Candidate(other), self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, act = heapq.heappop(self._events)
            act()
        self.now = end

    def kill(self, node: int) -> None:
        self.alive.discard(node)
        for link in [link for link in self.links if node in link]:
            self.cut(link)

    def cut(self, link: frozenset[int]) -> None:
        self.links.discard(link)
        for node, other in (tuple(link), tuple(link)[::-1]):
            if node in self.alive:
                self._do(node, self.views[node].disconnected(other, self.now, self.now + 1))

    def degree(self, node: int) -> int:
        return sum(node in link for link in self.links)

    def reached_from(self, start: int) -> set[int]:
        reached, edge = {start}, [start]
        while edge:
            node = edge.pop()
            for link in self.links:
                if node in link:
                    (other,) = link - {node}
                    if other not in reached:
                        reached.add(other)
                        edge.append(other)
        return reached

    def _do(self, node: int, effects: ViewEffects[int]) -> None:
        for effect in effects:
            match effect:
                case Dial(key):
                    self._after(0.05, partial(self._dialled, node, key))
                case Disconnect(key):
                    self._after(0.0, partial(self.cut, frozenset((node, key))))
                case ViewWake(time):
                    self._after(max(0.0, time - self.now), partial(self._woken, node))

    def _dialled(self, node: int, other: int) -> None:
        if node not in self.alive:
            return
        link = frozenset((node, other))
        if other not in self.alive or self.side[node] != self.side[other]:
            self._after(5.0, lambda: self._do(node, self.views[node].failed(other, self.now, self.now + 30)))
        elif link in self.links:
            self._do(node, self.views[node].connected(other, self.now))
        else:
            self.links.add(link)
            self._do(node, self.views[node].connected(other, self.now))
            self._do(other, self.views[other].connected(node, self.now))

    def _woken(self, node: int) -> None:
        if node in self.alive:
            self._do(node, self.views[node].timer(self.now))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (self.now + seconds, self._sequence, act))


@pytest.mark.parametrize("seed", range(2))
def test_views_are_bounded_and_the_network_is_one_even_when_a_third_dies(seed: int) -> None:
    net = Overlay(120, seed=seed)
    net.run(30)
    assert net.reached_from(0) == net.alive
    assert all(SMALL.target <= net.degree(node) <= SMALL.most for node in net.alive), f"seed {seed}"
    for node in net.random.sample(range(1, 120), 40):
        net.kill(node)
    # What is left is one network at once, and all have their places filled again soon.
    assert net.reached_from(0) == net.alive, f"seed {seed}"
    net.run(60)
    assert all(SMALL.target <= net.degree(node) <= SMALL.most for node in net.alive)


def test_a_few_are_all_connected() -> None:
    net = Overlay(9, seed=1)
    net.run(10)
    assert len(net.links) == 9 * 8 / 2


def test_halves_of_a_divided_network_find_each_other_though_all_places_are_taken() -> None:
    net = Overlay(60, seed=2)
    for node in range(30, 60):
        net.side[node] = 1
    for link in list(net.links):
        if len({net.side[node] for node in link}) == 2:
            net.cut(link)
    net.run(60)
    assert net.reached_from(0) == set(range(30))
    net.side = dict.fromkeys(range(60), 0)
    net.run(3 * SMALL.exchange_every)
    assert net.reached_from(0) == net.alive
    assert all(net.degree(node) <= SMALL.most for node in net.alive)


def test_of_many_the_trusted_come_first_then_who_holds_what_is_wanted() -> None:
    hood = Neighbourhood[int](
        chance=Random(3).random, limits=ViewLimits(full=8, target=16, most=32, dials=16)
    )
    wanted = [author(number) for number in range(4)]
    hood.wanted(wanted)
    friends = [Candidate(number, trusted=True, near=True) for number in range(10)]
    holders = [
        Candidate(100 + number, near=True, holds=frozenset([wanted[number % 4]])) for number in range(8)
    ]
    strangers = [Candidate(1000 + number) for number in range(500)]
    chosen = hood.choose([*strangers, *holders, *friends], [], 0, 0.0)
    assert len(chosen) == 16
    assert sum(key < 100 for key in chosen[:4]) == 4
    assert sum(100 <= key < 1000 for key in chosen[4:8]) == 4
    assert sum(key >= 1000 for key in chosen[8:]) >= 4


def test_each_wanted_author_is_held_by_two_where_that_many_places_do() -> None:
    hood = Neighbourhood[int](chance=Random(4).random, limits=ViewLimits(full=8, target=16, dials=16))
    wanted = frozenset(author(number) for number in range(12))
    hood.wanted(wanted)
    some = sorted(wanted)
    candidates = [Candidate(n, holds=frozenset(some[n % 4 :: 4])) for n in range(8)]
    strangers = [Candidate(1000 + number) for number in range(100)]
    chosen = set(hood.choose([*strangers, *candidates], [], 0, 0.0))
    for one in wanted:
        assert sum(one in c.holds for c in candidates if c.key in chosen) >= 2


def test_who_is_one_too_many_is_a_stranger_if_there_is_one() -> None:
    hood = Neighbourhood[int](chance=Random(5).random, limits=ViewLimits(full=2, target=2, most=3))
    for number in range(3):
        assert hood.connected(Candidate(number, trusted=number == 0, near=True)) is None
    assert hood.connected(Candidate(9)) == 9


@given(
    st.lists(
        st.tuples(st.sampled_from(["candidate", "in", "out", "fail", "timer"]), st.integers(0, 40)),
        max_size=150,
    ),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_whoever_comes_and_goes_the_bounds_are_kept(steps: list[tuple[str, int]], seed: int) -> None:
    view = ActiveView[int](chance=Random(seed).random, limits=SMALL)
    now, dialling = 0.0, set[int]()
    wanted: list[AuthorId] = [author(1)]
    view.wanted(wanted, now)
    for act, key in steps:
        now += 1.0
        match act:
            case "candidate":
                effects = view.candidate(Candidate(key, trusted=key < 5), now)
            case "in":
                dialling.discard(key)
                effects = view.connected(key, now)
            case "out":
                effects = view.disconnected(key, now)
                dialling.discard(key)
            case "fail":
                dialling.discard(key)
                effects = view.failed(key, now, now + 5)
            case _:
                effects = view.timer(now)
        for effect in effects:
            if isinstance(effect, Dial):
                assert effect.key not in dialling and effect.key not in view.neighbours
                dialling.add(effect.key)
        assert len(view.neighbours) <= SMALL.most
        assert len(dialling) <= SMALL.dials

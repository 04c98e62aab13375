"""A thousand peers in virtual time: answers when summaries have not arrived, peers are away, and some lie.

The texts of a collection are dealt to 1,000 people in shares of very different size (Weibull). Each holds
summaries of all, but for some that have not arrived, by chance; a fifth of the people is offline. A tenth
lies: of those every third does not answer, every third answers with whatever records, and every third with
notes whose sketches claim what their texts do not say (`bench.fanout_world`), which all of them publish.
Everybody who holds such a note has fetched its text. It is reported too what is found where half of the liars
never serve theirs: then only those who are connected to the liar have been told that there is no text, and
believe its notes less (`pknd.items.in_vain`).
Whoever asks does so with the daemon's own machine (`FanOut`), statistics and scores; time is what the machine
is told. Once with many connections, which the budget of a query is spent on, and once with as few as a daemon
keeps: then those who are asked pass it on within the budget that came with it (`pknd.search.forwarding`).
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import mean

from bench.documents import COLLECTIONS, Collection, collection, is_there
from bench.fanout_world import LYING, OFFLINE, PEERS, SPAM, World, best_of, device_of, names_of
from bench.people_quality import halves_of
from bench.relevance import central_scores, ndcg
from bench.report import Figure
from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import encode_message
from pkn_protocol.channel.handshake import GREATEST_VERSION
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.budget import Budget
from pkn_protocol.search.fanout import FORWARDED_MS, AskPeer, Effect, FanOut, Finished
from pkn_protocol.search.patience import Candidate
from pkn_protocol.search.query import Query, parse_query
from pkn_protocol.search.rank import DEFAULT_WEIGHTS
from pkn_protocol.search.scoring import Statistics

MANY_LINKS = 38
"""Of 48 whom one knows, those who are there."""
FEW_LINKS = 16
"""What a daemon keeps in a large network (`gossip.neighbourhood`)."""
TOP = 10
ROUNDS = 4
"""So many people ask each question."""
_TIMEOUT_MS = 5000
_BEHIND_MS = 0.6 * _TIMEOUT_MS
"""What those behind a forwarder may take."""
_PATIENCE_MS = 0.8 * FORWARDED_MS
_WORK_MS = (1.0, 15.0)
_PASSAGE = "x" * 200


@dataclass(frozen=True, slots=True)
class Case:
    """What share of the summaries each holds, and how many are connected to each; the least quality, and the
    most peers asked in the mean."""

    name: str
    held: float
    links: int
    least: float
    most_asked: float


CASES = tuple(
    Case(f"{name}, {links} connections", held, links, least, most)
    for name, held, least, most in (
        ("95 % of summaries arrived", 0.95, 0.97, 12.0),
        ("a tenth of the summaries held", 0.10, 0.90, 25.0),
    )
    for links in (MANY_LINKS, FEW_LINKS)
)

UNSERVED = 0.5
"""Of the liars so many never serve a text, which is all that would show that they lie; what it costs is
reported, without a limit."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one question: what was found, best first; how many were asked, directly and behind those; bytes sent
    and received by all for it; virtual ms."""

    top: Sequence[Cid]
    asked: int
    behind: int
    bytes: int
    took_ms: float


@dataclass(slots=True)
class _Asking:
    """One question under way. `scores`: of all that matches, as others are told to score it; `ranked`:
    the same, best first."""

    world: World
    asker: int
    query: Query
    told: Statistics
    scores: Mapping[Cid, float]
    ranked: Sequence[Cid]
    chance: random.Random
    seen: set[int]
    """Whom the question names as asked."""
    passed_on: set[int] = field(default_factory=set)
    spent: int = 0
    """Bytes sent and received, by all."""
    behind: int = 0

    def answers(self, peer: int, budget: Budget) -> Iterator[tuple[float, list[Cid], bool]]:
        """What somebody who is asked sends, in how many ms, and whether more follows."""
        own = self._answer(peer, budget.bytes)
        if own is None:
            return
        others = self._others(peer, budget) if budget.hops > 0 and budget.nodes > 0 else []
        took = self.world.rtt[peer] + self.chance.uniform(*_WORK_MS)
        yield took, own, bool(others)
        if others:
            slowest, heard = self._heard(others, budget.divided(len(others)))
            found = set(heard)
            best = [cid for cid in self.ranked if cid in found][:TOP]
            yield took + slowest, [cid for cid in best if cid not in own], False

    def _others(self, peer: int, budget: Budget) -> list[int]:
        if peer in self.world.lying or peer in self.passed_on:
            return []
        self.passed_on.add(peer)
        others = [one for one in self.world.neighbours[peer] if one not in self.seen]
        return sorted(others, key=lambda one: self.world.rtt[one])[: budget.nodes]

    def _heard(self, others: Sequence[int], budget: Budget) -> tuple[float, list[Cid]]:
        slowest, heard, silent = 0.0, list[Cid](), 0
        self.behind += len(others)
        for other in others:
            self.spent += len(self.question(budget, len(self.seen) + len(others)))
            answer = self._answer(other, budget.bytes)
            silent += answer is None
            if answer is not None:
                slowest = max(slowest, 2 * self.world.rtt[other] + _WORK_MS[1])
            heard += answer or ()
            self.spent += self._size(answer or ())
        # What those behind have to say comes together; who is silent is waited for as long as the asker is
        # patient, once another has answered.
        patience = _PATIENCE_MS if silent < len(others) else _BEHIND_MS
        return max(slowest, patience) if silent else slowest, heard

    def _answer(self, peer: int, most_bytes: int) -> list[Cid] | None:
        # As `pknd.search.answering` bounds what it sends: hits with passages, as many as the budget pays for.
        world, most = self.world, min(TOP, max(0, most_bytes - 64) // (64 + len(_PASSAGE) + 8))
        if peer not in world.lying:
            return self._best_held(peer, most)
        if peer % 3 == 0:
            return None
        if peer % 3 == 1:
            return self.chance.sample(sorted(world.holds[peer]), min(most, len(world.holds[peer])))
        return best_of(self.ranked, set(world.spam[peer]), most)

    def _best_held(self, peer: int, most: int) -> list[Cid]:
        # As `pknd.search.local.search` puts what was asked for in vain where half its score would.
        world = self.world
        behind = world.in_vain[peer] & self.scores.keys()
        best = best_of(self.ranked, world.holds[peer], most + len(behind))

        def halved(cid: Cid) -> float:
            return -self.scores[cid] * (DEFAULT_WEIGHTS.in_vain if cid in behind else 1.0)

        return sorted(best, key=halved)[:most]

    def _size(self, answer: Sequence[Cid]) -> int:
        return len(_reply(answer)) + sum(self.world.sizes[cid] for cid in answer)

    def question(self, budget: Budget, seen: int) -> bytes:
        ask_message = m.Ask(
            query_id=bytes(16),
            text=self.query.text,
            terms=tuple(
                m.QueryTerm(term.word, tuple(sorted(term.stems))[:32], frequency)
                for term, frequency in zip(self.query.terms, self.told.frequencies, strict=True)
            ),
            phrases=(),
            excluded=(),
            documents=self.told.documents,
            mean_length=int(self.told.mean_length),
            limit=TOP,
            nodes=budget.nodes,
            most_bytes=budget.bytes,
            hops=budget.hops,
            timeout_ms=_TIMEOUT_MS,
            seen=tuple(number.to_bytes(8, "big") for number in range(seen)),
        )
        return encode_message(m.Envelope(ask_message, request=1), GREATEST_VERSION)


def ask(world: World, text: str, asker: int, chance: random.Random) -> Outcome:
    """One question by one peer, in virtual time."""
    query = parse_query(text.replace('"', " ").replace(" -", " "), {"en"})
    statistics = world.statistics(query, asker)
    scores = world.scores(query, statistics)
    for cid in world.in_vain[asker] & scores.keys():
        scores[cid] *= DEFAULT_WEIGHTS.in_vain
    own = sorted(scores, key=lambda cid: (-scores[cid], cid))
    known = {cid: scores[cid] for cid in best_of(own, world.holds[asker], 4 * TOP)}
    # Others know the asker's figures roughly, and cut their answers by them.
    told = world.scores(query, statistics.as_told())
    ranked = sorted(told, key=lambda cid: (-told[cid], cid))
    links = {device_of(peer): peer for peer in world.neighbours[asker]}
    asking = _Asking(
        world, asker, query, statistics.as_told(), told, ranked, chance, {asker, *world.neighbours[asker]}
    )
    promise: dict[int, float] = defaultdict(float)
    for cid, score in known.items():
        promise[world.author[cid]] += score
    fan = FanOut(TOP, known)
    held = set(world.holds[asker])
    now = 0.0
    coming: list[tuple[float, int, DeviceId, list[Cid], bool]] = []
    effects: list[Effect] = fan.start(
        [
            Candidate(device, AuthorId(device), 1, promise[peer], unknown=True, rtt_ms=world.rtt[peer])
            for device, peer in links.items()
        ],
        now,
    )
    while not any(isinstance(effect, Finished) for effect in effects):
        for effect in effects:
            if isinstance(effect, AskPeer):
                peer = links[effect.device]
                asking.spent += len(asking.question(effect.budget, len(asking.seen)))
                for took, answer, more in asking.answers(peer, effect.budget):
                    # A second round trip for records that the asker lacks.
                    trip = world.rtt[peer] if any(cid not in held for cid in answer) else 0.0
                    heapq.heappush(coming, (now + took + trip, len(coming), effect.device, answer, more))
        wake = fan.wake_at(now)
        if coming and (wake is None or coming[0][0] <= wake):
            now, _, device, answer, more = heapq.heappop(coming)
            new = set(answer) - held
            asking.spent += len(_reply(answer)) + sum(world.sizes[cid] for cid in new)
            held |= new
            # Scored here: what does not match, or is by somebody not believed, is left out.
            found = {cid: scores[cid] for cid in answer if cid in scores and world.believes(asker, cid)}
            effects = fan.answered(device, found, now, more=more)
        elif wake is not None:
            now = max(now + 0.01, wake)
            effects = fan.tick(now)
        else:
            effects = fan.stop()
    return Outcome(fan.top(), fan.asked, asking.behind, asking.spent, now)


def _reply(answer: Sequence[Cid]) -> bytes:
    hits = tuple(m.AnswerHit(cid, 1000, _PASSAGE, (0, 10), True) for cid in answer)
    return encode_message(m.Envelope(m.Answers(hits, 1), reply=1), GREATEST_VERSION)


def measure(world: World, rounds: int = ROUNDS) -> dict[str, list[Outcome]]:
    """Each question, by several people who are online and do not lie: what is found depends on whose disk."""
    # Who asks does not depend on what others answer.
    chance, asking = random.Random(1), random.Random(2)
    askers = [peer for peer in range(PEERS) if peer not in world.offline | world.lying]
    return {
        number: [ask(world, text, asking.choice(askers), chance) for _ in range(rounds)]
        for number, text in world.collection.queries.items()
    }


def quality(world: World, found: Mapping[str, Sequence[Outcome]]) -> dict[str, float]:
    """nDCG@10 by question."""
    return {
        number: mean(
            ndcg(names_of(world, list(one.top)), world.collection.grades.get(number, {})) for one in outcomes
        )
        for number, outcomes in found.items()
    }


def run() -> list[Figure]:
    """Of each collection and case: quality against one index of all texts, peers asked, bytes, time."""
    figures: list[Figure] = []
    for name in filter(is_there, COLLECTIONS):
        held = collection(name)
        central = dict(zip(held.queries, central_scores(held), strict=True))
        few = [case for case in CASES if case.links == FEW_LINKS]
        for case, unserved in [*product(CASES, [0.0]), *product(few, [UNSERVED])]:
            world = World(held, case.held, case.links, unserved=unserved)
            found = measure(world)
            outcomes = [one for several in found.values() for one in several]
            figures += _figures(case, unserved, held, central, quality(world, found), outcomes)
            figures.append(Figure("… found out, in the mean", world.shares_found_out(), "of liars"))
    return figures or [Figure("not measured: no ../shared/data", 0.0, "collections")]


def _figures(
    case: Case,
    unserved: float,
    held: Collection,
    central: Mapping[str, float],
    scores: Mapping[str, float],
    found: Sequence[Outcome],
) -> list[Figure]:
    def ratio(questions: Sequence[str]) -> float:
        return mean(scores[one] for one in questions) / mean(central[one] for one in questions)

    asked = [float(one.asked + one.behind) for one in found]
    details = {"peers": PEERS, "links": case.links, "offline": OFFLINE, "lying": LYING, "spam_each": SPAM}
    least, most = (None, None) if unserved else (case.least, case.most_asked)
    name = f"{held.name}, {case.name}" + (f", {unserved:.0%} of liars serve no text" if unserved else "")
    return [
        Figure(
            name,
            ratio(list(held.queries)),
            "× central nDCG@10",
            least,
            at_least=True,
            samples=list(scores.values()),
            details=details,
        ),
        *(
            Figure(f"{name}{half}", ratio(questions), "× central nDCG@10")
            for half, questions in halves_of(held).items()
        ),
        Figure("… peers asked in the mean", mean(asked), "peers", most, samples=asked),
        Figure("… of these behind others", mean(one.behind for one in found), "peers"),
        Figure("… hops in the mean", mean(1 + (one.behind > 0) for one in found), "hops"),
        Figure("… a query", mean(one.bytes for one in found) / 1024, "KiB"),
        Figure("… until it ends, in virtual time", mean(one.took_ms for one in found), "ms"),
    ]

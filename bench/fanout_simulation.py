"""A thousand peers in virtual time: answers when summaries have not arrived, peers are away, and some lie.

The texts of a collection are dealt to 1,000 people in shares of very different size (Weibull). Each holds
summaries of all, but for some that have not arrived, by chance; a fifth of the people is offline; a tenth
answers with records that match nothing, or not at all. Whoever asks is connected to LINKS others, and asks
with the daemon's own machine (`FanOut`), statistics and scores; time is what the machine is told. Not
simulated: forwarding, since with so many connections the budget of a query is spent on those; and sketches
that lie, which only their texts give away.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from bench.dealt import Person
from bench.documents import COLLECTIONS, Collection, collection, is_there
from bench.people_quality import halves_of
from bench.relevance import central_scores, ndcg
from bench.report import Figure
from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import encode_message
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.search.documents import Terms, best_class, terms_of
from pkn_protocol.search.fanout import AskPeer, Candidate, Effect, FanOut, Finished
from pkn_protocol.search.query import Query, parse_query
from pkn_protocol.search.scoring import Statistics, bm25

PEERS = 1000
LINKS = 48
OFFLINE, LYING = 0.2, 0.1
TOP = 10
_SHAPE = 0.6
"""Of Weibull's distribution: most people hold little, a few much."""
_PASSAGE = "x" * 200


@dataclass(frozen=True, slots=True)
class Case:
    """What share of the summaries each holds; the least quality, and the most peers asked in the mean."""

    name: str
    held: float
    least: float
    most_asked: float


CASES = (
    Case("95 % of summaries arrived", 0.95, 0.97, 12.0),
    Case("a tenth of the summaries held", 0.10, 0.90, 25.0),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one question: what was found, best first; peers asked; bytes sent and received; virtual ms."""

    top: Sequence[Cid]
    asked: int
    bytes: int
    took_ms: float


class World:
    """Who holds what: a function of the seed."""

    def __init__(self, held: Collection, share: float, seed: int = 1) -> None:
        self.chance = chance = random.Random(seed)
        self.collection = held
        signer = Person("everybody")
        records = {
            name: signer.summary(text, number) for number, (name, text) in enumerate(held.documents.items())
        }
        self.names = {record.id: name for name, record in records.items()}
        self.sizes = {record.id: len(record.block) for record in records.values()}
        self.terms: dict[Cid, Terms] = {record.id: terms_of(record) for record in records.values()}
        self.having: dict[int, list[Cid]] = defaultdict(list)
        for cid, terms in self.terms.items():
            for stem in terms.classes:
                self.having[stem].append(cid)
        weights = [chance.weibullvariate(1.0, _SHAPE) for _ in range(PEERS)]
        owners = chance.choices(range(PEERS), weights, k=len(records))
        self.author = dict(zip(self.names, owners, strict=True))
        everything = list(self.names)
        self.holds = [
            {cid for cid in everything if self.author[cid] == peer or chance.random() < share}
            for peer in range(PEERS)
        ]
        self.offline = set(chance.sample(range(PEERS), int(PEERS * OFFLINE)))
        self.lying = set(chance.sample(range(PEERS), int(PEERS * LYING)))
        self.rtt = [chance.uniform(2.0, 80.0) for _ in range(PEERS)]

    def statistics(self, query: Query, peer: int) -> Statistics:
        """As `pknd.search.local.statistics_of`, of what one peer holds."""
        held = self.holds[peer]
        frequencies = tuple(
            len({cid for stem in term.stems for cid in self.having.get(stem, ())} & held)
            for term in query.terms
        )
        length = mean(self.terms[cid].length for cid in held) if held else 1.0
        return Statistics(len(held), length, frequencies)

    def scores(self, query: Query, statistics: Statistics) -> dict[Cid, float]:
        """The text scores of everything that matches: what the asker computes of each signed record."""
        matching = {cid for term in query.terms for stem in term.stems for cid in self.having.get(stem, ())}
        return {
            cid: bm25(
                [best_class(term, self.terms[cid].classes) for term in query.terms],
                self.terms[cid].length,
                statistics,
            )
            for cid in matching
        }


def ask(world: World, text: str, asker: int, chance: random.Random) -> Outcome:
    """One question by one peer, in virtual time."""
    query = parse_query(text.replace('"', " ").replace(" -", " "), {"en"})
    statistics = world.statistics(query, asker)
    scores = world.scores(query, statistics)
    own = sorted(scores, key=lambda cid: (-scores[cid], cid))
    known = {cid: scores[cid] for cid in _best(own, world.holds[asker], 4 * TOP)}
    # Others know the asker's figures roughly, and cut their answers by them.
    told = world.scores(query, statistics.as_told())
    ranked = sorted(told, key=lambda cid: (-told[cid], cid))
    links = chance.sample([peer for peer in range(PEERS) if peer != asker], LINKS)
    online = {_device(peer): peer for peer in links if peer not in world.offline}
    promise: dict[int, float] = defaultdict(float)
    for cid, score in known.items():
        promise[world.author[cid]] += score
    fan = FanOut(TOP, known)
    held = set(world.holds[asker])
    now, sent = 0.0, 0
    coming: list[tuple[float, int, DeviceId, list[Cid]]] = []
    effects: list[Effect] = fan.start(
        [
            Candidate(device, AuthorId(device), 1, promise[peer], unknown=True, rtt_ms=world.rtt[peer])
            for device, peer in online.items()
        ],
        now,
    )
    while not _is_over(effects):
        for effect in effects:
            if isinstance(effect, AskPeer):
                peer = online[effect.device]
                sent += len(_question(query, statistics.as_told(), effect, len(online)))
                answer = _answer(world, ranked, peer, effect.budget.bytes, chance)
                if answer is not None:
                    # The answer, and a second round trip for records that the asker lacks.
                    trips = 1 + any(cid not in held for cid in answer)
                    when = now + trips * world.rtt[peer] + chance.uniform(1.0, 15.0)
                    heapq.heappush(coming, (when, len(coming), effect.device, answer))
        wake = fan.wake_at(now)
        if coming and (wake is None or coming[0][0] <= wake):
            now, _, device, answer = heapq.heappop(coming)
            sent += len(_reply(answer)) + sum(world.sizes[cid] for cid in set(answer) - held)
            held.update(answer)
            # Scored here: what does not match is left out, whatever the answerer says of it.
            effects = fan.answered(device, {cid: scores[cid] for cid in answer if cid in scores}, now)
        elif wake is not None:
            now = max(now + 0.01, wake)
            effects = fan.tick(now)
        else:
            effects = fan.stop()
    return Outcome(fan.top(), fan.asked, sent, now)


def _is_over(effects: Sequence[Effect]) -> bool:
    return any(isinstance(effect, Finished) for effect in effects)


def _best(ranked: Sequence[Cid], held: set[Cid], most: int) -> list[Cid]:
    found = []
    for cid in ranked:
        if cid in held:
            found.append(cid)
            if len(found) == most:
                break
    return found


def _answer(
    world: World, ranked: Sequence[Cid], peer: int, most_bytes: int, chance: random.Random
) -> list[Cid] | None:
    # As `pknd.search.answering` bounds what it sends: hits with passages, as many as the budget pays for.
    most = min(TOP, max(0, most_bytes - 64) // (64 + len(_PASSAGE) + 8))
    if peer not in world.lying:
        return _best(ranked, world.holds[peer], most)
    if peer % 2:
        return None
    return chance.sample(sorted(world.holds[peer]), min(most, len(world.holds[peer])))


def _device(peer: int) -> DeviceId:
    return DeviceId(peer.to_bytes(32, "big"))


def _question(query: Query, statistics: Statistics, effect: AskPeer, links: int) -> bytes:
    ask_message = m.Ask(
        query_id=bytes(16),
        text=query.text,
        terms=tuple(
            m.QueryTerm(term.word, tuple(sorted(term.stems))[:32], frequency)
            for term, frequency in zip(query.terms, statistics.frequencies, strict=True)
        ),
        phrases=(),
        excluded=(),
        documents=statistics.documents,
        mean_length=int(statistics.mean_length),
        limit=TOP,
        nodes=effect.budget.nodes,
        most_bytes=effect.budget.bytes,
        hops=effect.budget.hops,
        timeout_ms=5000,
        seen=tuple(number.to_bytes(8, "big") for number in range(links + 1)),
    )
    return encode_message(m.Envelope(ask_message, request=1))


def _reply(answer: Sequence[Cid]) -> bytes:
    hits = tuple(m.AnswerHit(cid, 1000, _PASSAGE, (0, 10), True) for cid in answer)
    return encode_message(m.Envelope(m.Answers(hits, 1), reply=1))


def measure(world: World, seed: int = 2) -> dict[str, Outcome]:
    """Each question of the collection, by somebody who is online and does not lie."""
    chance = random.Random(seed)
    askers = [peer for peer in range(PEERS) if peer not in world.offline | world.lying]
    return {
        number: ask(world, text, chance.choice(askers), chance)
        for number, text in world.collection.queries.items()
    }


def quality(world: World, found: Mapping[str, Outcome]) -> dict[str, float]:
    """nDCG@10 by question."""
    return {
        number: ndcg([world.names[cid] for cid in one.top], world.collection.grades.get(number, {}))
        for number, one in found.items()
    }


def run() -> list[Figure]:
    """Of each collection and case: quality against one index of all texts, peers asked, bytes, time."""
    figures: list[Figure] = []
    for name in filter(is_there, COLLECTIONS):
        held = collection(name)
        central = dict(zip(held.queries, central_scores(held), strict=True))
        for case in CASES:
            world = World(held, case.held)
            found = measure(world)
            figures += _figures(case, held, central, quality(world, found), list(found.values()))
    return figures or [Figure("not measured: no ../shared/data", 0.0, "collections")]


def _figures(
    case: Case,
    held: Collection,
    central: Mapping[str, float],
    scores: Mapping[str, float],
    found: Sequence[Outcome],
) -> list[Figure]:
    def ratio(questions: Sequence[str]) -> float:
        return mean(scores[one] for one in questions) / mean(central[one] for one in questions)

    asked = [float(one.asked) for one in found]
    details = {"peers": PEERS, "links": LINKS, "offline": OFFLINE, "lying": LYING, "hops": 1}
    return [
        Figure(
            f"{held.name}, {case.name}",
            ratio(list(held.queries)),
            "× central nDCG@10",
            case.least,
            at_least=True,
            samples=list(scores.values()),
            details=details,
        ),
        *(
            Figure(f"{held.name}, {case.name}{half}", ratio(questions), "× central nDCG@10")
            for half, questions in halves_of(held).items()
        ),
        Figure("… peers asked in the mean", mean(asked), "peers", case.most_asked, samples=asked),
        Figure("… a query", mean(one.bytes for one in found) / 1024, "KiB"),
        Figure("… until it ends, in virtual time", mean(one.took_ms for one in found), "ms"),
    ]

"""A thousand people in virtual time: who holds which summaries, who is connected to whom, who lies how."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

from bench.dealt import NOW, Person
from bench.documents import Collection
from bench.payloads import text_payload
from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import Cid, DeviceId
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.documents import Terms, best_class, terms_of
from pkn_protocol.search.query import Query
from pkn_protocol.search.scoring import Statistics, bm25
from pkn_protocol.text.analysis import ANALYSER
from pkn_protocol.text.sketch import Sketch, agrees_with_text, encode_sketch, length_code, length_of_code

PEERS = 1000
OFFLINE, LYING = 0.2, 0.1
SPAM = 20
"""Notes that each liar publishes, whose sketches claim what their text does not say."""
_CLAIMED, _POPULAR = 200, 1000
"""Stems that a false sketch claims, drawn from so many of the most frequent ones."""
_SPAM_TEXT = "Cheap watches."
_SHAPE = 0.6
"""Of Weibull's distribution: most people hold little, a few much."""


class World:
    """A function of the seed. `share`: of the summaries that each holds; `links`: connections of each.

    A liar's notes are held like others'. Whoever holds one has fetched its text, as of all short texts of
    people within the horizon, and found that the sketch is not its own: for them none of that author's
    sketches counts (`doubts`). Whoever holds none has nothing to go by; nor has anybody where the liar never
    serves the texts, as so large a share of them as `unserved` does: their notes are held and found. Only who
    is connected to that liar has been told that there is no text (`in_vain`).
    """

    def __init__(
        self, held: Collection, share: float, links: int, seed: int = 1, *, unserved: float = 0.0
    ) -> None:
        self.chance = chance = random.Random(seed)
        self.collection = held
        signer = Person("everybody")
        honest = [signer.summary(text, number) for number, text in enumerate(held.documents.values())]
        self.names = {record.id: name for record, name in zip(honest, held.documents, strict=True)}
        self.offline = set(chance.sample(range(PEERS), int(PEERS * OFFLINE)))
        self.lying = set(chance.sample(range(PEERS), int(PEERS * LYING)))
        self.unserved = set(random.Random(seed).sample(sorted(self.lying), int(len(self.lying) * unserved)))
        # Liars publish nothing else: what is true of theirs would be found by its title alone.
        weights = [0.0 if peer in self.lying else chance.weibullvariate(1.0, _SHAPE) for peer in range(PEERS)]
        owners = chance.choices(range(PEERS), weights, k=len(honest))
        self.author = dict(zip(self.names, owners, strict=True))
        self.rtt = [chance.uniform(2.0, 80.0) for _ in range(PEERS)]
        self._terms: dict[Cid, Terms] = {record.id: terms_of(record) for record in honest}
        self.spam: dict[int, list[Cid]] = {}
        self._popular = self._most_frequent()
        records = {record.id: record for record in honest}
        for liar in sorted(self.lying):
            made = list(self._spam_of(signer, liar))
            self.spam[liar] = [record.id for record in made]
            records |= {record.id: record for record in made}
            self._terms |= {record.id: terms_of(record) for record in made}
            self.author |= dict.fromkeys(self.spam[liar], liar)
        self.sizes = {record.id: len(record.block) for record in records.values()}
        self.having: dict[int, list[Cid]] = defaultdict(list)
        for cid, terms in self._terms.items():
            for stem in terms.classes:
                self.having[stem].append(cid)
        self.holds: list[set[Cid]] = []
        self.doubts: list[set[int]] = []
        for peer in range(PEERS):
            here = {cid for cid, by in self.author.items() if by == peer or chance.random() < share}
            found_out = {self.author[cid] for cid in here if cid not in self.names} - {peer} - self.unserved
            assert not any(self._is_true(records[cid]) for by in found_out for cid in self.spam[by][:1])
            self.holds.append({cid for cid in here if self.author[cid] not in found_out})
            self.doubts.append(found_out)
        self.neighbours = self._connected(links)
        self.in_vain = [
            {cid for liar in self.unserved.intersection(linked) for cid in self.spam[liar]} & self.holds[peer]
            for peer, linked in enumerate(self.neighbours)
        ]
        """By who holds them."""

    def _most_frequent(self) -> list[int]:
        counts = Counter(stem for terms in self._terms.values() for stem in terms.classes)
        return sorted(counts, key=lambda stem: (-counts[stem], stem))[:_POPULAR]

    def _spam_of(self, signer: Person, liar: int) -> Iterator[Record]:
        for number in range(SPAM):
            claimed = sorted(self.chance.sample(self._popular, min(_CLAIMED, len(self._popular))))
            length = length_of_code(length_code(2 * len(claimed)))
            sketch = encode_sketch(Sketch(ANALYSER, length, dict.fromkeys(claimed, 1)))
            yield sign_record(
                author=signer.author,
                key=signer.device_key,
                time=NOW - liar * SPAM - number,
                kind="note",
                body=Item("zzzz", lang="en", sketch=sketch, payload=text_payload(_SPAM_TEXT)),
            )

    def _is_true(self, record: Record) -> bool:
        item = record.body
        assert isinstance(item, Item) and item.sketch is not None
        return agrees_with_text(item.sketch, item.title, _SPAM_TEXT, "en")

    def _connected(self, links: int) -> list[list[int]]:
        """Random connections, so that each has about so many; only those who are online have any."""
        online = [peer for peer in range(PEERS) if peer not in self.offline]
        found: list[set[int]] = [set() for _ in range(PEERS)]
        for peer in online:
            while len(found[peer]) < links:
                other = self.chance.choice(online)
                if other != peer and (len(found[other]) < links or self.chance.random() < 0.1):
                    found[peer].add(other)
                    found[other].add(peer)
        return [sorted(one) for one in found]

    def believes(self, peer: int, cid: Cid) -> bool:
        """Whether a sketch counts for somebody; without it liars' notes are found by no word of a query."""
        return self.author[cid] not in self.doubts[peer]

    def statistics(self, query: Query, peer: int) -> Statistics:
        """As `pknd.search.local.statistics_of`, of what one peer holds."""
        held = self.holds[peer] - self.in_vain[peer]
        frequencies = tuple(
            len({cid for stem in term.stems for cid in self.having.get(stem, ())} & held)
            for term in query.terms
        )
        length = mean(self._terms[cid].length for cid in held) if held else 1.0
        return Statistics(len(held), length, frequencies)

    def scores(self, query: Query, statistics: Statistics) -> dict[Cid, float]:
        """The text scores of everything that matches: what the asker computes of each signed record."""
        matching = {cid for term in query.terms for stem in term.stems for cid in self.having.get(stem, ())}
        return {
            cid: bm25(
                [best_class(term, self._terms[cid].classes) for term in query.terms],
                self._terms[cid].length,
                statistics,
            )
            for cid in matching
        }

    def shares_found_out(self) -> float:
        """Of all pairs of a reader and a liar, in how many the liar's author is charged."""
        honest = [peer for peer in range(PEERS) if peer not in self.lying]
        return mean(len(self.doubts[peer]) / len(self.lying) for peer in honest)


def names_of(world: World, top: list[Cid]) -> list[str]:
    """What the collection calls the documents of a result; a liar's note is in it under no name."""
    names: Mapping[Cid, str] = world.names
    return [names.get(cid, "") for cid in top]


def device_of(peer: int) -> DeviceId:
    return DeviceId(peer.to_bytes(32, "big"))


def best_of(ranked: Sequence[Cid], held: set[Cid], most: int) -> list[Cid]:
    """The first of a ranking that somebody holds."""
    found = []
    for cid in ranked:
        if cid in held:
            found.append(cid)
            if len(found) == most:
                break
    return found

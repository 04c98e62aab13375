"""The people of the simulation, whom they trust and vouch for: a small world with a few whom all read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Body, Device, Item, Profile, Record, Retraction, Vouch
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from tests.sim.settings import Settings

_SYLLABLES = ("ba", "de", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "ze")
_SKETCHES = 40
_EXCERPT_CHARACTERS = 240


class Author:
    """A person with one device, whose number is that of the node. All records are real and signed."""

    __slots__ = ("author", "device", "device_key", "key", "number")

    def __init__(self, seed: int, number: int) -> None:
        self.number = number
        self.key = Ed25519Key.from_seed(sha256(f"{seed} {number} author".encode()).digest())
        self.device_key = Ed25519Key.from_seed(sha256(f"{seed} {number} device".encode()).digest())
        self.author = AuthorId(self.key.public)
        self.device = DeviceId(self.device_key.public)

    def device_record(self, time: int) -> Record:
        body = Device(
            self.device, f"node {self.number}", countersign_device(self.author, self.device_key, time)
        )
        return sign_record(author=self.author, key=self.key, time=time, kind="device", body=body)

    def profile(self, time: int) -> Record:
        return self.record("profile", Profile(f"Person {self.number}"), time)

    def vouch(self, person: AuthorId, time: int) -> Record:
        return self.record("vouch", Vouch(person), time)

    def retraction(self, item: Cid, time: int) -> Record:
        return self.record("retraction", Retraction(), time, item=item)

    def record(
        self,
        kind: str,
        body: Body,
        time: int,
        *,
        expires: int | None = None,
        item: Cid | None = None,
        replaces: tuple[Cid, ...] = (),
    ) -> Record:
        return sign_record(
            author=self.author,
            key=self.device_key,
            time=time,
            kind=kind,
            body=body,
            expires=expires,
            item=item,
            replaces=replaces,
        )


class Texts:
    """Made-up notes with the sizes of real ones: 60 to 250 distinct stems in the sketch, as texts of one to
    five pages have. Their records take 650 to 1,030 bytes, 830 in the mean; those of the demo's gardens,
    whose texts are short, take 670 to 780 with what says where their contents are. Few sketches serve for all
    notes, since making one costs more than signing."""

    def __init__(self, random: Random) -> None:
        self._sketches = [
            make_sketch(analyse(" ".join(_words(random, random.randint(60, 250))), "en"))
            for _ in range(_SKETCHES)
        ]
        self._excerpts = [" ".join(_words(random, 60))[:_EXCERPT_CHARACTERS] for _ in range(_SKETCHES)]

    def note(self, random: Random, title: str) -> Item:
        sketch, excerpt = random.choice(self._sketches), random.choice(self._excerpts)
        return Item(title, lang="en", excerpt=excerpt, sketch=sketch)

    def alike(self, title: str) -> Item:
        """A note whose size depends on the length of its title alone."""
        return Item(title, lang="en", excerpt=self._excerpts[0], sketch=self._sketches[0])


@dataclass(frozen=True, slots=True)
class Ties:
    """By node: whom it trusts, blocks, and vouches for, as numbers of nodes."""

    trusted: Sequence[frozenset[int]]
    blocked: Sequence[frozenset[int]]
    vouches: Sequence[tuple[int, ...]]
    hubs: frozenset[int]
    met: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Strangers that a node is connected to by hand."""


def make_ties(settings: Settings, random: Random) -> Ties:
    """A ring in which everybody knows those beside them, some ties leading anywhere instead (Watts and
    Strogatz, Nature 393, 1998), and hubs whom all trust. Friends trust each other; a hub does not trust all
    its readers. Who vouches for somebody trusts them."""
    count = settings.nodes
    hubs = frozenset(random.sample(range(count), min(settings.hubs, count // 4)))
    friends: list[set[int]] = [set() for _ in range(count)]
    for node in range(count):
        for step in range(1, settings.friends // 2 + 1):
            other = (node + step) % count
            # The nearest tie stays, so that the world is of one piece.
            if step > 1 and random.random() < settings.rewired:
                other = random.randrange(count)
            if other != node:
                friends[node].add(other)
                friends[other].add(node)
    vouches = tuple(
        # Who is read by all does not thereby make everybody known to all.
        () if node in hubs else tuple(sorted(random.sample(sorted(known), min(settings.vouches, len(known)))))
        for node, known in enumerate(friends)
    )
    blocked = [frozenset[int]() for _ in range(count)]
    met: dict[int, frozenset[int]] = {}
    for node in random.sample(range(count), round(settings.strangers * count)):
        met[node] = frozenset({random.randrange(count)}) - {node}
    for node in random.sample(range(count), round(settings.strangers * count)):
        # Somebody whom a friend vouches for is not welcome here.
        beyond = {far for friend in friends[node] for far in vouches[friend]} - friends[node] - hubs - {node}
        blocked[node] = frozenset(sorted(beyond)[:1])
    trusted = [frozenset((known | hubs) - {node} - blocked[node]) for node, known in enumerate(friends)]
    return Ties(trusted, blocked, vouches, hubs, met)


def _words(random: Random, count: int) -> list[str]:
    return ["".join(random.choices(_SYLLABLES, k=random.randint(2, 4))) for _ in range(count)]

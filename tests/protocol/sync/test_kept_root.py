"""A root that is kept is the root of what would be read, however changes and answers interleave."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId
from pkn_protocol.sync.facts import RowName, RowsQuery, RowsRead
from pkn_protocol.sync.kept_root import KeptRoot, roots_read
from pkn_protocol.sync.rows import ConnectionRoot, root_of
from pkn_protocol.sync.sums import HOUR_MS, comparison_instant
from pkn_protocol.sync.wants import PairKey
from tests.protocol.sync.world import NOW, MemoryStore, author_id, entry_of, make_block, row_of

PAIR = PairKey(b"p" * 32)
AUTHORS = tuple(author_id(name) for name in "abcd")
DIGEST_KEY = b"k" * 16


class Owner:
    """Does at random what an owner does: writes, asks, answers late, lets the hour move."""

    def __init__(self, chance: random.Random, *, floors: bool) -> None:
        self.chance = chance
        self.store = MemoryStore()
        self.kept = KeptRoot()
        self.now = NOW
        self.number = 0
        self.floors = (
            {AUTHORS[1]: (NOW - 40 * 24 * HOUR_MS, bytes(36)), AUTHORS[2]: (NOW, bytes(36))} if floors else {}
        )
        self.refused: dict[RowName, frozenset[bytes]] = {}
        self.waiting: list[tuple[RowsQuery, RowsRead]] = []
        self.whole: list[RowsQuery] = []
        """Questions for all rows."""

    @property
    def query(self) -> RowsQuery:
        # One author is held and not wanted.
        authors = {author: self.floors.get(author) for author in AUTHORS[:3]}
        return RowsQuery(comparison_instant(self.now), authors, {}, dict(self.refused), PAIR)  # type: ignore[arg-type]

    def write(self) -> None:
        blocks = []
        for _ in range(self.chance.randint(1, 3)):
            self.number += 1
            time = self.now + self.chance.choice([0, 0, -1, -30, -60]) * 24 * HOUR_MS
            time += self.chance.choice([0, 0, 0, 3 * HOUR_MS])
            expires = self.chance.choice([None, None, None, self.now + self.chance.randint(1, 5) * HOUR_MS])
            author = self.chance.choice(AUTHORS)
            standing = self.chance.random() < 0.2
            blocks.append(make_block(author, time, number=self.number, standing=standing, expires=expires))
        _, changes = self.store.put([one for b in blocks if (one := entry_of(b))], self.now)
        self.kept.change(changes, self.store.version)

    def remove(self) -> None:
        ids = sorted(self.store.entries)
        if ids:
            changes = self.store.remove([self.chance.choice(ids)], self.now)
            self.kept.change(changes, self.store.version)

    def refuse(self) -> None:
        ids = sorted(self.store.entries)
        if ids:
            cid = self.chance.choice(ids)
            name = row_of(self.store.entries[cid].facts)
            self.refused[name] = self.refused.get(name, frozenset()) | {cid}
            self.kept.forget()

    def ask(self) -> None:
        if self.kept.at(comparison_instant(self.now)) is None:
            query = self.asked()
            answer = self.store.rows(query)
            if self.chance.random() < 0.1:
                answer = replace(answer, version=None)
            self.waiting.append((query, answer))

    def asked(self) -> RowsQuery:
        everything = self.query
        query = self.kept.ask(everything)
        if query is everything:
            self.whole.append(query)
        return query

    def answer(self) -> None:
        if self.waiting:
            self.take(*self.waiting.pop(self.chance.randrange(len(self.waiting))))

    def take(self, query: RowsQuery, answer: RowsRead) -> ConnectionRoot | None:
        whole = any(query is one for one in self.whole)
        return self.kept.read(query, roots_read(query, answer, whole=whole))

    def hour(self) -> None:
        self.now += HOUR_MS

    def check(self) -> bool:
        root = self.kept.at(comparison_instant(self.now))
        if root is None:
            return False
        fresh = root_of(self.store.rows(self.query).table, comparison_instant(self.now))
        assert (root.rows, root.digest(DIGEST_KEY)) == (fresh.rows, fresh.digest(DIGEST_KEY))
        return True


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), floors=st.booleans())
def test_a_kept_root_is_that_of_what_would_be_read(seed: int, floors: bool) -> None:
    chance = random.Random(seed)
    owner = Owner(chance, floors=floors)
    acts: list[Callable[[], None]] = [
        owner.write, owner.write, owner.write, owner.remove, owner.ask, owner.ask, owner.answer, owner.answer,
    ]  # fmt: skip
    for _ in range(60):
        act = owner.hour if chance.random() < 0.03 else owner.refuse if chance.random() < 0.02 else None
        (act or chance.choice(acts))()
        owner.check()
    for _ in range(6):
        owner.waiting.clear()
        owner.ask()
        if owner.waiting:
            query, answer = owner.waiting.pop()
            owner.take(query, replace(answer, version=owner.store.version))
    assert owner.check(), f"seed {seed}"


def test_a_record_of_an_even_author_needs_no_reading() -> None:
    owner = Owner(random.Random(1), floors=False)
    first = make_block(AUTHORS[0], NOW, number=1)
    _, changes = owner.store.put([entry_of(first)], NOW)  # type: ignore[list-item]
    owner.ask()
    owner.answer()
    for number in range(2, 50):
        block = make_block(AUTHORS[0], NOW - number * 10**8, number=number)
        _, changes = owner.store.put([entry_of(block)], NOW)  # type: ignore[list-item]
        owner.kept.change(changes, owner.store.version)
        assert owner.check()


def test_only_the_rows_of_an_author_with_a_floor_are_read_again() -> None:
    owner = Owner(random.Random(1), floors=True)
    for number, author in enumerate(AUTHORS[:3]):
        owner.store.put([entry_of(make_block(author, NOW, number=number))], NOW)  # type: ignore[list-item]
    while owner.kept.at(comparison_instant(NOW)) is None:
        query = owner.asked()
        owner.take(query, owner.store.rows(query))
    _, changes = owner.store.put([entry_of(make_block(AUTHORS[1], NOW, number=9))], NOW)  # type: ignore[list-item]
    owner.kept.change(changes, owner.store.version)
    assert owner.kept.at(comparison_instant(NOW)) is None
    asked = owner.asked()
    assert set(asked.authors) == {AUTHORS[1]}
    owner.take(asked, owner.store.rows(asked))
    assert owner.check()


def test_an_answer_to_an_old_question_is_passed_over() -> None:
    owner = Owner(random.Random(1), floors=False)
    owner.store.put([entry_of(make_block(AuthorId(AUTHORS[0]), NOW))], NOW)  # type: ignore[list-item]
    query = owner.asked()
    answer = owner.store.rows(query)
    owner.kept.forget()
    assert owner.take(query, answer) is None
    assert owner.kept.at(comparison_instant(NOW)) is None

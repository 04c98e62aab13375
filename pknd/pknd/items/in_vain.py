"""Texts that were asked for in vain, again and again: nobody around can show what their summaries claim
(SPEC, Search, Sketches that lie). Kept in memory: after a restart people are asked anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from pkn_protocol.records.ids import AuthorId

ROUNDS = 3
"""So many rounds in which nobody had a text, and its summary is believed less."""
LEAST_ASKED = 8
"""Where so few people were asked, an honest author who is away may be the only one who has it. Of an author
who is here one is enough: whoever publishes a text has it."""
MOST_NOTED = 10_000


class AskedInVain:
    """Time is in seconds of any clock that only goes forward; `spacing_s`: rounds that follow one another
    sooner count as one."""

    def __init__(self, spacing_s: float) -> None:
        self._spacing_s = spacing_s
        self._counted_at: float | None = None
        self._rounds: OrderedDict[int, int] = OrderedDict()
        self.records: frozenset[int] = frozenset()
        """The rows of records whose text nobody around has."""

    def begin(self, now: float) -> bool:
        """A round of asking begins; whether it counts."""
        if self._counted_at is not None and now < self._counted_at + self._spacing_s:
            return False
        self._counted_at = now
        return True

    def note(self, record: int, author: AuthorId, asked: Collection[AuthorId]) -> None:
        """In a round that counts nobody of those who were asked had the text of a record."""
        if author not in asked and len(asked) < LEAST_ASKED:
            return
        self._rounds[record] = self._rounds.get(record, 0) + 1
        while len(self._rounds) > MOST_NOTED:
            self._rounds.popitem(last=False)

    def end(self) -> None:
        """A round has ended."""
        records = frozenset(record for record, rounds in self._rounds.items() if rounds >= ROUNDS)
        if records != self.records:
            self.records = records

    def came(self, record: int) -> None:
        """The text is here."""
        if self._rounds.pop(record, None) is not None and record in self.records:
            self.records -= {record}

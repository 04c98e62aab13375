"""What a person writes: the records of a plan, signed when their time has come."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Record
from tests.sim.people import Author, Texts
from tests.sim.plan import EXPIRY_MS, WALL_START_MS, Act, Kind

_JOINED_MS = 150 * 24 * 3_600_000
"""Devices, profiles and vouches are so old when a run begins: older than all notes."""


class Writer:
    """One person's records, all in `written`, the first `before` of them from before the run;
    `clock`: how far ahead this person's clock is, ms."""

    def __init__(self, author: Author, texts: Texts, random: Random, clock: int) -> None:
        self.author = author
        self.written: list[Record] = []
        self.before = 0
        self._texts = texts
        self._random = random
        self._clock = clock
        self._notes: list[Cid] = []
        self._heads: list[Cid] = []

    def begin(self, history: Sequence[int], vouched: Sequence[Author], *, alike: bool) -> None:
        """Write what was there before the run: who one is, whom one vouches for, and notes."""
        joined = WALL_START_MS + self._clock - _JOINED_MS
        self.written += [self.author.device_record(joined), self.author.profile(joined + 1)]
        self.written += [self.author.vouch(person.author, joined + 2) for person in vouched]
        for ago in history:
            self._note(WALL_START_MS + self._clock - ago, alike=alike)
        self.before = len(self.written)

    def act(self, act: Act, now: float) -> Record | None:
        """Write what the plan says, `now` in ms since the run began; None where that needs a note that is not
        there."""
        time = WALL_START_MS + self._clock + int(now)
        if act.kind in (Kind.NOTE, Kind.ALIKE):
            return self._note(time, alike=act.kind is Kind.ALIKE)
        if act.kind is Kind.SHORT_LIVED:
            item = self._texts.note(self._random, "For today")
            return self._keep(self.author.record("note", item, time, expires=time + EXPIRY_MS))
        if act.target >= len(self._notes):
            return None
        first = self._notes[act.target]
        if act.kind is Kind.RETRACTION:
            return self._keep(self.author.retraction(first, time))
        item = self._texts.note(self._random, f"Note {act.target}, better")
        version = self.author.record("note", item, time, item=first, replaces=(self._heads[act.target],))
        self._heads[act.target] = version.id
        return self._keep(version)

    def _note(self, time: int, *, alike: bool) -> Record:
        # Titles of one length, so that notes which shall be alike are.
        title = f"Note {len(self._notes):05} of {self.author.number:06}"
        item = self._texts.alike(title) if alike else self._texts.note(self._random, title)
        note = self.author.record("note", item, time)
        self._notes.append(note.id)
        self._heads.append(note.id)
        return self._keep(note)

    def _keep(self, record: Record) -> Record:
        self.written.append(record)
        return record

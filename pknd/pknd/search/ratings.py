"""What people within the horizon think of items: the ratings that count for the rank (SPEC, Search)."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias, cast

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.model import Rating, Record
from pkn_protocol.sync.sums import MOST_AHEAD_MS
from pknd.store.records import decoded
from pknd.store.rows import select_in

_Given: TypeAlias = tuple[int, bytes, bytes, bytes]
"""Time, id, author and block of a rating."""
_Row: TypeAlias = tuple[bytes, int, bytes, bytes, bytes, int | None]
_MOST_ABOUT = 50
"""Records that are read about one item. Strangers can bring more about: of these a query reads as many in all
as there are people near, at about the cost of looking up what those rated; and then does that, once."""
_MOST_LISTED = 2000
"""Ratings that a query goes through for the documents that have some."""
_COUNTS = "kind = 'rating' AND shown AND (expires IS NULL OR expires > ?) AND time <= ?"


class Ratings:
    """For one query, in one snapshot. `distances` and `weights` are the reader's
    (`pkn_protocol.trust.graph`); `now` in ms."""

    def __init__(
        self,
        db: sqlite3.Connection,
        distances: Mapping[AuthorId, int],
        weights: Mapping[AuthorId, float],
        now: int,
    ) -> None:
        self._db = db
        self._weights = {**weights, **{author: 1.0 for author, far in distances.items() if far == 0}}
        self._when = (now, now + MOST_AHEAD_MS)
        raters = db.execute("SELECT DISTINCT author FROM record WHERE kind = 'rating'")
        self._raters = [author for (author,) in raters if author in self._weights] if self._weights else []
        self.are_any = bool(self._raters)
        """Whether somebody within the horizon has rated anything."""
        self._left = len(self._weights)
        self._by_near: Mapping[bytes, list[_Given]] | None = None
        self._rated: set[bytes] = set()
        self._listed: bool | None = None
        self._looked_at: Collection[int] = ()
        self._have: Collection[int] | None = None

    def of(self, record: Record) -> list[tuple[float, int]]:
        """Weight and value of each rating of an item that counts: the newest of each person within the
        horizon, but for the author's own."""
        if not self.are_any:
            return []
        newest: dict[AuthorId, _Given] = {}
        for one in self._about(record.item_id):
            author = AuthorId(one[2])
            if author != record.author and author in self._weights:
                newest[author] = max(one, newest.get(author, one))
        found = []
        for author, (_, _, _, block) in sorted(newest.items()):
            body = decoded(block).body
            if isinstance(body, Rating):
                found.append((self._weights[author], body.value))
        return found

    def look_at(self, docs: Collection[int]) -> None:
        """`may_have` is asked about these next: their items are read together."""
        self._looked_at, self._have = docs, None

    def may_have(self, doc: int) -> bool:
        """Whether somebody within the horizon may have rated a document; of all, where there are more ratings
        than a query goes through."""
        if self._have is None:
            self._have = self._found_among(self._looked_at)
        return doc in self._have

    def _found_among(self, docs: Collection[int]) -> Collection[int]:
        if not self.are_any:
            return ()
        if self._listed is None:
            # Once for a query, whatever comes out.
            self._listed = self._list()
        if not self._listed:
            return frozenset(docs)
        rows = select_in(self._db, "SELECT rowid, item FROM record WHERE rowid IN", list(docs))
        return {cast(int, doc) for doc, item in rows if item in self._rated}

    def _list(self) -> bool:
        """Find out what was rated; whether it was not too much."""
        said = 0
        for author in self._raters:
            rows = self._db.execute(
                "SELECT item FROM record WHERE kind = 'rating' AND author = ? LIMIT ?",
                (author, _MOST_LISTED + 1 - said),
            ).fetchall()
            said += len(rows)
            if said > _MOST_LISTED:
                return False
            self._rated.update(item for (item,) in rows)
        return True

    def _about(self, item: Cid) -> Iterable[_Given]:
        if self._by_near is not None:
            return self._by_near.get(item, ())
        most = max(_MOST_ABOUT, self._left)
        [said] = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM record WHERE item = ? LIMIT ?)", (item, most + 1)
        ).fetchone()
        if said > most:
            return self._of_near().get(item, ())
        if said > _MOST_ABOUT:
            self._left -= said
        return self._db.execute(
            f"SELECT time, id, author, block FROM record WHERE item = ? AND {_COUNTS}",  # noqa: S608
            (item, *self._when),
        ).fetchall()

    def _of_near(self) -> Mapping[bytes, list[_Given]]:
        if self._by_near is None:
            found: dict[bytes, list[_Given]] = defaultdict(list)
            # By author and kind: by author and time SQLite would read all that each has published.
            rows = select_in(
                self._db,
                "SELECT item, time, id, author, block, expires FROM record"
                " WHERE kind = 'rating' AND shown AND author IN",
                list(self._weights),
            )
            for row in rows:
                item, time, id_, author, block, expires = cast(_Row, row)
                if time <= self._when[1] and (expires is None or expires > self._when[0]):
                    found[item].append((time, id_, author, block))
            self._by_near = found
        return self._by_near

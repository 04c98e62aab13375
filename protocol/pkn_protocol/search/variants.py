"""One text in several items: copies, near-duplicates and cuttings, told by records and sketches alone (SPEC,
Search, Variants)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pkn_protocol.records.ids import AuthorId, Cid
from pkn_protocol.records.limits import REPLACES
from pkn_protocol.records.model import Item, Record
from pkn_protocol.search.believed import counted_sketch
from pkn_protocol.text.sketch import CLASS_FREQUENCY, BadSketch, decode_sketch

NEAR = 0.8
"""The least similarity of near-duplicates."""
STILL_A_CUTTING = 0.25
"""A cutting that has grown into something else is a text of its own."""
LEAST_STEMS = 8
"""Shorter texts are alike by chance."""
_COMPARED_BY = 8
"""Texts that are compared share one of their lowest stems: of near-duplicates all but one in a million do."""


class Likeness(StrEnum):
    SAME = "same"
    NEAR_DUPLICATE = "near-duplicate"
    CUTTING = "cutting"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A match; `standing` is what its author counts in the rank, whatever the text."""

    record: Record
    standing: float


@dataclass(slots=True)
class Group:
    """A match that is shown, and those of the same text that stand below it, best first."""

    shown: Ranked
    variants: list[tuple[Ranked, Likeness]] = field(default_factory=list)


class Variants:
    """Joins the matches of one query; sketches are read once."""

    def __init__(self) -> None:
        self._read: dict[Cid, Mapping[int, int]] = {}

    def grouped(self, ranked: Sequence[Ranked], most: int) -> list[Group]:
        """The first `most` texts of matches by falling rank. Each match is compared with those that are shown
        and stands below the first of them that is the same text; but never below one whose author counts
        less, or a stranger could hide what a friend wrote behind a copy of it."""
        groups: list[Group] = []
        places = _Places()
        for one in ranked:
            found = self._place_of(one, groups, places)
            if found is not None:
                place, likeness = found
                groups[place].variants.append((one, likeness))
            elif len(groups) < most:
                places.add(len(groups), one.record, self._classes(one.record))
                groups.append(Group(one))
        return groups

    def _place_of(self, one: Ranked, groups: Sequence[Group], places: _Places) -> tuple[int, Likeness] | None:
        for place in places.near(one.record, self._classes(one.record)):
            shown = groups[place].shown
            if shown.standing >= one.standing:
                likeness = self._likeness(shown.record, one.record)
                if likeness is not None:
                    return place, likeness
        return None

    def _likeness(self, shown: Record, other: Record) -> Likeness | None:
        one, two = shown.body, other.body
        if not isinstance(one, Item) or not isinstance(two, Item):
            return None
        if one.payload is not None and two.payload is not None and one.payload.cid == two.payload.cid:
            return Likeness.SAME
        mine, theirs = self._classes(shown), self._classes(other)
        long = min(len(mine), len(theirs)) >= LEAST_STEMS
        if mine and theirs and one.sketch == two.sketch and (long or one.title == two.title):
            return Likeness.SAME
        if _is_cutting(shown, other) and (
            not mine or not theirs or similarity(mine, theirs) >= STILL_A_CUTTING
        ):
            return Likeness.CUTTING
        return Likeness.NEAR_DUPLICATE if long and similarity(mine, theirs) >= NEAR else None

    def _classes(self, record: Record) -> Mapping[int, int]:
        known = self._read.get(record.id)
        if known is None:
            sketch = counted_sketch(record.body) if isinstance(record.body, Item) else None
            try:
                known = {} if sketch is None else decode_sketch(sketch).classes
            except BadSketch:
                known = {}
            self._read[record.id] = known
        return known


def similarity(one: Mapping[int, int], other: Mapping[int, int]) -> float:
    """How much of two texts together is common to both: frequencies of stems, the lower of both over the
    higher (weighted Jaccard), 0 to 1. A word that is said oftener in one of them counts as a difference."""
    if len(one) > len(other):
        one, other = other, one
    common = sum(CLASS_FREQUENCY[min(kind, other[stem])] for stem, kind in one.items() if stem in other)
    whole = sum(CLASS_FREQUENCY[kind] for text in (one, other) for kind in text.values()) - common
    return common / whole if whole else 0.0


def outdated(records: Collection[Record], near: Collection[AuthorId], held: Collection[Cid]) -> set[Cid]:
    """Which of several records are older versions of others among them: replaced by their author or, on a
    page, by somebody near. Where one of two is not held here, so that what lies between is not known: every
    earlier one of an author that is not held, and of those held what is earlier than a version that replaces
    so many that it could name no more."""
    ids = {record.id: record for record in records}
    found = set()
    for later in records:
        for old in later.replaces:
            earlier = ids.get(old)
            if earlier is not None and earlier.item_id == later.item_id and _may_follow(earlier, later, near):
                found.add(old)
        if later.id not in held and len(later.replaces) >= REPLACES:
            found.update(
                one.id
                for one in records
                if one.item_id == later.item_id
                and one.author == later.author
                and (one.time, one.id) < (later.time, later.id)
            )
    newest: dict[tuple[Cid, AuthorId], tuple[int, Cid]] = {}
    for record in records:
        key, age = (record.item_id, record.author), (record.time, record.id)
        newest[key] = max(age, newest.get(key, age))
    found |= {
        record.id
        for record in records
        if record.id not in held and (record.time, record.id) < newest[(record.item_id, record.author)]
    }
    return found


def _may_follow(earlier: Record, later: Record, near: Collection[AuthorId]) -> bool:
    return later.author == earlier.author or (later.kind == earlier.kind == "page" and later.author in near)


def _is_cutting(one: Record, other: Record) -> bool:
    """Whether one was grown from the other, or both from a third."""
    origins = {_origin(one), _origin(other)} - {None}
    return (
        _origin(other) in _names(one)
        or _origin(one) in _names(other)
        or (len(origins) == 1 and _origin(one) == _origin(other))
    )


def _origin(record: Record) -> Cid | None:
    return record.body.derived_from if isinstance(record.body, Item) else None


def _names(record: Record) -> set[Cid]:
    """The ids that a cutting may say it comes from."""
    return {record.id, record.item_id, *record.replaces}


@dataclass(slots=True)
class _Places:
    """Where matches that may be of one text are in the list of those shown."""

    by_stem: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_id: dict[Cid, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, place: int, record: Record, classes: Mapping[int, int]) -> None:
        for stem in _lowest(classes):
            self.by_stem[stem].append(place)
        for cid in _ids(record):
            self.by_id[cid].append(place)

    def near(self, record: Record, classes: Mapping[int, int]) -> list[int]:
        found = {place for stem in _lowest(classes) for place in self.by_stem.get(stem, ())}
        found.update(place for cid in _ids(record) for place in self.by_id.get(cid, ()))
        return sorted(found)


def _lowest(classes: Iterable[int]) -> list[int]:
    # Stems are hashes: the lowest of a text are a fair sample of it (Broder 1997).
    return sorted(classes)[:_COMPARED_BY]


def _ids(record: Record) -> Iterator[Cid]:
    yield from _names(record)
    origin = _origin(record)
    if origin is not None:
        yield origin
    if isinstance(record.body, Item) and record.body.payload is not None:
        yield record.body.payload.cid

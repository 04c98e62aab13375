"""What is news to somebody, and in how many lines it is told (SPEC, Search, News): pure decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pkn_protocol.records.ids import AuthorId

BUNDLE_ABOVE = 5
"""More of one kind by one person are told in one line: a first meeting brings a thousand items at once."""


class Reason(StrEnum):
    """Why something is news, the most personal first: in this order news are told."""

    VERSION = "version"  # somebody else's new version of what the reader wrote or took part in
    COMMENT = "comment"  # somebody within the horizon commented on what the reader wrote or took part in
    CUTTING = "cutting"  # … or made something of their own of it
    QUESTION = "question"  # a question by somebody trusted, on a subject that the reader published on
    MATCH = "match"  # it matches a saved question
    PUBLISHED = "published"  # by somebody trusted


_PLACE = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Arrival:
    """An item or a comment that came, as seen by its reader. `near`: by somebody within the horizon; `later`:
    it is not the item's first version; `took_part`: the reader wrote a version of the item, or something
    about it; `cutting`: it is derived from an item of which that is true."""

    own: bool
    trusted: bool
    near: bool = False
    comment: bool = False
    cutting: bool = False
    question: bool = False
    later: bool = False
    took_part: bool = False


def reason_for(arrival: Arrival, may_know: Callable[[], bool]) -> Reason | None:
    """Why an arrival is news, saved questions apart; `may_know` is asked only where it decides."""
    if arrival.own:
        return None
    if arrival.comment:
        # Anybody may write anything about an item: of strangers the reader is not told.
        return Reason.COMMENT if arrival.took_part and arrival.near else None
    if arrival.later and arrival.took_part:
        return Reason.VERSION
    if arrival.cutting and arrival.near and not arrival.later:
        return Reason.CUTTING
    if not arrival.trusted:
        return None
    # A question that was only edited has been told before.
    if arrival.question and not arrival.later and may_know():
        return Reason.QUESTION
    return Reason.PUBLISHED


@dataclass(frozen=True, slots=True)
class Piece:
    """An item that is news. `seq` numbers news in the order of arrival, `time` is the item's own (ms);
    `watches` are the saved questions that it matches."""

    seq: int
    author: AuthorId
    time: int
    reason: Reason
    watches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of news: a piece, or several of one kind, of which `newest` is shown."""

    newest: Piece
    count: int
    first: int
    """The least `seq` of them."""


@dataclass(frozen=True, slots=True)
class Told:
    """`lines` in the order to be shown; `left` lines found no room. `upto`: whoever has seen these lines has
    seen all news up to that `seq`."""

    lines: tuple[Line, ...]
    left: int
    upto: int


def lines_of(pieces: Sequence[Piece], *, limit: int, bundle_above: int | None = BUNDLE_ABOVE) -> Told:
    """News in at most `limit` lines: most personal first, then newest first.

    More than `bundle_above` pieces of one reason by one person (or for one saved question) are one
    line; None bundles nothing. Where there are still too many lines, bundles are made of two pieces and more;
    and then the lines that came last wait for the next time.
    """
    if not pieces:
        return Told((), 0, 0)
    lines = _bundled(pieces, bundle_above)
    if len(lines) > limit and bundle_above is not None:
        lines = _bundled(pieces, 1)
    lines.sort(key=lambda line: line.first)
    shown, waiting = lines[:limit], lines[limit:]
    last = max(piece.seq for piece in pieces)
    upto = waiting[0].first - 1 if waiting else last
    shown.sort(key=lambda line: (_PLACE[line.newest.reason], -line.newest.time, -line.newest.seq))
    return Told(tuple(shown), len(waiting), upto)


def _bundled(pieces: Iterable[Piece], above: int | None) -> list[Line]:
    groups: dict[tuple[object, ...], list[Piece]] = defaultdict(list)
    for piece in pieces:
        # What matches several questions is told with the first: their combinations may be many.
        about = piece.watches[:1] if piece.reason is Reason.MATCH else piece.author
        groups[piece.reason, about].append(piece)
    lines: list[Line] = []
    for group in groups.values():
        if above is not None and len(group) > above:
            newest = max(group, key=lambda piece: (piece.time, piece.seq))
            lines.append(Line(newest, len(group), min(piece.seq for piece in group)))
        else:
            lines += [Line(piece, 1, piece.seq) for piece in group]
    return lines

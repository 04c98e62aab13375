"""Vectors of reconciliation: hashes, symbols, differences, and one comparison frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from pkn_protocol.channel.codec import encode_message
from pkn_protocol.channel.messages import Compare, Envelope, Message
from pkn_protocol.records.ids import Cid, record_cid, short_id
from pkn_protocol.sync.compare import Effects, Initiator, Lacking, NeedIds, NeedRows, Responder
from pkn_protocol.sync.rateless import Encoder
from pkn_protocol.sync.rows import Key, RowSum, comparison_key, root_of, row_items
from pkn_protocol.sync.short_ids import print_of
from pkn_protocol.sync.siphash import Words, siphash
from pkn_protocol.sync.sums import sum_of
from pkn_protocol.sync.symbols import MOST_SYMBOLS, advance

Json = dict[str, Any]
SESSION = sha256(b"transcript of vectors").digest()
NUMBER = 3
KEY = comparison_key(SESSION, NUMBER)
ANN, BEN = (sha256(name).digest()[:8] for name in (b"ann", b"ben"))
TAG = sha256(b"circle of vectors").digest()[:16]
INDICES_OF = 3
"""Items whose indices are listed to the end."""


def files() -> Json:
    return {
        "keys": [
            {
                "session": SESSION.hex(),
                "number": number,
                "key": comparison_key(SESSION, number).hex(),
            }
            for number in (1, NUMBER, 2**40)
        ],
        "items": _items(),
        "symbols": [_symbols(count, length) for count, length in ((0, 3), (1, 20), (300, 40), (700, 9))],
        "differences": [_difference(*sizes) for sizes in ((0, 1, 0, 1), (40, 6, 5, 40), (800, 0, 60, 140))],
        "comparison": _comparison(),
    }


def _numbers(what: str, count: int) -> Words:
    data = b"".join(sha256(f"{what} {number}".encode()).digest()[:8] for number in range(count))
    return np.frombuffer(data, "<u8").astype(np.uint64)


def _hex(items: Words) -> list[str]:
    return [item.tobytes().hex() for item in items.astype("<u8")]


def _items() -> list[Json]:
    items = _numbers("item", INDICES_OF)
    return [
        {"key": KEY.hex(), "item": name, "check": check, "indices": _indices(KEY, items[place : place + 1])}
        for place, (name, check) in enumerate(zip(_hex(items), _hex(siphash(KEY, items)), strict=True))
    ]


def _indices(key: bytes, item: Words) -> list[int]:
    """All below MOST_SYMBOLS."""
    found = []
    index, state = np.zeros(1, np.uint64), siphash(key, item)
    while index[0] < MOST_SYMBOLS:
        found.append(int(index[0]))
        index, state = advance(index, state)
    return found


def _symbols(count: int, length: int) -> Json:
    items = _numbers("symbol", count)
    made = Encoder(KEY, [items]).take(np.array([length]))
    return {"key": KEY.hex(), "items": _hex(items), "count": length, "symbols": made.to_bytes().hex()}


def _difference(both: int, here: int, there: int, length: int) -> Json:
    common, ours, theirs = _numbers("both", both), _numbers("here", here), _numbers("there", there)
    made = Encoder(KEY, [np.concatenate([common, theirs])]).take(np.array([length]))
    return {
        "key": KEY.hex(),
        "items": _hex(np.concatenate([common, ours])),
        "symbols": made.to_bytes().hex(),
        "here_alone": sorted(_hex(ours)),
        "there_alone": sorted(_hex(theirs)),
    }


def _holdings() -> tuple[dict[Key, list[Cid]], dict[Key, list[Cid]]]:
    """Of the initiator and of the responder."""
    both: dict[Key, list[Cid]] = {
        (b"", ANN, 0): _ids("ann standing", 3),
        (b"", ANN, 670): _ids("ann 670", 80),
        (b"", ANN, 671): _ids("ann 671", 60),
        (b"", BEN, 671): _ids("ben 671", 12),
        (TAG, BEN, 671): _ids("ben sealed", 5),
        **{(b"", ANN, 600 + month): _ids(f"ann {month}", 2) for month in range(40)},
    }
    one = {**both, (b"", ANN, 671): both[(b"", ANN, 671)][2:] + _ids("new of one", 1)}
    one[(b"", BEN, 671)] = both[(b"", BEN, 671)][1:]
    other = {**both, (b"", ANN, 670): both[(b"", ANN, 670)] + _ids("late", 1)}
    other[(TAG, ANN, 671)] = _ids("ann sealed", 3)
    return one, other


def _ids(what: str, count: int) -> list[Cid]:
    return [record_cid(sha256(f"{what} {number}".encode()).digest()) for number in range(count)]


def _comparison() -> Json:
    holdings = _holdings()
    tables = [_sums(held) for held in holdings]
    results: list[Lacking | None] = [None, None]
    frames: list[Json] = []
    first = Initiator(NUMBER, session=SESSION, at=3_600_000, mine=1, yours=2, root=root_of(tables[0], 0))
    machines: list[Initiator | Responder] = [first]

    def carry_out(side: int, effects: Effects) -> list[Message]:
        sent: list[Message] = []
        for effect in effects:
            match effect:
                case NeedRows():
                    sent += carry_out(side, machines[side].own_rows(tables[side]))
                case NeedIds(rows=rows):
                    ids = {row: holdings[side].get(row, []) for row in rows}
                    sent += carry_out(side, machines[side].own_ids(ids))
                case Lacking():
                    results[side] = effect
                case _:
                    sent.append(effect)  # type: ignore[arg-type]
        return sent

    under_way: deque[tuple[int, Message]] = deque([(0, first.start())])
    while under_way:
        sender, message = under_way.popleft()
        frames.append(
            {"by": ("initiator", "responder")[sender], "frame": encode_message(Envelope(message), 2).hex()}
        )
        receiver = 1 - sender
        if isinstance(message, Compare):
            second = Responder(message, session=SESSION, root=root_of(tables[1], 0))
            machines.append(second)
            answers = carry_out(1, second.start())
        else:
            answers = carry_out(receiver, machines[receiver].receive(message))
        under_way.extend((receiver, answer) for answer in answers)
    return {
        "session": SESSION.hex(),
        "number": NUMBER,
        "sides": [
            {
                "rows": [_row(row, held[row], table[row]) for row in held],
                "root": root_of(table, 0).digest(KEY).hex(),
                "items": _hex(row_items(KEY, table)),
                "lacking": sorted(name.hex() for row in result.rows for name in row.ids) if result else None,
            }
            for held, table, result in zip(holdings, tables, results, strict=True)
        ],
        "frames": frames,
    }


def _sums(held: dict[Key, list[Cid]]) -> dict[Key, RowSum]:
    totals = {row: sum_of(ids) for row, ids in held.items()}
    return {row: (total.count, total.digest()) for row, total in totals.items()}


def _row(row: Key, ids: Sequence[Cid], total: RowSum) -> Json:
    return {
        "scope": row[0].hex(),
        "author": row[1].hex(),
        "period": row[2],
        "count": total[0],
        "digest": total[1].hex(),
        "ids": [cid.hex() for cid in ids],
        "shorts": [short_id(cid).hex() for cid in ids],
        "print": print_of(ids).hex(),
    }

"""What of an answer fits into its budget."""

from __future__ import annotations

from pkn_protocol.channel import messages as m
from pkn_protocol.records.ids import Cid
from pknd.search.answering import bounded

HITS = [
    m.AnswerHit(Cid(bytes([number]) * 36), 1000 - number, "é" * 100, (0, 10), True) for number in range(10)
]


def test_passages_of_the_last_go_before_hits_do() -> None:
    assert bounded(HITS, 64 * 1024) == HITS
    some = bounded(HITS, 2048)
    assert [hit.id for hit in some] == [hit.id for hit in HITS]
    assert [hit.passage != "" for hit in some] == [True] * 6 + [False] * 4
    assert all(hit.marks == () for hit in some[6:])
    few = bounded(HITS, 64 + 3 * 64)
    assert [(hit.id, hit.passage) for hit in few] == [(hit.id, "") for hit in HITS[:3]]
    assert bounded(HITS, 64) == bounded(HITS, 0) == []

"""Scoring what peers answer: the daemon goes on with everything else meanwhile."""

from __future__ import annotations

import asyncio
import random
import time

from pkn_protocol.records.ids import AuthorId, raw_cid
from pkn_protocol.records.model import Item, Payload
from pkn_protocol.search.query import parse_query
from pkn_protocol.search.rank import Weights
from pkn_protocol.search.scoring import Statistics
from pkn_protocol.text.analysis import ANALYSER, analyse
from pkn_protocol.text.sketch import MOST_STEMS, Sketch, encode_sketch, length_code, length_of_code
from pknd.environment import Environment
from pknd.people.view import PeopleView
from pknd.search.asking import Found
from pknd.search.incoming import Incoming
from pknd.search.results import Findings
from pknd.store.records import Filter
from tests.pknd.store.people import NOW, Person

ANSWERS = 200


def answers() -> list[Found]:
    """As many as a peer may send, with the longest sketches that there are."""
    words = set(analyse("boundary", "en"))
    stems = sorted({*random.Random(1).sample(range(1 << 24), MOST_STEMS - len(words)), *words})
    sketch = encode_sketch(Sketch(ANALYSER, length_of_code(length_code(6000)), dict.fromkeys(stems, 1)))
    payload = Payload("text/plain", 9, raw_cid(b"Some text"))
    anna = Person("anna")
    return [
        Found(anna.record("note", Item("Note", lang="en", sketch=sketch, payload=payload), time=time), None)
        for time in range(NOW - ANSWERS, NOW)
    ]


async def test_while_many_answers_are_scored_others_are_served(env: Environment) -> None:
    view = PeopleView(AuthorId(env.keys.author), {}, {}, {}, {}, {}, {})
    incoming = Incoming(env, view=lambda: view, rank_weights=Weights)
    query = parse_query("boundary layer", {"en"})
    state = Findings(query, Statistics(1000, 300.0, (100,) * len(query.terms)), Filter(now=NOW), {"en"})
    found = answers()
    scoring = asyncio.create_task(incoming.scored(state, found))
    began = turn = time.perf_counter()
    longest = 0.0
    while not scoring.done():
        await asyncio.sleep(0.001)
        turn, before = time.perf_counter(), turn
        longest = max(longest, turn - before)
    assert len(scoring.result()) == ANSWERS
    # Of the time that it takes no large part is one in which nobody else gets a turn.
    assert longest < (turn - began) / 2

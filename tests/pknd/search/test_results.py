"""What a query has found so far, and who may still say something about it."""

from __future__ import annotations

import pytest

from pkn_protocol.search.query import parse_query
from pkn_protocol.search.rank import Rank
from pkn_protocol.search.scoring import Statistics
from pknd.search.results import Findings
from pknd.store.records import Filter, Held
from tests.pknd.store.people import NOW, Person


def findings(text: str, people: list[Person], confirmed: set[int]) -> Findings:
    """One note of each, the first the best."""
    query = parse_query(text, {"en"})
    found = Findings(query, Statistics(1, 1.0, (1,) * len(query.terms)), Filter(now=NOW), {"en"})
    for place, person in enumerate(people):
        held = Held(0, person.note("The wing of a swift"), NOW, head=True, shown=True, scope=b"")
        rank = Rank(9.0 - place, 1.0, 1.0, 1.0)
        found.enter(held, rank, None, confirmed=place in confirmed)
    return found


def test_those_who_wrote_what_is_not_confirmed_among_the_best_are_waited_for(
    anna: Person, bruno: Person, chiara: Person
) -> None:
    found = findings('"wing of a swift"', [anna, bruno, chiara], {1})
    assert found.unconfirmed_authors(3) == {anna.author, chiara.author}
    assert found.unconfirmed_authors(2) == {anna.author}


@pytest.mark.parametrize(("text", "waited_for"), [("wing swift", False), ('wing -"of a crane"', True)])
def test_without_phrases_nobody_is_waited_for_whatever_answers_say(
    text: str, waited_for: bool, anna: Person
) -> None:
    assert findings(text, [anna], set()).unconfirmed_authors(10) == ({anna.author} if waited_for else set())

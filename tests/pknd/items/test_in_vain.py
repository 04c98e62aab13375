"""When a text counts as one that nobody around has."""

from __future__ import annotations

from pknd.items import in_vain
from pknd.items.in_vain import LEAST_ASKED, ROUNDS, AskedInVain
from tests.pknd.store.people import Person

AUTHOR = Person("author").author
OTHERS = [Person(f"other {number}").author for number in range(LEAST_ASKED)]


def test_an_author_who_is_here_and_does_not_serve_is_enough() -> None:
    asked = AskedInVain(60.0)
    for number in range(ROUNDS):
        assert 7 not in asked.records
        assert asked.begin(100.0 + 60.0 * number)
        asked.note(7, AUTHOR, {AUTHOR})
        asked.end()
    assert asked.records == {7}
    asked.came(7)
    assert asked.records == frozenset()


def test_while_an_author_is_away_many_have_to_be_asked() -> None:
    asked = AskedInVain(60.0)
    for _ in range(ROUNDS):
        asked.note(7, AUTHOR, OTHERS[1:])
    asked.end()
    assert asked.records == frozenset()
    for _ in range(ROUNDS):
        asked.note(7, AUTHOR, OTHERS)
    asked.end()
    assert asked.records == {7}


def test_rounds_in_quick_succession_count_as_one() -> None:
    asked = AskedInVain(60.0)
    assert [asked.begin(now) for now in (5.0, 6.0, 64.0, 65.0, 66.0)] == [True, False, False, True, False]


def test_what_is_noted_is_bounded() -> None:
    asked = AskedInVain(60.0)
    for record in range(in_vain.MOST_NOTED + 5):
        asked.note(record, AUTHOR, {AUTHOR})
    for _ in range(ROUNDS):
        asked.note(0, AUTHOR, {AUTHOR})
    asked.end()
    assert asked.records == {0}

"""However many strangers come, what is remembered of them is bounded, and whoever is trusted is none."""

from __future__ import annotations

from pkn_protocol.records.ids import AuthorId
from pknd.sync.strangers import MOST_STRANGERS, StrangersMet


def author(number: int) -> AuthorId:
    return AuthorId(number.to_bytes(32, "big"))


def test_the_longest_unseen_is_forgotten() -> None:
    strangers = StrangersMet()
    for number in range(3 * MOST_STRANGERS):
        strangers.met(author(number))
        strangers.met(author(0))
    assert len(strangers) == MOST_STRANGERS
    strangers.forget([author(0)])
    assert len(strangers) == MOST_STRANGERS - 1


def test_one_who_comes_again_or_is_trusted_takes_nobody_s_room() -> None:
    strangers = StrangersMet()
    for _ in range(3):
        for number in range(5):
            strangers.met(author(number))
    assert len(strangers) == 5
    strangers.forget({author(1), author(7)})
    assert len(strangers) == 4

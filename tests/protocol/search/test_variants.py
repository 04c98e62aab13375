"""Which matches are one text, which of them is shown, and which versions are old."""

from __future__ import annotations

from typing import Any

from bench.payloads import text_payload
from pkn_protocol.records.ids import raw_cid
from pkn_protocol.records.limits import REPLACES
from pkn_protocol.records.model import Item, Payload, Record
from pkn_protocol.search.variants import Likeness, Ranked, Variants, outdated
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import make_sketch
from tests.pknd.store.people import NOW, Person

ANN, BEN = Person("ann"), Person("ben")
TEXT = (
    "The keel of a sailing boat gives righting moment and stops leeway; lead in the bulb lowers the centre "
    "of gravity, and the fin has the section of a wing since water flows past it at an angle."
)
OTHER = "Bread needs flour, water, salt, yeast, patience, a hot oven, a stone, steam at first, and a rest."


def note(who: Person, text: str, title: str = "Keels", *, time: int = NOW, **more: Any) -> Record:
    item = {name: more.pop(name) for name in ("derived_from", "payload") if name in more}
    item.setdefault("payload", text_payload(f"{who.name} {time} {text}"))
    sketch = make_sketch(analyse(f"{title}\n{text}", "en"))
    return who.record("note", Item(title, lang="en", sketch=sketch, **item), time=time, **more)


def grouped(*ranked: Ranked, most: int = 10) -> list[list[tuple[str, str]]]:
    """The names of what is shown and below it, each with its likeness."""
    return [
        [
            (group.shown.record.id.hex(), "shown"),
            *((one.record.id.hex(), how.value) for one, how in group.variants),
        ]
        for group in Variants().grouped(ranked, most)
    ]


def test_copies_and_near_duplicates_stand_below_the_best_and_other_texts_beside_it() -> None:
    first, copy = note(ANN, TEXT), note(BEN, TEXT, time=NOW + 1)
    near, other = note(BEN, TEXT + " More on this another day.", time=NOW + 2), note(BEN, OTHER, "Bread")
    found = grouped(Ranked(first, 1.0), Ranked(other, 1.0), Ranked(copy, 0.9), Ranked(near, 0.6))
    assert found == [
        [
            (first.id.hex(), "shown"),
            (copy.id.hex(), Likeness.SAME),
            (near.id.hex(), Likeness.NEAR_DUPLICATE),
        ],
        [(other.id.hex(), "shown")],
    ]


def test_nobody_is_hidden_behind_somebody_who_counts_less() -> None:
    theirs, mine = note(BEN, TEXT), note(ANN, TEXT)
    assert len(grouped(Ranked(theirs, 0.6), Ranked(mine, 1.0))) == 2
    assert len(grouped(Ranked(theirs, 1.0), Ranked(mine, 1.0))) == 1


def test_repeating_a_word_makes_another_text_that_stands_by_itself() -> None:
    plain = note(ANN, TEXT)
    stuffed = note(BEN, TEXT + " keel leeway lead" * 9)
    assert len(grouped(Ranked(stuffed, 1.0), Ranked(plain, 1.0))) == 2


def test_short_texts_are_not_alike_by_chance() -> None:
    one, two = note(ANN, "Wing drag.", "One"), note(BEN, "Wing drag.", "Two")
    assert len(grouped(Ranked(one, 1.0), Ranked(two, 1.0))) == 2
    again = note(BEN, "Wing drag.", "One")
    assert len(grouped(Ranked(one, 1.0), Ranked(again, 1.0))) == 1


def test_what_has_one_payload_is_one_text_whatever_it_is_called() -> None:
    payload = Payload("image/png", 9, raw_cid(b"a picture"))
    one = ANN.record("file", Item("Boat", payload=payload))
    two = BEN.record("file", Item("My boat", payload=payload))
    assert grouped(Ranked(one, 1.0), Ranked(two, 1.0))[0][1][1] == Likeness.SAME


def test_a_cutting_is_known_by_its_origin_until_it_has_grown_into_something_else() -> None:
    origin = note(ANN, TEXT)
    shorter = note(BEN, TEXT[:100], "On keels", derived_from=origin.id)
    sister = note(BEN, TEXT[:90] + " and sails", "On boats", derived_from=origin.id, time=NOW + 1)
    grown = note(BEN, OTHER, "Bread", derived_from=origin.id)
    found = grouped(Ranked(origin, 1.0), Ranked(shorter, 1.0), Ranked(sister, 1.0), Ranked(grown, 1.0))
    assert [len(group) for group in found] == [3, 1]
    assert {how for _, how in found[0][1:]} == {Likeness.CUTTING}
    assert len(grouped(Ranked(shorter, 1.0), Ranked(origin, 1.0))) == 1
    assert len(grouped(Ranked(shorter, 1.0), Ranked(sister, 1.0))) == 1


def test_variants_are_counted_when_no_more_texts_are_shown() -> None:
    first, other, copy = note(ANN, TEXT), note(BEN, OTHER, "Bread"), note(BEN, TEXT)
    [only] = Variants().grouped([Ranked(one, 1.0) for one in (first, other, copy)], 1)
    assert (only.shown.record, [one.record for one, _ in only.variants]) == (first, [copy])


def test_older_versions_are_told_by_what_replaces_them() -> None:
    first = note(ANN, TEXT)
    second = note(ANN, TEXT, time=NOW + 1, item=first.id, replaces=(first.id,))
    seized = note(BEN, TEXT, time=NOW + 2, item=first.id, replaces=(second.id,))
    held = {first.id, second.id, seized.id}
    assert outdated([first, second, seized], (), held) == {first.id}


def test_on_a_page_somebody_near_writes_the_next_version_and_a_stranger_does_not() -> None:
    page = ANN.record("page", Item("Page", lang="en"))
    later = BEN.record("page", Item("Page", lang="en"), time=NOW + 1, item=page.id, replaces=(page.id,))
    held = {page.id, later.id}
    assert outdated([page, later], {BEN.author}, held) == {page.id}
    assert outdated([page, later], (), held) == set()


def test_of_versions_far_apart_that_are_not_held_the_latest_is_left() -> None:
    first = note(ANN, TEXT)
    between = note(ANN, TEXT, time=NOW + 40, item=first.id, replaces=(first.id,))
    late = note(ANN, TEXT, time=NOW + 50, item=first.id, replaces=(between.id,))
    assert outdated([first, late], (), ()) == {first.id}
    assert outdated([first, late], (), {first.id, late.id}) == set()


def test_what_is_held_is_older_than_a_version_that_replaces_more_than_it_could_name() -> None:
    first = note(ANN, TEXT)
    names = tuple(note(ANN, TEXT, time=NOW + number).id for number in range(1, REPLACES + 1))
    late = note(ANN, TEXT, time=NOW + 90, item=first.id, replaces=names)
    assert outdated([first, late], (), {first.id}) == {first.id}
    few = note(ANN, TEXT, time=NOW + 90, item=first.id, replaces=names[1:])
    assert outdated([first, few], (), {first.id}) == set()
    by_another = note(BEN, TEXT, time=NOW + 90, item=first.id, replaces=names)
    assert outdated([first, by_another], (), {first.id}) == set()

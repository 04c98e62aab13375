"""What a reader is told of what came, on a real store."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import aclosing

import pytest

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.news import MOST_WATCHES, WatchMatch, WatchRequest
from pkn_protocol.records.ids import Cid
from pkn_protocol.records.model import Comment, Item, Rating, Record, Retraction
from pknd.errors import DomainError
from pknd.news.gathering import MATCHES_WAITING, MOST_WATCHING
from pknd.store import news as store_news
from pknd.store.doubted import doubted_key
from pknd.store.records import Held, get
from pknd.store.removal import remove_records
from pknd.store.settings import put_setting
from tests.pknd.news.conftest import Reader, titles, told
from tests.pknd.store.people import NOW, Person

HOUR = 3_600_000
SECONDS = 20.0


@pytest.fixture(autouse=True)
async def known(reader: Reader, anna: Person, bruno: Person, chiara: Person) -> None:
    await reader.knows(anna, bruno, chiara)


async def test_another_s_version_of_my_page_is_news_and_my_own_is_not(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    mine = reader.item("Tides", kind="page")
    await reader.takes(mine)
    assert await reader.told() == []
    theirs = anna.note("Tides and springs", kind="page", time=NOW + 1, item=mine.id, replaces=(mine.id,))
    await reader.takes(theirs)
    assert await reader.told() == [("version", "Tides and springs")]
    own = reader.item("Tides, springs, neaps", kind="page", item=mine.id, replaces=(theirs.id,))
    await reader.takes(own)
    assert await reader.told() == []


async def test_a_new_version_of_what_i_commented_on_is_news(
    reader: Reader, anna: Person, bruno: Person
) -> None:
    await reader.trusts(bruno)
    reader.look()
    first = anna.note("Of somebody not trusted")
    await reader.takes(first)
    assert await reader.told() == []
    await reader.takes(reader.record("comment", Comment(first.id, "Really?"), item=first.id))
    await reader.takes(anna.note("Corrected", time=NOW + 1, item=first.id, replaces=(first.id,)))
    assert await reader.told() == [("version", "Corrected")]


async def test_comments_on_what_is_mine_or_what_i_took_part_in_are_news(
    reader: Reader, anna: Person, bruno: Person, chiara: Person
) -> None:
    await reader.trusts(anna, bruno)
    reader.look()
    mine, theirs, other = reader.item("Tides"), anna.note("Keels"), anna.note("Leeway")
    await reader.takes(mine, theirs, other)
    await reader.takes(reader.record("rating", Rating(theirs.id, 4), item=theirs.id))
    await reader.news.seen((await reader.news.news(limit=9, bundled=False)).upto)

    def said(person: Person, text: str, about: Record) -> Record:
        return person.record("comment", Comment(about.id, text), item=about.item_id)

    await reader.takes(
        said(bruno, "High or low?", mine),
        said(anna, "Of lead.", theirs),
        said(anna, "Nobody's business", other),
        said(chiara, "Buy watches", mine),
        reader.record("comment", Comment(mine.id, "To myself"), item=mine.id),
    )
    news = await reader.news.news(limit=9, bundled=False)
    assert {(line.item.title, line.comment.text) for line in news.lines if line.comment} == {
        ("Keels", "Of lead."),
        ("Tides", "High or low?"),
    }
    assert (len(news.lines), news.total) == (2, 2)
    assert not any(line.changed for line in news.lines), "a comment is no later version"
    # The item is shown as it is now, and nothing of it once it is taken back.
    later = reader.item("Tides and springs", item=mine.id, replaces=(mine.id,))
    await reader.takes(later)
    assert ("comment", "Tides and springs") in await reader.told()
    await reader.takes(reader.record("retraction", Retraction(), item=mine.id))
    assert await reader.told() == [("comment", "Keels")]
    await reader.trusts(bruno)
    assert await reader.told() == []


async def test_a_cutting_of_what_is_mine_is_news_and_one_by_a_stranger_is_not(
    reader: Reader, anna: Person, bruno: Person, chiara: Person
) -> None:
    await reader.trusts(anna, bruno)
    reader.look()
    mine, theirs = reader.item("Tides"), anna.note("Keels")
    later = reader.item("Tides, again", item=mine.id, replaces=(mine.id,))
    await reader.takes(mine, later, theirs)
    await reader.news.seen((await reader.news.news(limit=9, bundled=False)).upto)

    def cut(person: Person, title: str, origin: Cid) -> Record:
        return person.record("note", Item(title, lang="en", derived_from=origin))

    await reader.takes(
        cut(bruno, "From the first", mine.id),
        cut(anna, "From what was read", later.id),
        cut(bruno, "From somebody else's", theirs.id),
        cut(chiara, "By a stranger", mine.id),
        bruno.note("Which says derived_from in its title"),
    )
    assert sorted(await reader.told()) == [
        ("cutting", "From the first"),
        ("cutting", "From what was read"),
        ("published", "From somebody else's"),
        ("published", "Which says derived_from in its title"),
    ]


async def test_who_is_trusted_decides_when_it_comes_and_when_it_is_shown(
    reader: Reader, anna: Person, bruno: Person
) -> None:
    reader.look()
    await reader.news.save("tides", WatchRequest("tides"))
    await reader.takes(anna.note("Before"))
    assert await reader.told() == []
    await reader.trusts(anna, bruno)
    await reader.takes(anna.note("Keels"), anna.note("Tides"), bruno.note("Leeway"))
    assert await reader.told() == [("match", "Tides"), ("published", "Leeway"), ("published", "Keels")]
    await reader.trusts(bruno)
    assert await reader.told() == [("match", "Tides"), ("published", "Leeway")]
    await reader.trusts(anna, trust="blocked")
    assert await reader.told() == []


async def test_a_question_goes_to_who_published_on_it(reader: Reader, anna: Person, bruno: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    await reader.takes(
        reader.item("Keels and the righting moment"), bruno.note("A keel"), bruno.note("Flour and water")
    )
    await reader.takes(
        anna.note("Which keel rights best?", kind="question"),
        anna.note("How much water to the flour?", kind="question"),
        bruno.note("Which righting moment, and whose?", kind="question"),
    )
    assert await reader.told() == [
        ("question", "Which keel rights best?"),
        ("published", "How much water to the flour?"),
    ]


async def test_what_was_not_looked_at_before_a_crash_is_looked_at_after_it(
    reader: Reader, anna: Person
) -> None:
    await reader.trusts(anna)
    await reader.takes(anna.note("Keels"))
    reader.restart()
    reader.look()
    assert await reader.told() == [("published", "Keels")]
    news = await reader.news.news(limit=9, bundled=True)
    await reader.news.seen(news.upto)
    await reader.stop()
    reader.restart()
    reader.look()
    assert await reader.told() == []


async def test_a_row_that_was_given_before_is_news_as_any_other(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    first, second = anna.note("Keels"), anna.note("Leeway")
    await reader.takes(first)
    news = await reader.news.news(limit=9, bundled=True)
    await reader.news.seen(news.upto)

    def row(db: sqlite3.Connection) -> int:
        held = get(db, first.id)
        assert held is not None
        return held.rowid

    before = await reader.env.store.read(row)
    await reader.env.store.write(lambda db: remove_records(db, [before]))
    await reader.takes(second)
    held = await reader.env.store.read(lambda db: get(db, second.id))
    assert held is not None and held.rowid == before
    assert await reader.told() == [("published", "Leeway")]


async def test_what_comes_while_news_are_shown_stays_unseen(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    await reader.takes(anna.note("Keels"))
    shown = await reader.news.news(limit=9, bundled=True)
    await reader.takes(anna.note("Leeway", time=NOW + 1))
    assert titles(await reader.told()) == ["Leeway", "Keels"]
    seen = await reader.news.seen(shown.upto)
    assert seen.total == 1
    assert titles(await reader.told()) == ["Leeway"]


async def test_what_lies_ahead_is_told_when_its_time_has_come(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    await reader.news.save("keels", WatchRequest("keels"))
    reader.look()
    await reader.takes(anna.note("Keels", time=NOW + HOUR), anna.note("Now"))
    news = await reader.news.news(limit=9, bundled=True)
    assert told(news) == [("published", "Now")]
    await reader.news.seen(news.upto)
    assert await reader.told() == []
    reader.now = NOW + HOUR
    assert await reader.told() == [("match", "Keels")]


async def test_all_versions_that_come_at_once_are_one_item(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    first = anna.note("Keels")
    second = anna.note("Keels, again", time=NOW + 1, item=first.id, replaces=(first.id,))
    await reader.takes(second, first)
    [line] = (await reader.news.news(limit=9, bundled=True)).lines
    assert (line.item.title, line.changed) == ("Keels, again", False)
    await reader.news.seen(99)
    await reader.takes(anna.note("Thirdly", time=NOW + 2, item=first.id, replaces=(second.id,)))
    [line] = (await reader.news.news(limit=9, bundled=True)).lines
    assert (line.item.title, line.changed) == ("Thirdly", True)


async def test_of_somebody_who_never_looks_the_oldest_news_go(
    reader: Reader, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_news, "MOST_NEWS", 3)
    await reader.trusts(anna)
    reader.look()
    for number in range(5):
        await reader.takes(anna.note(f"Note {number}", time=NOW + number))
    assert titles(await reader.told()) == ["Note 4", "Note 3", "Note 2"]


async def test_news_are_followed_as_they_come(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    await reader.takes(anna.note("Early"))
    async with asyncio.timeout(SECONDS), aclosing(reader.news.follow(limit=9, bundled=True)) as news:
        assert told(await anext(news)) == [("published", "Early")]
        await reader.takes(*(anna.note(f"Note {number}", time=NOW + number) for number in range(9)))
        [line] = (await anext(news)).lines
        assert (line.count, line.item.title) == (9, "Note 8")


async def test_who_follows_with_little_room_is_told_everything_at_once(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    reader.look()
    await reader.takes(*(anna.note(f"Note {number}", time=NOW + number) for number in range(5)))
    async with asyncio.timeout(SECONDS), aclosing(reader.news.follow(limit=2, bundled=False)) as news:
        found = [title for _ in range(3) for title in titles(told(await anext(news)))]
    assert found == ["Note 1", "Note 0", "Note 3", "Note 2", "Note 4"]


async def test_an_item_that_cannot_be_looked_at_does_not_hide_those_behind_it(
    reader: Reader, anna: Person
) -> None:
    await reader.trusts(anna)
    asked: list[str] = []

    def may_know(_: sqlite3.Connection, held: Held) -> bool:
        asked.append(held.record.kind)
        raise ValueError("a fault")

    reader.gatherer._may_know = may_know
    reader.look()
    await reader.takes(anna.note("Why?", kind="question"), anna.note("Keels"))
    assert await reader.told() == [("published", "Keels")]
    assert asked == ["question"]


async def test_a_saved_question_looks_at_nothing_that_was_there_before_it(
    reader: Reader, anna: Person
) -> None:
    reader.look()
    await reader.takes(anna.note("Old keels"))
    assert await reader.told() == []
    await reader.news.save("keels", WatchRequest("keels"))
    reader.restart()
    reader.look()
    await reader.takes(anna.note("New keels"))
    assert await reader.told() == [("match", "New keels")]
    [watch] = (await reader.news.watches()).watches
    assert (watch.name, watch.new) == ("keels", 1)
    await reader.news.remove("KEELS")
    assert await reader.told() == []


async def test_one_item_may_match_several_saved_questions(reader: Reader, anna: Person) -> None:
    await reader.trusts(anna)
    for name, query in (
        ("a", "keels"),
        ("b", "tag:boats"),
        ("c", "-keels leeway"),
        ("d", 'author:"Anna" keels'),
    ):
        await reader.news.save(name, WatchRequest(query))
    reader.look()
    await reader.takes(anna.note("Keels", tags=("Boats/racing",)), reader.item("Keels of mine"))
    lines = (await reader.news.news(limit=9, bundled=True)).lines
    assert {line.item.title: line.watches for line in lines} == {
        "Keels": ("a", "b", "d"),
        "Keels of mine": ("a",),
    }


async def test_sketches_that_are_not_believed_match_nothing(reader: Reader, anna: Person) -> None:
    await reader.env.store.write(lambda db: put_setting(db, doubted_key(anna.author), b"x"))
    await reader.trusts(anna)
    await reader.news.save("keels", WatchRequest("keels"))
    reader.look()
    lying = anna.note("Keels")
    await reader.takes(lying)
    # By its title it is found.
    assert await reader.told() == [("match", "Keels")]


async def test_who_does_not_read_is_told_how_many_matches_there_were(reader: Reader, anna: Person) -> None:
    reader.look()
    async with asyncio.timeout(SECONDS), aclosing(reader.news.watch(WatchRequest("keels"))) as matches:
        assert await anext(matches) is None
        for start in range(0, MATCHES_WAITING + 100, 50):
            await reader.takes(*(anna.note(f"Keels {start + n}", time=NOW + start + n) for n in range(50)))
        await reader.gatherer.caught_up(seconds=SECONDS)
        read = [await anext(matches) for _ in range(MATCHES_WAITING)]
        assert all(isinstance(match, WatchMatch) for match in read)
        total = -(-(MATCHES_WAITING + 100) // 50) * 50
        assert await anext(matches) == total - MATCHES_WAITING
        await reader.takes(anna.note("Keels at last", time=NOW + 1000))
        last = await anext(matches)
        assert isinstance(last, WatchMatch) and last.title == "Keels at last"


async def test_no_more_watch_than_the_limit_and_who_ends_makes_room(reader: Reader) -> None:
    reader.look()
    streams = [reader.news.watch(WatchRequest("keels")) for _ in range(MOST_WATCHING)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(DomainError, match=f"{MOST_WATCHING} are watching") as refused:
        await anext(reader.news.watch(WatchRequest("keels")))
    assert refused.value.code == ErrorCode.TOO_MANY and "--save" in refused.value.hint
    await streams[0].aclose()
    again = reader.news.watch(WatchRequest("keels"))
    assert await anext(again) is None
    for stream in [*streams[1:], again]:
        await stream.aclose()


async def test_no_more_questions_are_saved_than_the_limit(reader: Reader) -> None:
    for number in range(MOST_WATCHES):
        await reader.news.save(f"keels {number}", WatchRequest("keels"))
    with pytest.raises(DomainError) as refused:
        await reader.news.save("one more", WatchRequest("keels"))
    assert refused.value.code == ErrorCode.TOO_MANY and "pkn watch remove" in refused.value.hint
    await reader.news.remove("keels 7")
    assert (await reader.news.save("one more", WatchRequest("keels"))).name == "one more"


@pytest.mark.parametrize(
    ("name", "request_", "code"),
    [
        ("", WatchRequest("keels"), ErrorCode.BAD_REQUEST),
        ("-x", WatchRequest("keels"), ErrorCode.BAD_REQUEST),
        ("x\x1b", WatchRequest("keels"), ErrorCode.BAD_REQUEST),
        ("x" * 65, WatchRequest("keels"), ErrorCode.BAD_REQUEST),
        ("x", WatchRequest(), ErrorCode.BAD_QUERY),
        ("x", WatchRequest("-keels"), ErrorCode.BAD_QUERY),
        ("x", WatchRequest("keels author:nobody"), ErrorCode.NO_SUCH_PERSON),
        ("x", WatchRequest("keels since:sometime"), ErrorCode.BAD_QUERY),
        ("x", WatchRequest("kind:note kind:page"), ErrorCode.BAD_QUERY),
        ("x", WatchRequest("k" * 2000), ErrorCode.BAD_QUERY),
        ("taken", WatchRequest("keels"), ErrorCode.CONFLICT),
    ],
)
async def test_what_cannot_be_saved_says_why(
    reader: Reader, name: str, request_: WatchRequest, code: ErrorCode
) -> None:
    await reader.news.save("taken", WatchRequest("leeway"))
    with pytest.raises(DomainError) as refused:
        await reader.news.save(name, request_)
    assert refused.value.code == code
    assert [watch.name for watch in (await reader.news.watches()).watches] == ["taken"]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_each_version_is_told_until_it_was_seen_replaced_or_taken_back(
    reader: Reader, anna: Person, seed: int
) -> None:
    chance = random.Random(seed)
    await reader.trusts(anna)
    reader.look()
    heads: dict[Cid, Record] = {}
    unseen: set[str] = set()
    for step in range(60):
        item = chance.choice(list(heads)) if heads else None
        match chance.choice(["new", "new", "edit", "edit", "retract", "look", "peek", "restart"]):
            case "new":
                record = anna.note(f"Item {step}", time=NOW + step)
                heads[record.id] = record
                unseen.add(f"Item {step}")
                await reader.takes(record)
            case "edit" if item is not None:
                before = heads[item]
                record = anna.note(f"Version {step}", time=NOW + step, item=item, replaces=(before.id,))
                heads[item] = record
                unseen.discard(title_of(before))
                unseen.add(f"Version {step}")
                await reader.takes(record)
            case "retract" if item is not None:
                unseen.discard(title_of(heads.pop(item)))
                await reader.takes(anna.retraction(item, time=NOW + step))
            case "look":
                news = await reader.news.news(limit=1000, bundled=False)
                assert {title for _, title in told(news)} == unseen
                await reader.news.seen(news.upto)
                unseen.clear()
            case "restart":
                await reader.stop()
                reader.restart()
                reader.look()
        assert set(titles(await reader.told())) == unseen


def title_of(record: Record) -> str:
    assert isinstance(record.body, Item)
    return record.body.title

"""`pkn ask`, `pkn watch` and `pkn news`: what they ask of the daemon, and what they print."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pkn_protocol.control.codec import from_json, to_json
from pkn_protocol.control.discovering import Expert, Experts
from pkn_protocol.control.items import Comment, PublishRequest
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.news import (
    News,
    NewsLine,
    NewsReason,
    Seen,
    Watch,
    Watches,
    WatchMatch,
    WatchRequest,
)
from pkn_protocol.control.people import Trust
from pkn_protocol.control.summaries import ItemSummary
from tests.cli.conftest import Run, Terminal
from tests.cli.daemon import FakeDaemon
from tests.cli.shapes import ADA, BEA, HIT, NOW, PUBLISHED, STATUS

Ask = Callable[..., Any]
ITEM = ItemSummary(**{name: getattr(HIT, name) for name in ItemSummary.__dataclass_fields__})
BY_BEA = replace(ITEM, author_claimed=False, trust=Trust.TRUSTED, distance=1)
SAID = Comment("bafyreic", BEA, "Cem", True, NOW - 2 * 3_600_000, "Not at \x1b[2J\nhigh speeds.")


def line(reason: NewsReason, count: int = 1, **more: Any) -> NewsLine:
    fields: dict[str, Any] = {"item": BY_BEA, "changed": False, "watches": (), **more}
    return NewsLine(reason, count=count, **fields)


def news(*lines: NewsLine, left: int = 0, upto: int = 7, looked: int | None = None) -> News:
    return News(lines, sum(one.count for one in lines), left, upto, looked)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (line(NewsReason.VERSION), "Bea wrote a new version of Boundary layers  (note, 3 d)"),
        (
            line(NewsReason.VERSION, 9),
            "Bea wrote new versions of 9 items, newest: Boundary layers  (note, 3 d)",
        ),
        (line(NewsReason.QUESTION), "Bea asks Boundary layers  (note, 3 d)"),
        (line(NewsReason.QUESTION, 8), "Bea asks 8 questions, newest: Boundary layers  (note, 3 d)"),
        (line(NewsReason.PUBLISHED), "Bea published Boundary layers  (note, 3 d)"),
        (line(NewsReason.PUBLISHED, changed=True), "Bea changed Boundary layers  (note, 3 d)"),
        (
            line(NewsReason.PUBLISHED, 1000),
            "Bea published 1,000 items, newest: Boundary layers  (note, 3 d)",
        ),
        (
            line(NewsReason.MATCH, item=ITEM, watches=("drag", "lift")),
            "drag, lift: ~Bea (claimed) published Boundary layers  (note, 3 d, distance 2)",
        ),
        (
            line(NewsReason.MATCH, 40, watches=("drag",)),
            "drag: 40 matches, newest: Boundary layers  (note, 3 d, by Bea)",
        ),
        (
            line(NewsReason.COMMENT, comment=SAID),
            "~Cem (claimed) commented on Boundary layers: Not at \ufffd[2J high speeds.  (note, 2 h)",
        ),
        (
            line(NewsReason.COMMENT, 7, comment=SAID),
            "~Cem (claimed) wrote 7 comments, newest: Boundary layers: "
            "Not at \ufffd[2J high speeds.  (note, 2 h)",
        ),
        (line(NewsReason.CUTTING), "Bea made a cutting: Boundary layers  (note, 3 d)"),
        (
            line(NewsReason.QUESTION, watches=("drag",)),
            "Bea asks Boundary layers  (note, 3 d, matches drag)",
        ),
        (
            line(NewsReason.PUBLISHED, item=replace(BY_BEA, title="a\x1b[2Jb\nc", kind="\u202enote")),
            "Bea published a\ufffd[2Jb c  (\ufffdnote, 3 d)",
        ),
        (line(NewsReason.PUBLISHED, item=replace(BY_BEA, title="")), "Bea published (no title)  (note, 3 d)"),
    ],
)
def test_each_line_says_who_did_what(one: NewsLine, told: str, run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/news", news(one))
    daemon.on("POST", "/v1/news/seen", Seen(0, NOW))
    assert run("news").stdout == f"h2kq7xmv3a  {told}\n"


def test_what_was_printed_is_marked_as_seen_and_nothing_beyond(
    run: Run, ask: Ask, daemon: FakeDaemon
) -> None:
    shown = news(line(NewsReason.PUBLISHED), left=3, upto=12)
    daemon.on("GET", "/v1/news", shown)
    daemon.on("POST", "/v1/news/seen", Seen(3, NOW))
    result = run("news", "--limit", "1", "--all")
    assert "3 more lines next time" in result.stderr
    assert daemon.asked[0].parameters == [("limit", "1"), ("bundle", "0")]
    assert (daemon.asked[1].path, daemon.body()) == ("/v1/news/seen", {"upto": 12})
    assert ask("news") == to_json(shown)
    assert daemon.asked[-1].path == "/v1/news/seen"


def test_a_peek_leaves_them(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/news", news(line(NewsReason.PUBLISHED)))
    for arguments in (("--peek",), ("--peek", "--json")):
        assert run("news", *arguments).exit_code == 0
    assert {asked.path for asked in daemon.asked} == {"/v1/news"}


def test_without_news_one_reads_when_one_looked(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/news/seen", Seen(0, NOW))
    daemon.on("GET", "/v1/news", news(upto=0))
    result = run("news")
    assert (result.stdout, result.stderr, result.exit_code) == ("", "nothing new\n", 0)
    daemon.on("GET", "/v1/news", news(upto=0, looked=NOW - 3 * 3_600_000))
    assert run("news").stderr == "nothing new; you looked 3 h ago\n"


def test_followed_news_are_a_line_each_and_marked_as_they_come(run: Run, daemon: FakeDaemon) -> None:
    events = [
        {"event": "news", "news": to_json(one)}
        for one in (
            news(upto=0),
            news(line(NewsReason.QUESTION), upto=4),
            news(line(NewsReason.PUBLISHED), upto=9),
        )
    ]
    daemon.stream("GET", "/v1/news", *events)
    daemon.on("POST", "/v1/news/seen", Seen(0, NOW))
    result = run("news", "--follow")
    assert [row.split("  ")[1] for row in result.stdout.splitlines()] == [
        "Bea asks Boundary layers",
        "Bea published Boundary layers",
    ]
    assert result.exit_code == 1 and "pknd has stopped" in result.stderr
    assert [asked.body for asked in daemon.asked if asked.method == "POST"] == [{"upto": 4}, {"upto": 9}]
    rows = run("news", "--follow", "--peek", "--json").stdout.splitlines()
    assert [json.loads(row)["reason"] for row in rows] == ["question", "published"]
    assert daemon.asked[-1].method == "GET"


def test_status_counts_news(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/status", replace(STATUS, news=3))
    assert "3 items: pkn news" in run("status").stdout
    daemon.on("GET", "/v1/status", STATUS)
    assert "pkn news" not in run("status").stdout


MATCH = WatchMatch(**{name: getattr(ITEM, name) for name in ITEM.__dataclass_fields__}, confirmed=False)


@pytest.mark.parametrize("start", [("watch",), ("watch", "for")])
def test_watch_sends_words_exclusions_phrases_and_filters(
    start: tuple[str, ...], run: Run, daemon: FakeDaemon
) -> None:
    daemon.stream("POST", "/v1/watch", {"event": "watching"})
    run(*start, "layer", "-turbulent", '"wind tunnel"', "--tag", "a", "--author", "Bea", "--kind", "question")
    assert from_json(WatchRequest, daemon.body(), strict=True) == WatchRequest(
        'layer -turbulent "wind tunnel"', ("a",), "Bea", Kind.QUESTION
    )


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (("-turbulent", "layer"), "-turbulent layer"),
        (("listen",), "listen"),
        (("--", "list"), "list"),
        (("for", "list"), "list"),
        (("tag:physics",), "tag:physics"),
    ],
)
def test_whatever_is_no_subcommand_are_words(
    words: tuple[str, ...], query: str, run: Run, daemon: FakeDaemon
) -> None:
    daemon.stream("POST", "/v1/watch", {"event": "watching"})
    run("watch", *words)
    assert daemon.body()["query"] == query


def test_matches_are_printed_as_they_come(run: Run, daemon: FakeDaemon) -> None:
    own = replace(MATCH, trust=Trust.SELF, id=MATCH.id[:-1] + "a", confirmed=True)
    daemon.stream(
        "POST",
        "/v1/watch",
        {"event": "watching"},
        {"event": "match", "match": to_json(MATCH)},
        {"event": "missed", "missed": 3},
        {"event": "match", "match": to_json(own)},
    )
    result = run("watch", "layers")
    assert result.stdout.splitlines() == [
        "h2kq7xmv3a  ~Bea (claimed) published Boundary layers  (note, 3 d, phrase not confirmed)",
        "h2kq7xmv3a  you changed Boundary layers  (note, 3 d)",
    ]
    assert "watching" in result.stderr and "3 matches came too fast" in result.stderr
    assert result.exit_code == 1 and "pknd has stopped" in result.stderr
    rows = run("watch", "layers", "--json").stdout.splitlines()
    assert [json.loads(row) for row in rows] == [to_json(MATCH), to_json(own)]


@pytest.mark.parametrize("arguments", [(), ("--save", "x"), ("--json",)])
def test_without_words_and_filters_nothing_is_watched(
    arguments: tuple[str, ...], run: Run, daemon: FakeDaemon
) -> None:
    result = run("watch", *arguments)
    assert result.exit_code == 2 and "words to watch for" in result.stderr
    assert not daemon.asked


def test_a_mistyped_option_of_watch_is_not_taken_for_a_word(run: Run, daemon: FakeDaemon) -> None:
    result = run("watch", "layer", "--sav", "x")
    assert result.exit_code == 2 and "'--save'" in result.stderr


WATCH = Watch(
    name="lay\x1bers",
    query='"boundary layer" tag:physics',
    tags=("physics", "air"),
    author=BEA,
    author_name="Bea L",
    kind="note",
    since=NOW,
    made=NOW - 86_400_000,
    new=2,
)


def test_questions_are_saved_listed_and_removed(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("PUT", "/v1/watches/my layers", WATCH, 201)
    saved = run("watch", "layers", "--save", "my layers")
    assert saved.stdout == "lay\ufffders is saved; pkn news tells its matches\n"
    assert daemon.body()["query"] == "layers"
    daemon.on("GET", "/v1/watches", Watches((WATCH,)))
    row = run("watch", "list").stdout.splitlines()[1]
    assert row.startswith("lay\ufffders  ") and row.endswith("1 d ago")
    assert " tag:air author:'Bea L' kind:note since:" in row
    assert ask("watch", "list") == to_json(Watches((WATCH,)))
    daemon.on("DELETE", "/v1/watches/my layers", WATCH)
    assert '"boundary layer" tag:physics' in run("watch", "remove", "my layers").stdout
    daemon.on("GET", "/v1/watches", Watches(()))
    assert "no question is saved" in run("watch", "list").stderr


def test_ask_publishes_a_question_and_says_who_may_know(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    question = replace(PUBLISHED, kind="question", title="Why drag?")
    daemon.on("POST", "/v1/items", question, 201)

    def expert(author: str, name: str, trust: Trust, *, claimed: bool) -> Expert:
        return Expert(author, name, claimed, trust, 1, 1.0, 2, ())

    daemon.on(
        "POST",
        "/v1/who",
        Experts(
            "x",
            (
                expert(ADA, "Ada", Trust.SELF, claimed=False),
                expert(BEA, "Bea\x1b", Trust.TRUSTED, claimed=False),
                expert(BEA, "Cy", Trust.NONE, claimed=True),
            ),
        ),
    )
    result = run("ask", "Why", "does", '"drag" -fall?', "--tag", "air", "--to", "public")
    assert from_json(PublishRequest, daemon.asked[0].body, strict=True) == PublishRequest(
        text='Why does "drag" -fall?', tags=("air",), kind=Kind.QUESTION, audience="public"
    )
    assert daemon.body()["query"] == "Why does drag fall?"
    assert "Why drag?" in result.stdout and "question" in result.stdout
    assert "who may know: Bea\ufffd, ~Cy (claimed); if they trust you, it is in their news" in result.stderr
    assert ask("ask", "-", text="Why?\n\nReally.\n") == to_json(question)
    assert daemon.body()["text"] == "Why?\n\nReally.\n"


def test_a_question_that_nobody_can_be_named_for_is_asked_all_the_same(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/items", replace(PUBLISHED, kind="question"), 201)
    daemon.refuse("POST", "/v1/who", 400, "bad-query", "there is no word to look for")
    result = run("ask", "?")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_question_has_words(run: Run, daemon: FakeDaemon) -> None:
    assert run("ask", "  ").exit_code == 2
    assert run("ask", text="").exit_code == 1
    assert not daemon.asked


def test_on_a_terminal_each_line_of_news_fits(on_terminal: Terminal, daemon: FakeDaemon) -> None:
    long = replace(BY_BEA, title="Boundary layers and what comes of them " * 5)
    daemon.on("GET", "/v1/news", news(line(NewsReason.QUESTION, item=long), line(NewsReason.PUBLISHED)))
    daemon.on("POST", "/v1/news/seen", Seen(0, NOW))
    status, output = on_terminal("news", COLUMNS="70", NO_COLOR="1")
    rows = output.splitlines()
    assert (status, len(rows), len(rows[0])) == (0, 2, 70)
    assert "…" in rows[0] and rows[0].endswith("(note, 3 d)")

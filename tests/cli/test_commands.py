"""What each command asks the daemon, and what people and scripts get to read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pkn_protocol.control.codec import from_json, to_json
from pkn_protocol.control.items import (
    EditRequest,
    FetchSummary,
    History,
    PublishRequest,
    Retracted,
    TagCount,
    Tags,
    TextState,
    Version,
)
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.people import Announcement, Peers, People, Trust
from pkn_protocol.control.query import QueryRequest, QueryResult, Scope
from pkn_protocol.control.status import RecoveryWords, Setting, Settings, SettingSource
from pkn_protocol.control.summaries import ItemList, ItemSummary
from pkn_protocol.control.work import (
    BadThing,
    FailedFile,
    FileNote,
    GoneFile,
    ImportRequest,
    ImportSummary,
    LeftItem,
    Progress,
    VerifySummary,
)
from tests.cli.conftest import Run
from tests.cli.daemon import Answer, FakeDaemon
from tests.cli.shapes import (
    BEA,
    BEA_PERSON,
    DETAIL,
    DEVICE,
    HIT,
    IDENTITY,
    ITEM,
    NOW,
    PEER,
    PUBLISHED,
    STATUS,
)

Ask = Callable[..., Any]
SUMMARY = ItemSummary(
    **{
        name: getattr(HIT, name) for name in ItemSummary.__dataclass_fields__
    }  # the fields of a hit that lists have
)


def _result(*hits: Any, complete: bool = True) -> dict[str, Any]:
    return {"event": "final", "result": to_json(QueryResult("drag", complete, 3, 3, 2, 12.0, hits))}


def test_status_is_shown_with_the_reminder_of_the_words(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/status", STATUS)
    shown = run("status").stdout
    assert "12 items in 40 records by 3 people" in shown
    assert "192.168.1.5:7867" in shown and "up 2 h" in shown
    assert "pkn identity recovery-words" in shown
    assert ask("status") == to_json(STATUS)
    daemon.on("GET", "/v1/status", replace(STATUS, author_secret_on_disk=False))
    assert "recovery" not in run("status").stdout


@pytest.mark.parametrize("command", [("id",), ("identity",), ("identity", "show")])
def test_identity_shows_the_six_words(
    command: tuple[str, ...], run: Run, ask: Ask, daemon: FakeDaemon
) -> None:
    daemon.on("GET", "/v1/identity", IDENTITY)
    assert "one two three four five six" in run(*command).stdout
    assert ask(*command) == to_json(IDENTITY)


def test_recovery_words_are_shown_and_nothing_is_removed_unasked(run: Run, daemon: FakeDaemon) -> None:
    words = " ".join(f"word{n}" for n in range(1, 25))
    daemon.on("POST", "/v1/identity/recovery-words", RecoveryWords(words, False))
    result = run("identity", "recovery-words")
    assert " 1 word1 " in result.stdout and "24 word24" in result.stdout
    assert [asked.body for asked in daemon.asked] == [{"confirm": False}]
    assert "--confirm" in result.stderr


def test_recovery_words_are_removed_when_confirmed(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/identity/recovery-words", RecoveryWords(None, True))
    assert "no longer on this disk" in run("identity", "recovery-words", "--confirm").stdout
    assert [asked.body for asked in daemon.asked] == [{"confirm": True}]


def test_query_sends_words_exclusions_phrases_and_filters(run: Run, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result())
    arguments = ["layer", "-turbulent", '"wind tunnel"', "--tag", "a", "--tag=b/c", "-5", "--author", "Bea"]
    run("query", *arguments, "--kind", "note", "--limit", "3", "--everyone", "--explain", "--timeout", "0.5")
    assert from_json(QueryRequest, daemon.body(), strict=True) == QueryRequest(
        query='layer -turbulent "wind tunnel" -5',
        tags=("a", "b/c"),
        author="Bea",
        kind=Kind.NOTE,
        limit=3,
        scope=Scope.EVERYONE,
        explain=True,
        timeout_ms=500,
    )


@pytest.mark.parametrize("word", ["-turbulent", "-limit", "-tag", "-json", "-h", "-o"])
def test_a_word_with_a_hyphen_is_an_exclusion_whatever_its_letters(
    word: str, run: Run, daemon: FakeDaemon
) -> None:
    daemon.stream("POST", "/v1/query", _result())
    assert run("query", "layer", word).exit_code == 0
    assert daemon.body()["query"] == f"layer {word}"


def test_a_mistyped_option_of_query_is_not_taken_for_a_word(run: Run, daemon: FakeDaemon) -> None:
    result = run("query", "layer", "--lokal")
    assert result.exit_code == 2
    assert "'--local'" in result.stderr
    assert daemon.asked == []


@pytest.mark.parametrize(("since", "days"), [("7d", 7), ("2w", 14), ("12h", 0.5), ("1y", 365)])
def test_since_counts_back(since: str, days: float, run: Run, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result())
    run("query", "drag", "--since", since)
    assert abs(NOW - daemon.body()["since"] - days * 86_400_000) < 3_700_000


def test_a_time_back_that_cannot_be_read_names_those_that_can(run: Run, daemon: FakeDaemon) -> None:
    result = run("query", "drag", "--since", "20s")
    assert result.exit_code == 2
    assert "12h, 7d, 2w, 3m, 1y" in result.stderr


def test_an_exclusion_that_looks_like_an_option_is_told(run: Run, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result())
    result = run("query", "drag", "-l", "3")
    assert daemon.body()["query"] == "drag -l 3"
    assert "-l was taken for a word that must not occur; there is an option --limit" in result.stderr


def test_an_option_behind_the_words_is_not_suggested_in_its_own_place(run: Run, daemon: FakeDaemon) -> None:
    result = run("query", "--", "drag", "--limit")
    assert result.exit_code == 2
    assert "--limit must come before --" in result.stderr
    assert result.stderr.count("--limit") == 1


def test_a_long_title_does_not_widen_every_row(run: Run, daemon: FakeDaemon) -> None:
    long = replace(SUMMARY, title="word " * 60)
    daemon.on("GET", "/v1/items", ItemList((SUMMARY, long)))
    _, short, wide = run("list").stdout.splitlines()
    assert len(short) < 140
    assert "word " * 59 in wide
    daemon.on("POST", "/v1/items", replace(PUBLISHED, title="word " * 60))
    assert len(run("publish", "-", text="x").stdout) < 140


def test_since_takes_a_date(run: Run, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result())
    run("query", "drag", "--since", "2026-03-01T00:00:00+00:00")
    assert daemon.body()["since"] == 1_772_323_200_000


def test_hits_show_rank_reference_title_author_distance_age_tags_and_passage(
    run: Run, daemon: FakeDaemon
) -> None:
    mine = replace(HIT, title="Mine", trust=Trust.SELF, distance=0, passage=None, marks=(), excerpt="Short.")
    known = replace(HIT, author_name="Ann", author_claimed=False, trust=Trust.TRUSTED, distance=1)
    daemon.stream("POST", "/v1/query", _result(HIT, known, replace(mine, have_payload=False)))
    result = run("query", "boundary", "layer")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        " 1  h2kq7xmv3a  Boundary layers",
        "    ~Bea (claimed) · distance 2 · 3 d · #physics/fluids · #drag",
        "    The **boundary** **layer** turns turbulent.",
        "",
        " 2  h2kq7xmv3a  Boundary layers",
        "    Ann · distance 1 · 3 d · #physics/fluids · #drag",
        "    The **boundary** **layer** turns turbulent.",
        "",
        " 3  h2kq7xmv3a  Mine",
        "    you · 3 d · 1.2 kB, not on this machine · #physics/fluids · #drag",
        "    Short.",
    ]


def test_explain_shows_the_factors(run: Run, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result(replace(HIT, explain={"text": 6.5, "distance": 0.5})))
    assert "score 3.25: text 6.5, distance 0.5" in run("query", "drag", "--explain").stdout


def test_foreign_titles_names_and_tags_cannot_reach_the_terminal(run: Run, daemon: FakeDaemon) -> None:
    evil = "\x1b]0;owned\x07\u202e"
    hit = replace(HIT, title=evil, author_name=evil, tags=(evil,), passage=evil, marks=(), kind=evil)
    daemon.stream("POST", "/v1/query", _result(hit))
    shown = run("query", "drag").output
    assert "\x1b" not in shown and "\u202e" not in shown and "owned" in shown
    assert "\x1b" not in run("query", "drag", "--json").output


def test_the_last_result_counts(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    first = {"event": "snapshot", "result": to_json(QueryResult("drag", False, 3, 3, 0, 1.0, (HIT, HIT)))}
    daemon.stream("POST", "/v1/query", first, _result(HIT))
    assert ask("query", "drag") == _result(HIT)["result"]


def test_no_hit_is_no_error(run: Run, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result())
    result = run("query", "drag")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "nothing found for 'drag'; 2 of 3 peers answered\n"


def test_a_deadline_that_passed_is_told(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/query", _result(HIT, complete=False))
    result = run("query", "drag")
    assert result.exit_code == 0
    assert "not complete: 2 of 3 peers answered in time" in result.stderr
    assert ask("query", "drag")["complete"] is False


def test_a_query_that_breaks_off_is_an_error(run: Run, daemon: FakeDaemon) -> None:
    snapshot = {"event": "snapshot", "result": _result(HIT)["result"]}
    daemon.stream("POST", "/v1/query", snapshot, cut=True)
    assert (run("query", "drag").exit_code, run("query", "drag").stdout) == (1, "")
    daemon.stream(
        "POST", "/v1/query", snapshot, {"event": "error", "error": {"message": "full", "code": "x"}}
    )
    assert run("query", "drag").stderr == "pkn: full\n"


def test_list_sends_its_filters(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/items", ItemList(()))
    result = run(
        "list", "--tag", "a", "--tag", "b", "--author", "Ann Lee", "--kind", "page", "--mine", "--to", "x"
    )
    assert daemon.asked[-1].parameters == [
        *(("tag", "a"), ("tag", "b"), ("author", "Ann Lee"), ("kind", "page")),
        *(("audience", "x"), ("mine", "1"), ("limit", "50")),
    ]
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no such items\n")


def test_list_is_a_table_with_a_reference_first(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/items", ItemList((SUMMARY, replace(SUMMARY, title="1e5\x1b[2J")), "more"))
    result = run("list", "--limit", "2")
    head, first, second = result.stdout.splitlines()
    assert head.split() == ["item", "kind", "title", "author", "age", "size", "to", "tags"]
    assert first.startswith("h2kq7xmv3a  note") and "~Bea (claimed)" in first
    assert "1e5�[2J" in second
    assert "newest 2" in result.stderr
    assert [item["id"] for item in ask("list", "--limit", "2")["items"]] == [ITEM, ITEM]


def test_a_long_list_is_put_together_from_pages(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/items", ItemList((SUMMARY,) * 3, "next"))
    assert len(ask("list", "--limit", "6")["items"]) == 6
    assert [dict(asked.parameters) for asked in daemon.asked] == [
        {"limit": "6"},
        {"limit": "3", "cursor": "next"},
    ]


def test_tags_are_counted(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/tags", Tags((TagCount("physics/fluids", 12), TagCount("1e5", 1))))
    assert run("tags").stdout.split() == ["tag", "items", "physics/fluids", "12", "1e5", "1"]


def test_show_does_not_print_the_source_of_a_web_page(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/items/x", replace(DETAIL, media_type="text/html", text="<p>Thin</p>"))
    result = run("show", "x")
    assert "<p>" not in result.stdout
    assert "pkn get h2kq7xmv3a -o FILE.html" in result.stderr
    assert ask("show", "x")["text"] == "<p>Thin</p>"


def test_show_prints_fields_and_text(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    evil = replace(DETAIL, text="one\n\x1b[2Jtwo\u202e\n", title="T\nU")
    daemon.on("GET", "/v1/items/h2kq7xmv3a", evil)
    result = run("show", "h2kq7xmv3a", "--local", "--timeout", "2")
    assert result.stdout.startswith("T U\n")
    assert "~Bea (claimed), rJVnaZkeFz, distance 2" in result.stdout
    assert result.stdout.endswith("\n\none\n�[2Jtwo�\n")
    assert daemon.asked[-1].parameters == [("fetch", "0")]
    assert ask("show", "h2kq7xmv3a") == to_json(evil)


@pytest.mark.parametrize(
    ("state", "told"), [(TextState.UNREACHABLE, "nobody who is online has it"), (TextState.NONE, "pkn get")]
)
def test_show_says_why_there_is_no_text(state: TextState, told: str, run: Run, daemon: FakeDaemon) -> None:
    detail = replace(DETAIL, text=None, text_state=state)
    daemon.on("GET", "/v1/items/x", detail)
    daemon.on("GET", f"/v1/items/{detail.id}", detail)
    progress = {"event": "progress", "progress": to_json(Progress(3, 9, "T"))}
    summary = {"event": "summary", "summary": to_json(FetchSummary(False, 9, 3))}
    daemon.stream("POST", f"/v1/items/{detail.id}/fetch", progress, summary)
    result = run("show", "x", "--timeout", "2")
    assert result.exit_code == 0 and told in result.stderr
    asked = [one.parameters for one in daemon.asked if one.path.endswith("/fetch")]
    assert asked == ([[("timeout_ms", "2000")]] if state is TextState.UNREACHABLE else [])


def test_show_shows_the_summary_and_says_why_the_text_was_refused(run: Run, daemon: FakeDaemon) -> None:
    detail = replace(DETAIL, text=None, text_state=TextState.UNREACHABLE)
    for name in ("x", detail.id):
        daemon.on("GET", f"/v1/items/{name}", detail)
    error = {"event": "error", "error": {"code": "no-room", "message": "it has 9 GB", "hint": ""}}
    daemon.stream("POST", f"/v1/items/{detail.id}/fetch", error)
    result = run("show", "x")
    assert result.exit_code == 0 and "it has 9 GB" in result.stderr and detail.title in result.stdout


def test_get_writes_the_bytes_to_stdout(run: Run, daemon: FakeDaemon) -> None:
    data = bytes(range(256))
    daemon.answers["GET", "/v1/items/x/payload"] = Answer(body=data, media_type="image/png")
    result = run("get", "x")
    assert result.stdout_bytes == data


def test_get_writes_a_file_whole_or_not_at_all(
    run: Run, ask: Ask, daemon: FakeDaemon, tmp_path: Path
) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"before")
    target.chmod(0o640)
    route = ("GET", "/v1/items/x/payload")
    daemon.answers[route] = Answer(body=b"abc", media_type="image/png", length=1000)
    result = run("get", "x", "-o", str(target), "--force")
    assert result.exit_code == 1
    assert "after 3 of 1000 bytes" in result.stderr
    assert target.read_bytes() == b"before"
    daemon.answers[route] = Answer(body=b"abc", media_type="image/png")
    told = {"path": str(target), "size": 3, "media_type": "image/png"}
    assert ask("get", "x", "-o", str(target), "--force") == told
    assert target.read_bytes() == b"abc"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [target]


def test_get_writes_over_nothing_unasked(
    run: Run, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my notes").write_bytes(b"mine")
    daemon.answers["GET", "/v1/items/x/payload"] = Answer(body=b"abc")
    result = run("get", "x", "-o", "my notes")
    assert (result.exit_code, daemon.asked) == (1, [])
    assert "pkn get x -o 'my notes' --force" in result.stderr
    assert (tmp_path / "my notes").read_bytes() == b"mine"


def test_get_goes_through_a_link_and_into_a_device(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.answers["GET", "/v1/items/x/payload"] = Answer(body=b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert run("get", "x", "-o", str(tmp_path / "link")).exit_code == 0
    assert (tmp_path / "target").read_bytes() == b"abc" and (tmp_path / "link").is_symlink()
    assert run("get", "x", "-o", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("target", [".", "nowhere/out"])
def test_get_to_a_place_that_is_none_is_refused(
    target: str, run: Run, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.answers["GET", "/v1/items/x/payload"] = Answer(body=b"abc")
    assert run("get", "x", "-o", target).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_history_marks_the_current_version(run: Run, daemon: FakeDaemon) -> None:
    versions = (
        Version(ITEM, NOW, BEA, "Bea", True, "New", 10, (), True),
        Version(ITEM, NOW, BEA, "Bea", True, "Old", 9, (), False),
    )
    daemon.on("GET", "/v1/items/x/history", History(ITEM, versions))
    _, new, old = run("history", "x").stdout.splitlines()
    assert new.startswith("h2kq7xmv3a ") and new.endswith("current")
    assert old.startswith("h2kq7xmv3a@1 ") and not old.endswith("current")


def test_show_of_an_earlier_version_says_which_is_the_current_one(run: Run, daemon: FakeDaemon) -> None:
    newer = ITEM.replace("h2kq7xmv3a", "zzkq7xmv3a")
    earlier = replace(DETAIL, heads=(newer,), versions=2, text=None, text_state=TextState.UNREACHABLE)
    daemon.on("GET", "/v1/items/x", earlier)
    daemon.on("GET", f"/v1/items/{ITEM}@1", replace(DETAIL, heads=(newer,), versions=2))
    result = run("show", "x")
    assert "this is an earlier one, the current one is zzkq7xmv3a" in result.stdout
    assert "Thin, and decisive." in result.stdout


def test_publish_a_file_by_its_absolute_path(
    run: Run, ask: Ask, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drag.md").write_text("# Drag")
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    result = run(
        "publish", "drag.md", "--title", "T", "--tag", "a", "--kind", "page", "--to", "public", "--lang", "de"
    )
    assert result.stdout == "h2kq7xmv3a  Drag  (note, 1.2 kB, to trusted: 3 people)\n"
    assert from_json(PublishRequest, daemon.body(), strict=True) == PublishRequest(
        path=str(tmp_path / "drag.md"), title="T", tags=("a",), kind=Kind.PAGE, audience="public", lang="de"
    )
    assert ask("publish", "drag.md") == to_json(PUBLISHED)


def test_publish_a_url_is_a_bookmark(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    run("add", "https://example.org/a?b=c#d")
    assert from_json(PublishRequest, daemon.body(), strict=True) == PublishRequest(
        url="https://example.org/a?b=c#d"
    )


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_publish_reads_standard_input(arguments: tuple[str, ...], run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    run("publish", *arguments, text="# Drag\n\nfalls")
    assert from_json(PublishRequest, daemon.body(), strict=True) == PublishRequest(text="# Drag\n\nfalls")


def test_publish_to_trusted_people_when_there_are_none_says_so(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/items", replace(PUBLISHED, readers=0, warnings=("the language was guessed",)), 201)
    told = run("publish", "-", text="x").stderr
    assert "you trust nobody yet" in told and "the language was guessed" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"", "nothing came"), (b"\xff\xfe", "not UTF-8"), (b"x" * (2**21 + 1), "save it as a file")],
)
def test_what_is_no_text_is_not_published(text: bytes, told: str, run: Run, daemon: FakeDaemon) -> None:
    result = run("publish", "-", text=text)
    assert result.exit_code == 1 and told in result.stderr
    assert daemon.asked == []


def test_publish_a_folder_counts_it_and_names_import(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    for name in ("a.md", "b/c.md", ".hidden", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    result = run("publish", str(tmp_path))
    assert result.exit_code == 1
    assert "2 files" in result.stderr and f"pkn import {tmp_path}" in result.stderr


def test_publish_tells_all_that_could_not_be_and_publishes_the_rest(
    run: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    (tmp_path / "here.md").write_text("x")
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    names = ("gone.md", "here.md", ".", "lost.md")
    result = run("publish", *(str(tmp_path / name) for name in names))
    assert result.exit_code == 1
    told = result.stderr.splitlines()
    assert [name in line for name, line in zip(("gone.md", "folder", "lost.md"), told, strict=False)] == [
        True
    ] * 3
    assert told[3:] == ["pkn: 3 of 4 not published, the others are"]
    assert [asked.body["path"] for asked in daemon.asked] == [str(tmp_path / "here.md")]


def test_publish_says_when_a_file_is_unchanged_or_has_a_next_version(
    run: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("x")
    daemon.on("POST", "/v1/items", replace(PUBLISHED, unchanged=True))
    assert run("publish", str(tmp_path / "a.md")).stdout.endswith("3 people, unchanged)\n")
    newer = ITEM.replace("h2kq7xmv3a", "zzkq7xmv3a")
    daemon.on("POST", "/v1/items", replace(PUBLISHED, id=newer))
    result = run("publish", str(tmp_path / "a.md"))
    assert result.stdout.startswith("zzkq7xmv3a ")
    assert "its next version: pkn history h2kq7xmv3a" in result.stderr


def test_publish_several_prints_one_json_document_a_line(
    run: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    (tmp_path / "a.md").write_text("x")
    lines = run("publish", str(tmp_path / "a.md"), "https://example.org", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [ITEM, ITEM]


def test_a_file_name_that_is_not_utf8_reaches_the_daemon(
    run: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    name = tmp_path / "a\udcff.md"
    name.write_text("x")
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    assert run("publish", str(name)).exit_code == 0
    assert daemon.body()["path"] == str(name)


def test_edit_sends_what_changes_and_nothing_else(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "new.md").write_text("x")
    daemon.on("PUT", "/v1/items/x", PUBLISHED)
    for arguments, expected in (
        ((str(tmp_path / "new.md"),), EditRequest(path=str(tmp_path / "new.md"))),
        (("-", "--title", "T"), EditRequest(text="typed", title="T")),
        (("--tag", "a", "--tag", "b"), EditRequest(tags=("a", "b"))),
        (("--no-tags",), EditRequest(tags=())),
        (("--lang", "fr"), EditRequest(lang="fr")),
    ):
        assert run("edit", "x", *arguments, text="typed").exit_code == 0
        assert from_json(EditRequest, daemon.body(), strict=True) == expected


def test_edit_opens_the_editor_with_the_text_as_it_is(
    run: Run, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "more" >> "$1"\n')
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    daemon.on("GET", "/v1/items/x", DETAIL)
    daemon.on("PUT", f"/v1/items/{ITEM}", PUBLISHED)
    assert run("edit", "x").exit_code == 0
    assert daemon.body()["text"] == f"{DETAIL.text}more\n"


def test_edit_without_a_change_changes_nothing(
    run: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "true")
    daemon.on("GET", "/v1/items/x", DETAIL)
    result = run("edit", "x")
    assert result.exit_code == 1 and "nothing was changed" in result.stderr


def test_edit_without_an_editor_says_what_to_give(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/items/x", DETAIL)
    assert run("edit", "x").exit_code == 2


def test_retract_without_a_terminal_needs_a_yes(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("DELETE", "/v1/items/x", Retracted(ITEM, ITEM, 2))
    refused = run("rm", "x")
    assert refused.exit_code == 2
    assert "pkn retract x --yes" in refused.stderr
    assert daemon.asked == []
    assert run("rm", "x", "--yes").stdout == "h2kq7xmv3a  retracted, 2 versions deleted here\n"
    assert ask("retract", "x", "--yes")["versions"] == 2


def _imported(**more: Any) -> dict[str, Any]:
    summary = ImportSummary(12, 3, (), {"trusted": 10, "public": 2})
    return {"event": "summary", "summary": to_json(replace(summary, **more))}


def test_import_says_how_many_went_to_whom(
    run: Run, ask: Ask, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    progress = {"event": "progress", "progress": {"done": 1, "total": None, "what": "a.md"}}
    daemon.stream("POST", "/v1/import", progress, _imported())
    result = run("import", "notes", "--to", "trusted")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "12 imported (2 to public, 10 to trusted), 3 unchanged, 0 failed\n"
    assert len(daemon.asked) == 1
    assert from_json(ImportRequest, daemon.body(), strict=True) == ImportRequest(
        (f"{tmp_path}/notes",), "trusted"
    )
    assert ask("import", "notes") == _imported()["summary"]


def test_import_lists_what_failed_and_ends_with_1(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    failed = (FailedFile("/n/a\x1b.md", "it is not UTF-8"), FailedFile("/n/pipe", "it is a pipe"))
    daemon.stream("POST", "/v1/import", _imported(failed=failed))
    result = run("import", str(tmp_path))
    assert result.exit_code == 1
    assert "/n/a�.md" in result.stdout and "it is a pipe" in result.stdout
    assert "2 files could not be imported" in result.stderr
    as_json = run("import", str(tmp_path), "--json")
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    assert len(json.loads(as_json.stdout)["failed"]) == 2


def test_import_says_what_stays_for_others_and_what_was_left_out(
    run: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    left = tuple(LeftItem(f"/n/{number}.md", ITEM, "public", "private") for number in range(12))
    skipped = (FileNote("/n/taken\x1b.md", "it was retracted"),)
    notes = (FileNote("/n/old.txt", "it is no UTF-8 text"),)
    daemon.stream("POST", "/v1/import", _imported(left=left, skipped=skipped, notes=notes))
    result = run("import", str(tmp_path), "--again")
    assert daemon.body()["again"] is True
    assert "3 unchanged, 1 skipped, 0 failed" in result.stdout
    assert (
        "/n/0.md goes to private, but what it was before stays public: pkn retract h2kq7xmv3a"
        in result.stderr
    )
    assert "and 2 more" in result.stderr and "pkn list --mine --to public" in result.stderr
    assert "/n/taken�.md: it was retracted" in result.stderr and "--again" in result.stderr
    assert "/n/old.txt: it is no UTF-8 text" in result.stderr


def test_import_names_the_files_that_are_gone(run: Run, ask: Ask, daemon: FakeDaemon, tmp_path: Path) -> None:
    gone = tuple(GoneFile(f"/n/{number}\x1b.md", ITEM) for number in range(12))
    daemon.stream("POST", "/v1/import", _imported(gone=gone))
    result = run("import", str(tmp_path))
    assert result.exit_code == 0 and "0 failed, 12 gone\n" in result.stdout
    assert "/n/0�.md is gone, and what came from it stays: pkn retract h2kq7xmv3a takes it" in result.stderr
    assert result.stderr.count("is gone") == 10 and "and 2 more" in result.stderr
    assert len(ask("import", str(tmp_path))["gone"]) == 12


def test_a_dry_run_writes_nothing(run: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.stream("POST", "/v1/import", _imported(dry_run=True))
    assert "12 to import" in run("import", str(tmp_path), "--dry-run").stdout
    assert [asked.body["dry_run"] for asked in daemon.asked] == [True]


def test_import_of_what_is_not_there_names_it(run: Run, daemon: FakeDaemon) -> None:
    result = run("import", "/nowhere/at/all")
    assert result.exit_code == 1 and "/nowhere/at/all" in result.stderr
    assert daemon.asked == []


def test_verify_counts_and_ends_with_0_when_all_is_good(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.stream("POST", "/v1/verify", {"event": "summary", "summary": to_json(VerifySummary(40, 12))})
    assert run("verify").stdout == "40 records and 12 contents checked\n"
    assert daemon.body() == {"item": None}
    assert ask("verify", "x")["bad"] == []
    assert daemon.body() == {"item": "x"}


def test_verify_lists_the_bad_ones_and_ends_with_1(run: Run, daemon: FakeDaemon) -> None:
    bad = (BadThing(ITEM, "Drag", "a byte was changed", "get it again"),)
    daemon.stream("POST", "/v1/verify", {"event": "summary", "summary": to_json(VerifySummary(40, 12, bad))})
    result = run("verify")
    assert result.exit_code == 1
    assert "h2kq7xmv3a" in result.stdout and "a byte was changed" in result.stdout
    assert result.stderr == "pkn: 1 bad thing found\n"
    as_json = run("verify", "--json")
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    assert json.loads(as_json.stdout)["bad"][0]["id"] == ITEM


def test_people_are_listed_by_what_one_types(run: Run, daemon: FakeDaemon) -> None:
    ann = replace(BEA_PERSON, petname="Ann Lee", trust=Trust.TRUSTED, distance=1, online=False, vouched=True)
    daemon.on("GET", "/v1/people", People((BEA_PERSON, ann)))
    _, bea, known = run("people").stdout.splitlines()
    assert bea.split()[:3] == ["rJVnaZkeFz", "~Bea", "(claimed)"]
    assert known.startswith("'Ann Lee'   Ann Lee ~Bea") and "trusted" in known and "by you" in known
    daemon.on("GET", "/v1/people/Ann Lee/x", ann)
    assert "six words that they read out" in run("people", "Ann Lee/x").stdout


def test_trust_asks_for_the_person_first_and_trusts_that_key(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/people/rJVnaZkeFz", BEA_PERSON)
    trusted = replace(BEA_PERSON, trust=Trust.TRUSTED, distance=1, petname="bea")
    daemon.on("POST", f"/v1/people/{BEA}/trust", trusted)
    assert run("trust", "rJVnaZkeFz", "bea").exit_code == 0
    assert daemon.body() == {"petname": "bea"}
    assert ask("trust", "rJVnaZkeFz", "bea", "--yes") == to_json(trusted)


def test_trust_without_a_petname_says_how_to_give_one(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/people/rJVnaZkeFz", BEA_PERSON)
    daemon.on("POST", f"/v1/people/{BEA}/trust", replace(BEA_PERSON, trust=Trust.TRUSTED))
    assert "pkn trust rJVnaZkeFz NAME" in run("trust", "rJVnaZkeFz").stderr


@pytest.mark.parametrize(
    ("arguments", "act", "body"),
    [
        (("untrust", "bea"), "untrust", None),
        (("block", "bea"), "block", None),
        (("unblock", "bea"), "unblock", None),
        (("vouch", "bea"), "vouch", {"withdraw": False}),
        (("vouch", "bea", "--withdraw"), "vouch", {"withdraw": True}),
    ],
)
def test_acts_on_people(
    arguments: tuple[str, ...], act: str, body: Any, run: Run, ask: Ask, daemon: FakeDaemon
) -> None:
    daemon.on("POST", f"/v1/people/bea/{act}", BEA_PERSON)
    assert "~Bea (claimed)" in run(*arguments).stdout
    assert daemon.body() == body
    assert ask(*arguments) == to_json(BEA_PERSON)


def test_who_vouches_no_longer_is_told_and_how_to_vouch_again(run: Run, daemon: FakeDaemon) -> None:
    after = replace(BEA_PERSON, petname="bea", vouch_withdrawn=True)
    daemon.on("POST", "/v1/people/bea/untrust", after)
    told = run("untrust", "bea").stderr
    assert "you no longer vouch for them" in told
    assert "to undo it: pkn trust bea, then pkn vouch bea\n" in told
    daemon.on("POST", "/v1/people/bea/block", after)
    undo = "to undo it: pkn unblock bea, then pkn trust bea, then pkn vouch bea\n"
    assert undo in run("block", "bea").stderr


def test_peers_are_a_table(run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    peers = Peers((PEER,), ("0.0.0.0:7867",), Announcement.SEEN)
    daemon.on("GET", "/v1/peers", peers)
    _, line = run("peers").stdout.splitlines()
    assert line.split() == [
        *("3f3f3f3f3f3f", "~Bea", "(claimed)", "rJVnaZkeFz", "stranger", "online", "1.2", "ms", "4", "mdns")
    ]
    assert ask("peers") == to_json(peers)
    daemon.on("GET", "/v1/peers/3f3f3f3f", PEER)
    assert DEVICE in run("peers", "3f3f3f3f").stdout


@pytest.mark.parametrize(
    ("announcement", "told"),
    [
        (Announcement.OFF, "pkn config set mdns true"),
        (Announcement.SEEN, "it came back"),
        (Announcement.NOT_SEEN, "may block multicast"),
        (Announcement.WAITING, "not known yet"),
    ],
)
def test_without_peers_one_reads_what_to_try(
    announcement: Announcement, told: str, run: Run, daemon: FakeDaemon
) -> None:
    daemon.on("GET", "/v1/peers", Peers((), ("192.168.1.5:7867",), announcement))
    shown = run("peers").stdout
    assert "No peers yet" in shown and "192.168.1.5:7867" in shown
    assert told in shown and "pkn connect" in shown


def test_connect_sends_address_and_id(run: Run, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/peers/connect", PEER)
    assert DEVICE in run("connect", "192.168.1.6", BEA).stdout
    assert daemon.body() == {"address": "192.168.1.6", "id": BEA}


SETTING = Setting("mdns", "false", "true", SettingSource.FILE, "Announce this daemon.", True)


@pytest.mark.parametrize("arguments", [("config",), ("config", "list")])
def test_config_lists(arguments: tuple[str, ...], run: Run, ask: Ask, daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/config", Settings((SETTING,)))
    assert run(*arguments).stdout.splitlines()[1].split()[:3] == ["mdns", "false", "file"]
    assert ask(*arguments)["settings"][0]["key"] == "mdns"


def test_config_gets_sets_and_unsets(run: Run, daemon: FakeDaemon) -> None:
    for method in ("GET", "PUT", "DELETE"):
        daemon.on(method, "/v1/config/mdns", SETTING)
    assert run("config", "get", "mdns").stdout == "false\n"
    result = run("config", "set", "mdns", "false")
    assert daemon.body() == {"value": "false"}
    assert result.stdout == "mdns = false\n" and "next start" in result.stderr
    assert run("config", "unset", "mdns").exit_code == 0
    assert daemon.asked[-1].method == "DELETE"


def test_log_prints_a_line_an_event(run: Run, daemon: FakeDaemon) -> None:
    entries = [{"line": f"event=e{n} a=\x1b", "event": f"e{n}"} for n in range(2)]
    daemon.stream("GET", "/v1/log", *entries)
    assert run("log", "-n", "2").stdout == "event=e0 a=�\nevent=e1 a=�\n"
    assert daemon.asked[-1].parameters == [("lines", "2")]
    lines = run("logs", "--follow", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["e0", "e1"]
    assert ("follow", "1") in daemon.asked[-1].parameters


def test_log_without_a_daemon_names_the_file(run: Run, home: Path) -> None:
    result = run("log")
    assert result.exit_code == 3
    assert str(home / "pknd.log") in result.stderr

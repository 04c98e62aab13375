"""On a terminal: questions, colours, progress, the pager. A process on a pseudo-terminal each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pkn_protocol.control.codec import to_json
from pkn_protocol.control.items import Retracted
from pkn_protocol.control.people import Trust
from pkn_protocol.control.query import QueryResult
from pkn_protocol.control.status import RecoveryWords
from pkn_protocol.control.work import ImportSummary
from tests.cli.conftest import Terminal
from tests.cli.daemon import Answer, FakeDaemon
from tests.cli.shapes import BEA, BEA_PERSON, DETAIL, HIT, ITEM, PUBLISHED


def test_trust_shows_name_and_words_and_asks(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    daemon.on("GET", "/v1/people/bea", BEA_PERSON)
    daemon.on("POST", f"/v1/people/{BEA}/trust", replace(BEA_PERSON, trust=Trust.TRUSTED))
    status, shown = on_terminal("trust", "bea", typed="n\n")
    assert status == 1 and "nobody was trusted" in shown
    assert "~Bea (claimed)" in shown and "six words that they read out" in shown
    assert [asked.method for asked in daemon.asked] == ["GET"]
    assert on_terminal("trust", "bea", typed="y\n")[0] == 0
    assert daemon.asked[-1].method == "POST"


def test_yes_skips_the_question(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    daemon.on("GET", "/v1/people/bea", BEA_PERSON)
    daemon.on("POST", f"/v1/people/{BEA}/trust", replace(BEA_PERSON, trust=Trust.TRUSTED))
    status, shown = on_terminal("trust", "bea", "--yes")
    assert status == 0 and "?" not in shown


def test_block_says_whom_it_concerns_and_asks(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    daemon.on("GET", "/v1/people/bea", BEA_PERSON)
    daemon.on("POST", f"/v1/people/{BEA}/block", replace(BEA_PERSON, trust=Trust.BLOCKED))
    status, shown = on_terminal("block", "bea", typed="n\n")
    assert status == 1 and "nobody was blocked" in shown
    assert "~Bea (claimed)" in shown and "delete" in shown
    assert [asked.method for asked in daemon.asked] == ["GET"]
    assert on_terminal("block", "bea", typed="y\n")[0] == 0
    assert daemon.asked[-1].path == f"/v1/people/{BEA}/block"
    daemon.on("POST", "/v1/people/bea/block", replace(BEA_PERSON, trust=Trust.BLOCKED))
    daemon.asked.clear()
    assert on_terminal("block", "bea", "--yes")[0] == 0
    assert [asked.method for asked in daemon.asked] == ["POST"]


def test_retract_names_the_item_and_asks(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    daemon.on("GET", "/v1/items/x", DETAIL)
    daemon.on("DELETE", f"/v1/items/{ITEM}", Retracted(ITEM, ITEM, 1))
    status, shown = on_terminal("retract", "x", typed="n\n")
    assert status == 1 and "Boundary layers" in shown and "nothing was retracted" in shown
    assert on_terminal("retract", "x", typed="y\n")[0] == 0


def test_import_counts_first_and_asks_once(daemon: FakeDaemon, on_terminal: Terminal, tmp_path: Path) -> None:
    summary = ImportSummary(12, 3, (), {"trusted": 12})
    daemon.stream("POST", "/v1/import", {"event": "summary", "summary": to_json(summary)})
    status, shown = on_terminal("import", str(tmp_path), typed="n\n")
    assert status == 1 and "12 files: 12 to trusted; 3 unchanged" in shown
    assert [asked.body["dry_run"] for asked in daemon.asked] == [True]
    assert on_terminal("import", str(tmp_path), typed="y\n")[0] == 0
    assert [asked.body["dry_run"] for asked in daemon.asked] == [True, True, False]


def test_the_secret_leaves_the_disk_only_after_a_yes(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    daemon.on("POST", "/v1/identity/recovery-words", RecoveryWords("alpha beta", False))
    status, shown = on_terminal("identity", "recovery-words", typed="\n")
    assert status == 1 and "alpha" in shown and "stays on this disk" in shown
    assert on_terminal("identity", "recovery-words", typed="y\n")[0] == 0
    assert [asked.body["confirm"] for asked in daemon.asked] == [False, False, True]


def test_matched_words_are_bold_on_a_terminal(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    result = to_json(QueryResult("drag", True, 1, 1, 1, 2.5, (HIT,)))
    daemon.stream("POST", "/v1/query", {"event": "final", "result": result})
    shown = on_terminal("query", "boundary")[1]
    assert "\x1b[1mboundary\x1b[0m" in shown and "**" not in shown


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(
    environment: dict[str, str], daemon: FakeDaemon, on_terminal: Terminal
) -> None:
    result = to_json(QueryResult("drag", True, 1, 1, 1, 2.5, (HIT,)))
    daemon.stream("POST", "/v1/query", {"event": "final", "result": result})
    shown = on_terminal("query", "boundary", **environment)[1]
    assert "\x1b[" not in shown and "**boundary**" in shown


def test_a_long_table_keeps_to_the_width_of_the_terminal(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    summary = {
        name: value for name, value in to_json(HIT).items() if name not in ("passage", "marks", "score")
    }
    daemon.on("GET", "/v1/items", {"items": [{**summary, "title": "北京 long " * 40}], "cursor": None})
    shown = on_terminal("list", COLUMNS="120", NO_COLOR="1")[1]
    assert "…" in shown
    assert all(len(line) <= 120 for line in shown.splitlines())


def test_get_does_not_spoil_a_terminal(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    route = ("GET", "/v1/items/x/payload")
    daemon.answers[route] = Answer(body=b"\x89PNG\x1b[2J", media_type="image/png")
    status, shown = on_terminal("get", "x")
    assert status == 1 and "PNG" not in shown and "-o FILE" in shown
    daemon.answers[route] = Answer(body="naïve\x1b[2J".encode(), media_type="text/plain")
    status, shown = on_terminal("get", "x")
    assert status == 0 and "naïve�[2J" in shown


def test_get_asks_before_it_writes_over_a_file(
    daemon: FakeDaemon, on_terminal: Terminal, tmp_path: Path
) -> None:
    target = tmp_path / "notes.md"
    target.write_text("mine")
    daemon.answers["GET", "/v1/items/x/payload"] = Answer(body=b"theirs")
    status, shown = on_terminal("get", "x", "-o", str(target), typed="n\n")
    assert status == 1 and "is as it was" in shown and target.read_text() == "mine"
    assert on_terminal("get", "x", "-o", str(target), typed="y\n")[0] == 0
    assert target.read_text() == "theirs"


def test_a_long_text_opens_in_the_pager(daemon: FakeDaemon, on_terminal: Terminal, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho PAGED; cat\n")
    pager.chmod(0o700)
    daemon.on("GET", "/v1/items/x", replace(DETAIL, text="line\n" * 200))
    assert "PAGED" in on_terminal("show", "x", PAGER=str(pager))[1]
    daemon.on("GET", "/v1/items/x", DETAIL)
    assert "PAGED" not in on_terminal("show", "x", PAGER=str(pager), LINES="50")[1]


def test_publish_opens_the_editor(daemon: FakeDaemon, on_terminal: Terminal, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "# Drag" > "$1"\n')
    editor.chmod(0o700)
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    status, shown = on_terminal("publish", VISUAL=str(editor))
    assert status == 0, shown
    assert daemon.body()["text"] == "# Drag\n"
    assert "h2kq7xmv3a" in shown


def test_an_editor_that_saved_nothing_publishes_nothing(daemon: FakeDaemon, on_terminal: Terminal) -> None:
    status, shown = on_terminal("publish", VISUAL="true")
    assert status == 1 and "nothing was changed" in shown
    assert daemon.asked == []


def test_what_takes_longer_shows_progress_and_takes_it_away(
    daemon: FakeDaemon, on_terminal: Terminal
) -> None:
    daemon.on("POST", "/v1/items", PUBLISHED, 201)
    daemon.delays["POST", "/v1/items"] = 0.9
    status, shown = on_terminal("publish", "https://example.org", NO_COLOR="1")
    assert status == 0
    assert "\r\x1b[Kpublishing\r\x1b[K" in shown

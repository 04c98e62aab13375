"""One event a line, whatever is in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.control.status import LogLevel
from pknd import log
from pknd.log import LogFormat

HOSTILE = 'a\nlevel=error event=fake \x1b[31m\u202e"\\ =\u2028\x00\x85'


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    yield
    log.configure(LogLevel.INFO)


def logged(form: LogFormat = LogFormat.LOGFMT, level: LogLevel = LogLevel.INFO) -> io.StringIO:
    out = io.StringIO()
    log.configure(level, form, stream=out)
    return out


def test_an_event_is_a_line_of_keys_and_values() -> None:
    out = logged()
    log.event(
        "peer.connected", device=b"\x01\x02", rtt_ms=3.25, known=True, petname=None, name="Ada Lovelace"
    )
    pattern = (
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info event=peer.connected "
        r'device=0102 rtt_ms=3.25 known=true petname=none name="Ada Lovelace"\n'
    )
    assert re.fullmatch(pattern, out.getvalue())


@given(st.text(max_size=60) | st.just(HOSTILE))
def test_foreign_text_makes_neither_lines_nor_keys_nor_control_sequences(text: str) -> None:
    out = logged()
    log.event("test.event", who=text, after=1)
    line = out.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert len(line.splitlines()) == 1
    words = shlex.split(line)
    assert [word.partition("=")[0] for word in words] == ["time", "level", "event", "who", "after"]


def test_a_field_cannot_pass_for_the_head_of_the_line() -> None:
    out = logged()
    log.event("test.event", time="yesterday", event="fake")
    assert out.getvalue().count(" event=") == 1
    assert "time_=yesterday event_=fake" in out.getvalue()


def test_a_long_value_is_cut() -> None:
    out = logged()
    log.event("test.event", name="x" * 100_000)
    assert len(out.getvalue()) < 1_000


def test_json_lines_are_json() -> None:
    out = logged(LogFormat.JSON)
    log.event("test.event", who=HOSTILE)
    assert out.getvalue().count("\n") == 1
    line = json.loads(out.getvalue())
    assert (line["level"], line["event"], line["who"]) == ("info", "test.event", HOSTILE)


def broken() -> Exception:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        return error


def test_an_exception_is_one_line_without_a_traceback_above_debug() -> None:
    out = logged()
    identifier = log.failure("test.failed", broken())
    (line,) = out.getvalue().splitlines()
    assert f'error_id={identifier} error="ValueError: two\\nlines"' in line
    assert "broken" not in line


def test_the_traceback_is_one_line_at_debug() -> None:
    out = logged(level=LogLevel.DEBUG)
    identifier = log.failure("test.failed", broken())
    line, trace = out.getvalue().splitlines()
    assert identifier in line
    assert identifier in trace
    assert "in broken" in trace


def test_libraries_take_the_same_form() -> None:
    out = logged()
    try:
        raise OSError("no\nroute")
    except OSError:
        logging.getLogger("zeroconf").exception("Failed: %s", "x\ny")
    logging.getLogger("zeroconf").info("not heard")
    (line,) = out.getvalue().splitlines()
    assert (
        'level=error event=library logger=zeroconf message="Failed: x\\ny" error="OSError: no\\nroute"'
        in line
    )


def test_levels_below_the_chosen_one_are_left_out_and_it_can_change() -> None:
    out = logged(level=LogLevel.WARNING)
    log.event("test.first")
    log.set_level(LogLevel.DEBUG)
    log.event("test.second", LogLevel.DEBUG)
    assert "test.first" not in out.getvalue()
    assert "test.second" in out.getvalue()


def test_the_file_is_private_and_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FILE_BYTES", 2_000)
    path = tmp_path / "pknd.log"
    log.configure(LogLevel.INFO, file=path)
    for number in range(200):
        log.event("test.event", number=number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["pknd.log", "pknd.log.1", "pknd.log.2", "pknd.log.3"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert "number=199" in path.read_text()


def test_a_log_that_cannot_be_written_harms_nobody() -> None:
    out = io.StringIO()
    log.configure(LogLevel.INFO, stream=out)
    out.close()
    log.event("test.event")


async def test_followers_get_each_new_event_from_any_thread() -> None:
    logged()
    log.event("test.past")
    async with aclosing(log.LogHistory().entries(lines=1, follow=True)) as entries:
        assert (await anext(entries)).event == "test.past"
        await asyncio.to_thread(log.event, "test.thread")
        assert (await asyncio.wait_for(anext(entries), 5)).event == "test.thread"


async def test_a_follower_that_does_not_read_costs_a_bounded_memory() -> None:
    logged()
    async with aclosing(log.LogHistory().entries(lines=1, follow=True)) as entries:
        log.event("test.past")
        await anext(entries)
        for number in range(log.HISTORY_EVENTS * 2):
            log.event("test.many", number=number)
        await asyncio.sleep(0)
        got = [await anext(entries) for _ in range(log.HISTORY_EVENTS)]
    assert got[0].fields == {"number": "0"}

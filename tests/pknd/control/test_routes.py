"""What a client of the control API gets: replies, streams and errors."""

from __future__ import annotations

import asyncio
import json
import socket
from http.client import HTTPConnection
from typing import Any

import aiohttp
import pytest

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.news import WatchRequest
from pkn_protocol.control.status import LogLevel
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.control.work import ImportRequest
from pknd import log
from pknd.control.requests import BODY_BYTES, TEXT_BODY_BYTES
from pknd.errors import DomainError
from tests.pknd.control.conftest import Server


async def test_status_has_the_documented_keys(server: Server) -> None:
    status, body = await server.call("GET", "/v1/status")
    assert status == 200
    documented = {
        *("id", "name", "device", "home", "version", "uptime_s"),
        *("records", "items", "authors", "peers_online", "listen"),
    }
    assert documented <= set(body)


async def test_a_request_reaches_its_service_as_a_shape(server: Server) -> None:
    status, body = await server.call("POST", "/v1/items", json={"text": "x", "title": "T", "kind": "page"})
    assert (status, body["title"]) == (201, "T")
    assert server.script.asked == [PublishRequest(text="x", title="T", kind=Kind.PAGE)]


async def test_parameters_become_a_filter(server: Server) -> None:
    await server.call("GET", "/v1/items?tag=a/b&tag=c&kind=note&since=5&mine=1&limit=7")
    assert server.script.asked == [ListFilter(("a/b", "c"), None, Kind.NOTE, 5, None, True, 7)]


async def test_a_petname_with_a_slash_and_spaces_is_one_reference(server: Server) -> None:
    status, _ = await server.call("POST", "/v1/people/Ada%20%2F%20work/trust", json={"petname": "Ä"})
    assert status == 200
    assert server.script.asked == [("Ada / work", "Ä")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/nothing", None, 404, "no-such-route"),
        ("PATCH", "/v1/items", None, 405, "wrong-method"),
        ("POST", "/v1/items", b"{", 400, "bad-request"),
        ("POST", "/v1/items", b"[]", 400, "bad-request"),
        ("POST", "/v1/items", b"\xff", 400, "bad-request"),
        ("POST", "/v1/items", b"[" * 5_000, 400, "bad-request"),
        ("POST", "/v1/items", b'{"text": "x", "dated": NaN}', 400, "bad-request"),
        ("POST", "/v1/items", b'{"text": "x", "dated": true}', 400, "bad-request"),
        ("POST", "/v1/items", b'{"text": "x", "titel": "T"}', 400, "bad-request"),
        ("POST", "/v1/items", b'{"text": "x", "kind": "poem"}', 400, "bad-request"),
        ("POST", "/v1/items", b"", 400, "bad-request"),
        ("POST", "/v1/items", b'{"path": "notes/a.md"}', 400, "bad-request"),
        ("POST", "/v1/items", b'{"path": "/a", "text": "x"}', 400, "bad-request"),
        ("POST", "/v1/import", b'{"paths": []}', 400, "bad-request"),
        ("POST", "/v1/query", b'{"query": "x", "limit": 0}', 400, "bad-request"),
        ("GET", "/v1/news?limit=1001", None, 400, "bad-request"),
        ("GET", "/v1/news?bundle=yes", None, 400, "bad-request"),
        ("POST", "/v1/news/seen", b'{"upto": -1}', 400, "bad-request"),
        ("POST", "/v1/news/seen", b"{}", 400, "bad-request"),
        ("POST", "/v1/watch", b'{"words": "x"}', 400, "bad-request"),
        ("PUT", "/v1/watches/%0a", b'{"query": "x"}', 400, "bad-reference"),
        ("GET", "/v1/items?limit=0", None, 400, "bad-request"),
        ("GET", "/v1/items?limit=1&limit=2", None, 400, "bad-request"),
        ("GET", "/v1/items?kin=note", None, 400, "bad-request"),
        ("GET", "/v1/items?kind=poem", None, 400, "bad-request"),
        ("GET", "/v1/items/%0a/payload", None, 400, "bad-reference"),
        ("GET", "/v1/config/mdsn", None, 404, "no-such-setting"),
        ("PUT", "/v1/config/mdns", b'{"value": "perhaps"}', 400, "bad-value"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(
    server: Server, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    got, answer = await server.call(method, path, data=body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert set(answer["error"]) == {"code", "message", "hint", "candidates"}
    assert answer["error"]["message"].isprintable()
    assert not server.script.asked


async def test_a_mistyped_key_is_named(server: Server) -> None:
    _, answer = await server.call("POST", "/v1/items", json={"text": "x", "titel": "T"})
    assert "'titel'" in answer["error"]["message"]


@pytest.mark.parametrize(("path", "most"), [("/v1/items", TEXT_BODY_BYTES), ("/v1/query", BODY_BYTES)])
async def test_an_oversized_body_is_refused_and_the_server_goes_on(
    server: Server, path: str, most: int
) -> None:
    def post() -> tuple[int, Any]:
        # As pkn does it: the whole body is sent before anything is read.
        connection = HTTPConnection("pkn", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(server.home.socket))
        try:
            connection.request("POST", path, body=b" " * (most + 1))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    status, answer = await asyncio.to_thread(post)
    assert (status, answer["error"]["code"]) == (413, "too-large")
    assert (await server.call("GET", "/v1/status"))[0] == 200


async def test_a_domain_error_is_told_as_it_is(server: Server) -> None:
    server.script.raises = DomainError("no-room", "2 of 3 GiB", "raise max_disk")
    status, answer = await server.call("POST", "/v1/items", json={"text": "x"})
    assert status == 507
    assert answer["error"] == {
        "code": "no-room", "message": "2 of 3 GiB", "hint": "raise max_disk", "candidates": [],
    }  # fmt: skip


async def test_a_fault_is_logged_under_the_id_that_the_client_is_told(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(LogLevel.INFO)
    server.script.raises = RuntimeError("secret\ninside")
    status, answer = await server.call("POST", "/v1/items", json={"text": "x"})
    assert status == 500
    assert "secret" not in json.dumps(answer)
    identifier = answer["error"]["message"].split("error ")[1].rstrip(")")
    (line,) = capsys.readouterr().err.splitlines()
    assert f"error_id={identifier}" in line
    assert 'error="RuntimeError: secret\\ninside"' in line
    assert "Traceback" not in line


async def lines(answer: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    return [json.loads(line) async for line in answer.content]


async def test_an_import_tells_its_progress_and_its_sum(server: Server) -> None:
    async with server.client.post("http://pkn/v1/import", json={"paths": ["/a"]}) as answer:
        assert answer.content_type == "application/x-ndjson"
        got = await lines(answer)
    assert server.script.asked == [ImportRequest(("/a",))]
    assert [line["event"] for line in got] == ["progress"] * 3 + ["summary"]
    assert got[0]["progress"]["what"] == "a\udcff.md"
    assert got[-1]["summary"]["by_audience"] == {"trusted": 3}


async def test_a_query_answers_from_the_disk_before_peers_have(server: Server) -> None:
    server.script.held = asyncio.Event()
    async with server.client.post("http://pkn/v1/query", json={"query": "drag -car"}) as answer:
        first = json.loads(await answer.content.readline())
        assert (first["event"], first["result"]["complete"]) == ("snapshot", False)
        server.script.held.set()
        rest = await lines(answer)
    assert [(line["event"], line["result"]["complete"]) for line in rest] == [("final", True)]


async def test_what_fails_before_the_first_line_is_an_ordinary_error(server: Server) -> None:
    server.script.raises = DomainError("bad-query", "no words")
    assert (await server.call("POST", "/v1/query", json={"query": ""}))[0] == 400


async def test_what_fails_on_the_way_is_the_last_line(server: Server) -> None:
    server.script.raises, server.script.raises_after = DomainError("no-room", "full"), 2
    async with server.client.post("http://pkn/v1/import", json={"paths": ["/a"]}) as answer:
        got = await lines(answer)
    assert [line["event"] for line in got] == ["progress", "progress", "error"]
    assert got[-1]["error"]["code"] == "no-room"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/query", {"query": "x"}),
        ("/v1/import", {"paths": ["/a"]}),
        ("/v1/peers/connect", {"address": "h:1"}),
    ],
)
async def test_a_client_that_goes_away_ends_the_work(server: Server, path: str, body: object) -> None:
    server.script.held = asyncio.Event()
    asking = asyncio.create_task(server.call("POST", path, json=body))
    await asyncio.wait_for(server.script.begun.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(server.script.ended.wait(), 5)
    assert not server.script.finished.is_set()


async def test_a_client_that_goes_away_does_not_halve_an_act(server: Server) -> None:
    server.script.held = asyncio.Event()
    asking = asyncio.create_task(server.call("POST", "/v1/items", json={"text": "x"}))
    await asyncio.wait_for(server.script.begun.wait(), 5)
    asking.cancel()
    await asyncio.wait((asking,))
    # A second connection's answer comes after the server has seen the first one's end.
    await server.call("GET", "/v1/status")
    server.script.held.set()
    await asyncio.wait_for(server.script.finished.wait(), 5)


async def test_content_comes_as_bytes_with_its_type_and_a_harmless_name(server: Server) -> None:
    async with server.client.get("http://pkn/v1/items/bafyreiabcdefgh/payload") as answer:
        assert await answer.read() == b"abcde"
        assert answer.headers["Content-Type"] == "text/plain"
        assert answer.headers["Content-Length"] == "5"
        assert "\n" not in answer.headers["Content-Disposition"]
        assert answer.headers["Content-Disposition"].endswith("na%C3%AFve%0D%0A.txt")


async def test_a_media_type_that_is_none_cannot_reach_a_header(server: Server) -> None:
    server.script.media_type = "text/html\r\nX-Evil: 1"
    async with server.client.get("http://pkn/v1/items/x/payload") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("size", [4, 6])
async def test_content_of_another_length_than_announced_is_cut_off(server: Server, size: int) -> None:
    server.script.content_size = size
    with pytest.raises(aiohttp.ClientError):
        async with server.client.get("http://pkn/v1/items/x/payload") as answer:
            await answer.read()


@pytest.mark.parametrize("error", [DomainError("unreachable", "gone"), RuntimeError("a fault")])
async def test_content_that_breaks_off_is_not_taken_for_whole(server: Server, error: Exception) -> None:
    server.script.raises, server.script.raises_after = error, 1
    with pytest.raises(aiohttp.ClientError):
        async with server.client.get("http://pkn/v1/items/x/payload") as answer:
            await answer.read()


async def test_the_log_shows_the_past_and_follows(server: Server) -> None:
    log.event("test.before", number=1)
    async with server.client.get("http://pkn/v1/log?lines=1&follow=1") as answer:
        first = json.loads(await answer.content.readline())
        log.event("test.after", who="a\nb")
        second = json.loads(await answer.content.readline())
    assert (first["event"], first["fields"]) == ("test.before", {"number": "1"})
    assert (second["event"], second["fields"]) == ("test.after", {"who": "a\nb"})
    assert second["line"].endswith('event=test.after who="a\\nb"')


async def test_a_setting_is_changed_shown_and_put_back(server: Server) -> None:
    _, before = await server.call("GET", "/v1/config/max_disk")
    _, changed = await server.call("PUT", "/v1/config/max_disk", json={"value": "10GiB"})
    _, after = await server.call("DELETE", "/v1/config/max_disk")
    assert (changed["value"], changed["source"]) == ("10 GiB", "file")
    assert before == after


async def test_shutdown_is_answered_and_passed_on(server: Server) -> None:
    assert (await server.call("POST", "/v1/shutdown"))[1]["stopping"] is True
    assert server.script.stopped.is_set()


async def test_news_are_asked_for_followed_and_marked(server: Server) -> None:
    await server.call("GET", "/v1/news")
    await server.call("GET", "/v1/news?limit=7&bundle=0")
    assert (await server.call("POST", "/v1/news/seen", json={"upto": 7}))[0] == 200
    assert server.script.asked == [("news", 100, True), ("news", 7, False), 7]
    async with server.client.get("http://pkn/v1/news?follow=1") as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert [(line["event"], line["news"]["upto"]) for line in lines] == [("news", 0), ("news", 9)]


async def test_who_follows_no_longer_is_not_told_on(server: Server) -> None:
    server.script.held = asyncio.Event()
    async with server.client.get("http://pkn/v1/news?follow=1") as answer:
        await answer.content.readline()
    async with asyncio.timeout(10):
        await server.script.ended.wait()


async def test_a_watch_begins_with_a_line_that_says_so(server: Server) -> None:
    async with server.client.post("http://pkn/v1/watch", json={"query": "drag", "tags": ["a"]}) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert lines == [{"event": "watching"}, {"event": "missed", "missed": 3}]
    assert server.script.asked == [WatchRequest("drag", ("a",))]
    server.script.raises = DomainError("bad-query", "there is no word to look for")
    assert (await server.call("POST", "/v1/watch", json={"query": "-drag"}))[0] == 400


async def test_a_name_of_a_saved_question_may_have_spaces(server: Server) -> None:
    status, body = await server.call("PUT", "/v1/watches/my%20layers%2F2", json={"query": "drag"})
    assert (status, body["name"]) == (201, "my layers/2")
    status, body = await server.call("DELETE", "/v1/watches/x")
    assert (status, body["error"]["code"]) == (404, "no-such-watch")

"""A daemon for tests of the command: real HTTP over a real Unix socket, answers as each test wants them."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pkn_protocol.control.codec import to_json
from pkn_protocol.control.socket_rules import socket_path


@dataclass(frozen=True)
class Asked:
    """One request; `path` is decoded, `body` parsed."""

    method: str
    path: str
    parameters: list[tuple[str, str]]
    body: Any


@dataclass(frozen=True)
class Answer:
    """`lines` make a stream; `cut` closes before it is complete."""

    status: int = 200
    body: bytes = b""
    lines: tuple[bytes, ...] | None = None
    media_type: str = "application/json"
    length: int | None = None
    cut: bool = False


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    daemon: FakeDaemon

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


@dataclass
class FakeDaemon:
    """Serves one home until `close`; what was asked is in `asked`."""

    home: Path
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    delays: dict[tuple[str, str], float] = field(default_factory=dict)
    """Seconds that an answer takes: tests of what is shown meanwhile."""
    otherwise: Answer | None = None
    """What any other request is answered with; None: that there is no such route."""

    def __post_init__(self) -> None:
        path = socket_path(os.path.realpath(self.home), os.geteuid())
        self._server = _Server(path, _Handler)
        self._server.daemon = self
        self._last: tuple[str, str] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def until(self, method: str, path: str) -> None:
        """Serve until this was asked and answered, then close: a whole daemon's life."""
        self._last = (method, path)
        self._over.wait()
        self.close()

    def answered(self, method: str, path: str) -> None:
        if (method, path) == self._last:
            self._over.set()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def on(self, method: str, path: str, reply: object, status: int = 200) -> None:
        """Answer with a shape, or a JSON value."""
        value = reply if isinstance(reply, dict | list) else to_json(reply)
        self.answers[method, path] = Answer(status, json.dumps(value).encode())

    def stream(self, method: str, path: str, *events: dict[str, Any], cut: bool = False) -> None:
        """Answer with lines of JSON."""
        lines = tuple(json.dumps(event).encode() + b"\n" for event in events)
        self.answers[method, path] = Answer(lines=lines, media_type="application/x-ndjson", cut=cut)

    def refuse(self, method: str, path: str, status: int, code: str, message: str, **more: Any) -> None:
        self.on(method, path, {"error": {"code": code, "message": message, "hint": "", **more}}, status)

    def body(self) -> Any:
        """The body of the last request."""
        return self.asked[-1].body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(size)
        path = unquote(url.path, errors="surrogateescape")
        body = json.loads(data) if data else None
        asked = Asked(self.command, path, parse_qsl(url.query), body)
        self.server.daemon.asked.append(asked)
        time.sleep(self.server.daemon.delays.get((self.command, path), 0))
        missing = {"error": {"code": "no-such-route", "message": f"no {self.command} {path}", "hint": ""}}
        otherwise = self.server.daemon.otherwise or Answer(404, json.dumps(missing).encode())
        self._send(self.server.daemon.answers.get((self.command, path), otherwise))
        self.server.daemon.answered(self.command, path)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        if answer.lines is None:
            length = len(answer.body) if answer.length is None else answer.length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer.body)
            if length != len(answer.body):
                self.close_connection = True
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in answer.lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if answer.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `asked` instead."""


for _method in ("POST", "PUT", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler.do_GET)

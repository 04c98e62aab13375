"""The way to the daemon: HTTP over its Unix socket (docs/control-api.md), checked at both ends."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pkn_cli.failures import Exit, Failure, NotRunning, Suggestion
from pkn_cli.home import control_socket
from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.socket_rules import UnsafeSocket, check_folder, check_peer

JsonObject = dict[str, Any]
Parameters = Sequence[tuple[str, str]]

# An answer of the daemon itself comes at once; this much is for a machine that is very busy.
ANSWER_SECONDS = 60.0
# Between two lines of a stream, or two pieces of a content: one large file is hashed, one slow peer awaited.
STREAM_SECONDS = 600.0
_CONNECT_SECONDS = 10.0
# A reply may carry a text of 16 MiB, and JSON may make six characters of one.
_REPLY_BYTES = 128 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
# What was typed means nothing, whatever this machine holds. Anything else could be done another time.
_WRONG_USAGE = frozenset(
    {
        ErrorCode.BAD_REQUEST,
        ErrorCode.BAD_QUERY,
        ErrorCode.BAD_REFERENCE,
        ErrorCode.BAD_VALUE,
        ErrorCode.NO_SUCH_SETTING,
    }
)


def path_of(*parts: str) -> str:
    """The path of a route, references percent-encoded.

    Raises:
        Failure: a reference is empty.
    """
    if not all(part.strip() for part in parts):
        raise Failure("usage", "an empty reference means nothing", "see --help", status=Exit.WRONG_USAGE)
    return "/v1/" + "/".join(quote(part.encode("utf-8", "surrogateescape"), safe="") for part in parts)


class Content:
    """An item's content as it arrives; `size` in bytes."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        length = response.getheader("Content-Length") or ""
        if not (length.isascii() and length.isdigit()):
            raise Failure("bad-answer", "pknd did not say how long the content is")
        self.size = int(length)
        self.media_type = response.headers.get_content_type()

    def pieces(self) -> Iterator[bytes]:
        """The bytes.

        Raises:
            Failure: the transfer broke off.
        """
        came = 0
        while piece := self._piece():
            came += len(piece)
            yield piece
        if came == self.size:
            return
        raise Failure(
            "broken-off",
            f"the transfer broke off after {came} of {self.size} bytes",
            "run the same command again: what came is kept",
        )

    def _piece(self) -> bytes:
        """The next bytes, none at the end or where the transfer broke off."""
        try:
            return self._response.read(_PIECE_BYTES)
        except TimeoutError as error:
            raise _too_slow(STREAM_SECONDS) from error
        except IncompleteRead as error:
            return error.partial
        except (HTTPException, ConnectionError):
            return b""


class ControlClient:
    """Speaks to the daemon of one home. All methods raise Failure, NotRunning when nobody answers."""

    def __init__(self, home: Path, *, start_hint: str) -> None:
        self._socket = control_socket(home)
        self._start_hint = start_hint

    def get(self, path: str, parameters: Parameters = (), *, seconds: float = ANSWER_SECONDS) -> JsonObject:
        return self.ask("GET", path, parameters, seconds=seconds)

    def ask(
        self,
        method: str,
        path: str,
        parameters: Parameters = (),
        body: JsonObject | None = None,
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> JsonObject:
        """One request, one JSON object."""
        with self._opened(method, path, parameters, body, seconds) as response, _explained(seconds):
            return _parsed(_read(response))

    def stream(
        self,
        method: str,
        path: str,
        parameters: Parameters = (),
        body: JsonObject | None = None,
        *,
        seconds: float | None = STREAM_SECONDS,
    ) -> Iterator[JsonObject]:
        """One request, JSON objects as they come; a line of the event `error` is raised as Failure.

        Giving up the iterator closes the connection, which ends the daemon's work.
        """
        with self._opened(method, path, parameters, body, seconds) as response:
            while True:
                with _explained(seconds):
                    line = response.readline(_REPLY_BYTES)
                if not line:
                    return
                event = _parsed(line)
                if event.get("event") == "error":
                    raise failure_of(event.get("error"))
                yield event

    @contextmanager
    def content(self, path: str, parameters: Parameters = ()) -> Iterator[Content]:
        """An item's content, to be read piece by piece."""
        with self._opened("GET", path, parameters, None, STREAM_SECONDS) as response:
            yield Content(response)

    @contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        body: JsonObject | None,
        seconds: float | None,
    ) -> Iterator[HTTPResponse]:
        """The answer to a request, its body unread; what the reader raises passes through untouched."""
        connection = _Connection(self._socket, self._start_hint, seconds)
        target = f"{path}?{urlencode(parameters, errors='surrogateescape')}" if parameters else path
        data = None if body is None else json.dumps(body).encode("ascii")
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            with _explained(seconds):
                try:
                    connection.request(method, target, data, headers)
                except (BrokenPipeError, ConnectionResetError):
                    # Refused before all was read: the answer says why.
                    if connection.sock is None:
                        raise
                response = connection.getresponse()
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise _refused(response)
            with response:
                yield response
        finally:
            connection.close()


@contextmanager
def _explained(seconds: float | None) -> Iterator[None]:
    """Turn what the connection raises into a failure that says what happened to the daemon."""
    try:
        yield
    except TimeoutError as error:
        raise _too_slow(seconds) from error
    except (HTTPException, ConnectionError) as error:
        raise Failure(
            "cut-off", "pknd ended before it had answered", "pkn log and pkn status say more"
        ) from error


class _Connection(HTTPConnection):
    """HTTP over the Unix socket, after both safety checks of the control API."""

    def __init__(self, path: Path, start_hint: str, seconds: float | None) -> None:
        super().__init__("pkn", timeout=_CONNECT_SECONDS)
        self._path = path
        self._start_hint = start_hint
        self._seconds = seconds

    def connect(self) -> None:
        user = os.geteuid()
        try:
            about = self._path.parent.lstat()
            self._path.lstat()
            check_folder(
                str(self._path.parent),
                mode=about.st_mode,
                owner=about.st_uid,
                is_link=not stat.S_ISDIR(about.st_mode),
                user_id=user,
            )
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                opened.settimeout(_CONNECT_SECONDS)
                opened.connect(str(self._path))
                check_peer(sys.platform, opened.getsockopt, user)
                opened.settimeout(self._seconds)
            except BaseException:
                opened.close()
                raise
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise NotRunning(self._start_hint) from error
        except UnsafeSocket as error:
            raise Failure(
                "unsafe-socket", f"the control socket is not safe to use: {error}", "correct that first"
            ) from error
        except PermissionError as error:
            raise Failure(
                "unsafe-socket", f"{self._path} is not open to you", "name your own home with --home"
            ) from error
        self.sock = opened


def _read(response: HTTPResponse) -> bytes:
    if response.length is None or response.length > _REPLY_BYTES:
        raise Failure("bad-answer", f"pknd's answer may have more than {_REPLY_BYTES} bytes")
    return response.read()


def _parsed(data: bytes) -> JsonObject:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise Failure(
            "bad-answer", "pknd's answer cannot be read", "do pkn and pknd have the same version?"
        ) from error
    if not isinstance(value, dict):
        raise Failure("bad-answer", "pknd's answer is not a JSON object")
    return value


def _refused(response: HTTPResponse) -> Failure:
    try:
        return failure_of(_parsed(_read(response)).get("error"))
    except Failure:
        return Failure("bad-answer", f"pknd answered with HTTP status {response.status}")


def failure_of(error: object) -> Failure:
    """The daemon's error body as a failure."""
    if not isinstance(error, dict):
        return Failure("bad-answer", "pknd reported an error that cannot be read")
    candidates = [
        Suggestion(str(entry.get("ref", "")), str(entry.get("label", "")))
        for entry in error.get("candidates") or ()
        if isinstance(entry, dict)
    ]
    code = str(error.get("code", "unknown"))
    return Failure(
        code,
        str(error.get("message", "pknd reported an error")),
        str(error.get("hint") or ""),
        candidates=candidates,
        status=Exit.WRONG_USAGE if code in _WRONG_USAGE else Exit.FAILED,
    )


def _too_slow(seconds: float | None) -> Failure:
    # Without a limit of its own a stream may still wait in vain for the connection.
    seconds = _CONNECT_SECONDS if seconds is None else seconds
    return Failure("timed-out", f"pknd did not answer within {seconds:.0f} s", "pkn log may say why")

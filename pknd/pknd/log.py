"""The log: one event a line, key=value (logfmt) or JSON, and the newest events kept for `pkn log`.

`event("peer.connected", device=..., rtt_ms=3.1)` is all a part of the daemon needs. Lines of libraries come
in through the standard library's `logging` and take the same form. Foreign text cannot make a second line, a
second key or a control sequence; a traceback is shown at debug level alone, escaped into its own line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import os
import re
import secrets
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncGenerator
from enum import Enum, StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from pkn_protocol.control.status import LogEntry, LogLevel

Field = str | int | float | bool | bytes | None | Path | Enum | BaseException | list[str] | tuple[str, ...]

# A line stays readable, and a peer cannot fill the disk through one field.
FIELD_CHARS = 512
TRACEBACK_CHARS = 16 * 1024
# What `pkn log` can show of this run, and what a slow follower may lag behind.
HISTORY_EVENTS = 1_000
# pknd.log and its predecessors take at most 4 × 4 MiB.
FILE_BYTES = 4 * 1024 * 1024
OLD_FILES = 3

_LOGGER = logging.getLogger("pkn")
_FIELDS = "pkn_fields"
_NUMBERS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}
_RESERVED = frozenset({"time", "level", "event"})
_BARE = re.compile(r"""[^\s"'=\\]+""")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


class LogFormat(StrEnum):
    LOGFMT = "logfmt"
    JSON = "json"


def event(name: str, /, level: LogLevel = LogLevel.INFO, **fields: Field) -> None:
    """Log one event; `name` is dotted, subject first (`peer.connected`)."""
    number = _NUMBERS[level]
    if _LOGGER.isEnabledFor(number):
        _LOGGER.log(number, name, extra={_FIELDS: fields})


def failure(name: str, error: BaseException, /, **fields: Field) -> str:
    """Log an unexpected exception at error level in one line; the id under which it stands there.

    The traceback follows in a line of its own at debug level.
    """
    identifier = secrets.token_hex(4)
    event(name, LogLevel.ERROR, error_id=identifier, error=error, **fields)
    traceback_of(error, error_id=identifier)
    return identifier


def traceback_of(error: BaseException, /, **fields: Field) -> None:
    """Log where an exception came from, at debug level."""
    if _LOGGER.isEnabledFor(logging.DEBUG):
        _LOGGER.debug("traceback", extra={_FIELDS: fields | {"traceback": _traceback_text(error)}})


def configure(
    level: LogLevel,
    form: LogFormat = LogFormat.LOGFMT,
    *,
    file: Path | None = None,
    stream: IO[str] | None = None,
) -> None:
    """Send events to `file` (rotated by size, mode 0600), or else to `stream` (default stderr).

    Raises:
        OSError: the file cannot be opened.
    """
    target: logging.Handler = (
        _File(file) if file is not None else _Stream(sys.stderr if stream is None else stream)
    )
    target.setFormatter(_Formatter(form))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _File | _Stream | _History):
            root.removeHandler(old)
            old.close()
    root.addHandler(target)
    root.addHandler(_HISTORY)
    logging.captureWarnings(True)
    set_level(level)


def set_level(level: LogLevel) -> None:
    """Change from which level on events are logged, while running.

    Libraries are heard from warnings on, and from debug on only when everything is.
    """
    number = _NUMBERS[level]
    _LOGGER.setLevel(number)
    logging.getLogger().setLevel(logging.DEBUG if level is LogLevel.DEBUG else max(number, logging.WARNING))


class LogHistory:
    """The newest events of this run, as the control API gives them."""

    async def entries(self, *, lines: int, follow: bool) -> AsyncGenerator[LogEntry, None]:
        """The newest `lines` events, oldest first; then, with `follow`, each new one.

        A follower that falls `HISTORY_EVENTS` behind misses the events that did not fit.
        """
        queue: asyncio.Queue[LogEntry] = asyncio.Queue(HISTORY_EVENTS)
        follower = (asyncio.get_running_loop(), queue)
        past = _HISTORY.newest(lines, follower if follow else None)
        try:
            for entry in past:
                yield entry
            while follow:
                yield await queue.get()
        finally:
            _HISTORY.leave(follower)


_Follower = tuple[asyncio.AbstractEventLoop, "asyncio.Queue[LogEntry]"]


class _History(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[LogEntry] = deque(maxlen=HISTORY_EVENTS)
        self._followers: list[_Follower] = []
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        name, level, fields = _parts(record)
        entry = LogEntry(int(record.created * 1000), level, name, fields, _logfmt(record))
        with self._guard:
            self._entries.append(entry)
            followers = list(self._followers)
        for loop, queue in followers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_offer, queue, entry)

    def newest(self, lines: int, follower: _Follower | None) -> list[LogEntry]:
        with self._guard:
            if follower is not None:
                self._followers.append(follower)
            return list(self._entries)[-lines:] if lines > 0 else []

    def leave(self, follower: _Follower) -> None:
        with self._guard:
            if follower in self._followers:
                self._followers.remove(follower)


_HISTORY = _History()


def _offer(queue: asyncio.Queue[LogEntry], entry: LogEntry) -> None:
    if not queue.full():
        queue.put_nowait(entry)


class _Stream(logging.StreamHandler[IO[str]]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """A log that cannot be written (a closed terminal) must not end the daemon."""


class _File(logging.handlers.RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.baseFilename, flags, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """A full disk must not end the daemon."""


class _Formatter(logging.Formatter):
    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self._json = form is LogFormat.JSON

    def format(self, record: logging.LogRecord) -> str:
        return _json(record) if self._json else _logfmt(record)


def _parts(record: logging.LogRecord) -> tuple[str, LogLevel, dict[str, str]]:
    """The event's name, level and fields as text; what comes from a library is made to fit."""
    given: dict[str, Field] | None = getattr(record, _FIELDS, None)
    name = record.msg if given is not None else "library"
    fields: dict[str, str] = {}
    if given is None:
        fields["logger"] = _text(record.name)
        try:
            fields["message"] = _text(record.getMessage())
        except (TypeError, ValueError):
            fields["message"] = _text(str(record.msg))
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = _text(record.exc_info[1])
            if _LOGGER.isEnabledFor(logging.DEBUG):
                fields["traceback"] = _traceback_text(record.exc_info[1])
    else:
        for key, value in given.items():
            most = TRACEBACK_CHARS if key == "traceback" else FIELD_CHARS
            fields[f"{key}_" if key in _RESERVED else key] = _text(value, most)
    return name, _level(record.levelno), fields


def _level(number: int) -> LogLevel:
    if number >= logging.ERROR:
        return LogLevel.ERROR
    if number >= logging.WARNING:
        return LogLevel.WARNING
    return LogLevel.INFO if number >= logging.INFO else LogLevel.DEBUG


def _text(value: Field, most: int = FIELD_CHARS) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, Enum):
        text = str(value.value)
    elif isinstance(value, BaseException):
        text = f"{type(value).__name__}: {value}" if str(value) else type(value).__name__
    elif isinstance(value, list | tuple):
        text = ",".join(value)
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _traceback_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARS:]


def _stamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.created * 1000) % 1000:03d}Z"


def _logfmt(record: logging.LogRecord) -> str:
    name, level, fields = _parts(record)
    head = f"time={_stamp(record)} level={level.value} event={_quoted(name)}"
    return " ".join((head, *(f"{key}={_quoted(value)}" for key, value in fields.items())))


def _quoted(value: str) -> str:
    """A logfmt value: bare where that is safe, else quoted; what is not printable escaped, bidi marks too."""
    if value.isprintable() and _BARE.fullmatch(value):
        return value
    return '"' + "".join(_escaped(character) for character in value) + '"'


def one_line(text: str) -> str:
    """`text` with everything that is not printable escaped: safe as one line on a terminal."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json(record: logging.LogRecord) -> str:
    name, level, fields = _parts(record)
    return json.dumps({"time": _stamp(record), "level": level.value, "event": name, **fields})

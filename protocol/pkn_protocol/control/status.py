"""Shapes of `/v1/status`, `/v1/identity`, `/v1/log`, `/v1/config` and `/v1/shutdown`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Fetching:
    """Of `known` records that were found to be lacking here `come` have come."""

    come: int
    known: int


@dataclass(frozen=True, slots=True)
class Status:
    """`id` is the person's did:key, `device` 64 hexadecimal digits, `listen` addresses as HOST:PORT.

    `author_secret_on_disk`: the author's secret still lies on this machine (`pkn identity recovery-words`
    takes it away). `fetching` says how far it is with what peers hold and this machine lacks; None when
    that is nothing. `news` counts items that are news. `held_bytes` is what is held for others with all
    indexes, `max_disk_bytes` its ceiling.
    """

    id: str
    name: str
    device: str
    home: str
    version: str
    uptime_s: float
    records: int
    items: int
    authors: int
    peers_online: int
    listen: tuple[str, ...]
    author_secret_on_disk: bool
    own_bytes: int
    held_bytes: int
    max_disk_bytes: int
    pid: int
    fetching: Fetching | None = None
    news: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """`fingerprint` is six words that two people read to each other."""

    id: str
    device: str
    name: str
    fingerprint: str
    author_secret_on_disk: bool


@dataclass(frozen=True, slots=True)
class RecoveryWordsRequest:
    """Without `confirm` the words are shown and nothing changes; with it the secret leaves the disk."""

    confirm: bool = False


@dataclass(frozen=True, slots=True)
class RecoveryWords:
    """`words` are 24, or None when the request was the confirmation."""

    words: str | None
    removed: bool


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event of the log; `time` in ms since the epoch, `fields` as text, `line` as logfmt."""

    time: int
    level: LogLevel
    event: str
    fields: Mapping[str, str]
    line: str


class SettingSource(StrEnum):
    """Where a value comes from; `command-line` holds for this run alone."""

    DEFAULT = "default"
    FILE = "file"
    COMMAND_LINE = "command-line"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; values are text as one would type them, `default` says what holds without one.

    `needs_restart`: a changed value counts from the daemon's next start on.
    """

    key: str
    value: str
    default: str
    source: SettingSource
    meaning: str
    needs_restart: bool


@dataclass(frozen=True, slots=True)
class Settings:
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class SettingRequest:
    value: str


@dataclass(frozen=True, slots=True)
class Stopping:
    stopping: bool
    pid: int

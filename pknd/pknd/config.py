"""The settings of one home: `config.toml`, what each setting may be, and what holds without one.

`SETTINGS` is the whole list; docs/configuration.md is written from it.
"""

from __future__ import annotations

import difflib
import ipaddress
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkn_protocol.control.errors import ErrorCode
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.limits import NAME_BYTES
from pkn_protocol.search.rank import Weights
from pknd.capture.language import LANGUAGE_HINT, language_tag
from pknd.errors import DomainError
from pknd.rank_settings import RANK_SETTINGS, weights_of
from pknd.setting_rule import SettingRule
from pknd.sizes import format_size, parse_size

# A few settings; anything longer is not ours.
CONFIG_BYTES = 64 * 1024
DEFAULT_PORT = 7867
_GIB = 2**30
# Without `max_disk`: a tenth of the volume within these.
_AUTO_SHARE = 10
_AUTO_LEAST = 2 * _GIB
_AUTO_MOST = 20 * _GIB
# Below this not even the summaries of a team fit.
_LEAST_DISK = 16 * 2**20
_MOST_DISK = 2**60
AUDIENCES = ("trusted", "public", "private")


class BadConfig(DomainError):
    """`config.toml` cannot be used as it is."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("bad-config", message, hint)


class BadValue(DomainError):
    """A setting's value is not one that it may have."""

    def __init__(self, key: str, value: str, wanted: str) -> None:
        super().__init__(
            ErrorCode.BAD_VALUE,
            f"{key} cannot be {value!r}",
            f"it may be {wanted}, as in: {SETTINGS[key].example}",
        )


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: `host` an IP address, or None for all interfaces; port 0 is any free one."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = "*" if self.host is None else f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in effect. `name` None: the profile keeps the name it has. `max_disk` in bytes."""

    name: str | None
    listen: Listen
    mdns: bool
    default_audience: str
    lang: str
    max_disk: int | None
    rank_distance_2: float
    rank_distance_3: float
    rank_stranger: float
    rank_claim: float
    rank_in_vain: float
    rank_crowd: float
    rank_ratings: float
    rank_age: float
    rank_half_life: float
    log_level: LogLevel

    @property
    def rank_weights(self) -> Weights:
        """What each factor counts in the final rank."""
        return weights_of(self)

    def disk_ceiling(self, home: Path) -> int:
        """`max_disk`, or without one a tenth of the home's volume within 2 and 20 GiB; bytes."""
        if self.max_disk is not None:
            return self.max_disk
        return min(max(shutil.disk_usage(home).total // _AUTO_SHARE, _AUTO_LEAST), _AUTO_MOST)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or not name.isprintable() or len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES:
        raise ValueError
    return name


def _listen(text: str) -> Listen:
    host, colon, port_text = text.strip().rpartition(":")
    if not colon or not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65_535:
        raise ValueError
    if host in ("", "*"):
        return Listen(None, int(port_text))
    if host.lower() == "localhost":
        return Listen("127.0.0.1", int(port_text))
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError
    return Listen(str(ipaddress.ip_address(host.strip("[]"))), int(port_text))


def _switch(text: str) -> bool:
    return {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}[text.lower()]


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError
        return text

    return parse


def _disk(text: str) -> int:
    size = parse_size(text)
    if not _LEAST_DISK <= size <= _MOST_DISK:
        raise ValueError
    return size


SETTINGS: dict[str, SettingRule] = {
    "name": SettingRule(
        _name,
        "the name of the profile",
        f"one line of at most {NAME_BYTES} bytes",
        'name = "Ada"',
        "The name that others see. It is a claim: they may call you something else.",
        open_ended=True,
    ),
    "listen": SettingRule(
        _listen,
        f"*:{DEFAULT_PORT}",
        "HOST:PORT, and HOST an IP address, localhost, or * for all interfaces",
        'listen = "127.0.0.1:7867"',
        "Where other people's daemons reach this one. "
        "On the default port the next free one serves when it is taken.",
        needs_restart=True,
    ),
    "mdns": SettingRule(
        _switch,
        "true",
        "true or false",
        "mdns = false",
        "Announce this daemon on the local network, and look for others there.",
        needs_restart=True,
    ),
    "default_audience": SettingRule(
        _one_of(*AUDIENCES),
        "trusted",
        "one of " + ", ".join(AUDIENCES),
        'default_audience = "public"',
        "Who may read what is published without --to.",
    ),
    "lang": SettingRule(
        language_tag,
        "en",
        LANGUAGE_HINT,
        'lang = "de"',
        "The language of texts that do not say theirs and are too short to tell. "
        "Endings of words are known in English, German, French, Spanish and Russian.",
    ),
    "max_disk": SettingRule(
        _disk,
        "a tenth of the volume, at least 2 GiB, at most 20 GiB",
        "a size of at least 16 MiB",
        'max_disk = "10 GiB"',
        "Ceiling of what is held for others, with all indexes. Own items count apart.",
        open_ended=True,
    ),
    **RANK_SETTINGS,
    "log_level": SettingRule(
        lambda text: LogLevel(text.lower()),
        "info",
        "one of " + ", ".join(LogLevel),
        'log_level = "debug"',
        "From which level on events are logged.",
    ),
}


def known_key(key: str) -> SettingRule:
    """The rule of a setting.

    Raises:
        DomainError: there is no such setting; the hint names the nearest.
    """
    rule = SETTINGS.get(key)
    if rule is None:
        raise DomainError(ErrorCode.NO_SUCH_SETTING, f"there is no setting {key!r}", _nearest(key))
    return rule


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"settings are {', '.join(SETTINGS)}"


def parse_value(key: str, text: str) -> Any:
    """The typed value of a setting.

    Raises:
        DomainError: there is no such setting, or it cannot have this value.
    """
    rule = known_key(key)
    try:
        return rule.parse(text)
    except (ValueError, KeyError):
        raise BadValue(key, text, rule.wanted) from None


def shown_value(value: object) -> str:
    """A typed value as one would type it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    return format_size(value) if isinstance(value, int) else str(value)


def build(texts: Mapping[str, str]) -> Config:
    """The settings in effect, where `texts` are those that were given.

    Raises:
        DomainError: as for `parse_value`.
    """
    values: dict[str, Any] = {
        key: None if rule.open_ended else rule.parse(rule.default) for key, rule in SETTINGS.items()
    }
    values.update((key, parse_value(key, text)) for key, text in texts.items())
    return Config(**values)


def read_file(path: Path) -> dict[str, str]:
    """The settings that `config.toml` gives, as text; none when there is no file.

    Raises:
        BadConfig: it cannot be read, is not TOML, or has a key or value that does not exist.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}", "check its owner and mode") from error
    if len(raw) > CONFIG_BYTES:
        raise BadConfig(
            f"{path} is longer than {CONFIG_BYTES} bytes", "move it away and set anew with pkn config"
        )
    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path} is not TOML: {error}", "correct that line") from error
    texts: dict[str, str] = {}
    for key, value in table.items():
        if key not in SETTINGS:
            raise BadConfig(f"{path} has an unknown setting {key!r}", _nearest(key))
        if not isinstance(value, str | int | float):
            raise BadConfig(f"{path}: {key} has a value of the wrong type", f"write {SETTINGS[key].example}")
        text = shown_value(value) if isinstance(value, bool) else str(value)
        try:
            parse_value(key, text)
        except DomainError as error:
            raise BadConfig(f"{path}: {error.message}", error.hint) from error
        texts[key] = text
    return texts

"""How one setting of `config.toml` is read, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SettingRule:
    """How one setting is read. `default` is text to be parsed, or words when `parse` never sees it."""

    parse: Callable[[str], Any]
    default: str
    wanted: str
    example: str
    meaning: str
    needs_restart: bool = False
    # What holds is worked out elsewhere (the profile's name, the volume's size).
    open_ended: bool = False

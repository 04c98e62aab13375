"""Settings while the daemon runs: read, changed and put back, with the file's comments kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import tomlkit

from pkn_protocol.control.status import Setting, Settings, SettingSource
from pknd.config import SETTINGS, Config, build, known_key, parse_value, read_file, shown_value

OnChange = Callable[[Config], Awaitable[None]]


class ConfigFile:
    """The settings of a home: the command line's before the file's before the defaults.

    It is the control API's `ConfigService`. `on_change` hears of each change that is on disk, once the daemon
    has set it.
    """

    def __init__(self, path: Path, command_line: Mapping[str, str]) -> None:
        """
        Raises:
            DomainError: the file or the command line has a setting that cannot be.
        """
        self._path = path
        self._command_line = dict(command_line)
        self._file = read_file(path)
        self._lock = asyncio.Lock()
        self.config = self._built()
        self.on_change: OnChange | None = None
        self.worked_out: Callable[[str], str | None] = lambda key: None
        """What holds for a setting without a value, where somebody else knows it."""

    async def settings(self) -> Settings:
        return Settings(tuple(self._shown(key) for key in SETTINGS))

    async def setting(self, key: str) -> Setting:
        known_key(key)
        return self._shown(key)

    async def set(self, key: str, value: str) -> Setting:
        """Write one setting; it is on disk on return, and counts above the command line's from now on.

        Raises:
            DomainError: there is no such setting, it cannot have this value, or the file was spoilt.
        """
        typed = parse_value(key, value)
        return await self._change(key, typed)

    async def unset(self, key: str) -> Setting:
        """Put one setting back to its default, as `set`."""
        known_key(key)
        return await self._change(key, None)

    def _built(self) -> Config:
        return build(self._file | self._command_line)

    def _shown(self, key: str) -> Setting:
        rule = SETTINGS[key]
        value = getattr(self.config, key)
        source = (
            SettingSource.COMMAND_LINE
            if key in self._command_line
            else SettingSource.FILE
            if key in self._file
            else SettingSource.DEFAULT
        )
        shown = (self.worked_out(key) or rule.default) if value is None else shown_value(value)
        return Setting(key, shown, rule.default, source, rule.meaning, rule.needs_restart)

    async def _change(self, key: str, value: object) -> Setting:
        async with self._lock:
            self._file = await asyncio.to_thread(_rewrite, self._path, key, value)
            self._command_line.pop(key, None)
            self.config = self._built()
            if self.on_change is not None:
                await self.on_change(self.config)
        return self._shown(key)


def _rewrite(path: Path, key: str, value: object) -> dict[str, str]:
    """Change one key of the file in place, by a new file and a rename; what the file then gives."""
    read_file(path)  # Refuses a file that was edited into something else, rather than writing over it.
    document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    if value is None:
        document.pop(key, None)
    else:
        document[key] = value if isinstance(value, bool | float) else shown_value(value)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(tomlkit.dumps(document).encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return read_file(path)

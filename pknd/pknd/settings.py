"""`python -m pknd.settings HOME list|get|set|unset [KEY [VALUE]]`: settings of a home that no daemon serves.

For `pkn config` alone: it prints one JSON document, which is what the control API would answer. While it
changes something it holds the home's lock, so that no daemon starts with half of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pkn_protocol.control.codec import to_json
from pkn_protocol.control.errors import ErrorCode, ErrorReply
from pkn_protocol.control.status import Setting, Settings
from pknd.config_file import ConfigFile
from pknd.errors import DomainError
from pknd.home import Home, home_folder, open_home
from pknd.store.errors import HomeInUse
from pknd.store.lock import HomeLock

_PRIVATE_UMASK = 0o077


def main(arguments: Sequence[str]) -> int:
    """0 with a reply, 1 with an error."""
    folder, act, *words = arguments
    try:
        reply = _done(home_folder(folder), act, words)
    except HomeInUse:
        return _refused(DomainError(ErrorCode.BUSY, "pknd is starting or ending", "try again in a moment"))
    except DomainError as error:
        return _refused(error)
    except OSError as error:
        return _refused(DomainError("system", f"{error.filename}: {error.strerror}", "check its owner"))
    print(json.dumps(to_json(reply)))
    return 0


def _done(folder: Path, act: str, words: Sequence[str]) -> Setting | Settings:
    if act in ("list", "get"):
        known = ConfigFile(Home(folder).config, {})
        return asyncio.run(known.settings()) if act == "list" else asyncio.run(known.setting(*words))
    os.umask(_PRIVATE_UMASK)
    home = open_home(folder)
    lock = HomeLock(home.folder)
    try:
        config = ConfigFile(home.config, {})
        return asyncio.run(config.set(*words) if act == "set" else config.unset(*words))
    finally:
        lock.release()


def _refused(error: DomainError) -> int:
    print(json.dumps(to_json(ErrorReply(error.body()))))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

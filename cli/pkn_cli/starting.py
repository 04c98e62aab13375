"""Starting the daemon in the background, and waiting until it answers or has failed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pkn_cli.client import JsonObject, path_of
from pkn_cli.context import App
from pkn_cli.failures import Failure

# A cold disk, or a store that is brought to a new version; a healthy start takes less than a second.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
_PAUSE_SECONDS = 0.02
# EX_TEMPFAIL of sysexits.h: pknd ended because another one serves this home, which may still be starting.
HOME_IN_USE = 75
_ERROR_BYTES = 4096
_PREFIX = "pknd: "
# What one may meet while it starts: no socket, a socket that says wait, one that closes again.
_NOT_YET = frozenset({"not-running", "busy", "cut-off"})


def start_daemon(app: App, options: Sequence[str]) -> tuple[JsonObject, bool]:
    """Start pknd detached from this terminal; its status once it answers, and whether it is the one that was
    started, not one that somebody else started at the same moment.

    Raises:
        Failure: it ended (with its own words), or did not answer in time.
    """
    home = app.home
    # -P: the working folder must not be able to offer a module called pknd.
    line = [sys.executable, "-P", "-m", "pknd", "--home", str(home), "--background", *options]
    # A file and not a pipe: the daemon outlives us, and must be able to write.
    with tempfile.TemporaryFile() as errors:
        daemon = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ended = daemon.poll()
            try:
                status = app.client.get(path_of("status"))
            except Failure as failure:
                if failure.code not in _NOT_YET:
                    raise
                if ended is not None and ended != HOME_IN_USE:
                    raise _failed(errors, ended, str(home / "pknd.log")) from None
                time.sleep(_PAUSE_SECONDS)
                continue
            # It lives on; without this the Popen object warns that nobody waited for it.
            daemon.returncode = 0
            return status, ended is None
        if ended == HOME_IN_USE:
            raise _failed(errors, ended, str(home / "pknd.log"))
    raise Failure(
        "timed-out",
        f"pknd (process {daemon.pid}) has not answered within {START_SECONDS:.0f} s",
        f"see {home / 'pknd.log'}",
    )


def _failed(errors: IO[bytes], status: int, log: str) -> Failure:
    """What the daemon said last, or that it said nothing."""
    errors.seek(0, os.SEEK_END)
    errors.seek(max(errors.tell() - _ERROR_BYTES, 0))
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    if not lines:
        return Failure("start-failed", f"pknd ended with status {status} without a word", f"see {log}")
    return Failure("start-failed", f"pknd did not start: {lines[-1].removeprefix(_PREFIX)}")


def wait_for_end(pid: int) -> bool:
    """Wait until a process is gone; False when it is still there after `STOP_SECONDS`."""
    deadline = time.monotonic() + STOP_SECONDS
    while _is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # The number belongs to another user's process by now.
        return False
    try:
        # proc(5): "pid (name) state"; the name may hold spaces and parentheses. Z has ended and waits to be
        # collected, which in a container without an init may take for ever.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] != [b"Z"]
    except FileNotFoundError:
        # No /proc (macOS), or it ended just now: then the next round sees it.
        return True

"""What can be done for a home that no daemon serves: its settings."""

from __future__ import annotations

import json
import subprocess
import sys

from pkn_cli.client import JsonObject, failure_of
from pkn_cli.context import App
from pkn_cli.failures import Failure

_SECONDS = 60.0


def settings_offline(app: App, act: str, *words: str) -> JsonObject:
    """Have pknd's own code read or change the settings on disk.

    Raises:
        Failure: it refused, with the words that a daemon would have used.
    """
    # -P: the working folder must not be able to offer a module called pknd.
    line = [sys.executable, "-P", "-m", "pknd.settings", str(app.home), act, *words]
    try:
        done = subprocess.run(line, capture_output=True, cwd="/", timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        problem = f"the settings could not be read within {_SECONDS:.0f} seconds"
        raise Failure("timed-out", problem, "try again; the disk or the machine is very slow") from None
    try:
        reply = json.loads(done.stdout)
    except ValueError:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Failure("failed", f"the settings cannot be read: {told[-1] if told else 'no answer'}") from None
    if done.returncode != 0:
        raise failure_of(reply.get("error"))
    found: JsonObject = reply
    return found

"""`pkn down`."""

from __future__ import annotations

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure, NotRunning
from pkn_cli.output.progress import StatusLine
from pkn_cli.reading import read
from pkn_cli.starting import STOP_SECONDS, wait_for_end
from pkn_protocol.control.status import Stopping


@command("down", prints="that it has stopped, or that it was not running.", examples=["pkn down"])
def down(app: App) -> None:
    """Stop your daemon.

    Returns when it has ended. What was published is on disk in any case.
    """
    try:
        pid = read(Stopping, app.client.ask("POST", path_of("shutdown"))).pid
    except NotRunning:
        if app.json:
            app.print_json({"stopped": False, "pid": None})
        else:
            app.say("pknd is not running")
        return
    with StatusLine("pknd is stopping", enabled=not app.json):
        ended = wait_for_end(pid)
    if not ended:
        raise Failure(
            "timed-out",
            f"pknd (process {pid}) still runs after {STOP_SECONDS:.0f} s",
            f"end it with: kill {pid}",
        )
    if app.json:
        app.print_json({"stopped": True, "pid": pid})
    else:
        app.say("pknd has stopped")


COMMAND = down

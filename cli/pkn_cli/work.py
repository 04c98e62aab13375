"""Long works of the daemon, which tell their progress: import and verify."""

from __future__ import annotations

from pkn_cli.client import JsonObject
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.progress import StatusLine


def run_work(app: App, path: str, request: JsonObject, what: str) -> JsonObject:
    """Start a work and wait for its summary, with its progress in a status line.

    Raises:
        Failure: it failed, or broke off.
    """
    with StatusLine(what, enabled=not app.json) as line:
        for event in app.client.stream("POST", path, body=request):
            if event.get("event") == "summary":
                summary: JsonObject = event.get("summary") or {}
                return summary
            progress = event.get("progress") or {}
            line.step(
                int(progress.get("done") or 0), progress.get("total"), str(progress.get("what") or what)
            )
    raise Failure("cut-off", "pknd ended before the work was done", "run it again: what was done stays done")

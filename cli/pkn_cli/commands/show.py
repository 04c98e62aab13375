"""`pkn show`."""

from __future__ import annotations

from dataclasses import replace

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.amounts import size
from pkn_cli.output.detail import detail_lines, reference_of
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.terminal import columns
from pkn_cli.reading import read
from pkn_protocol.control.items import ItemDetail, TextState
from pkn_protocol.control.references import FIRST_VERSION

_DEFAULT_SECONDS = 5.0
_MOST_SECONDS = 600.0
# What is told of it stands in the detail.
_LOST = "original-changed"
# Its source is not for readers.
_HTML = "text/html"


@command(
    "show",
    prints="the item's fields, then its text, comments, and what is like it.",
    examples=["pkn show h2kq7xmv3a", "pkn show h2kq7xmv3a --local"],
)
@click.argument("item")
@click.option("--local", is_flag=True, help="Ask nobody for a text that is not on this machine.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.001, _MOST_SECONDS),
    default=_DEFAULT_SECONDS,
    metavar="S",
    help=f"Wait at most S seconds for a text from others (default {_DEFAULT_SECONDS:.0f}).",
)
def show(app: App, item: str, local: bool, timeout: float) -> None:
    """Show an item and its text.

    A text that is not here is fetched from those who hold it. On a terminal a long one opens in your pager.
    """
    here = [("fetch", "0")]
    reply = app.client.get(path_of("items", item), here)
    detail = read(ItemDetail, reply)
    if not local and detail.text_state is TextState.UNREACHABLE:
        # By its id: what was typed may be more than one item's by then.
        reference = detail.id + (FIRST_VERSION if reference_of(detail).endswith(FIRST_VERSION) else "")
        _fetch(app, reference, timeout)
        reply = app.client.get(path_of("items", reference), here)
        detail = read(ItemDetail, reply)
    if app.json:
        app.print_json(reply)
        return
    source = detail.media_type == _HTML and detail.text is not None
    _print(list(detail_lines(replace(detail, text=None) if source else detail)))
    if source:
        app.note(f"its content is a web page: {app.typed(f'get {reference_of(detail)} -o FILE.html')}")
    if detail.lost_original is not None:
        typed = app.typed(f"get {reference_of(detail)} -o FILE")
        app.note(f"pkn: {detail.lost_original}; {typed} looks for a copy")
    elif detail.text_state is TextState.UNREACHABLE:
        app.note("its text is not on this machine, and nobody who is online has it")
    elif detail.text_state is TextState.NONE and detail.size:
        app.note(f"its content is not a text: {app.typed(f'get {reference_of(detail)} -o FILE')}")


def _fetch(app: App, item: str, seconds: float) -> None:
    """Have the text brought here; the summary is shown even where it cannot be had, or has no room."""
    path = path_of("items", item, "fetch")
    parameters = [("timeout_ms", str(max(round(seconds * 1000), 1)))]
    with StatusLine("asking for it", enabled=not app.json) as line:
        try:
            for event in app.client.stream("POST", path, parameters, seconds=seconds + 60):
                progress = event.get("progress") or {}
                done, total = int(progress.get("done") or 0), int(progress.get("total") or 0)
                if total:
                    line.amount(done, total, f"{size(done)} of {size(total)}")
        except Failure as failure:
            line.close()
            if failure.code != _LOST:
                app.note(failure.message)


def _print(lines: list[str]) -> None:
    width = columns()
    if width is not None:
        import shutil

        # Each line as it will be wrapped; two rows for the prompt.
        rows = sum(1 + len(click.unstyle(line)) // width for line in lines)
        if rows > shutil.get_terminal_size().lines - 2:
            click.echo_via_pager("\n".join(lines) + "\n")
            return
    for line in lines:
        click.echo(line)


COMMAND = show

"""`pkn show`."""

from __future__ import annotations

from dataclasses import replace

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.detail import detail_lines
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.references import item_ref
from pkn_cli.output.terminal import columns
from pkn_cli.reading import read
from pkn_protocol.control.items import ItemDetail, TextState

_DEFAULT_SECONDS = 5.0
_MOST_SECONDS = 600.0
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
    parameters = [("timeout_ms", str(max(round(timeout * 1000), 1))), *([("fetch", "0")] if local else [])]
    with StatusLine("fetching", enabled=not app.json):
        reply = app.client.get(path_of("items", item), parameters, seconds=timeout + 60)
    if app.json:
        app.print_json(reply)
        return
    detail = read(ItemDetail, reply)
    source = detail.media_type == _HTML and detail.text is not None
    _print(list(detail_lines(replace(detail, text=None) if source else detail)))
    if source:
        app.note(f"its content is a web page: {app.typed(f'get {item_ref(detail.id)} -o FILE.html')}")
    if detail.lost_original is not None:
        app.note(
            f"pkn: {detail.lost_original}; {app.typed(f'get {item_ref(detail.id)} -o FILE')} looks for a copy"
        )
    elif detail.text_state is TextState.UNREACHABLE:
        app.note("its text is not on this machine, and nobody who is online has it")
    elif detail.text_state is TextState.NONE and detail.size:
        app.note(f"its content is not a text: {app.typed(f'get {item_ref(detail.id)} -o FILE')}")


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

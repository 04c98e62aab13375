"""`pkn get`."""

from __future__ import annotations

import codecs
import os
import shlex
import sys
from collections.abc import Iterator

import click

from pkn_cli.asking import confirm
from pkn_cli.client import Content, path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.amounts import size
from pkn_cli.output.foreign import harmless
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.terminal import can_ask, is_terminal
from pkn_cli.saving import save

_MOST_SECONDS = 600.0
_DEFAULT_SECONDS = 30.0
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})


@command(
    "get",
    prints="the bytes; with -o nothing but where they went.",
    examples=["pkn get h2kq7xmv3a -o report.pdf", "pkn get h2kq7xmv3a | less"],
)
@click.argument("item")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, whole or not at all.")
@click.option("--force", is_flag=True, help="Write over FILE where it is there already.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.001, _MOST_SECONDS),
    default=_DEFAULT_SECONDS,
    metavar="S",
    help=f"Wait at most S seconds for the first byte (default {_DEFAULT_SECONDS:.0f}).",
)
def get(app: App, item: str, output: str | None, force: bool, timeout: float) -> None:
    """Get the content of an item, byte by byte.

    Of a Markdown file that is the text alone: its front matter became the item's title, tags and dates. It is
    checked against the item's signature as it comes. What is not on this machine is fetched from
    those who hold it; when that breaks off, the same command goes on where it stopped. Without -o it goes to
    standard output, but to a terminal only if it is a text. A FILE that is there already is written over only
    with --force, or when you say so on a terminal.
    """
    if output == "-":
        output = None
    if app.json and output is None:
        raise click.UsageError("--json goes with -o FILE", click.get_current_context())
    if output is not None and not force:
        _spare(app, item, output)
    parameters = [("timeout_ms", str(max(round(timeout * 1000), 1)))]
    with (
        StatusLine("asking for it", enabled=not app.json) as line,
        app.client.content(path_of("items", item, "payload"), parameters) as content,
    ):
        if output is None and is_terminal(sys.stdout):
            line.close()
            _to_terminal(app, item, content)
        elif output is None:
            sys.stdout.buffer.writelines(_watched(content, line))
        else:
            save(output, _watched(content, line))
    if output is not None:
        if app.json:
            app.print_json({"path": output, "size": content.size, "media_type": content.media_type})
        else:
            app.say(f"{harmless(output)}  {size(content.size)}")


def _spare(app: App, item: str, output: str) -> None:
    """Write over nothing unasked; a device or pipe has nothing to lose, and a folder is refused later."""
    if not os.path.isfile(output):  # noqa: PTH113
        return
    if can_ask():
        confirm(f"Write over {harmless(output)}?", otherwise=f"{output} is as it was")
        return
    typed = app.typed(f"get {item} -o {shlex.quote(output)} --force")
    raise Failure("exists", f"{output} is there already", f"name another, or write over it with: {typed}")


def _watched(content: Content, line: StatusLine) -> Iterator[bytes]:
    done = 0
    for piece in content.pieces():
        done += len(piece)
        line.amount(done, content.size, f"{size(done)} of {size(content.size)}")
        yield piece


def _to_terminal(app: App, item: str, content: Content) -> None:
    if not (content.media_type.startswith("text/") or content.media_type in _TEXTS):
        raise Failure(
            "not-for-a-terminal",
            f"{content.media_type}, {size(content.size)}, is not for a terminal",
            f"write it to a file: {app.typed(f'get {item} -o FILE')}",
        )
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in content.pieces():
        click.echo(harmless(decoder.decode(piece), lines=True), nl=False)
    click.echo(harmless(decoder.decode(b"", final=True), lines=True))


COMMAND = get

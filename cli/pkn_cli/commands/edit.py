"""`pkn edit`."""

from __future__ import annotations

import os

import click

from pkn_cli import options
from pkn_cli.client import JsonObject, path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.published import print_published
from pkn_cli.reading import read
from pkn_cli.writing import text_from_editor, text_from_stdin
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.items import EditRequest, ItemDetail, Published, TextState
from pkn_protocol.control.kinds import Kind

_EDIT_SECONDS = 600.0
_FETCH_SECONDS = 60.0


@command(
    "edit",
    prints="the new version: reference, title, kind, size, and who may read it.",
    examples=[
        "pkn edit h2kq7xmv3a",
        "pkn edit h2kq7xmv3a notes.md",
        "pkn edit h2kq7xmv3a --tag physics --tag drag",
    ],
)
@click.argument("item")
@click.argument("source", metavar="[FILE|-]", required=False, type=click.Path(allow_dash=True))
@click.option("--title", metavar="T", help="Another title.")
@click.option(
    "--tag", "tags", multiple=True, metavar="T", help="Other tags, in place of all it has; may be repeated."
)
@click.option("--no-tags", is_flag=True, help="Take all its tags away.")
@click.option("--lang", metavar="L", help="Another language, as en, de or pt-BR.")
@click.option("--kind", type=click.Choice(options.KINDS), help="Another kind; a text becomes a file with it.")
def edit(
    app: App,
    item: str,
    source: str | None,
    title: str | None,
    tags: tuple[str, ...],
    no_tags: bool,
    lang: str | None,
    kind: str | None,
) -> None:
    """Write the next version of an item.

    Its text is what FILE holds, or - standard input. With neither, and no option that changes something else,
    your editor opens with the text as it is. Without --title the title stays, unless the new text says one in
    its front matter, or in its heading where the old text's heading was the title; the file's name and who
    may read the item stay in any case. Earlier versions stay: pkn history. Of an item that came from a file,
    the file itself is not changed: once it is, importing it again replaces the edit.
    """
    if tags and no_tags:
        raise click.UsageError("--tag and --no-tags exclude each other", click.get_current_context())
    change = EditRequest(
        path=_path(source),
        text=text_from_stdin() if source == "-" else None,
        title=title,
        tags=() if no_tags else tags or None,
        lang=lang,
        kind=None if kind is None else Kind(kind),
    )
    body = to_json(change)
    if change == EditRequest():
        item, body["text"] = _edited(app, item)
    with StatusLine("publishing", enabled=not app.json):
        reply = app.client.ask("PUT", path_of("items", item), body=body, seconds=_EDIT_SECONDS)
    if app.json:
        app.print_json(reply)
    else:
        print_published(app, read(Published, reply))


def _path(source: str | None) -> str | None:
    if source is None or source == "-":
        return None
    path = os.path.abspath(source)  # noqa: PTH100 - links are the daemon's to judge
    if not os.path.isfile(path):  # noqa: PTH113
        raise Failure("no-such-file", f"there is no file {source}", "name a file, or - for standard input")
    return path


def _edited(app: App, item: str) -> tuple[str, str]:
    """The item's full id, and its text as the user changed it."""
    with StatusLine("fetching", enabled=not app.json):
        reply: JsonObject = app.client.get(path_of("items", item), seconds=_FETCH_SECONDS)
    detail = read(ItemDetail, reply)
    if detail.text is None or detail.text_state is not TextState.WHOLE:
        why = {
            TextState.CUT: "its text is too long for an editor here",
            TextState.UNREACHABLE: "its text is not on this machine, and nobody who is online has it",
        }.get(detail.text_state, "its content is not a text")
        raise Failure("no-text", why, f"give the new content: {app.typed(f'edit {item} FILE')}")
    return detail.id, text_from_editor(detail.text)


COMMAND = edit

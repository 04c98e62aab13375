"""`pkn publish`."""

from __future__ import annotations

import os
import re
import sys

import click

from pkn_cli import options
from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import AlreadyTold, Exit, Failure
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.published import print_published
from pkn_cli.output.references import item_ref
from pkn_cli.output.terminal import is_terminal
from pkn_cli.reading import read
from pkn_cli.reporting import tell
from pkn_cli.writing import text_from_editor, text_from_stdin
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.items import Published, PublishRequest
from pkn_protocol.control.kinds import Kind

_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_MOST_COUNTED = 100_000
# Hashing a film takes its time.
_PUBLISH_SECONDS = 600.0
# What concerns one concerns all that would come after it.
_HOPELESS = frozenset(
    {"not-running", "unsafe-socket", "cut-off", "timed-out", "busy", "no-room", "store-damaged"}
)


@command(
    "publish",
    prints="a line for each: reference, title, kind, size, and who may read it.",
    examples=[
        "pkn publish notes.md --tag physics",
        "pkn publish https://www.rfc-editor.org/rfc/rfc8032 --title 'RFC 8032'",
        "echo 'Drag falls when the layer turns turbulent.' | pkn publish - --to public",
    ],
)
@click.argument("what", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--title", metavar="T", help="Its title (default: found in the text, else the file's name).")
@click.option("--tag", "tags", multiple=True, metavar="T", help="A tag; may be repeated, nests with /.")
@click.option("--kind", type=click.Choice(options.KINDS), help="What it is, where that is not evident.")
@click.option("--lang", metavar="L", help="Language of its text, as en, de or pt-BR; guessed without.")
@options.audience("Who may read it (default: the setting default_audience).")
def publish(
    app: App,
    what: tuple[str, ...],
    title: str | None,
    tags: tuple[str, ...],
    kind: str | None,
    lang: str | None,
    audience: str | None,
) -> None:
    """Publish files, texts and bookmarks.

    WHAT is a file, a URL (a bookmark), or - for a text on standard input. With nothing your editor opens, or
    standard input is read where there is no terminal. Folders go in with pkn import. Returns when it is on
    disk. Of several those that can be are published; what is wrong with each other one is told in a line, and
    exit status 1 says that there was one. A file that was published or imported before, or a URL that you
    published, becomes the next version of its item, and stays for those who may read that unless --to says
    otherwise; unchanged it is left alone, so the same command can be repeated. Undo: pkn retract.
    """
    if len(what) > 1 and title is not None:
        raise click.UsageError("--title goes with one WHAT alone", click.get_current_context())
    common = PublishRequest(
        title=title, tags=tags, kind=None if kind is None else Kind(kind), audience=audience, lang=lang
    )
    if len(what) <= 1:
        _publish(app, common, _source(app, what[0]) if what else {"text": _typed_text()})
        return
    failed = 0
    for name in what:
        try:
            _publish(app, common, _source(app, name))
        except Failure as failure:
            # What means nothing for one means nothing for any.
            if failure.code in _HOPELESS or failure.status is Exit.WRONG_USAGE:
                raise
            failed += 1
            tell(failure, as_json=app.json, about=name)
    if failed:
        raise AlreadyTold(f"{failed} of {len(what)} not published, the others are")


def _publish(app: App, common: PublishRequest, source: dict[str, str]) -> None:
    if source.get("text") == "-":
        source["text"] = text_from_stdin()
    with StatusLine("publishing", enabled=not app.json):
        reply = app.client.ask(
            "POST", path_of("items"), body={**to_json(common), **source}, seconds=_PUBLISH_SECONDS
        )
    if app.json:
        app.print_json(reply)
    else:
        published = read(Published, reply)
        print_published(app, published)
        if published.item != published.id and not published.unchanged:
            app.note(f"it was published before; this is its next version: {app.typed(_history(published))}")


def _history(published: Published) -> str:
    return f"history {item_ref(published.item)}"


def _typed_text() -> str:
    return text_from_editor() if is_terminal(sys.stdin) else text_from_stdin()


def _source(app: App, what: str) -> dict[str, str]:
    """The part of a request that says what to publish: a path, a URL, or the text `-` to be read."""
    if what == "-":
        return {"text": "-"}
    path = os.path.abspath(what)  # noqa: PTH100 - links are the daemon's to judge
    if os.path.isdir(path):  # noqa: PTH112
        raise Failure(
            "is-a-folder",
            f"{what} is a folder with {_count_files(path)}",
            f"import it once with: {app.typed(f'import {what}')}",
        )
    if os.path.lexists(path):
        return {"path": path}
    if _URL.fullmatch(what):
        return {"url": what}
    raise Failure(
        "no-such-file",
        f"there is no file {what}",
        "a text goes in on standard input: pkn publish -",
    )


def _count_files(folder: str) -> str:
    number = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        number += sum(not name.startswith(".") for name in names)
        if number > _MOST_COUNTED:
            return f"more than {_MOST_COUNTED} files"
    return f"{number} file{'' if number == 1 else 's'}"


COMMAND = publish

"""`pkn ask`."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from pkn_cli import options
from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Exit, Failure
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.published import print_published
from pkn_cli.output.references import author_name
from pkn_cli.output.terminal import is_terminal
from pkn_cli.reading import read
from pkn_cli.writing import text_from_editor, text_from_stdin
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.discovering import Experts, WhoRequest
from pkn_protocol.control.items import Published, PublishRequest
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.people import Trust

_PUBLISH_SECONDS = 600.0
_NAMED = 3
_WORDS_CHARS = 1_000
"""What the daemon reads of a query."""


@command(
    "ask",
    prints="a line: reference, title, kind, size, and who may read it; on stderr who may know.",
    examples=[
        "pkn ask 'Why do golf balls have dimples?'",
        "pkn ask How warm should a starter be --tag baking --to public",
    ],
)
@click.argument("text", nargs=-1)
@click.option("--title", metavar="T", help="Its title (default: the first line).")
@click.option("--tag", "tags", multiple=True, metavar="T", help="A tag; may be repeated, nests with /.")
@click.option("--lang", metavar="L", help="Its language, as en, de or pt-BR; guessed without.")
@options.audience("Who may read it (default: the setting default_audience).")
def ask(
    app: App,
    text: tuple[str, ...],
    title: str | None,
    tags: tuple[str, ...],
    lang: str | None,
    audience: str | None,
) -> None:
    """Ask the people around you a question.

    It is published like everything else: who may read it finds it. Those who trust you, and have published on
    what it is about, see it in their news (pkn news) before other things. TEXT is the question, or - for
    standard input; without it your editor opens. Undo: pkn retract.
    """
    question = _text(text)
    request = PublishRequest(
        text=question, title=title, tags=tags, kind=Kind.QUESTION, audience=audience, lang=lang
    )
    with StatusLine("publishing", enabled=not app.json):
        reply = app.client.ask("POST", path_of("items"), body=to_json(request), seconds=_PUBLISH_SECONDS)
    if app.json:
        app.print_json(reply)
        return
    print_published(app, read(Published, reply))
    # The question is out; that nobody can be named is no failure of it.
    with suppress(Failure):
        _name_experts(app, question)


def _text(words: tuple[str, ...]) -> str:
    if words == ("-",):
        return text_from_stdin()
    if not words:
        return text_from_editor() if is_terminal(sys.stdin) else text_from_stdin()
    text = " ".join(words)
    if not text.strip():
        raise Failure(
            "usage", "there is no question", "as in: pkn ask 'Why is it so?'", status=Exit.WRONG_USAGE
        )
    return text


def _name_experts(app: App, question: str) -> None:
    # Punctuation at the beginning of a word would be a phrase or an exclusion.
    words = " ".join(word.strip("\"-:'") for word in question.split())[:_WORDS_CHARS]
    reply = app.client.ask("POST", path_of("who"), body=to_json(WhoRequest(words)))
    others = [one for one in read(Experts, reply).people if one.trust is not Trust.SELF]
    names = [
        author_name(one.author, one.author_name, claimed=one.author_claimed, own=False)
        for one in others[:_NAMED]
    ]
    if names:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        app.note(f"who may know: {', '.join(names)}{more}; if they trust you, it is in their news")


COMMAND = ask

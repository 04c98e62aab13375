"""`pkn watch`: for, list, remove."""

from __future__ import annotations

import json
import sys
from datetime import datetime

import click

from pkn_cli import options
from pkn_cli.client import path_of
from pkn_cli.command import DefaultGroup, command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.amounts import ago, count, moment
from pkn_cli.output.foreign import harmless
from pkn_cli.output.news import print_match
from pkn_cli.output.references import person_ref
from pkn_cli.output.tables import print_table
from pkn_cli.query_words import check_words
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.news import MOST_WATCHES, Watch, Watches, WatchMatch, WatchRequest


class _WatchGroup(DefaultGroup):
    """Whatever is no subcommand are words to watch for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group("watch", cls=_WatchGroup, default="for")
def watch() -> None:
    """Watch for new items that match.

    pkn watch WORDS is short for pkn watch for WORDS.
    """


@command(
    "for",
    prints="a line for each match as it is stored here: reference, author, title, kind and age; with "
    "--save a line that says what was saved.",
    examples=[
        "pkn watch for boundary layer",
        "pkn watch for '\"boundary layer\"' kind:question --save layers",
        "pkn watch for tag:physics --author ada",
    ],
    # As with pkn query: words may begin with a hyphen.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@options.plain_filters()
@click.option("--save", "name", metavar="NAME", help="Keep it under this name; matches are told by pkn news.")
def watch_for(
    app: App,
    words: tuple[str, ...],
    tags: tuple[str, ...],
    author: str | None,
    kind: str | None,
    since: int | None,
    name: str | None,
) -> None:
    """Watch for new items that match, until Ctrl-C.

    Words, phrases, exclusions and filters are those of pkn query: any of the words matches, of a phrase all.
    What is looked at is whatever is stored on this machine from now on, by others or by you; of a text that
    is not here a phrase is looked for in its summary. Filters without words match all that they let through.
    With --save the question stays, over restarts too, and the command ends at once.
    """
    check_words(app, words)
    request = WatchRequest(
        query=" ".join(words),
        tags=tags,
        author=author,
        kind=None if kind is None else Kind(kind),
        since=since,
    )
    if request == WatchRequest():
        raise click.UsageError("missing words to watch for", click.get_current_context())
    if name is not None:
        reply = app.client.ask("PUT", path_of("watches", name), body=to_json(request))
        if app.json:
            app.print_json(reply)
            return
        saved = read(Watch, reply)
        app.say(f"{harmless(saved.name)} is saved; pkn news tells its matches")
        return
    _print_matches(app, request)


def _print_matches(app: App, request: WatchRequest) -> None:
    for event in app.client.stream("POST", path_of("watch"), body=to_json(request), seconds=None):
        match event.get("event"):
            case "watching":
                app.note("watching; Ctrl-C ends it")
            case "match" if app.json:
                click.echo(json.dumps(event.get("match")))
            case "match":
                found = read(WatchMatch, event.get("match"))
                print_match(found, confirmed=found.confirmed)
            case "missed":
                missed = int(event.get("missed") or 0)
                app.note(f"{count(missed, 'match', 'matches')} came too fast to be shown")
        sys.stdout.flush()
    raise Failure("cut-off", "pknd has stopped", f"go on with: {app.typed('up')}, and watch again")


@command(
    "list",
    prints="a table of saved questions: name, words, filters, matches among the news, when it was saved.",
    examples=["pkn watch list"],
)
def list_watches(app: App) -> None:
    """List the saved questions."""
    reply = app.client.get(path_of("watches"))
    if app.json:
        app.print_json(reply)
        return
    found = read(Watches, reply).watches
    if found:
        print_table(
            ["name", "question", "filters", "new", "saved"],
            [[one.name, one.query, _options(one), one.new, ago(one.made)] for one in found],
            flexible=1,
        )
    else:
        app.note(f"no question is saved; {app.typed('watch WORDS --save NAME')} keeps one, of {MOST_WATCHES}")


def _options(one: Watch) -> str:
    """The filters, as far as they do not stand among the words."""
    filters = [
        *(("tag", tag) for tag in one.tags),
        *([("author", person_ref(one.author, one.author_name))] if one.author else []),
        *([("kind", one.kind)] if one.kind else []),
        *([("since", _day(one.since))] if one.since is not None else []),
    ]
    typed = one.query.split()

    def is_typed(name: str, value: str) -> bool:
        begin = f"tag:{value}" if name == "tag" else f"{name}:"
        return any(word.startswith(begin) for word in typed)

    return harmless(" ".join(f"{name}:{value}" for name, value in filters if not is_typed(name, value)))


def _day(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms / 1000).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return moment(time_ms)


@command(
    "remove",
    prints="a line that says what was removed.",
    examples=["pkn watch remove layers"],
)
@click.argument("name")
def remove(app: App, name: str) -> None:
    """Remove a saved question, and its matches from the news."""
    reply = app.client.ask("DELETE", path_of("watches", name))
    if app.json:
        app.print_json(reply)
        return
    gone = read(Watch, reply)
    question = " ".join(part for part in (harmless(gone.query), _options(gone)) if part)
    app.say(f"{harmless(gone.name)} is no longer looked for; it was: {question}")


for _subcommand in (watch_for, list_watches, remove):
    watch.add_command(_subcommand)

COMMAND = watch

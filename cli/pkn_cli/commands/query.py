"""`pkn query`."""

from __future__ import annotations

import sys

import click

from pkn_cli import options
from pkn_cli.client import JsonObject, path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.amounts import count
from pkn_cli.output.foreign import harmless
from pkn_cli.output.hits import print_hit
from pkn_cli.output.progress import StatusLine
from pkn_cli.output.terminal import is_terminal
from pkn_cli.query_words import check_words
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.query import (
    DEFAULT_HITS,
    DEFAULT_TIMEOUT_MS,
    MOST_HITS,
    MOST_TIMEOUT_MS,
    QueryRequest,
    QueryResult,
    Scope,
)


@command(
    "query",
    prints="the best hits: rank, reference and title; author (by the name you chose, or marked as claimed), "
    "distance, age and tags; a passage with the words marked.",
    examples=[
        "pkn query layer -turbulent",
        "pkn query '\"boundary layer\" drag' --tag physics --since 30d",
        "pkn query drag --local --explain",
    ],
    # Words may begin with a hyphen. So this command has no short options.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
@options.filters(default_limit=DEFAULT_HITS, most=MOST_HITS)
@click.option("--local", is_flag=True, help="Ask nobody: this machine alone.")
@click.option("--everyone", is_flag=True, help="Ask strangers too.")
@click.option("--all", "each", is_flag=True, help="Show copies and cuttings of one text each by itself.")
@click.option("--explain", is_flag=True, help="Show what made each hit's score.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.001, MOST_TIMEOUT_MS / 1000),
    default=DEFAULT_TIMEOUT_MS / 1000,
    metavar="S",
    help=f"Wait at most S seconds for others (default {DEFAULT_TIMEOUT_MS // 1000}).",
)
def query(
    app: App,
    words: tuple[str, ...],
    tags: tuple[str, ...],
    author: str | None,
    kind: str | None,
    since: int | None,
    limit: int,
    local: bool,
    everyone: bool,
    each: bool,
    explain: bool,
    timeout: float,
) -> None:
    """Search what you and the people around you know.

    A word with a hyphen before it must not occur. Words in double quotes are a phrase; the shell takes quotes
    away, so put single ones around. tag:T, author:PERSON, kind:K and since:WHEN among the words are filters,
    as the options are. Your own disk answers first; then those within your horizon of trust are asked. Items
    with the same text are one result, which counts them. No hit is not an error; a deadline that passed shows
    what came until then.
    """
    check_words(app, words)
    if local and everyone:
        raise click.UsageError("--local and --everyone exclude each other", click.get_current_context())
    scope = Scope.LOCAL if local else Scope.EVERYONE if everyone else Scope.HORIZON
    request = QueryRequest(
        query=" ".join(words),
        tags=tags,
        author=author,
        kind=None if kind is None else Kind(kind),
        since=since,
        limit=limit,
        scope=scope,
        explain=explain,
        each=each,
        timeout_ms=max(round(timeout * 1000), 1),
    )
    reply = _final(app, to_json(request))
    if app.json:
        app.print_json(reply)
    else:
        _print(app, read(QueryResult, reply))


def _final(app: App, request: JsonObject) -> JsonObject:
    """The last result of the stream; what came before shows in the status line."""
    with StatusLine("searching", enabled=not app.json) as line:
        for event in app.client.stream("POST", path_of("query"), body=request):
            result: JsonObject = event.get("result") or {}
            if event.get("event") == "final":
                return result
            line.update(
                f"{count(len(result.get('hits', ())), 'hit')} so far, "
                f"{result.get('peers_answered', 0)} of {result.get('peers_asked', 0)} peers answered"
            )
    raise Failure("cut-off", "the answer broke off", "pkn log may say why")


def _print(app: App, result: QueryResult) -> None:
    for rank, hit in enumerate(result.hits, 1):
        if rank > 1:
            app.say()
        print_hit(rank, hit)
    asked = f"{result.peers_answered} of {result.peers_asked} peers answered"
    if not result.complete:
        app.note(f"not complete: {asked} in time; --timeout gives them longer")
    meant = _did_you_mean(result)
    if not result.hits:
        where = asked if result.peers_asked else "nobody else was asked"
        app.note(f"nothing found for {result.query!r}; {meant or result.hint or where}")
        return
    for note in filter(None, (meant, result.hint)):
        app.note(note)
    if is_terminal(sys.stdout) and result.complete:
        app.note(f"{count(len(result.hits), 'hit')} in {result.elapsed_ms:.0f} ms, {asked}")


def _did_you_mean(result: QueryResult) -> str:
    return "; ".join(
        f"no item has {harmless(one.word)}, did you mean {harmless(one.instead)} "
        f"({count(one.documents, 'item')})?"
        for one in result.did_you_mean
    )


COMMAND = query

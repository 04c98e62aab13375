"""`pkn who`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.amounts import count
from pkn_cli.output.foreign import harmless
from pkn_cli.output.items import title_of
from pkn_cli.output.references import author_name, distance_name, item_ref, key_ref
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.discovering import DEFAULT_EXPERTS, MOST_EXPERTS, Expert, Experts, WhoRequest
from pkn_protocol.control.people import Trust


@command(
    "who",
    prints="people, those first who have published most on the subject: name, reference, distance, how many "
    "of their items match, and the best of them.",
    examples=["pkn who boundary layer", "pkn who '\"ring laser\"' --limit 3"],
)
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_EXPERTS),
    default=DEFAULT_EXPERTS,
    metavar="N",
    help=f"At most N people (default {DEFAULT_EXPERTS}).",
)
def who(app: App, words: tuple[str, ...], limit: int) -> None:
    """Show who knows about something.

    People are ranked by the summaries on this machine: how well their items match, and how near they are to
    you. Nobody is asked, and nobody learns what you wanted to know.
    """
    reply = app.client.ask("POST", path_of("who"), body=to_json(WhoRequest(" ".join(words), limit)))
    if app.json:
        app.print_json(reply)
        return
    found = read(Experts, reply)
    for number, one in enumerate(found.people):
        if number:
            app.say()
        _print(app, one)
    if not found.people:
        app.note(f"nobody here has published on {found.query!r}")


def _print(app: App, one: Expert) -> None:
    own = one.trust is Trust.SELF
    name = author_name(one.author, one.author_name, claimed=one.author_claimed, own=own)
    about = "" if own else f"  {key_ref(one.author)}, {harmless(distance_name(one.distance))}"
    app.say(f"{name}{about}, {count(one.matching, 'item')}")
    for item in one.items:
        app.say(f"    {item_ref(item.id)}  {title_of(item.title)}")


COMMAND = who

"""What untrust, block and unblock share: one act on a person, and the person as they stand afterwards."""

from __future__ import annotations

from collections.abc import Iterable

from pkn_cli.client import JsonObject, path_of
from pkn_cli.context import App
from pkn_cli.output.people import print_person
from pkn_cli.output.references import person_ref
from pkn_cli.reading import read
from pkn_protocol.control.people import Person

PRINTS = "the person as your daemon now knows them."


def change_standing(
    app: App, person: str, act: str, body: JsonObject | None = None, *, undo: Iterable[str] = ()
) -> None:
    """Do `act` (a route of /v1/people) on a person, and print what they are now; `undo` are the commands that
    take it back. Where it ended a vouch, those follow that may vouch again: who vouches must trust."""
    reply = app.client.ask("POST", path_of("people", person, act), body=body)
    if app.json:
        app.print_json(reply)
        return
    now = read(Person, reply)
    print_person(now)
    if now.vouch_withdrawn:
        app.note("you no longer vouch for them")
        undo = dict.fromkeys((*undo, "trust", "vouch"))
    if undo:
        who = person_ref(now.id, now.petname)
        app.note("to undo it: " + ", then ".join(app.typed(f"{one} {who}") for one in undo))

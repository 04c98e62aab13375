"""What untrust, block and unblock share: one act on a person, and the person as they stand afterwards."""

from __future__ import annotations

from pkn_cli.client import JsonObject, path_of
from pkn_cli.context import App
from pkn_cli.output.people import print_person
from pkn_cli.output.references import person_ref
from pkn_cli.reading import read
from pkn_protocol.control.people import Person

PRINTS = "the person as your daemon now knows them."


def change_standing(
    app: App, person: str, act: str, body: JsonObject | None = None, *, undo: str = ""
) -> None:
    """Do `act` (a route of /v1/people) on a person, and print what they are now; `undo` is the command that
    takes it back."""
    reply = app.client.ask("POST", path_of("people", person, act), body=body)
    if app.json:
        app.print_json(reply)
        return
    now = read(Person, reply)
    print_person(now)
    if undo:
        app.note(f"to undo it: {app.typed(f'{undo} {person_ref(now.id, now.petname)}')}")

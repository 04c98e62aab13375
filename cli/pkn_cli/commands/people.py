"""`pkn people`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.output.foreign import harmless
from pkn_cli.output.people import print_person, seen, standing
from pkn_cli.output.references import person_name, person_ref
from pkn_cli.output.tables import print_table
from pkn_cli.reading import read
from pkn_protocol.control.people import People, Person, Trust


@command(
    "people",
    prints="a table of people: reference, names, trust, items and devices known, when seen. With PERSON, "
    "everything known about one.",
    examples=["pkn people", "pkn people ada"],
)
@click.argument("person", required=False)
def people(app: App, person: str | None) -> None:
    """List the people that you know of.

    Names that somebody gave themselves are marked as claimed.
    """
    reply = app.client.get(path_of("people") if person is None else path_of("people", person))
    if app.json:
        app.print_json(reply)
    elif person is not None:
        print_person(read(Person, reply))
    else:
        _print_all(app, read(People, reply))


def _print_all(app: App, known: People) -> None:
    if not known.people:
        app.note("nobody is known yet; pkn peers shows who is near")
        return
    print_table(
        ["person", "name", "trust", "items", "devices", "seen", "vouched"],
        [
            [
                person_ref(one.id, one.petname),
                _called(one),
                "self" if one.trust is Trust.SELF else _standing(one),
                one.items,
                one.devices,
                seen(one).removeprefix("seen "),
                "by you" if one.vouched else "",
            ]
            for one in known.people
        ],
        flexible=1,
    )


def _called(person: Person) -> str:
    if person.trust is not Trust.SELF:
        return person_name(person.petname, person.name)
    return f"{harmless(person.name or '')} (you)".strip()


def _standing(one: Person) -> str:
    return standing(one.trust, one.distance) + (", summaries false" if one.doubted else "")


COMMAND = people

"""`pkn trust`."""

from __future__ import annotations

import click

from pkn_cli import options
from pkn_cli.asking import confirm
from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import Failure
from pkn_cli.output.foreign import harmless
from pkn_cli.output.people import print_person
from pkn_cli.output.references import claimed_name, key_ref
from pkn_cli.output.terminal import can_ask
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.people import Person, Trust, TrustRequest


@command(
    "trust",
    prints="the person as your daemon now knows them.",
    examples=["pkn trust hgYkdMnrPq ada", "pkn trust hgYkdMnrPq ada --yes"],
)
@click.argument("person")
@click.argument("petname", required=False)
@options.yes("Do not ask whether the fingerprint is right.")
def trust(app: App, person: str, petname: str | None, yes: bool) -> None:
    """Trust a person, and choose what to call them.

    They may read what you publish to trusted people, and what you have published to them before; what they
    publish is kept and ranked first. Somebody who was blocked is blocked no longer. PETNAME is yours alone,
    and serves as PERSON from then on; whom you trust no longer gives it up. On a terminal the name that they
    claim and the six words of their fingerprint are shown first: compare them with what their own `pkn id`
    says. Undo: pkn untrust.
    """
    found = read(Person, app.client.get(path_of("people", person)))
    if not yes and can_ask():
        # Whatever --json says: nobody should answer a question without these.
        click.echo(f"They say:     {claimed_name(found.name or '')}", err=True)
        click.echo(f"Id:           {harmless(found.id)}", err=True)
        click.echo(f"Fingerprint:  {harmless(found.fingerprint)}", err=True)
        if found.trust is Trust.BLOCKED:
            click.echo("You have blocked them; to trust them ends that.", err=True)
        confirm("Are these the six words that they read to you?", otherwise="nobody was trusted")
    before = None if petname is None else _called(app, petname)
    # The full id, so that what was confirmed is what is trusted.
    reply = app.client.ask("POST", path_of("people", found.id, "trust"), body=to_json(TrustRequest(petname)))
    if app.json:
        app.print_json(reply)
        return
    now = read(Person, reply)
    print_person(now)
    if found.trust is Trust.BLOCKED:
        app.note("they were blocked, and are so no longer")
    if found.trust is not Trust.TRUSTED:
        app.note(
            "they can read all that you publish to trusted people, and what you have published to them before"
        )
    if before is not None and before.id != now.id and now.petname == before.petname:
        app.note(f"{key_ref(before.id)}, whom you do not trust, had that name, and has it no longer")
    if not now.petname:
        app.note(f"give them a name of your own with: {app.typed(f'trust {key_ref(now.id)} NAME')}")
    elif petname is None:
        app.note(f"you call them {harmless(now.petname)}")


def _called(app: App, petname: str) -> Person | None:
    """Whom the user calls so."""
    try:
        person = read(Person, app.client.get(path_of("people", petname)))
    except Failure:
        return None
    return person if person.petname == " ".join(petname.split()) else None


COMMAND = trust

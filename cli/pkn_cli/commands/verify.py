"""`pkn verify`."""

from __future__ import annotations

import click

from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import AlreadyTold
from pkn_cli.output.amounts import count
from pkn_cli.output.items import title_of
from pkn_cli.output.references import item_ref
from pkn_cli.output.tables import print_table
from pkn_cli.reading import read
from pkn_cli.work import run_work
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.work import VerifyRequest, VerifySummary


@command(
    "verify",
    prints="how many records and contents were checked, and a table of the bad ones.",
    examples=["pkn verify", "pkn verify h2kq7xmv3a"],
)
@click.argument("item", required=False)
def verify(app: App, item: str | None) -> None:
    """Check signatures and contents.

    Of one item, or of everything on this machine. Large files are checked where they lie; one that was put
    back with the bytes that it had counts as it did. The state in which
    an earlier version had one is no longer here once it was changed, and that is told, not counted as bad.
    Exit status 1 when something is not what it claims to be.
    """
    reply = run_work(app, path_of("verify"), to_json(VerifyRequest(item)), "verifying")
    summary = read(VerifySummary, reply)
    if app.json:
        app.print_json(reply)
    else:
        gone = f"; {count(summary.gone, 'earlier content')} no longer here" if summary.gone else ""
        app.say(f"{count(summary.records, 'record')} and {count(summary.payloads, 'content')} checked{gone}")
        if summary.bad:
            print_table(
                ["item", "title", "problem", "what to do"],
                [[item_ref(one.id), title_of(one.title), one.problem, one.hint] for one in summary.bad],
                flexible=1,
            )
    if summary.bad:
        number = len(summary.bad)
        raise AlreadyTold(f"{count(number, 'bad thing')} found")


COMMAND = verify

"""`pkn import`."""

from __future__ import annotations

import os

import click

from pkn_cli import options
from pkn_cli.asking import confirm
from pkn_cli.client import path_of
from pkn_cli.command import command
from pkn_cli.context import App
from pkn_cli.failures import AlreadyTold, Failure
from pkn_cli.output.amounts import count
from pkn_cli.output.foreign import harmless
from pkn_cli.output.references import item_ref
from pkn_cli.output.tables import print_table
from pkn_cli.output.terminal import can_ask
from pkn_cli.reading import read
from pkn_cli.work import run_work
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.work import ImportRequest, ImportSummary

# Lines about single files; with --json all are there.
_MOST_SAID = 10


@command(
    "import",
    prints="how many files were imported, to whom, how many were unchanged; a table of those that failed; on "
    "stderr what there is to say about others.",
    examples=["pkn import ~/notes --to trusted", "pkn import ~/notes --dry-run"],
)
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@options.audience("Who may read them; front matter may narrow it.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--again", is_flag=True, help="Also what was retracted since it was imported.")
@options.yes("Do not ask how many go to whom.")
def import_paths(
    app: App, paths: tuple[str, ...], audience: str | None, dry_run: bool, again: bool, yes: bool
) -> None:
    """Import files and whole folders.

    Markdown with its front matter (title, tags, lang, audience), other texts, web addresses that were saved
    as files (.url, .webloc), which become bookmarks, and any other file. Run it
    again whenever you like: unchanged files are left alone, changed ones become the next version, and so do
    those that link to what has become an item since. Without --to and without front matter that says it, a
    file goes to those for whom it was published or imported before, else to the setting default_audience.
    What was said beside a file when it was published (--title, --kind, --lang, --tag) holds for its next
    version, where the file does not say it itself. An item's audience cannot change: for another one a file
    becomes another item, and the one before stays until it is retracted. On a terminal it says first how many
    go to whom, and asks. Exit status 1 when a file failed; the others are imported, and with --json the whole
    account is on standard output all the same.
    """
    absolute = tuple(map(_absolute, paths))
    if dry_run or (not yes and can_ask()):
        planned = _run(app, ImportRequest(absolute, audience, dry_run=True, again=again), "counting")
        if dry_run:
            _finish(app, planned, "to import")
            return
        if not _ask(read(ImportSummary, planned)):
            _finish(app, planned, "imported")
            return
    _finish(app, _run(app, ImportRequest(absolute, audience, again=again), "importing"), "imported")


def _absolute(path: str) -> str:
    absolute = os.path.abspath(path)  # noqa: PTH100 - links are the daemon's to judge
    if not os.path.lexists(absolute):
        raise Failure("no-such-file", f"there is no {path}", "name files or folders")
    return absolute


def _run(app: App, request: ImportRequest, what: str) -> dict[str, object]:
    return run_work(app, path_of("import"), to_json(request), what)


def _ask(planned: ImportSummary) -> bool:
    """Ask whether to go on; False when there is nothing to do."""
    if not planned.imported:
        return False
    known = f"; {planned.unchanged} unchanged" if planned.unchanged else ""
    failed = f"; {len(planned.failed)} cannot be read" if planned.failed else ""
    left = f"; {count(len(planned.left), 'item')} for others stay as they are" if planned.left else ""
    click.echo(f"{count(planned.imported, 'file')}: {_to_whom(planned)}{known}{failed}{left}", err=True)
    confirm("Import?", otherwise="nothing was imported")
    return True


def _to_whom(summary: ImportSummary) -> str:
    return ", ".join(f"{number} to {harmless(name)}" for name, number in sorted(summary.by_audience.items()))


def _finish(app: App, reply: dict[str, object], done: str) -> None:
    summary = read(ImportSummary, reply)
    if app.json:
        app.print_json(reply)
    else:
        whom = f" ({_to_whom(summary)})" if summary.imported else ""
        skipped = f", {len(summary.skipped)} skipped" if summary.skipped else ""
        linked = f" ({summary.linked} with links to what is new)" if summary.linked else ""
        app.say(
            f"{summary.imported} {done}{whom}, {summary.unchanged} unchanged{linked}{skipped}, "
            f"{len(summary.failed)} failed"
        )
        if summary.failed:
            print_table(
                ["file", "problem"], [[_shown(one.path), one.error] for one in summary.failed], flexible=1
            )
        _say_more(app, summary)
    if summary.failed:
        raise AlreadyTold(
            f"{count(len(summary.failed), 'file')} could not be imported", "correct and import again"
        )


def _say_more(app: App, summary: ImportSummary) -> None:
    """What there is to say about single files, on stderr; of many a few, and how many more."""
    _few(app, [f"{_shown(one.path)}: {one.note}" for one in summary.notes])
    _few(app, [f"{_shown(one.path)}: {one.note}, so it was left out" for one in summary.skipped])
    if summary.skipped:
        app.note(f"pkn: what was retracted is imported again with {app.typed('import PATH --again')}")
    _few(
        app,
        [
            f"{_shown(one.path)} goes to {one.now}, but what it was before stays {one.audience}: "
            f"{app.typed(f'retract {item_ref(one.id)}')} takes that back"
            for one in summary.left
        ],
    )
    if len(summary.left) > _MOST_SAID:
        audience = summary.left[0].audience
        app.note(f"pkn: all items of before: {app.typed(f'list --mine --to {audience}')}")


def _few(app: App, lines: list[str]) -> None:
    for line in lines[:_MOST_SAID]:
        app.note(f"pkn: {line}")
    if len(lines) > _MOST_SAID:
        app.note(f"pkn: and {len(lines) - _MOST_SAID} more like this")


def _shown(path: str) -> str:
    """Relative to here where that is shorter, as one would type it."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path


COMMAND = import_paths

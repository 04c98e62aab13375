"""`pkn config`: list, get, set, unset."""

from __future__ import annotations

import click

from pkn_cli.client import JsonObject, path_of
from pkn_cli.command import DefaultGroup, command
from pkn_cli.context import App
from pkn_cli.failures import NotRunning
from pkn_cli.output.foreign import harmless
from pkn_cli.output.tables import print_table
from pkn_cli.output.terminal import clip, columns
from pkn_cli.reading import read
from pkn_protocol.control.codec import to_json
from pkn_protocol.control.status import Setting, SettingRequest, Settings

# On a terminal, so that there is room for the meaning; `pkn config get` shows all of it.
_VALUE_COLUMNS = 24


@click.group("config", cls=DefaultGroup, default="list")
def config() -> None:
    """Show and change settings.

    Where no daemon runs, those in its file.
    """


@command(
    "list",
    prints="a table of settings: name, value, where the value comes from, meaning.",
    examples=["pkn config list"],
)
def list_settings(app: App) -> None:
    """List all settings."""
    reply, _ = _ask(app, "list")
    if app.json:
        app.print_json(reply)
        return
    print_table(
        ["setting", "value", "from", "meaning"],
        [
            [
                one.key,
                clip(one.value, _VALUE_COLUMNS) if columns() else one.value,
                one.source.value,
                one.meaning,
            ]
            for one in read(Settings, reply).settings
        ],
        flexible=3,
    )


@command("get", prints="the value, and nothing else.", examples=["pkn config get default_audience"])
@click.argument("key")
def get_setting(app: App, key: str) -> None:
    """Show one setting."""
    reply, _ = _ask(app, "get", key)
    if app.json:
        app.print_json(reply)
    else:
        app.say(harmless(read(Setting, reply).value))


@command("set", prints="the setting as it is now.", examples=["pkn config set default_audience public"])
@click.argument("key")
@click.argument("value")
def set_setting(app: App, key: str, value: str) -> None:
    """Change a setting."""
    _show_changed(app, *_ask(app, "set", key, value))


@command("unset", prints="the setting as it is now.", examples=["pkn config unset default_audience"])
@click.argument("key")
def unset_setting(app: App, key: str) -> None:
    """Put a setting back to its default."""
    _show_changed(app, *_ask(app, "unset", key))


def _ask(app: App, act: str, *words: str) -> tuple[JsonObject, bool]:
    """The answer of the daemon, or where none runs of the file itself; and whether one runs."""
    key = words[:1]
    body = to_json(SettingRequest(words[1])) if act == "set" else None
    try:
        method = {"set": "PUT", "unset": "DELETE"}.get(act, "GET")
        return app.client.ask(method, path_of("config", *key), body=body), True
    except NotRunning:
        from pkn_cli.offline import settings_offline

        return settings_offline(app, act, *words), False


def _show_changed(app: App, reply: JsonObject, running: bool) -> None:
    if app.json:
        app.print_json(reply)
        return
    setting = read(Setting, reply)
    app.say(f"{harmless(setting.key)} = {harmless(setting.value)}")
    if setting.needs_restart and running:
        app.note(f"it counts from the next start on: {app.typed('down')}, then {app.typed('up')}")


for _subcommand in (list_settings, get_setting, set_setting, unset_setting):
    config.add_command(_subcommand)

COMMAND = config

"""All commands: name, section and summary. `pkn --help` is printed from this table, without loading any."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """`summary` is the first line of the command's own help; `module` its name in `commands`."""

    section: str
    summary: str
    module: str


def _table(section: str, *rows: tuple[str, str]) -> dict[str, Entry]:
    # Trailing underscore: `import` is a keyword, and a module called `list` reads like the type.
    return {
        name: Entry(section, summary, f"{name}_" if name in ("import", "list") else name)
        for name, summary in rows
    }


COMMANDS: dict[str, Entry] = {
    **_table(
        "Begin",
        ("up", "Start your daemon in the background."),
        ("down", "Stop your daemon."),
        ("status", "Show how your daemon fares and what it holds."),
        ("id", "Show who you are to others."),
        ("peers", "Show the devices that your daemon knows."),
        ("connect", "Connect to a device by its address."),
        ("log", "Show what your daemon did lately."),
    ),
    **_table(
        "Put in",
        ("publish", "Publish files, texts and bookmarks."),
        ("import", "Import files and whole folders."),
        ("ask", "Ask the people around you a question."),
        ("edit", "Write the next version of an item."),
        ("retract", "Take back an item, everywhere and for good."),
    ),
    **_table(
        "Find",
        ("query", "Search what you and the people around you know."),
        ("list", "List items, newest first."),
        ("tags", "List the tags in use."),
        ("who", "Show who knows about something."),
        ("watch", "Watch for new items that match."),
        ("news", "Show what is new since you looked last."),
        ("show", "Show an item and its text."),
        ("get", "Get the content of an item, byte by byte."),
        ("history", "List the versions of an item."),
        ("related", "List the items that are like one."),
    ),
    **_table("Judge", ("verify", "Check signatures and contents.")),
    **_table(
        "People",
        ("trust", "Trust a person, and choose what to call them."),
        ("untrust", "Trust a person no longer."),
        ("block", "Block a person: nothing of theirs is kept or shown."),
        ("unblock", "Block a person no longer."),
        ("vouch", "Tell the people who trust you that a person is real."),
        ("people", "List the people that you know of."),
        ("identity", "Show your identity, or secure it with recovery words."),
    ),
    **_table("Machine", ("config", "Show and change settings.")),
}

ALIASES: dict[str, str] = {"add": "publish"}

# What the fingers type from habit. They work, and a hint names the command.
HABITS: dict[str, str] = {"search": "query", "rm": "retract", "cat": "get", "logs": "log"}


def resolve(name: str) -> str | None:
    """The command's own name for a name, an alias or a habit; None when there is no such command."""
    name = ALIASES.get(name) or HABITS.get(name) or name
    return name if name in COMMANDS else None

"""References short enough to type, and names that say whose word they are."""

from __future__ import annotations

import re

from pkn_cli.output.foreign import harmless
from pkn_protocol.control.references import FIRST_VERSION

_ITEM = "bafyrei"
_PERSON = "did:key:z6Mk"
# The daemon takes prefixes of 8 and more. Ten characters of base32 are 48 bits, less the 2 that belong to the
# CID's header: among a million items two share them with a chance of 1 %.
_ITEM_CHARS = 10
_PERSON_CHARS = 10
_DEVICE_CHARS = 12
_NEEDS_QUOTES = re.compile(r"[\s'\"\\$`!*?\[\](){}<>|&;#~]")


def item_ref(identifier: str) -> str:
    """The beginning of an item's id, as `pkn show` takes it."""
    if not identifier.startswith(_ITEM):
        return harmless(identifier)
    return harmless(identifier[len(_ITEM) : len(_ITEM) + _ITEM_CHARS])


def version_ref(identifier: str, item: str, *, current: bool) -> str:
    """What to type for a version of `item`: its first version shares its id with the newest."""
    return item_ref(identifier) + (FIRST_VERSION if identifier == item and not current else "")


def device_ref(device: str) -> str:
    return harmless(device[:_DEVICE_CHARS])


def key_ref(person: str) -> str:
    """The beginning of a person's key, as `pkn trust` takes it."""
    if not person.startswith(_PERSON):
        return harmless(person)
    return harmless(person[len(_PERSON) : len(_PERSON) + _PERSON_CHARS])


def person_ref(person: str, petname: str | None) -> str:
    """What to type for a person: the petname (quoted where a shell needs it), else the key's beginning."""
    if not petname:
        return key_ref(person)
    name = harmless(petname)
    return "'" + name.replace("'", "'\\''") + "'" if _NEEDS_QUOTES.search(name) else name


def claimed_name(name: str) -> str:
    """A name that somebody gave themselves, never to be taken for one that the user chose."""
    return f"~{harmless(name)} (claimed)" if name else "no name"


def author_name(author: str, name: str, *, claimed: bool, own: bool) -> str:
    """How an item's author is called: you, a petname, a claimed name, or the key's beginning."""
    if own:
        return "you"
    if not name:
        return key_ref(author)
    return claimed_name(name) if claimed else harmless(name)


def person_name(petname: str | None, name: str | None) -> str:
    """A person's names: the petname, and what they claim where that differs."""
    if petname:
        return (
            harmless(petname) if name in (None, petname) else f"{harmless(petname)} ~{harmless(name or '')}"
        )
    return claimed_name(name) if name else ""


def distance_name(distance: int | None, *, blocked: bool = False) -> str:
    """How near a person is: you, distance 1 to 3, a stranger, or blocked."""
    if blocked:
        return "blocked"
    if distance is None:
        return "stranger"
    return "you" if distance == 0 else f"distance {distance}"

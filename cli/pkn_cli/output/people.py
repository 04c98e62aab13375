"""How a person is shown, alone and in a list."""

from __future__ import annotations

from pkn_cli.output.amounts import ago, count
from pkn_cli.output.foreign import harmless
from pkn_cli.output.references import claimed_name, distance_name, key_ref
from pkn_cli.output.tables import print_fields
from pkn_protocol.control.people import Person, Trust


def print_person(person: Person) -> None:
    """One person with everything known, the fingerprint to compare included."""
    print_fields(
        [
            ("you call them", harmless(person.petname or "")),
            ("they say", "" if person.trust is Trust.SELF else claimed_name(person.name or "")),
            ("name", harmless(person.name or "") if person.trust is Trust.SELF else ""),
            ("id", harmless(person.id)),
            ("fingerprint", harmless(person.fingerprint)),
            ("trust", trust_line(person)),
            ("here", f"{count(person.items, 'item')}, {count(person.devices, 'device')}, {seen(person)}"),
        ]
    )


def trust_line(person: Person) -> str:
    """Trust and distance, and who vouches."""
    parts = [standing(person.trust, person.distance)]
    if person.doubted:
        parts.append("summaries found false")
    if person.vouched:
        parts.append("you vouch for them")
    if person.vouched_by:
        parts.append("vouched for by " + ", ".join(map(key_ref, person.vouched_by)))
    return ", ".join(parts)


def standing(trust: Trust, distance: int | None) -> str:
    """`you`, `trusted`, `blocked`, `distance 2` or `stranger`."""
    if trust is Trust.TRUSTED:
        return "trusted"
    return distance_name(distance, blocked=trust is Trust.BLOCKED)


def seen(person: Person) -> str:
    if person.online:
        return "online"
    return "never seen" if person.last_seen is None else f"seen {ago(person.last_seen)}"

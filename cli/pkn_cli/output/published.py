"""What was just written: one line, and what the daemon wants to be said about it."""

from __future__ import annotations

from pkn_cli.context import App
from pkn_cli.output.amounts import count, size
from pkn_cli.output.foreign import harmless
from pkn_cli.output.items import title_of
from pkn_cli.output.references import item_ref
from pkn_cli.output.terminal import accent, bold, clip
from pkn_protocol.control.items import Published

# A text without a title has its first line for one.
_TITLE_COLUMNS = 80


def print_published(app: App, item: Published) -> None:
    """Reference and title, kind and size, and who may read it."""
    parts = [harmless(item.kind), *([size(item.size)] if item.size else []), _readers(item)]
    facts = ", ".join([*parts, "unchanged"] if item.unchanged else parts)
    app.say(f"{accent(item_ref(item.id))}  {bold(clip(title_of(item.title), _TITLE_COLUMNS))}  ({facts})")
    for warning in item.warnings:
        app.note(f"pkn: {warning}")
    if item.audience == "trusted" and item.readers == 0:
        app.note(
            f"you trust nobody yet, so nobody else can read it; {app.typed('trust PERSON')} changes that"
        )


def _readers(item: Published) -> str:
    if item.audience == "public":
        return "public"
    if item.audience == "private" or item.readers is None:
        return harmless(item.audience)
    return f"to {harmless(item.audience)}: {count(item.readers, 'person', 'people')}"

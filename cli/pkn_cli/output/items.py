"""Items in lists and after publishing."""

from __future__ import annotations

from collections.abc import Sequence

from pkn_cli.output.amounts import age, size
from pkn_cli.output.foreign import harmless
from pkn_cli.output.references import author_name, item_ref
from pkn_cli.output.tables import print_table
from pkn_protocol.control.people import Trust
from pkn_protocol.control.summaries import ItemSummary


def author_of(item: ItemSummary) -> str:
    return author_name(
        item.author, item.author_name, claimed=item.author_claimed, own=item.trust is Trust.SELF
    )


def title_of(title: str) -> str:
    return harmless(title) or "(no title)"


def print_items(items: Sequence[ItemSummary]) -> None:
    """A table of items."""
    print_table(
        ["item", "kind", "title", "author", "age", "size", "to", "tags"],
        [
            [
                item_ref(item.id),
                item.kind,
                title_of(item.title),
                author_of(item),
                age(item.time),
                size(item.size) if item.size else "",
                item.audience,
                ", ".join(item.tags),
            ]
            for item in items
        ],
        flexible=2,
    )

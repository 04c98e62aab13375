"""News and matches for people: one line each."""

from __future__ import annotations

import click

from pkn_cli.output.amounts import age
from pkn_cli.output.foreign import harmless
from pkn_cli.output.items import author_of, title_of
from pkn_cli.output.references import item_ref
from pkn_cli.output.terminal import accent, bold, clip, columns, dim, display_width
from pkn_protocol.control.news import NewsLine, NewsReason
from pkn_protocol.control.people import Trust
from pkn_protocol.control.summaries import ItemSummary

_LEAST_TITLE = 16


def print_news(line: NewsLine) -> None:
    """Reference, who did what, the title, its kind and age."""
    _print(line.item, _told(line), "" if line.count == 1 else "newest: ", _about(line))


def print_match(item: ItemSummary, *, confirmed: bool) -> None:
    """Reference, who published it, the title, its kind and age."""
    about = [item.kind, age(item.time), *([] if confirmed else ["phrase not confirmed"])]
    verb = "published" if item.id == item.item else "changed"
    _print(item, f"{author_of(item)} {verb}", "", about)


def _told(line: NewsLine) -> str:
    who, count = author_of(line.item), line.count
    for_what = harmless(", ".join(line.watches))
    if line.reason is NewsReason.MATCH:
        if count > 1:
            return f"{for_what}: {count:,} matches,"
        return f"{for_what}: {who} {'changed' if line.changed else 'published'}"
    verb = {
        NewsReason.VERSION: "wrote a new version of",
        NewsReason.QUESTION: "asks",
        NewsReason.PUBLISHED: "changed" if line.changed else "published",
    }[line.reason]
    if count == 1:
        return f"{who} {verb}"
    if line.reason is NewsReason.QUESTION:
        return f"{who} asks {count:,} questions,"
    if line.reason is NewsReason.VERSION:
        return f"{who} wrote new versions of {count:,} items,"
    return f"{who} published {count:,} items,"


def _about(line: NewsLine) -> list[str]:
    facts = [line.item.kind, age(line.item.time)]
    if line.reason is NewsReason.MATCH and line.count > 1:
        facts.append(f"by {author_of(line.item)}")
    if line.watches and line.reason is not NewsReason.MATCH:
        facts.append(f"matches {', '.join(line.watches)}")
    if line.item.trust is Trust.NONE:
        facts.append("stranger" if line.item.distance is None else f"distance {line.item.distance}")
    return facts


def _print(item: ItemSummary, told: str, before: str, about: list[str]) -> None:
    reference = item_ref(item.id)
    facts = f"({harmless(', '.join(about))})"
    title, room = title_of(item.title), columns()
    if room is not None:
        others = display_width(f"{reference}  {told} {before}  {facts}")
        title = clip(title, max(room - others, _LEAST_TITLE))
    click.echo(f"{accent(reference)}  {told} {before}{bold(title)}  {dim(facts)}")

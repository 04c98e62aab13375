"""News and matches for people: one line each."""

from __future__ import annotations

import click

from pkn_cli.output.amounts import age
from pkn_cli.output.foreign import harmless
from pkn_cli.output.items import author_of, title_of
from pkn_cli.output.references import author_name, item_ref
from pkn_cli.output.terminal import accent, bold, clip, columns, dim, display_width
from pkn_protocol.control.news import NewsLine, NewsReason
from pkn_protocol.control.people import Trust
from pkn_protocol.control.summaries import ItemSummary

_LEAST_TITLE = 16
_COMMENTED_TITLE, _COMMENT = 40, 120


def print_news(line: NewsLine) -> None:
    """Reference, who did what, the title, its kind and age; of a comment the beginning of what it says."""
    title = title_of(line.item.title)
    if line.comment is not None:
        title = f"{clip(title, _COMMENTED_TITLE)}: {clip(title_of(line.comment.text), _COMMENT)}"
    _print(line.item, title, _told(line), "" if line.count == 1 else "newest: ", _about(line))


def print_match(item: ItemSummary, *, confirmed: bool) -> None:
    """Reference, who published it, the title, its kind and age."""
    about = [item.kind, age(item.time), *([] if confirmed else ["phrase not confirmed"])]
    verb = "published" if item.id == item.item else "changed"
    _print(item, title_of(item.title), f"{author_of(item)} {verb}", "", about)


def _told(line: NewsLine) -> str:
    who, count = _who(line), line.count
    for_what = harmless(", ".join(line.watches))
    if line.reason is NewsReason.MATCH:
        if count > 1:
            return f"{for_what}: {count:,} matches,"
        return f"{for_what}: {who} {'changed' if line.changed else 'published'}"
    verb = {
        NewsReason.VERSION: "wrote a new version of",
        NewsReason.COMMENT: "commented on",
        NewsReason.CUTTING: "made a cutting:",
        NewsReason.QUESTION: "asks",
        NewsReason.PUBLISHED: "changed" if line.changed else "published",
    }[line.reason]
    if count == 1:
        return f"{who} {verb}"
    if line.reason is NewsReason.QUESTION:
        return f"{who} asks {count:,} questions,"
    if line.reason is NewsReason.VERSION:
        return f"{who} wrote new versions of {count:,} items,"
    if line.reason is NewsReason.COMMENT:
        return f"{who} wrote {count:,} comments,"
    if line.reason is NewsReason.CUTTING:
        return f"{who} made {count:,} cuttings,"
    return f"{who} published {count:,} items,"


def _who(line: NewsLine) -> str:
    said = line.comment
    if said is None:
        return author_of(line.item)
    return author_name(said.author, said.author_name, claimed=said.author_claimed, own=said.own)


def _about(line: NewsLine) -> list[str]:
    facts = [line.item.kind, age(line.item.time if line.comment is None else line.comment.time)]
    if line.reason is NewsReason.MATCH and line.count > 1:
        facts.append(f"by {author_of(line.item)}")
    if line.watches and line.reason is not NewsReason.MATCH:
        facts.append(f"matches {', '.join(line.watches)}")
    if line.comment is None and line.item.trust is Trust.NONE:
        facts.append("stranger" if line.item.distance is None else f"distance {line.item.distance}")
    return facts


def _print(item: ItemSummary, title: str, told: str, before: str, about: list[str]) -> None:
    reference = item_ref(item.id)
    facts = f"({harmless(', '.join(about))})"
    room = columns()
    if room is not None:
        others = display_width(f"{reference}  {told} {before}  {facts}")
        title = clip(title, max(room - others, _LEAST_TITLE))
    click.echo(f"{accent(reference)}  {told} {before}{bold(title)}  {dim(facts)}")

"""Query results for people: one block a hit, the words that matched marked in its passage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click

from pkn_cli.output.amounts import age, size
from pkn_cli.output.foreign import harmless
from pkn_cli.output.items import author_of, title_of
from pkn_cli.output.references import distance_name, item_ref
from pkn_cli.output.terminal import accent, bold, clip, coloured, columns, dim, display_width, prose_columns
from pkn_protocol.control.people import Trust
from pkn_protocol.control.query import MOST_VARIANTS, Hit, Mark, Variant

_INDENT = "    "
_SEPARATOR = " · "


def print_hit(rank: int, hit: Hit) -> None:
    """Rank, reference and title; author, distance, age and tags; the passage."""
    reference = item_ref(hit.id)
    head = f"{rank:2}  {reference}  "
    title = title_of(hit.title)
    room = columns()
    if room is not None:
        title = clip(title, room - len(head))
    click.echo(f"{rank:2}  {accent(reference)}  {bold(title)}")
    click.echo(f"{_INDENT}{dim(_SEPARATOR.join(_about(hit)))}")
    text, marks = (hit.passage, hit.marks) if hit.passage else (hit.excerpt, ())
    for line in marked_lines(text or "", marks):
        click.echo(f"{_INDENT}{line}")
    if hit.variants:
        click.echo(f"{_INDENT}{dim(_variants(hit.variants))}")
    if hit.explain is not None:
        factors = ", ".join(f"{harmless(name)} {value:.3g}" for name, value in hit.explain.items())
        click.echo(f"{_INDENT}{dim(f'score {hit.score:.3g}: {factors}')}")


def _about(hit: Hit) -> list[str]:
    parts = [author_of(hit)]
    if hit.trust is not Trust.SELF:
        parts.append(distance_name(hit.distance, blocked=hit.trust is Trust.BLOCKED))
    if hit.doubted:
        parts.append("summaries found false")
    parts.append(age(hit.time))
    if not hit.confirmed:
        parts.append("phrase not confirmed")
    if hit.kind != "note":
        parts.append(harmless(hit.kind))
    if hit.size and not hit.have_payload:
        parts.append(f"{size(hit.size)}, not on this machine")
    parts.extend(f"#{harmless(tag)}" for tag in hit.tags)
    return parts


def _variants(variants: Sequence[Variant]) -> str:
    """How many there are of each likeness, and how to see them."""
    counts = Counter(harmless(one.likeness) for one in variants)
    names = {"same": ("copy", "copies"), "cutting": ("cutting", "cuttings")}
    told = [f"{times} {names.get(name, (name, name + 's'))[times != 1]}" for name, times in counts.items()]
    more = ", and more" if len(variants) == MOST_VARIANTS else ""
    return f"also as {', '.join(told)}{more}; --all shows each"


def marked_lines(passage: str, marks: Sequence[Mark]) -> list[str]:
    """The passage wrapped, its marks in bold on a terminal and between ** elsewhere.

    Making harmless and wrapping change characters one for one, so the marks stay where they were.
    """
    text = _wrapped(harmless(passage), prose_columns() - len(_INDENT))
    pieces, at = [], 0
    for mark in sorted(marks, key=lambda mark: mark.start):
        if at <= mark.start < mark.end <= len(text):
            pieces += [text[at : mark.start], _emphasised(text[mark.start : mark.end])]
            at = mark.end
    lines = "".join([*pieces, text[at:]]).split("\n")
    return [line.strip(" ") for line in lines if line.strip(" ")]


def _emphasised(word: str) -> str:
    return click.style(word, bold=True) if coloured() else f"**{word}**"


def _wrapped(text: str, most: int) -> str:
    """`text` of the same length, spaces replaced by line breaks so that each line fits where it can."""
    chars, begin, space = list(text), 0, -1
    for at, char in enumerate(text):
        if char == " ":
            space = at
        if space > begin and display_width(text[begin : at + 1].rstrip(" ")) > most:
            chars[space] = "\n"
            begin = space + 1
    return "".join(chars)

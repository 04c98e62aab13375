"""One item with everything known about it."""

from __future__ import annotations

from collections.abc import Iterator

from pkn_cli.output.amounts import ago, count, moment, size
from pkn_cli.output.foreign import harmless
from pkn_cli.output.items import title_of
from pkn_cli.output.references import author_name, distance_name, item_ref, key_ref, version_ref
from pkn_cli.output.terminal import bold
from pkn_protocol.control.items import Comment, Contributor, ItemDetail, TextState
from pkn_protocol.control.people import Trust


def detail_lines(item: ItemDetail) -> Iterator[str]:
    """The item's fields, its text and what others said, as lines for a terminal."""
    yield bold(title_of(item.title))
    fields = [(name, value) for name, value in _fields(item) if value]
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        yield f"{bold(name)}{'':{width - len(name) + 2}}{value}"
    if item.text is not None:
        yield ""
        yield from harmless(item.text, lines=True).rstrip("\n").expandtabs(4).split("\n")
    if item.text_state is TextState.CUT:
        yield ""
        yield f"(cut here; pkn get {reference_of(item)} -o FILE gets all of it)"
    if item.related:
        yield ""
        yield bold("Related")
        yield from (f"{item_ref(one.id)}  {title_of(one.title)}" for one in item.related)
    for comment in item.comments:
        yield ""
        yield f"{bold(_called(comment, own=comment.own))}, {ago(comment.time)}:"
        yield from (f"  {line}" for line in harmless(comment.text, lines=True).split("\n"))


def reference_of(item: ItemDetail) -> str:
    """What to type for the version that is shown."""
    return version_ref(item.id, item.item, current=item.id in item.heads)


def _fields(item: ItemDetail) -> list[tuple[str, str]]:
    own = item.trust is Trust.SELF
    author = _called(item, own=own)
    if not own:
        distance = distance_name(item.distance, blocked=item.trust is Trust.BLOCKED)
        author = f"{author}, {key_ref(item.author)}, {distance}"
    content = [harmless(item.kind), harmless(item.media_type or ""), size(item.size) if item.size else ""]
    return [
        ("item", harmless(item.id)),
        ("author", author),
        ("written", f"{moment(item.time)} ({ago(item.time)})"),
        ("dated", "" if item.dated is None else moment(item.dated)),
        ("expires", "" if item.expires is None else moment(item.expires)),
        ("kind", ", ".join(part for part in content if part)),
        ("language", harmless(item.lang or "")),
        ("url", harmless(item.url or "")),
        ("file", harmless(item.name or "")),
        ("tags", harmless(", ".join(item.tags))),
        ("to", harmless(item.audience)),
        ("versions", _versions(item)),
        ("cut from", item_ref(item.derived_from) if item.derived_from else ""),
        ("links to", ", ".join(map(item_ref, item.links))),
        ("linked by", ", ".join(f"{item_ref(one.id)} {harmless(one.title)}" for one in item.backlinks)),
        ("rated", _rating(item)),
        ("signature", "good" if item.verified else "not checked"),
        ("content", _whereabouts(item)),
    ]


def _called(who: ItemDetail | Contributor | Comment, *, own: bool) -> str:
    return author_name(who.author, who.author_name, claimed=who.author_claimed, own=own)


def _versions(item: ItemDetail) -> str:
    if item.versions <= 1:
        return ""
    others = [_called(one, own=one.own) for one in item.contributors]
    heads = (
        f", {len(item.heads)} current: {', '.join(map(item_ref, item.heads))}" if len(item.heads) > 1 else ""
    )
    earlier = (
        f"; this is an earlier one, the current one is {', '.join(map(item_ref, item.heads))}"
        if item.heads and item.id not in item.heads
        else ""
    )
    return f"{item.versions} by {', '.join(others)}{heads if not earlier else ''}{earlier}"


def _rating(item: ItemDetail) -> str:
    if item.ratings.mean is None:
        return ""
    return f"{item.ratings.mean:.1f} of 5 ({count(item.ratings.count, 'rating')})"


def _whereabouts(item: ItemDetail) -> str:
    if not item.size:
        return ""
    if item.have_payload:
        return "on this machine"
    held = count(len(item.sources), "device") if item.sources else "no device that is known"
    absent = "; nobody online has it" if item.text_state is TextState.UNREACHABLE else ""
    return f"not on this machine, held by {held}{absent}"

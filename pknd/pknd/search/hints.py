"""What to say of a question that finds nothing, or less than was meant, and is itself the reason."""

from __future__ import annotations

import re
import shlex

from pkn_protocol.control.query import QueryRequest
from pkn_protocol.search.filters import TypedFilters
from pkn_protocol.search.query import Query, stop_languages
from pkn_protocol.text.analysis import is_single_unspaced

_LETTERS = r"[^\W\d_]"
# At the end of a word of letters or within one: no `A*` or `C*-algebra`, no `*args`, no `**bold**`.
_WILDCARD = re.compile(rf"(?<![\w*-])(?:{_LETTERS}{{2,}}\*|{_LETTERS}\*{_LETTERS}){_LETTERS}*(?![\w*-])")
_AT_THE_BEGINNING = re.compile(rf"(?<![\w*-])\*{_LETTERS}{{2,}}(?![\w*-])")


def hint_for(query: Query, *, found: bool) -> str:
    """Why a question finds nothing whatever is held: only words that no index has; or that it does not find
    what its `*` was meant for. Empty where it may."""
    if _WILDCARD.search(query.text) or (not found and _AT_THE_BEGINNING.search(query.text)):
        return "* stands for nothing here: each word is found in all its forms, and has to be typed whole"
    if found:
        return ""
    words = list(dict.fromkeys(term.word for term in query.terms))
    asked = ", ".join(words)
    if all(stop_languages(word) for word in words):
        return f"only words were asked that are too common to be kept of a text: {asked}; add another"
    if all(is_single_unspaced(word) for word in words):
        return (
            f"{asked} is found only where it stands alone: texts without spaces between words are "
            "searched by two characters and more"
        )
    return ""


def listing_of(request: QueryRequest, typed: TypedFilters) -> str:
    """The command that lists what the filters of a question let through; empty where it has none that can be
    typed."""
    options = [("--tag", tag) for tag in (*typed.tags, *request.tags)]
    for name, one, other in (
        ("--author", typed.author, request.author),
        ("--kind", typed.kind, request.kind),
        ("--since", typed.since, None),
    ):
        value = one if other is None else other
        if value is not None:
            options.append((name, str(value)))
    return shlex.join(["pkn", "list", *(word for option in options for word in option)]) if options else ""

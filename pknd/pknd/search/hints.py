"""What to say when nothing was found and the question itself is the reason."""

from __future__ import annotations

from pkn_protocol.search.query import Query, stop_languages
from pkn_protocol.text.analysis import is_single_unspaced


def hint_for(query: Query) -> str:
    """Why a question finds nothing whatever is held: only words that no index has. Empty where it may."""
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

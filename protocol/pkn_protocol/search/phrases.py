"""Whether words follow one another in a text (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pkn_protocol.text.analysis import analyse, normal_words

Phrases = Sequence[Sequence[str]]


def has_phrases(text: str, phrases: Phrases) -> bool:
    """Whether the normal words of each phrase follow one another in a text."""
    return not phrases or _has(text, phrases, all_of_them=True)


def has_any_phrase(text: str, phrases: Phrases) -> bool:
    """Whether the normal words of one of the phrases follow one another in a text."""
    return bool(phrases) and _has(text, phrases, all_of_them=False)


def _has(text: str, phrases: Phrases, *, all_of_them: bool) -> bool:
    joined = f" {' '.join(normal_words(text))} "
    found = (_contains(joined, " ".join(phrase)) for phrase in phrases)
    return all(found) if all_of_them else any(found)


def _contains(joined: str, phrase: str) -> bool:
    if not phrase:
        return True
    place = joined.find(phrase)
    while place >= 0:
        end = place + len(phrase)
        if _parts_words(joined[place - 1], phrase[0]) and _parts_words(phrase[-1], joined[end]):
            return True
        place = joined.find(phrase, place + 1)
    return False


def _parts_words(before: str, after: str) -> bool:
    """Whether a word may end between two characters: at a space, and anywhere in scripts without spaces."""
    return " " in (before, after) or _is_unspaced(before) or _is_unspaced(after)


@lru_cache(maxsize=4096)
def _is_unspaced(char: str) -> bool:
    # Only words of such scripts are analysed as bigrams: three characters are two of them.
    return len(analyse(char * 3, "")) == 2

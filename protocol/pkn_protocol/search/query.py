"""What was asked: words, phrases, exclusions, as typed and as terms (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pkn_protocol.text.analysis import analyse, normal_words
from pkn_protocol.text.languages import STOP_WORDS, guess_language

MOST_CHARS = 1000
"""Nobody types more; a pasted page is a text, not a question."""
MOST_TERMS = 64


class BadQuery(ValueError):
    """A query that cannot be asked; the text says what to do."""

    code = "bad-query"


@dataclass(frozen=True, slots=True)
class Term:
    """One word, as the set of stems that it has in the languages at hand; any of them matches."""

    word: str
    stems: frozenset[int]


@dataclass(frozen=True, slots=True)
class Query:
    """`terms` are scored (a phrase's words among them), `phrases` are lists of normal words that must follow
    one another, `excluded` must not occur."""

    text: str
    terms: tuple[Term, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[Term, ...] = ()

    @property
    def required(self) -> tuple[Term, ...]:
        """The terms of phrases: on summaries a phrase is tested as all of its words."""
        wanted = {word for phrase in self.phrases for word in phrase}
        return tuple(term for term in self.terms if term.word in wanted)


def parse_query(text: str, langs: Collection[str]) -> Query:
    """Read a query: words, "a phrase", -without. A quote that is not closed is a character like any other.

    `langs` are the languages of what is held. Words that say nothing in the query's own language are left
    out, unless nothing else would remain.

    Raises:
        BadQuery: empty, too long, or with more than 64 words.
    """
    if len(text) > MOST_CHARS:
        raise BadQuery(
            f"the query has {len(text)} characters; at most {MOST_CHARS} are read: use fewer words"
        )
    plain: list[str] = []
    excluded: list[str] = []
    phrases: list[tuple[str, ...]] = []
    for part, is_phrase, is_out in _parts(text):
        words = normal_words(part)
        if is_out:
            excluded += words
        elif is_phrase and len(words) > 1:
            phrases.append(tuple(words))
            plain += words
        else:
            plain += words
    if not plain:
        raise BadQuery("there is no word to look for: type at least one")
    if len(plain) + len(excluded) > MOST_TERMS:
        raise BadQuery(f"more than {MOST_TERMS} words: use fewer")
    spoken = guess_language(" ".join(plain), "")
    stop = STOP_WORDS.get(spoken, frozenset())
    telling = [word for word in plain if word not in stop] or plain
    return Query(
        text=text,
        terms=_terms(telling, langs),
        phrases=tuple(phrases),
        excluded=_terms(excluded, langs),
    )


def _parts(text: str) -> Iterator[tuple[str, bool, bool]]:
    """(words, is a phrase, is excluded) in order."""
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        out = text[place] == "-" and place + 1 < len(text) and not text[place + 1].isspace()
        if out:
            place += 1
        if text[place] == '"' and (end := text.find('"', place + 1)) > 0:
            yield text[place + 1 : end], True, out
            place = end + 1
            continue
        end = place
        while end < len(text) and not text[end].isspace():
            end += 1
        yield text[place:end], False, out
        place = end


def _terms(words: list[str], langs: Collection[str]) -> tuple[Term, ...]:
    found: dict[str, Term] = {}
    for word in dict.fromkeys(words):
        by_lang = [analyse(word, lang) for lang in {*langs, ""}]
        # A word of a script without spaces is as many terms as it has bigrams, others are one.
        for place in range(max(map(len, by_lang), default=0)):
            stems = frozenset(stems[place] for stems in by_lang if len(stems) > place)
            found.setdefault(f"{word}\0{place}" if place else word, Term(word, stems))
    return tuple(found.values())

"""What was asked: words, phrases, exclusions, as typed and as terms (SPEC, Search)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pkn_protocol.text.analysis import analyse, normal_words
from pkn_protocol.text.languages import STEMMERS, STOP_WORDS, guess_language, primary

MOST_CHARS = 1000
"""Nobody types more; a pasted page is a text, not a question."""
MOST_TERMS = 64
"""Terms to score and to exclude together; each costs a look into the index of everybody who is asked."""


_PARTICLES = frozenset("がでとにのはへもやを")
_HIRAGANA = ("\u3041", "\u309f")


class BadQuery(ValueError):
    """A query that cannot be asked; the text says what to do."""

    code = "bad-query"


class EmptyQuery(BadQuery):
    """No word to look for."""


class QueryTooLong(BadQuery):
    """More than MOST_CHARS characters."""


class TooManyTerms(BadQuery):
    """More than MOST_TERMS terms."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word, as the set of stems that it has in the languages at hand; any of them matches."""

    word: str
    stems: frozenset[int]


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked; `text` is as typed.

    `terms` are scored (a phrase's words among them), `phrases` are lists of normal words that must follow one
    another, `excluded` must not occur, nor `excluded_phrases` follow one another.
    """

    text: str
    terms: tuple[Term, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[Term, ...] = ()
    excluded_phrases: tuple[tuple[str, ...], ...] = ()

    @property
    def quoted(self) -> tuple[Term, ...]:
        """The terms of phrases: on summaries a phrase is tested as its words."""
        wanted = {word for phrase in self.phrases for word in phrase}
        return tuple(term for term in self.terms if term.word in wanted)

    @property
    def required(self) -> tuple[Term, ...]:
        """The quoted terms that the sketch of a matching item has, whatever its language."""
        return tuple(term for term in self.quoted if not stop_languages(term.word))

    def required_in(self, lang: str) -> tuple[Term, ...]:
        """The quoted terms that the sketch of a matching item in this language has: not its stop words."""
        return tuple(term for term in self.quoted if primary(lang) not in stop_languages(term.word))


def stop_languages(word: str) -> frozenset[str]:
    """The languages (primary subtags) in which a normal word is left out of sketches."""
    return frozenset(lang for lang, words in STOP_WORDS.items() if word in words)


def parse_query(text: str, langs: Collection[str]) -> Query:
    """Read a query: words, "a phrase", -without, -"without this phrase".

    A quote that is not closed is a character like any other, and so is a dash with nothing behind it. `langs`
    are the languages of what is held. Words that say nothing in the query's own language are left out, unless
    nothing else would remain.

    Raises:
        EmptyQuery, QueryTooLong, TooManyTerms: all of them BadQuery.
    """
    if len(text) > MOST_CHARS:
        raise QueryTooLong(
            f"the query has {len(text)} characters; at most {MOST_CHARS} are read: use fewer words"
        )
    plain: list[str] = []
    excluded: list[str] = []
    phrases: list[tuple[str, ...]] = []
    excluded_phrases: list[tuple[str, ...]] = []
    for part, quoted, out in _parts(text):
        words = normal_words(part)
        if not words:
            continue
        if out and quoted and len(words) > 1:
            excluded_phrases.append(tuple(words))
        elif out:
            excluded += words
        else:
            plain += words
            if quoted:
                phrases.append(tuple(words))
    spoken = guess_language(" ".join(plain), "")
    stop = STOP_WORDS.get(spoken, frozenset())
    telling = [word for word in plain if word not in stop] or plain
    known = {primary(lang) for lang in langs} & STEMMERS.keys()
    outside = sum(map(len, excluded_phrases))
    without = _terms(list(dict.fromkeys(excluded)), known)
    terms = _terms(telling, known)
    if len(terms) + len(without) + outside > MOST_TERMS:
        terms = _terms(list(dict.fromkeys(telling)), known)
    query = Query(
        text=text,
        terms=terms,
        phrases=tuple(phrases),
        excluded=without,
        excluded_phrases=tuple(excluded_phrases),
    )
    if not query.terms:
        raise EmptyQuery("there is no word to look for: type at least one")
    if len(query.terms) + len(query.excluded) + outside > MOST_TERMS:
        raise TooManyTerms(f"more than {MOST_TERMS} words: use fewer")
    return query


def _parts(text: str) -> Iterator[tuple[str, bool, bool]]:
    """(words, is quoted, is excluded) in order."""
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


def _joins_words(bigram: str) -> bool:
    """Whether a pair of Japanese characters is a particle beside the end or the beginning of a word: it says
    how words are joined, and is rare enough in texts to outweigh the words."""
    return len(bigram) == 2 and any(
        one in _PARTICLES and not _HIRAGANA[0] <= other <= _HIRAGANA[1]
        for one, other in ((bigram[0], bigram[1]), (bigram[1], bigram[0]))
    )


def _terms(words: list[str], langs: Collection[str]) -> tuple[Term, ...]:
    """The terms of words in order; a word that was typed twice is two terms, and so counts twice."""
    found: list[Term] = []
    for word in words:
        # Items in a language without a stemmer are found by the word as it is.
        by_lang = [analyse(word, lang) for lang in (*sorted(langs), "")]
        # A word of a script without spaces is as many terms as it has bigrams, others are one.
        places = range(max(map(len, by_lang)))
        telling = [place for place in places if not _joins_words(word[place : place + 2])]
        for place in telling if len(places) > 1 and telling else places:
            stems = frozenset(stems[place] for stems in by_lang if len(stems) > place)
            found.append(Term(word, stems))
    return tuple(found)

"""Languages with stemming, and a guess at a text's language (SPEC, Text)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

from pkn_protocol.text.stop_words import STOP_WORDS as STOP_WORDS

STEMMERS = {"de": "german", "en": "english", "es": "spanish", "fr": "french", "ru": "russian"}
"""Language to Snowball algorithm; words of other languages are not stemmed."""
LANGUAGES = tuple(sorted(STEMMERS))
"""The languages with stemmer and stop words."""
UNSTEMMED = ""
"""What every other language is to analysis: all of them are treated alike."""

# Some frequent words of languages without a stemmer, so that they are not taken for a neighbour. Used by the
# guess alone; no analysis depends on them.
_OTHER_WORDS = {
    "it": "che di il gli della delle dei nel nella è non sono con per una anche come più questo alla ma lo",
    "nl": "de het een en van dat niet zijn voor met aan ook maar naar bij wordt werd deze uit nog er ze wij",
    "pl": "i w nie się na że jest do to z jak ale o po co tak za od przez czy są przy oraz był była które",
    "pt": "a se o e do da dos das não uma um em para com que na no ao mais são foi pelo pela também você seu",
    "sv": "och att det som en är av för på med den till inte har om ett jag var men så från kan vi hade de",
    "tr": "ve bir bu için ile da de çok daha gibi olarak ne ama kadar olan en sonra var değil o her ki mi",
}
_VOTERS: dict[str, tuple[str, ...]] = {}
for _lang, _list in (
    *((lang, sorted(words)) for lang, words in STOP_WORDS.items()),
    *((lang, words.split()) for lang, words in _OTHER_WORDS.items()),
):
    for _word in _list:
        _VOTERS[_word] = (*_VOTERS.get(_word, ()), _lang)

# Scripts that speak for one language: first and last code point. The Cyrillic letters with a language of
# their own come before the rest of the script.
_SCRIPTS = sorted(
    (
        (0x0370, 0x03FF, "el"),
        (0x0400, 0x0403, "ru"),
        (0x0404, 0x0404, "uk"),
        (0x0405, 0x0405, "ru"),
        (0x0406, 0x0407, "uk"),
        (0x0408, 0x040B, "sr"),
        (0x040C, 0x040E, "ru"),
        (0x040F, 0x040F, "sr"),
        (0x0410, 0x0453, "ru"),
        (0x0454, 0x0454, "uk"),
        (0x0455, 0x0455, "ru"),
        (0x0456, 0x0457, "uk"),
        (0x0458, 0x045B, "sr"),
        (0x045C, 0x045E, "ru"),
        (0x045F, 0x045F, "sr"),
        (0x0460, 0x048F, "ru"),
        (0x0490, 0x0491, "uk"),
        (0x0530, 0x058F, "hy"),
        (0x0590, 0x05FF, "he"),
        (0x0600, 0x06FF, "ar"),
        (0x0900, 0x097F, "hi"),
        (0x0E00, 0x0E7F, "th"),
        (0x10A0, 0x10FF, "ka"),
        (0x3040, 0x30FF, "ja"),
        (0x3400, 0x4DBF, "zh"),
        (0x4E00, 0x9FFF, "zh"),
        (0xAC00, 0xD7A3, "ko"),
    )
)
_STARTS = [first for first, _, _ in _SCRIPTS]
_LEAST_VOTES = 2
_READ_CHARS = 300
"""As much of a text's beginning and of its middle is read for the guess: a hundred words together."""
_LEAST_SHARE = 3
"""A script decides when it has at least one in so many letters."""
_TELLING_SHARE = 50
"""A language's own letters decide when they are at least one in so many of the script's."""
_FEW_WORDS = 40
_PUNCTUATION = '.,;:!?…()[]{}"“”„‚‘«»‹›*_'


def primary(lang: str) -> str:
    """The primary subtag of a language tag (RFC 5646): `de` of `de-CH`."""
    return lang.partition("-")[0].lower()


def analysed_as(lang: str) -> str:
    """The language whose stemmer and stop words serve for a tag: one of LANGUAGES, or UNSTEMMED."""
    subtag = primary(lang)
    return subtag if subtag in STEMMERS else UNSTEMMED


def guess_language(text: str, default: str) -> str:
    """The language of a text: by its script where that decides, else by its stop words, else `default`.

    A hint for the writer's own machine; what counts on the wire is the record's `lang`.
    """
    read = text
    if len(text) > 2 * _READ_CHARS:
        middle = len(text) // 2
        read = f"{text[:_READ_CHARS]} {text[middle : middle + _READ_CHARS]}"
    return _by_script(read) or _by_words(read.casefold()) or default


def _by_script(text: str) -> str | None:
    if text.isascii():
        return None
    letters = 0
    counts: Counter[str] = Counter()
    for char, times in Counter(text).items():
        if not char.isalpha():
            continue
        letters += times
        place = bisect_right(_STARTS, ord(char)) - 1
        if place >= 0 and ord(char) <= _SCRIPTS[place][1]:
            counts[_SCRIPTS[place][2]] += times
    # Japanese writes Han with Kana between, Chinese has none; Ukrainian and Serbian write letters that
    # Russian lacks among those that it has.
    for own, shared in (("ja", "zh"), ("uk", "ru"), ("sr", "ru")):
        if counts[own] and counts[own] * _TELLING_SHARE >= counts[shared]:
            counts[own] += counts.pop(shared, 0)
    if sum(counts.values()) * _LEAST_SHARE < max(letters, 1):
        return None
    return max(sorted(counts), key=lambda lang: counts[lang])


def _by_words(text: str) -> str | None:
    votes: dict[str, int] = {}
    words = text.replace("'", " ").replace("’", " ").split()
    if len(set(words)) <= _FEW_WORDS:
        # In a long text there are enough without punctuation at them.
        words = [word.strip(_PUNCTUATION) for word in words]
    for word in words:
        for lang in _VOTERS.get(word, ()):
            votes[lang] = votes.get(lang, 0) + 1
    most = max(votes.values(), default=0)
    best = [lang for lang, count in votes.items() if count == most]
    return best[0] if most >= _LEAST_VOTES and len(best) == 1 else None

"""Writes the vector files of text analysis: `python -m tests.protocol.text.make_vectors`.

Only for a new analyser number: the files are what holds version 1 in place, and a change that alters a line
of them alters the wire format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import decode_sketch, make_sketch
from tests.protocol.text.reference import reference_stems
from tests.protocol.text.vector_words import GROUPS, SPECIAL, WORDS_A_LANGUAGE

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def vector_words(language: str) -> list[str]:
    """The words of a language, each once: the special ones, then bases with endings."""
    found = dict.fromkeys(SPECIAL[language].split())
    for bases, endings in GROUPS[language]:
        for base in bases.split():
            for ending in endings.split():
                found.setdefault(base + ending.replace("-", ""))
    words = list(found)
    if len(words) < WORDS_A_LANGUAGE:
        raise ValueError(f"{language} has {len(words)} words; {WORDS_A_LANGUAGE} are needed")
    # Of all groups alike, so that none is cut off.
    special = len(SPECIAL[language].split())
    rest = words[special:]
    wanted = WORDS_A_LANGUAGE - special
    return words[:special] + [rest[place * len(rest) // wanted] for place in range(wanted)]


def write_words(language: str) -> None:
    """One line a word: the word, its stems as they are hashed, their hashes in hexadecimal."""
    lines = []
    for word in vector_words(language):
        stems = reference_stems(word, language)
        hashes = [f"{stem:06x}" for stem in analyse(word, language)]
        lines.append(json.dumps([word, " ".join(stems), " ".join(hashes)], ensure_ascii=False))
    (VECTORS / f"text-{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


# Name, language, text: one thing each that an implementation may get wrong.
TEXTS = (
    ("empty", "en", ""),
    ("plain words", "en", "The boundary layer separates; boundary layers separated."),
    ("stop words alone", "en", "To be or not to be"),
    ("tag with region", "de-CH", "Die Strassen und die Straßen"),
    ("language without a stemmer", "pl", "Łódź i łodzie"),
    ("no language", "", "Connected connections"),
    ("apostrophes and hyphens part words", "fr", "L’été, aujourd'hui, peut-être"),
    ("underscores and symbols part words", "en", "snake_case C++ a/b 3.14 x=y"),
    ("compatibility forms", "en", "ﬁnance ½ m² ① Ｗｉｄｅ ㍿"),
    ("composed and decomposed", "fr", "caf\u00e9 cafe\u0301"),
    ("loose accents", "ru", "за\u0301мок замо\u0301к"),
    ("case folding", "tr", "İSTANBUL Istanbul ıstanbul ΣΊΣΥΦΟΣ Σίσυφος"),
    ("iota below is folded to a letter", "el", "ᾳ\u0345 α\u0345\u0301"),
    ("letters that have no decomposition", "da", "Ærø smørrebrød œuvre đ ħ ŧ"),
    ("invisible characters", "de", "Wort\u00adtrennung a\u200db a\u200bb \ufeffa e\u034f\u0301"),
    ("selectors and emoji", "en", "I \u2764\ufe0f 1\ufe0f\u20e3 \U0001f468\u200d\U0001f469"),
    ("a word begins with no mark", "en", "\u0301abc \u0bbe\u0bbe 1\u0bbe"),
    ("unassigned in Unicode 14.0", "en", "ab\u0378cd ab\u1c89cd ab\U0001e4d0cd"),
    ("noncharacters and private use", "en", "ab\uffffcd ab\ue000cd"),
    ("64 characters", "en", "k" * 64 + " " + "k" * 65),
    ("32 marks", "xx", "a" + "\u0323\u0bbe" * 16 + " a" + "\u0323\u0bbe" * 16 + "\u0bbf"),
    ("marks of halfwidth Kana count", "ja", "か" + "\uff9e" * 33),
    ("Han", "zh", "知识网络"),
    ("one Han character", "zh", "水 第3章"),
    ("Han and Kana are one run", "ja", "東京タワーは々"),
    ("halfwidth Kana", "ja", "ﾊﾞｽ ﾊﾟﾝ"),
    ("Hangul", "ko", "한국어는 \u1112\u1161\u11ab"),
    ("Thai", "th", "ภาษาไทย ทำ"),
    ("supplementary plane", "zh", "\U00020000\U00020001a\U0002f800"),
    ("mixed scripts", "en", "Linux系统 iPhone的 日本123"),
    ("Arabic, Hebrew, Devanagari", "ar", "الْعَجِين שָׁלוֹם हिन्दी"),
    ("spaces of all kinds", "en", "a\u00a0b\u2003c\u3000d\u0085e\u001ff\u2028g"),
)


def write_texts() -> None:
    rows = [
        {
            "name": name,
            "lang": lang,
            "text": text,
            "stems": reference_stems(text, lang),
            "hashes": [f"{stem:06x}" for stem in analyse(text, lang)],
        }
        for name, lang, text in TEXTS
    ]
    _write("text-analysis.jsonl", rows)


# Name and stems as arithmetic progressions: (first, step, count).
SKETCHES: tuple[tuple[str, list[tuple[int, int, int]]], ...] = (
    ("no stems", []),
    ("one stem", [(0x123456, 0, 1)]),
    ("the least stem", [(0, 0, 1)]),
    ("the greatest stem", [(0xFFFFFF, 0, 1)]),
    ("both ends", [(0xFFFFFF, 0, 1), (0, 0, 1)]),
    ("neighbours", [(7, 1, 9)]),
    ("all classes", [(1000, 0, 1), (2000, 0, 2), (3000, 0, 3), (4000, 0, 4), (5000, 0, 5), (6000, 0, 6)]),
    ("sixty stems", [(99_991, 271_829, 60)]),
    ("length 32, the last exact one", [(5, 0, 32)]),
    ("length 33, rounded down", [(5, 0, 33)]),
    ("1,024 stems", [(11, 16_381, 1024)]),
    ("1,024 stems, widest", [(0, 1, 1023), (0xFFFFFF, 0, 1)]),
    ("1,025 stems: the last of those that occur once is left out", [(11, 16_361, 1025)]),
    (
        "the first 32 are kept, then the frequent ones",
        [(0, 3, 700), (9_000_000, 5, 600), (9_000_000, 5, 600)],
    ),
    ("a long text", [(1, 16_001, 1000)] * 40),
)

# Name, bytes in hexadecimal, why they are refused.
BAD_SKETCHES = (
    ("empty", "", "shorter than its header"),
    ("header cut", "010000", "shorter than its header"),
    ("another analyser", "02000000", "analyser"),
    ("analyser 0", "00000000", "analyser"),
    ("length without stems", "01010000", "a length without stems"),
    ("byte behind no stems", "0100000000", "more bytes"),
    ("no entry", "01010001", "cut off"),
    ("entry cut", "01010001091a2b", "cut off"),
    ("byte too many", "01010001091a2b0000", "more bytes"),
    ("bit behind the end", "01010001091a2b01", "more bytes"),
    ("stem beyond 24 bits", "01010001c8d15800", "beyond"),
    ("second stem beyond 24 bits", "01020002bfffff80000000", "beyond"),
    ("length below the number of stems", "01080009000038" + "00" * 23, "shorter than its stems"),
    ("length below what a class implies", "01010001091a2b60", "shorter than its stems"),
    ("unary number without end", "01020002" + "ff" * 40, "cut off"),
    ("1,025 stems", "01ff0401" + "00" * 2200, "stems"),
    ("more bytes than any sketch", "01ff0400" + "00" * 2305, "bytes"),
)


def expand(runs: Sequence[Sequence[int]]) -> list[int]:
    """The stems that progressions stand for."""
    return [first + step * number for first, step, count in runs for number in range(count)]


def write_sketches() -> None:
    valid = []
    for name, runs in SKETCHES:
        blob = make_sketch(expand(runs))
        sketch = decode_sketch(blob)
        row = {"name": name, "runs": runs, "sketch": blob.hex(), "length": sketch.length}
        valid.append({**row, "classes": [list(sketch.classes.values()).count(kind) for kind in range(4)]})
    invalid = [{"name": name, "sketch": blob, "error": error} for name, blob, error in BAD_SKETCHES]
    _write("text-sketches.jsonl", [*valid, *invalid])


def _write(name: str, rows: Iterable[Mapping[str, object]]) -> None:
    lines = (json.dumps(row, ensure_ascii=True) for row in rows)
    (VECTORS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for language in GROUPS:
        write_words(language)
    write_texts()
    write_sketches()

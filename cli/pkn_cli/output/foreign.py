"""The one place where foreign text is made harmless before it reaches a terminal.

Titles, names, tags, texts and file names are other people's. Control characters could move the cursor or
retitle the window, bidirectional controls could make `exe.txt` of `txt.exe` (CVE-2021-42574), tag characters
and the like hide text. Each is replaced by U+FFFD, one for one, so that offsets into the text stay true.
"""

from __future__ import annotations

from unicodedata import category

REPLACEMENT = "�"

# Format characters (Cf) that text in many scripts and emoji need, and that cannot reorder or hide anything:
# soft hyphen, zero width space, non-joiner and joiner, word joiner.
_NEEDED_FORMAT = frozenset("\u00ad\u200b\u200c\u200d\u2060")
# Controls, formats, surrogates, private use, not assigned, line and paragraph separators.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_WHITE = frozenset("\t\n\v\f\r\x85\u2028\u2029")


def harmless(text: str, *, lines: bool = False) -> str:
    """`text` safe to print, of the same length; line breaks and tabs become spaces unless `lines`."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _replaced(char, lines) for char in text])


def _replaced(char: str, lines: bool) -> str:
    if char in _WHITE:
        return char if lines and char in "\t\n" else " "
    return REPLACEMENT if category(char) in _HARMFUL and char not in _NEEDED_FORMAT else char

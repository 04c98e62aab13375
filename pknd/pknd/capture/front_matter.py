"""Front matter: the block of fields at a text's beginning, in YAML or TOML.

One rule stands above the others: no text goes to more people than its front matter says. Whatever looks like
front matter and cannot be read is therefore an error with its line, never a text without any.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pknd.capture.captured import FENCES, CaptureError
from pknd.capture.fields import (
    AUDIENCE,
    KEY,
    NotFields,
    bad_line,
    folded,
    misplaced,
    toml_fields,
    visible,
    yaml_fields,
)

# A front matter block longer than this is not one; it also bounds what the readers are given.
FRONT_MATTER_BYTES = 64 * 1024
KNOWN_FIELDS = ("title", "tags", "lang", AUDIENCE, "kind", "date", "dated", "url")
_YAML, _TOML = "---", "+++"
# Closes YAML as well: the end of a document (YAML 1.2.2, 9.1.2), as pandoc reads it.
_YAML_END = "..."
# `audiance` is a slip of the pen; taken for a field that nobody knows, it would publish the text.
_ALIKE = 0.8
# A fence that an editor has made typographic, that somebody made longer, or that says its language.
_LIKE_A_FENCE = re.compile(r"(?:[-–—―−]{2,}|—|\+{2,}).*")
_AUDIENCE_WORD = re.compile(
    r"[\s\"'“”„‘’\[({]*(?:private|trusted|public)[\s\"'“”‘’\])},;.]*(?:#.*)?$", re.IGNORECASE
)
_JSON_AUDIENCE = re.compile(r"[\"']?audience[\"']?\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """`fields` by name in lower case; `body` what follows, the text itself where there is no front matter.

    `lines` says where each field stands, the text's first line being 1.
    """

    fields: Mapping[str, object]
    body: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def error(self, key: str, problem: str, hint: str) -> CaptureError:
        """An error about a field, with its line."""
        return bad_line(self.lines.get(key, 1), problem, hint)

    @property
    def audience(self) -> str | None:
        """Who may read the text, in lower case; None where the front matter does not say.

        Raises:
            CaptureError: it is not a word.
        """
        if AUDIENCE not in self.fields:
            return None
        value = self.fields[AUDIENCE]
        if not isinstance(value, str) or not value.strip():
            raise self.error(
                AUDIENCE, "audience must be one word", "write audience: private, or trusted, or public"
            )
        return " ".join(value.split()).casefold()


def read_front_matter(text: str) -> FrontMatter:
    """The front matter of a Markdown text.

    It stands between two lines `---` (or `---` and `...`) in YAML, or between two lines `+++` in TOML, at the
    beginning of the text; blank lines may come before. Names of fields are read whatever their case.

    Raises:
        CaptureError: it cannot be read, or says twice or in the wrong place who may read the text.
    """
    if text.lstrip().startswith("{"):
        _refuse_json(text)
    return _read(text)


def stated_audience(text: str) -> str | None:
    """Who may read a text that is not Markdown, if it begins with front matter that says so. Nothing else is
    asked of it: what looks like front matter may be its content (a YAML file begins with `---`).

    Raises:
        CaptureError: it says so in a way that cannot be read.
    """
    lines = _lines(text[:FRONT_MATTER_BYTES])
    at = _first(lines)
    if at is None:
        return None
    if _bare(lines[at]) not in (_YAML, _TOML):
        _refuse_stray(lines, at)
        return None
    end = _end(lines, at, strict=False)
    if _audience_line(lines, at + 1, len(lines) if end is None else end, word=end is None) is None:
        return None
    return _read(text).audience


def _read(text: str) -> FrontMatter:
    nothing = FrontMatter({}, text)
    lines = _lines(text[:FRONT_MATTER_BYTES])
    at = _first(lines)
    if at is None:
        return nothing
    opening = _bare(lines[at])
    if opening not in (_YAML, _TOML):
        _refuse_stray(lines, at)
        return nothing
    lines = _lines(text)
    end = _end(lines, at, strict=True)
    # A text may begin with a rule, and have another one further down: what is between them is prose then.
    meant = _fields_meant(lines, at + 1, _reach(lines, at + 1) if end is None else end)
    if end is None:
        if meant is None:
            return nothing
        raise bad_line(
            at + 1,
            f"the front matter that begins with {opening} does not end",
            f"put a line {opening} behind its last field",
        )
    block = "".join(lines[at + 1 : end])
    if len(block.encode("utf-8", "replace")) > FRONT_MATTER_BYTES:
        if meant is None:
            return nothing
        raise bad_line(at + 1, f"the front matter has more than {FRONT_MATTER_BYTES} bytes", "shorten it")
    try:
        # A tab or another fence is no field, but nothing else stands there all the same.
        blank = all(_bare(line) in ("", *FENCES) for line in lines[at + 1 : end])
        read = toml_fields if opening == _TOML else yaml_fields
        found = ({}, {}) if blank else read(block, at + 2)
    except NotFields as error:
        if meant is None:
            return nothing
        raise bad_line(error.line or meant, str(error), error.hint) from error
    fields, where = found
    _refuse_hidden_audience(fields, where, lines[:end], at + 1)
    if (rest := _first(lines, end + 1)) is not None:
        _refuse_stray(lines, rest)
    return FrontMatter(fields, "".join(lines[end + 1 :]).strip(), where)


def _refuse_hidden_audience(
    fields: Mapping[str, object], where: Mapping[str, int], lines: Sequence[str], begin: int
) -> None:
    """Refuse front matter that seems to say who may read the text, but not in a field of that name."""
    if AUDIENCE in fields:
        return
    for name in fields:
        if name not in KNOWN_FIELDS and difflib.get_close_matches(name, [AUDIENCE], cutoff=_ALIKE):
            raise bad_line(where[name], f"the front matter has a field {name}", f"write it {AUDIENCE}")
    if (line := _audience_line(lines, begin, len(lines))) is not None:
        raise misplaced(line)


def _refuse_stray(lines: Sequence[str], at: int) -> None:
    """Refuse a text that says at its beginning (line `at`) who may read it, where no front matter is read."""
    begin: int | None = at
    # Empty blocks are passed over.
    while begin is not None and _bare(lines[begin]) in FENCES:
        at, begin = begin, _first(lines, begin + 1)
    if begin is None:
        return
    opening = _bare(lines[at])
    if opening in FENCES:
        end = _end(lines, at, strict=False)
        line = _audience_line(lines, begin, _paragraph_end(lines, begin) if end is None else end)
    elif _LIKE_A_FENCE.fullmatch(opening) is not None:
        begin = _first(lines, at + 1)
        line = None if begin is None else _audience_line(lines, begin, _paragraph_end(lines, begin))
    else:
        # Fields without a line before them, or a heading before the front matter.
        end = _paragraph_end(lines, at)
        following = _first(lines, end)
        if following is not None and _bare(lines[following]) in (_YAML, _TOML):
            end = _paragraph_end(lines, following)
        line = _audience_line(lines, at, end, word=True)
    if line is not None:
        raise bad_line(
            line,
            "this line says who may read the text, but stands in no front matter that can be read",
            "the text must begin with a line --- before the fields, and have another one behind them",
        )


def _refuse_json(text: str) -> None:
    match = _JSON_AUDIENCE.search(text[:FRONT_MATTER_BYTES])
    closing = text.find("\n}")
    if match is not None and (closing < 0 or match.start() < closing):
        raise bad_line(
            text.count("\n", 0, match.start()) + 1,
            "front matter in JSON is not read",
            "write it as YAML, between two lines ---",
        )


def _fields_meant(lines: Sequence[str], begin: int, end: int) -> int | None:
    """A line (the first being 1) that shows that fields are meant: in the first paragraph, comments left out,
    or wherever one says who may read the text."""
    at = begin
    while at < end and (not _bare(lines[at]) or lines[at].lstrip().startswith("#")):
        at += 1
    for number in range(at, min(_paragraph_end(lines, at), end)):
        if _is_key(lines[number]):
            return number + 1
    return _audience_line(lines, begin, end, word=True)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _first(lines: Sequence[str], begin: int = 0) -> int | None:
    """The first line that is not blank."""
    return next((at for at in range(begin, len(lines)) if _bare(lines[at])), None)


def _end(lines: Sequence[str], at: int, *, strict: bool) -> int | None:
    """The line that closes what line `at` opens.

    Raises:
        CaptureError: it is indented, and `strict`: the fields behind it would be taken for text.
    """
    opening = _bare(lines[at])
    ends = (_TOML,) if opening == _TOML else (_YAML, _YAML_END)
    for number in range(at + 1, len(lines)):
        line = lines[number]
        if not any(end in line for end in ends) or _bare(line) not in ends:
            continue
        if not line[0].isspace():
            return number
        if strict and _bare(line) == opening and _fields_meant(lines, at + 1, number) is not None:
            raise bad_line(number + 1, f"this {opening} is indented", f"put {opening} at the left edge")
    return None


def _paragraph_end(lines: Sequence[str], begin: int) -> int:
    return next((at for at in range(begin, len(lines)) if not _bare(lines[at])), len(lines))


def _reach(lines: Sequence[str], begin: int) -> int:
    """How far front matter that does not end may go."""
    size = 0
    for at in range(begin, len(lines)):
        size += len(lines[at])
        if size > FRONT_MATTER_BYTES:
            return at
    return len(lines)


def _audience_line(lines: Sequence[str], begin: int, end: int, *, word: bool = False) -> int | None:
    """The first line (counted from 1) like `audience: …`; with `word` only if one of the three follows."""
    for at in range(begin, end):
        text = visible(lines[at])
        match = KEY.match(text)
        if match is None or folded(match["key"]) != AUDIENCE:
            continue
        if not word or _AUDIENCE_WORD.match(text, match.end()) is not None:
            return at + 1
    return None


def _is_key(line: str) -> bool:
    match = KEY.match(visible(line))
    return match is not None and (match["space"] is not None or folded(match["key"]) in KNOWN_FIELDS)


def _bare(line: str) -> str:
    return visible(line).strip()

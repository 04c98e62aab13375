"""The fields of front matter in YAML and in TOML, each with its line."""

from __future__ import annotations

import re
import tomllib
import unicodedata

import yaml

from pknd.capture.captured import CaptureError

AUDIENCE = "audience"
KEY = re.compile(
    r"[\s>*+-]*[\"'“”„‘’]?(?P<key>[^\W\d][\w.-]*(?: [\w-]+){0,2})[\"'“”‘’]?\s*[:=：](?P<space>\s|$)?"
)
_Fields = tuple[dict[str, object], dict[str, int]]
"""The fields by name, and their lines."""
# With libyaml where PyYAML has it: ten times as fast.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_TEXTS = ("title", "tags", "lang")
"""Fields that are texts, or lists of them."""
_MISTAKEN = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp"))


class NotFields(Exception):
    """What stands between the fences is no list of fields; `line` is 0 where that is not known."""

    def __init__(self, line: int, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.line = line
        self.hint = hint


def yaml_fields(block: str, first: int) -> _Fields:
    """The fields of a block whose first line is the text's line `first`."""
    try:
        loader = _Loader(block)
        node = loader.get_single_node()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # An open quote is found at the end; what helps is where it began.
        at_end = "end of stream" in str(getattr(error, "problem", ""))
        mark = (at_end and getattr(error, "context_mark", None)) or getattr(error, "problem_mark", None)
        raise NotFields(
            first + mark.line if mark is not None else 0,
            f"the front matter between the two --- lines is not YAML: {_reason(error)}",
            "quote values that hold a colon, or remove the block",
        ) from error
    fields: dict[str, object] = {}
    where: dict[str, int] = {}
    if node is None:
        return fields, where
    if not isinstance(node, yaml.MappingNode):
        raise NotFields(0, "the front matter is not a list of fields", "write each field as name: value")
    for key, value in node.value:
        line = first + key.start_mark.line
        if _names_audience(value, set()) or _names_audience(key, set()):
            raise misplaced(line)
        if not isinstance(key, yaml.ScalarNode):
            continue
        name = folded(str(key.value))
        if name == "<<":
            raise bad_line(line, "the front matter merges fields with <<", "write the fields themselves")
        if name in fields:
            raise _twice(line, name)
        try:
            fields[name] = _value(loader, name, value)
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
            raise bad_line(
                line,
                f"the value of {name} cannot be read: {_reason(error)}",
                "correct it, or put it in quotes",
            ) from error
        where[name] = line
    return fields, where


def _value(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> object:
    """A field's value; of a text that YAML takes for something else (`2024-01-01`, `1.10`, `no`) the text."""
    if name in _TEXTS:
        if isinstance(node, yaml.ScalarNode) and node.tag in _MISTAKEN:
            return node.value
        if isinstance(node, yaml.SequenceNode):
            # What is no scalar there is no text, whatever it holds: it is left as it is.
            return [
                _value(loader, name, one) if isinstance(one, yaml.ScalarNode) else one for one in node.value
            ]
    value: object = loader.construct_object(node, deep=True)
    return value


def toml_fields(block: str, first: int) -> _Fields:
    try:
        table = tomllib.loads(block)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"at line (\d+)", str(error))
        raise NotFields(
            first + int(place[1]) - 1 if place else 0,
            f"the front matter between the two +++ lines is not TOML: {str(error).partition(' (')[0]}",
            'write each field as name = "value"',
        ) from error
    numbers = {
        folded(match["key"]): first + place
        for place, line in reversed(list(enumerate(block.splitlines())))
        if (match := KEY.match(visible(line))) is not None
    }
    fields: dict[str, object] = {}
    where: dict[str, int] = {}
    for key, value in table.items():
        name = folded(key)
        line_number = numbers.get(name, first)
        if name in fields:
            raise _twice(line_number, name)
        if _table_names_audience(value):
            raise misplaced(line_number)
        fields[name], where[name] = value, line_number
    return fields, where


def folded(key: str) -> str:
    return " ".join(visible(key).split()).casefold()


def visible(text: str) -> str:
    """Without characters that nobody sees, such as a byte order mark or a zero width space."""
    return text if text.isascii() else "".join(char for char in text if unicodedata.category(char) != "Cf")


def bad_line(line: int, problem: str, hint: str) -> CaptureError:
    return CaptureError("bad-front-matter", f"line {line}: {problem}", hint)


def misplaced(line: int) -> CaptureError:
    return bad_line(
        line,
        "the front matter says who may read the text in a place where it is not read",
        f"write {AUDIENCE} as a field of its own, at the left edge",
    )


def _twice(line: int, name: str) -> CaptureError:
    return bad_line(line, f"the front matter says {name} twice", "keep one of the two")


def _names_audience(node: yaml.Node, seen: set[int]) -> bool:
    """Whether a value has a field called audience somewhere inside; aliases may make circles."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return False
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return any(
            (isinstance(key, yaml.ScalarNode) and folded(str(key.value)) == AUDIENCE)
            or _names_audience(value, seen)
            for key, value in node.value
        )
    return any(_names_audience(one, seen) for one in node.value)


def _table_names_audience(value: object) -> bool:
    if isinstance(value, dict):
        return any(folded(key) == AUDIENCE or _table_names_audience(one) for key, one in value.items())
    return isinstance(value, list) and any(map(_table_names_audience, value))


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())

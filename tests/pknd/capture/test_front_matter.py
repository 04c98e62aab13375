"""Front matter: whatever says who may read a text is obeyed, or the file fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.control.items import PublishRequest
from pknd.capture.captured import CaptureError
from pknd.capture.files import capture_file
from pknd.capture.front_matter import FRONT_MATTER_BYTES, read_front_matter, stated_audience
from pknd.capture.markdown import capture_markdown
from pknd.items.publishing import capture_given

BODY = "# Diary\n\nOnly for me.\n"
READ = {
    "plain": "---\naudience: private\n---\n",
    "blank lines before": "\n \n\n---\naudience: private\n---\n",
    "a byte order mark": "\ufeff---\naudience: private\n---\n",
    "closed by dots": "---\ntitle: Diary\naudience: private\n...\n",
    "capital key": "---\nAudience: private\n---\n",
    "capitals": "---\nAUDIENCE: Private\n---\n",
    "quoted": "---\n\"audience\": 'private'\n---\n",
    "carriage returns": "---\r\naudience: private\r\n---\r\n",
    "old line ends": "---\raudience: private\r---\r",
    "white space behind the fences": "--- \t\naudience: private  # mine\n---  \n",
    "TOML": '+++\ntitle = "Diary"\naudience = "private"\n+++\n',
    "TOML with a capital": "+++\nAudience = 'Private'\n+++\n",
    "a zero width space": "---\n\u200baudience: private\n---\n",
    "one flow mapping": "---\n{title: Diary, audience: private}\n---\n",
}
# What is wrong, and the line that the message names.
REFUSED = {
    "unclosed": ("---\ntitle: Diary\naudience: private\n\n", 1),
    "unclosed with an empty line first": ("---\n\naudience: private\n\n", 1),
    "unclosed behind a comment": ("---\n# mine\naudience: private\n\n", 1),
    "unclosed and late": ("---\n- a\n- b\n\naudience: private\n\n", 1),
    "unclosed TOML": ('+++\naudience = "private"\n\n', 1),
    "closed by too many": ("---\naudience: private\n----\n", 1),
    "closed by an indented fence": ("---\naudience: private\n ---\n", 3),
    "opened by too many": ("----\naudience: private\n----\n", 2),
    "typographic dashes": ("—\naudience: private\n—\n", 2),
    "a dash and a half": ("–-\naudience: private\n–-\n", 2),
    "with its language": ("---yaml\naudience: private\n---\n", 2),
    "no opening fence": ("title: Diary\naudience: private\n---\n", 2),
    "no fence, behind a list": ("tags:\n  - a\naudience: private\n\n", 3),
    "no fence": ("audience: private\n\n", 1),
    "a heading before it": ("# Diary\n\n---\naudience: private\n---\n", 4),
    "no space": ("---\naudience:private\n---\n", 2),
    "an equals sign": ("---\naudience = private\n---\n", 2),
    "a wide colon": ("---\naudience：private\n---\n", 2),
    "a slip of the pen": ("---\naudiance: private\n---\n", 2),
    "in the plural": ("---\ntitle: x\naudiences: private\n---\n", 3),
    "a list": ("---\naudience: [private]\n---\n", 2),
    "a list below": ("---\naudience:\n  - private\n---\n", 2),
    "nothing": ("---\naudience:\n---\n", 2),
    "a switch": ("---\naudience: no\n---\n", 2),
    "twice": ("---\naudience: private\naudience: public\n---\n", 3),
    "twice, once with a capital": ("---\naudience: private\nAudience: public\n---\n", 3),
    "nested": ("---\nparams:\n  audience: private\n---\n", 2),
    "nested beside another": ("---\naudience: public\nparams: {audience: private}\n---\n", 3),
    "in a list of mappings": ("---\n- title: x\n- audience: private\n---\n", 2),
    "merged": ("---\nbase: &b {lang: en}\n<<: *b\n---\n", 3),
    "swallowed by a folded title": ("---\ntitle: >\n  x\n  audience: private\n---\n", 4),
    "a tab": ("---\ntitle: x\n\taudience: private\n---\n", 3),
    "not YAML": ("---\ntitle: a: b\naudience: private\n---\n", 2),
    "not TOML": ("+++\ntitle = x\naudience = 'private'\n+++\n", 2),
    "nested TOML": ("+++\n[extra]\naudience = 'private'\n+++\n", 2),
    "behind a dotted end": ("---\ntitle: x\n...\naudience: private\n---\n", 4),
    "a second block": ("---\ntitle: x\n---\n\n---\naudience: private\n---\n", 6),
    "JSON": ('{\n  "title": "x",\n  "audience": "private"\n}\n', 3),
    "an unclosed quote": ('---\ntitle: "x\naudience: private\n---\n', 2),
}


@pytest.mark.parametrize("front", READ.values(), ids=READ.keys())
def test_it_is_read_however_it_is_written(front: str) -> None:
    captured = capture_markdown(front + BODY, fallback_title="file")
    assert captured.audience == "private"
    assert captured.data in (BODY.strip().encode(), b"# Diary\n\nOnly for me.")


@pytest.mark.parametrize(("front", "line"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_is_refused_with_its_line(front: str, line: int) -> None:
    with pytest.raises(CaptureError) as error:
        capture_markdown(front + BODY, fallback_title="file")
    assert error.value.code == "bad-front-matter"
    assert error.value.message.startswith(f"line {line}: "), error.value.message
    assert error.value.hint


def test_too_long_front_matter_is_refused() -> None:
    front = "---\n" + "note: long\n" + "a: " + "x" * FRONT_MATTER_BYTES + "\naudience: private\n---\n"
    with pytest.raises(CaptureError, match="bytes"):
        capture_markdown(front + BODY, fallback_title="file")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA rule, and a text.\n",
        "---\nProse between two rules.\n---\nmore prose\n",
        "---\n- a list\n- of things\n---\nmore\n",
        "-----\nNote: decorated\n-----\n",
        "# Title\n\nThe audience: everybody who came.\n",
        "Audience: engineers\nLength: ten minutes\n\nText.\n",
        "# Title\n\n---\n\nText behind a rule: more of it.\n",
        "{{ template }}\n",
        "+++ loud +++\n",
        "---",
        "",
    ],
)
def test_what_is_no_front_matter_stays_in_the_text(text: str) -> None:
    captured = capture_markdown(text, fallback_title="file")
    assert captured.audience is None
    assert captured.data == text.encode()


LINES = [
    "---",
    "...",
    "+++",
    " ---",
    "----",
    "—",
    "title: x",
    "",
    "# Title",
    "- one",
    "text",
    "a: [",
    '"',
    "\t",
]
PRIVATE = ["audience: private", "AUDIENCE: Private", "audience : private", "  audience: private"]


@given(
    before=st.lists(st.sampled_from(LINES), max_size=6),
    line=st.sampled_from(PRIVATE),
    after=st.lists(st.sampled_from([*LINES, "tags: [a]", "}"]), max_size=4),
)
def test_a_line_near_the_beginning_that_says_private_is_never_passed_over(
    before: list[str], line: str, after: list[str]
) -> None:
    """Unless a paragraph of something else stands before it."""
    try:
        audience = capture_markdown("\n".join([*before, line, *after]), fallback_title="file").audience
    except CaptureError:
        return
    if audience is None:
        written = [part.strip() for part in before]
        first = next((at for at, part in enumerate(written) if part not in ("", "---", "+++", "...")), None)
        assert first is not None, "nothing stands before it"
        assert {"", "---", "+++", "..."} & set(written[first:])


@pytest.mark.parametrize(
    "name", ["diary.txt", "diary", "page.html", "table.csv", "data.json", "large.txt", "large.md"]
)
def test_other_texts_and_large_ones_are_not_wider_either(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("---\naudience: private\n---\n" + ("word " * 300_000 if "large" in name else BODY))
    captured = capture_file(path)
    assert captured.audience == "private"
    path.write_text("---\naudience: private\n" + ("word " * 300_000 if "large" in name else BODY))
    with pytest.raises(CaptureError, match="line 1"):
        capture_file(path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252"])
def test_a_file_that_is_no_utf8_but_says_who_may_read_it_is_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "diary.md"
    path.write_bytes("---\naudience: private\n---\nÜber mich\n".encode(encoding))
    with pytest.raises(CaptureError) as error:
        capture_file(path)
    assert error.value.code == "not-utf-8"


def test_a_null_byte_does_not_hide_front_matter(tmp_path: Path) -> None:
    path = tmp_path / "diary.md"
    path.write_bytes(b"---\naudience: private\n---\ntext\0")
    with pytest.raises(CaptureError):
        capture_file(path)


def test_a_file_of_fields_that_is_no_markdown_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text("---\nname: x\nsteps:\n  - audience: developers\n")
    captured = capture_file(path)
    assert captured.audience is None
    assert stated_audience("issuer: x\naudience: https://example.org\n") is None


def test_a_bad_date_says_so(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as error:
        read_front_matter("---\ntitle: x\ndate: 2024-13-45\n---\n")
    assert error.value.message.startswith("line 3: the value of date")
    assert "colon" not in error.value.hint


def test_a_language_must_look_like_one() -> None:
    assert capture_markdown("---\nlang: pt_BR\n---\n", fallback_title="x").lang == "pt-BR"
    with pytest.raises(CaptureError, match="line 2: 'klingon'"):
        capture_markdown("---\nlang: klingon\n---\n", fallback_title="x")


@pytest.mark.parametrize(
    "title", ["2024-01-01", "42", "1.10", "0x10", "yes", "2024-01-01 10:00", "2024-13-45"]
)
def test_a_title_is_the_text_as_it_is_written(title: str) -> None:
    assert capture_markdown(f"---\ntitle: {title}\n---\nx", fallback_title="file").title == title
    assert capture_markdown(f"---\ntitle: '{title}'\n---\nx", fallback_title="file").title == title


@pytest.mark.parametrize("title", ["2024-01-01", "42"])
def test_a_title_in_toml_may_be_a_date_or_a_number(title: str) -> None:
    assert capture_markdown(f"+++\ntitle = {title}\n+++\nx", fallback_title="file").title == title


@pytest.mark.parametrize("nothing", ["", "~", "null", "''"])
def test_a_title_that_is_empty_is_none(nothing: str) -> None:
    assert capture_markdown(f"---\ntitle: {nothing}\n---\nx", fallback_title="file").title == "file"


def test_tags_are_texts_and_empty_ones_of_a_list_are_passed_over() -> None:
    def tags(block: str) -> tuple[str, ...]:
        return capture_markdown(f"---\n{block}\n---\nx", fallback_title="file").tags

    assert tags("tags:\n- one\n-\n- two\n- ~") == ("one", "two")
    assert tags("tags: [2024, 2024-01-01, 1.10, yes, null]") == ("2024", "2024-01-01", "1.10", "yes")
    assert tags("tags: 2024") == ("2024",)
    assert tags("tags: []") == tags("tags: [null]") == tags("tags:") == ()
    with pytest.raises(CaptureError, match="line 2: a tag must be a text"):
        tags("tags: [one, [two]]")
    with pytest.raises(CaptureError, match="line 2: a tag must be a text"):
        tags("tags: &all [*all]")


def test_norwegian_is_a_language() -> None:
    assert capture_markdown("---\nlang: no\n---\nx", fallback_title="file").lang == "no"


@pytest.mark.parametrize("who", ["", "audience: private\n"])
@pytest.mark.parametrize(
    ("fields", "title", "tags"),
    [
        ("title: On Drag\ntags: [flow, wind]\n", "On Drag", ("flow", "wind")),
        ("tags: [flow]\n", "A first line", ("flow",)),
        ("lang: en\n", "A first line", ()),
        ("title: [no, text]\n", "title: [no, text]", ()),
    ],
)
def test_a_plain_text_is_called_by_its_front_matter_or_by_what_follows(
    who: str, fields: str, title: str, tags: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "note.txt"
    path.write_text(text := f"---\n{fields}{who}---\n\nA first line\n\nand more")
    captured = capture_file(path)
    assert (captured.title, captured.tags) == (title, tags)
    assert captured.audience == ("private" if who else None)
    # What is given to others is the file, and what is shown of it no fields.
    assert captured.data == text.encode()
    if title != "title: [no, text]":
        assert captured.excerpt == "A first line\n\nand more"


def test_a_rule_is_no_title_of_a_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("---\n\nProse behind a rule\n\n---\nmore")
    assert capture_file(path).title == "Prose behind a rule"
    path.write_text("---\n")
    assert capture_file(path).title == "note"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: On Drag\n---\nA first line", "On Drag"),
        ("---\naudience: private\n---\nA first line\nand more", "A first line"),
        ("---\naudience: private\n---\n## A heading", "A heading"),
        ("---\n\nprose behind a rule", "prose behind a rule"),
        ("---\naudience: private\n---\n", "Untitled"),
    ],
)
def test_what_is_typed_in_is_called_by_its_front_matter_or_by_what_follows(text: str, title: str) -> None:
    given = capture_given(PublishRequest(text=text)).captured
    assert given.title == title
    assert given.audience == ("private" if "private" in text else None)

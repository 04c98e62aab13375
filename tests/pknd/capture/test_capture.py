"""Capture: what becomes of the files that people have, and of those that only look like files."""

from __future__ import annotations

import os
import plistlib
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pknd.capture.captured import CaptureError, ItemKind, excerpt_of
from pknd.capture.files import capture_file
from pknd.capture.folder import walk
from pknd.capture.markdown import capture_markdown
from pknd.capture.shortcuts import address_in


def test_front_matter_becomes_fields_and_leaves_the_body() -> None:
    captured = capture_markdown(
        "---\ntitle: On Drag\ntags: [flow, Wind Tunnel]\naudience: private\nlang: en\ndate: 2024-05-01\n"
        "author: kept in the file\n---\n# Heading\n\nText [a](b.md) and pkn:bafyrei"
        + "a" * 52
        + " [[Other note|x]]\n",
        fallback_title="file",
    )
    assert captured.title == "On Drag"
    assert captured.tags == ("flow", "Wind-Tunnel")
    assert (captured.audience, captured.lang) == ("private", "en")
    assert captured.dated == 1714521600000
    assert captured.data is not None
    assert captured.data.startswith(b"# Heading")
    assert captured.links == ("b.md", "pkn:bafyrei" + "a" * 52, "Other note.md")


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: [a, {b\n---\nbody",
        "---\ntags: {a: b}\n---\nbody",
        "---\ntitle: [1]\n---\nbody",
        "---\nkind: sculpture\n---\nbody",
        "---\n" + "a: &a [x]\n" + "b: *c\n" + "---\nbody",
    ],
)
def test_bad_front_matter_is_a_typed_error(text: str) -> None:
    with pytest.raises(CaptureError) as error:
        capture_markdown(text, fallback_title="file")
    assert error.value.code == "bad-front-matter"


SHORTCUT = (
    "[{{000214A0-0000-0000-C000-000000000046}}]\r\nProp3=19,2\r\n[InternetShortcut]\r\nIDList=\r\nURL={}\r\n"
)


@pytest.mark.parametrize("address", ["https://example.org/a?b=100%25#c", "HTTP://example.org"])
@pytest.mark.parametrize("ending", [".url", ".URL", ".webloc", ".binary.webloc"])
def test_files_that_hold_a_web_address_are_bookmarks(ending: str, address: str, tmp_path: Path) -> None:
    path = tmp_path / f"On drag{ending}"
    if ending.lower() == ".url":
        path.write_text(SHORTCUT.format(address))
    else:
        form = plistlib.FMT_BINARY if "binary" in ending else plistlib.FMT_XML
        path.write_bytes(plistlib.dumps({"URL": address}, fmt=form))
    captured = capture_file(path)
    assert (captured.kind, captured.url) == (ItemKind.BOOKMARK, address)
    assert captured.title.startswith("On drag") and captured.data is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("local.url", SHORTCUT.format("file:///etc/passwd").encode()),
        ("empty.url", b""),
        ("text.url", b"a text that is no list of fields"),
        ("long.url", SHORTCUT.format("https://example.org/" + "x" * 2048).encode()),
        ("escape.url", SHORTCUT.format("https://example.org/\x1b[2J").encode()),
        ("none.webloc", b"<plist><dict></dict></plist>"),
        ("list.webloc", plistlib.dumps([{"URL": "https://example.org"}])),
        ("broken.webloc", b"bplist00" + bytes(range(256))),
        ("encoding.webloc", b'<?xml version="1.0" encoding="x-nobody-knows"?><plist><dict></dict></plist>'),
        ("deep.webloc", b"<plist>" + b"<array>" * 5000),
        ("other.md", SHORTCUT.format("https://example.org").encode()),
    ],
)
def test_what_only_looks_like_a_shortcut_is_a_file_as_any_other(
    name: str, data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert capture_file(path).kind is not ItemKind.BOOKMARK


@given(st.binary(max_size=400), st.sampled_from(["a.url", "b.webloc"]))
def test_no_bytes_in_a_shortcut_do_harm(data: bytes, name: str) -> None:
    for begin in (b"", b"bplist00", b"<plist>", b"[InternetShortcut]\nURL=https://x/"):
        address = address_in(name, begin + data)
        assert address is None or address.lower().startswith(("http://", "https://"))


@given(st.text(max_size=300))
def test_any_text_is_captured_or_refused_with_a_reason(text: str) -> None:
    try:
        captured = capture_markdown("---\n" + text, fallback_title="file")
    except CaptureError:
        return
    assert captured.title
    assert excerpt_of(captured.text or "", captured.title) is not None


def test_a_heading_gives_the_title_and_is_not_repeated_in_the_excerpt() -> None:
    captured = capture_markdown("# Swifts\n\nThey sleep on the wing.\n", fallback_title="file")
    assert captured.title == "Swifts"
    assert excerpt_of(captured.text or "", captured.title) == "They sleep on the wing."


def test_the_type_comes_from_the_content_not_from_the_name(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "picture.txt").write_bytes(png)
    (tmp_path / "note.png").write_text("plain words after all")
    picture = capture_file(tmp_path / "picture.txt")
    note = capture_file(tmp_path / "note.png")
    assert (picture.kind, picture.media_type) == (ItemKind.FILE, "image/png")
    assert (note.kind, note.media_type) == (ItemKind.NOTE, "text/plain")


def test_a_large_file_is_referenced_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(b"\0" + os.urandom(1024 * 1024 + 5))
    captured = capture_file(path)
    assert captured.data is None
    assert captured.path == path
    assert captured.size == path.stat().st_size


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaptureError) as error:
        capture_file(tmp_path / "pipe")
    assert error.value.code == "not-a-file"


def test_a_walk_leaves_nothing_out_silently_and_never_leaves_the_folder(tmp_path: Path) -> None:
    garden = tmp_path / "garden"
    (garden / "sub").mkdir(parents=True)
    (garden / ".hidden").write_text("no")
    (garden / "a.md").write_text("a")
    long_name = "n" * 252 + ".md"
    (garden / "sub" / long_name).write_text("b")
    (tmp_path / "secret").write_text("elsewhere")
    (garden / "link").symlink_to(tmp_path / "secret")
    (garden / "inside").symlink_to(garden / "a.md")
    (garden / "broken").symlink_to(garden / "nothing")
    os.mkfifo(garden / "pipe")
    found = list(walk([garden, garden / "a.md"]))
    assert [f.path.name for f in found if f.problem is None] == ["a.md", long_name]
    assert {f.path.name: f.problem.code for f in found if f.problem} == {
        "broken": "broken-link",
        "link": "link-out",
        "pipe": "not-a-file",
    }


def test_a_name_that_is_no_text_can_still_be_captured(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.md")
    path.write_bytes(b"espresso")
    captured = capture_file(path)
    assert captured.title == "caf�"
    assert captured.title.encode()


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", "application/pdf"),
        (b"%!PS-Adobe-3.0\n/Times findfont\n", "application/postscript"),
        (b"{\\rtf1\\ansi words}", "application/rtf"),
    ],
)
def test_a_format_that_is_all_ascii_is_no_note(begin: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "paper.txt").write_bytes(begin)
    captured = capture_file(tmp_path / "paper.txt")
    assert (captured.kind, captured.media_type, captured.title) == (ItemKind.FILE, kind, "paper.txt")
    assert captured.text is None


def test_a_web_page_is_called_as_it_calls_itself(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text(
        "<!doctype html><html><head><title>Swifts &amp;\n Martins</title><style>b{}</style></head>"
        "<body><script>var x;</script><p>They sleep\n on the <b>wing</b>.</p></body></html>"
    )
    captured = capture_file(page)
    assert (captured.kind, captured.title) == (ItemKind.FILE, "Swifts & Martins")
    assert captured.data == page.read_bytes()
    assert excerpt_of(captured.excerpt or "", captured.title) == "They sleep on the wing ."
    page.write_text("<p>No title")
    assert capture_file(page).title == "index.html"


def test_a_text_in_another_encoding_is_kept_as_it_is_and_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("Äpfel und Birnen\n".encode("latin-1"))
    captured = capture_file(tmp_path / "old.txt")
    assert (captured.kind, captured.text) == (ItemKind.FILE, None)
    assert "UTF-8" in captured.warnings[0]
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    assert capture_file(tmp_path / "bytes").warnings == ()

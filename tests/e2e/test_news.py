"""Questions, standing questions and news, between two and three people's daemons."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.harness import PKN, Node, running, trust_each_other, wait_for

KEEL = "# Keels\n\nA keel gives a sailing boat its righting moment and stops leeway.\n"
BALLAST = "# Ballast\n\nLead in the keel of a sailing boat makes the righting moment grow with the heel.\n"
BREAD = "# Bread\n\nFlour, water, salt and a lid.\n"
SECONDS = 30.0


def peek(node: Node, *words: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = node.pkn("news", "--peek", *words)["lines"]
    return lines


def told(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["reason"], line["item"]["title"]) for line in lines]


class Stream:
    """A command that goes on; its lines as they come."""

    def __init__(self, node: Node, *words: str) -> None:
        self.process = subprocess.Popen(
            [PKN, *words], env=node.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.out: queue.Queue[str] = queue.Queue()
        self.err: queue.Queue[str] = queue.Queue()
        self.readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, stream: Any, lines: queue.Queue[str]) -> None:
        with stream:
            for line in stream:
                lines.put(line.rstrip("\n"))

    def line(self) -> str:
        return self.out.get(timeout=SECONDS)

    def interrupted(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)


@contextmanager
def streaming(node: Node, *words: str) -> Iterator[Stream]:
    stream = Stream(node, *words)
    try:
        yield stream
    finally:
        stream.process.kill()
        stream.process.wait()
        for reader in stream.readers:
            reader.join()


def test_news_are_told_once_also_after_a_restart_and_go_with_what_was_taken_back(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        assert peek(ann) == []
        trust_each_other(ann, ben)
        ann.connect(ben)
        ann.connect(cat)
        first = ben.publish(KEEL)
        bread = ben.publish(BREAD, "--to", "public")
        cat.publish("# Of a stranger\n\nKeels.\n", "--to", "public")
        ann.publish("# My own\n\nKeels.\n")
        wait_for("Ben's items", lambda: len(peek(ann)) == 2)
        wait_for("Cat's too", lambda: len(ann.titles("keels")) == 3)
        assert told(peek(ann)) == [("published", "Bread"), ("published", "Keels")]
        assert ann.pkn("status")["news"] == 2
        assert "news" in ann.run("status").stdout
        ben.pkn("retract", bread, "--yes")
        wait_for("it to be gone", lambda: told(peek(ann)) == [("published", "Keels")])
        ann.stop()
        ann.start()
        shown = ann.run("news")
        assert shown.returncode == 0
        [line] = shown.stdout.splitlines()
        assert "Ben published Keels" in line and "(note, " in line
        assert peek(ann) == [] and ann.pkn("status")["news"] == 0
        ann.kill()
        ann.start()
        again = ann.run("news")
        assert (again.stdout, again.returncode) == ("", 0) and "nothing new; you looked" in again.stderr
        # A newer version of what was seen is news; what is not seen is told in its newest version.
        ann.connect(ben)
        ben.pkn("edit", first, "-", text="# Keels\n\nFin keels and long keels.\n")
        wait_for("the new version", lambda: len(peek(ann)) == 1)
        ben.pkn("edit", first, "-", text="# Keels of boats\n\nFin keels and bilge keels.\n")
        wait_for("the newest alone", lambda: told(peek(ann)) == [("published", "Keels of boats")])
        assert "Ben changed Keels of boats" in ann.run("news", "--peek").stdout
        ann.pkn("block", "Ben")
        assert peek(ann) == []


def test_a_first_meeting_is_one_line_a_person(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(120):
        (notes / f"{number}.md").write_text(f"# Tide {number}\n\nThe rule of twelfths, {number}.\n")
    with running(ann, ben):
        ben.pkn("import", str(notes), "--to", "public", "--yes")
        trust_each_other(ann, ben)
        ann.connect(ben)
        wait_for("all of them", lambda: ann.pkn("status")["news"] == 120)
        [line] = peek(ann)
        assert (line["reason"], line["count"]) == ("published", 120)
        assert "Ben published 120 items, newest: Tide " in ann.run("news", "--peek").stdout
        each = ann.pkn("news", "--all", "--limit", "70")
        assert (len(each["lines"]), each["left"]) == (70, 50)
        assert len(ann.pkn("news", "--all")["lines"]) == 50
        assert peek(ann) == []


def test_a_question_is_news_to_who_knows_about_it_and_trusts_the_asker(tmp_path: Path) -> None:
    ann, ben, cat = (Node(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    with running(ann, ben, cat):
        for text in (KEEL, BALLAST):
            ben.publish(text, "--to", "public")
        cat.publish(BREAD, "--to", "public")
        trust_each_other(ann, ben, cat)
        for other in (ben, cat):
            ann.connect(other)
        wait_for("what they know", lambda: len(ann.titles("keel", "--local")) == 2)
        wait_for("and Cat's", lambda: ann.titles("flour", "--local") == ["Bread"])
        asked = ann.run("ask", "How does a keel make a righting moment?")
        assert asked.returncode == 0, asked.stderr
        assert "question" in asked.stdout and "who may know: Ben;" in asked.stderr
        wait_for("Ben to be asked", lambda: any(line["reason"] == "question" for line in peek(ben)))
        wait_for("Cat to have it", lambda: any(line["item"]["kind"] == "question" for line in peek(cat)))
        [line] = [line for line in peek(cat) if line["item"]["kind"] == "question"]
        assert line["reason"] == "published"
        # First of all news, and named as what it is.
        ben_reads = ben.run("news").stdout.splitlines()
        assert "Ann asks How does a keel make a righting moment?" in ben_reads[0]
        # To ask is not to know.
        assert [one["author_name"] for one in ann.pkn("who", "keel")["people"]] == ["Ben"]
        assert ann.pkn("news", "--peek")["lines"][0]["item"]["kind"] != "question"


def test_matches_are_printed_as_they_come_from_here_and_from_elsewhere(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ann.publish("# Before\n\nAn old keel.\n")
        trust_each_other(ann, ben)
        ann.connect(ben)
        with (
            streaming(ann, "watch", "keel", "-bread", "--json") as words,
            streaming(ann, "watch", '"righting moment"') as phrase,
            streaming(ann, "watch", "tag:boats", "--author", "Ben") as filtered,
        ):
            for stream in (phrase, filtered):
                assert "watching" in stream.err.get(timeout=SECONDS)
            ann.publish("# Own\n\nMy keel, whose moment of righting is small.\n")
            own = json.loads(words.line())
            assert (own["title"], own["trust"]) == ("Own", "self")
            ben.publish("# Bread on a keel\n\nbread\n")
            ben.publish(KEEL, "--tag", "boats/racing")
            assert json.loads(words.line())["title"] == "Keels"
            # The text of the own note was at hand, and refuted the phrase.
            line = phrase.line()
            assert "Ben published Keels" in line
            assert "Keels" in filtered.line()
            assert words.interrupted() == 130
            assert phrase.out.empty() and filtered.out.empty()
            ann.stop()
            assert phrase.process.wait(SECONDS) == 1
            assert "pknd has stopped" in phrase.err.get(timeout=SECONDS)


def test_saved_questions_stay_and_their_matches_are_news(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        ann.publish("# Before\n\nAn old keel.\n")
        saved = ann.run("watch", "keel", "--save", "boats")
        assert saved.returncode == 0 and "boats is saved" in saved.stdout
        taken = ann.run("watch", "lift", "--save", "Boats")
        assert taken.returncode == 1 and "pkn watch remove Boats" in taken.stderr
        refused = ann.run("watch", "kind:poem", "--save", "poems")
        assert refused.returncode == 2 and "kinds are note" in refused.stderr
        assert ann.run("watch", "--save", "everything").returncode == 2
        ann.kill()
        ann.start()
        # A stranger: trusted by nobody, and yet a match.
        ben.publish(KEEL, "--to", "public")
        ben.publish(BREAD, "--to", "public")
        ann.connect(ben)
        wait_for("the match", lambda: told(peek(ann)) == [("match", "Keels")])
        [one] = ann.pkn("watch", "list")["watches"]
        assert (one["name"], one["query"], one["new"]) == ("boats", "keel", 1)
        listed = ann.run("watch", "list").stdout
        assert "boats" in listed and "keel" in listed
        line = ann.run("news", "--peek").stdout
        assert "boats: ~Ben (claimed) published Keels" in line and "stranger" in line
        assert ann.run("watch", "remove", "boats").returncode == 0
        assert peek(ann) == []
        gone = ann.run("watch", "remove", "boats")
        assert gone.returncode == 1 and "no saved question boats" in gone.stderr


def test_news_are_followed_and_the_text_of_others_is_made_harmless(tmp_path: Path) -> None:
    ann, ben = Node("Ann", tmp_path), Node("Ben", tmp_path)
    with running(ann, ben):
        trust_each_other(ann, ben)
        ann.connect(ben)
        ben.publish("# Early\n\none\n")
        wait_for("it", lambda: len(peek(ann)) == 1)
        with streaming(ann, "news", "--follow") as follow, streaming(ann, "watch", "two") as watching:
            assert "Early" in follow.line()
            assert "watching" in watching.err.get(timeout=SECONDS)
            ben.publish("two", "--title", "Red \x1b[31m and \u202egnp.exe")
            for line in (follow.line(), watching.line()):
                assert "Red \ufffd[31m and \ufffdgnp.exe" in line
            wait_for("it to count as seen", lambda: peek(ann) == [])
            assert follow.interrupted() == 130


def test_the_words_of_a_question_that_is_removed_are_in_no_file_afterwards(tmp_path: Path) -> None:
    ann = Node("Ann", tmp_path)
    with running(ann):
        ann.pkn("watch", "xylotomist", "--save", "mine")
        assert ann.files_with(b"xylotomist") != []
        ann.pkn("watch", "remove", "mine")
        wait_for("the words to be gone", lambda: ann.files_with(b"xylotomist") == [])

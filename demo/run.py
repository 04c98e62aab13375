"""The demo: three fixture persons on this machine, found by mDNS, who trust, ask, read and verify.

    python demo/run.py [FOLDER]

Everything lies in a temporary folder and listens on 127.0.0.1; FOLDER's files join Ada's garden. The three
persons are invented for the demo. It ends by itself and leaves nothing running.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

GARDENS = Path(__file__).resolve().parent / "gardens"
PKN = Path(sys.executable).with_name("pkn")
PEOPLE = ("Ada", "Bruno", "Chiara")
DEADLINE_SECONDS = 20.0
_BOLD, _DIM, _END = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")


class DemoFailed(Exception):
    """A step did not show what it should."""


class Person:
    """A fixture person with a home of their own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.home = folder / name.lower()
        self.environment = {**os.environ, "PKN_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "100"}

    def pkn(self, *words: str, show: bool = True, may_fail: bool = False) -> str:
        """Run a command as this person, and print it with what it says.

        Raises:
            DemoFailed: it failed, and not `may_fail`.
        """
        if show:
            print(f"{_BOLD}{self.name} $ pkn {' '.join(map(_quoted, words))}{_END}")
        done = subprocess.run(
            [PKN, *words], env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode != 0 and not may_fail:
            raise DemoFailed(f"{self.name}: pkn {' '.join(words)}: {done.stderr.strip()}")
        if show:
            for line in (*done.stdout.splitlines(), *done.stderr.splitlines()):
                print(f"    {line}")
            print()
        return done.stdout

    def asked(self, *words: str) -> dict[str, object]:
        """The JSON of a command."""
        answer: dict[str, object] = json.loads(self.pkn(*words, "--json", show=False))
        return answer


def main(arguments: Sequence[str]) -> int:
    began = time.monotonic()
    if arguments and not Path(arguments[0]).exists():
        print(f"demo: {arguments[0]} does not exist; name a folder: make demo DIR=folder", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="pkn-demo-"))
    people = [Person(name, folder) for name in PEOPLE]
    try:
        tour(people, Path(arguments[0]).resolve() if arguments else None)
    except DemoFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        for person in people:
            log = person.home / "pknd.log"
            if log.exists():
                print(f"--- {log}\n" + "\n".join(log.read_text().splitlines()[-20:]), file=sys.stderr)
        return 1
    finally:
        for person in people:
            subprocess.run(
                [PKN, "down"], env=person.environment, capture_output=True, timeout=30, check=False
            )
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{_DIM}All three daemons have stopped, nothing is left; {time.monotonic() - began:.0f} s.{_END}")
    return 0


def tour(people: Sequence[Person], extra: Path | None) -> None:
    ada, bruno, chiara = people
    title("Three people start their daemons; this machine's loopback is their network")
    for person in people:
        person.pkn("up", "--name", person.name, "--listen", "127.0.0.1:0")
    title("Each imports a garden of twenty notes; some are for trusted people only")
    for person in people:
        person.pkn("import", str(GARDENS / person.name.lower()), "--yes")
    if extra is not None:
        # Files that cannot be read are listed, and the others imported: the status is 1 then.
        ada.pkn("import", str(extra), "--to", "public", "--yes", may_fail=True)
    title("They have found each other by mDNS")
    for person in people:
        others = {other.name for other in people if other is not person}
        wait_for(f"{person.name} to see both others", lambda p=person, o=others: o <= online(p))  # type: ignore[misc]
    chiara.pkn("peers")
    title("A stranger's public notes can be found at once, marked as a stranger's")
    wait_for("the summaries to arrive", lambda: held_authors(chiara) >= 3)
    chiara.pkn("query", "dandelion parachute", "--limit", "1")
    title("Only its summary is here: the text is read from its author's machine, and verified")
    dandelion = hits(chiara, "dandelion parachute")[0]
    if dandelion["have_payload"]:
        raise DemoFailed("the text was there before it was asked for")
    chiara.pkn("show", str(dandelion["id"]))
    chiara.pkn("verify", str(dandelion["id"]))
    if not hits(chiara, "dandelion parachute")[0]["have_payload"]:
        raise DemoFailed("the text is not kept")
    title("Ada and Bruno trust each other, Chiara and Ada as well; Bruno and Chiara do not")
    for one, other in ((ada, bruno), (bruno, ada), (ada, chiara), (chiara, ada)):
        one.pkn("trust", str(other.asked("id")["id"]), other.name, "--yes", show=False)
    ada.pkn("people")
    title("One question, answered from all three gardens")
    wait_for("answers by three people", lambda: len(authors(ada, "what makes lift: wing, sail, seed")) >= 3)
    ada.pkn("query", "what makes lift: wing, sail, seed", "--limit", "6")
    title("Bruno's note on the kingfisher is for those whom he trusts: Ada finds it, Chiara does not")
    wait_for("the sealed note to arrive", lambda: bool(hits(ada, "kingfisher nests")))
    ada.pkn("query", "kingfisher nests", "--limit", "1")
    chiara.pkn("query", "kingfisher nests", "--everyone", "--limit", "1")
    if any("kingfisher" in str(hit["title"]).lower() for hit in hits(chiara, "kingfisher nests")):
        raise DemoFailed("Chiara found what was not meant for her")
    words = b"behind the old mill"
    if not (files_with(bruno, words) and files_with(ada, words)):
        raise DemoFailed("words of the note are not found where they should be, so this search shows nothing")
    if found := files_with(chiara, words):
        raise DemoFailed(f"words of the note are in Chiara's files: {found}")
    print("    Its words are in files of Bruno's and Ada's homes, and in none of Chiara's.\n")
    title("What is stored where")
    for person in people:
        status = person.asked("status")
        print(
            f"    {person.name:8}{status['items']:>4} items by {status['authors']} people,"
            f" {status['records']} records, {status['own_bytes']} bytes of her or his own"
        )
    for path in sorted(ada.home.iterdir()):
        print(f"    {_DIM}{path.name}{'/' if path.is_dir() else ''}{_END}")
    print()


def files_with(person: Person, words: bytes) -> list[str]:
    """The files of somebody's home that hold some bytes."""
    return [path.name for path in person.home.rglob("*") if path.is_file() and words in path.read_bytes()]


def title(text: str) -> None:
    print(f"{_BOLD}== {text}{_END}\n")


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    """Ask again until it is so; the commands themselves take the time between."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {DEADLINE_SECONDS:.0f} s in vain for {what}")


def online(person: Person) -> set[object]:
    """The names of those who are connected; others on this machine's loopback may be among them."""
    peers = person.asked("peers")["peers"]
    return {peer["name"] for peer in peers if peer["state"] == "online"} if isinstance(peers, list) else set()


def held_authors(person: Person) -> int:
    people = person.asked("people")["people"]
    return sum(one["items"] >= 19 for one in people) if isinstance(people, list) else 0


def hits(person: Person, query: str) -> list[dict[str, object]]:
    found = person.asked("query", query)["hits"]
    return found if isinstance(found, list) else []


def authors(person: Person, query: str) -> set[object]:
    return {hit["author"] for hit in hits(person, query)}


def _quoted(word: str) -> str:
    shown = word if len(word) < 40 or " " in word else f"{word[:18]}…"
    if "/gardens/" in word:
        shown = "gardens/" + word.rpartition("/")[2]
    return f"'{shown}'" if " " in shown else shown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What other people wrote, as it reaches a terminal: every command, against a peer who writes escapes."""

from __future__ import annotations

import asyncio
import os
import pty
from contextlib import suppress
from pathlib import Path

from pkn_protocol.records.ids import cid_text, raw_cid
from pkn_protocol.records.model import Comment, Item, Payload, Profile, Record
from pkn_protocol.text.analysis import analyse
from pkn_protocol.text.sketch import item_text, make_sketch
from pknd.store.records import is_held
from tests.e2e.harness import PKN
from tests.e2e.inside import Inside, until, until_so
from tests.e2e.liar import Liar

ESCAPES = (
    "\x1b[2J",
    "\x1b]0;owned\x07",
    "\x9b31m",
    "\u202etxt.exe\u2066",
    "\r",
    "\x08",
    "\u2028",
    "\U000e0041",
)
EVIL = "Harm" + "".join(f"{escape}x" for escape in ESCAPES)
FORBIDDEN = ("\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\x08", "\u2028", "\U000e0041")


def evil_records(liar: Liar, now: int) -> list[Record]:
    text = f"# {EVIL}\n\nturbulence {EVIL}\n".encode()
    liar.party.blocks[raw_cid(text)] = text
    item = Item(
        title=EVIL,
        tags=(EVIL,),
        lang="en",
        excerpt=EVIL,
        name=f"{EVIL}.md",
        sketch=make_sketch(analyse(item_text(EVIL, text.decode()), "en")),
        payload=Payload("text/markdown", len(text), raw_cid(text)),
    )
    first = liar.sign("note", item, time=now - 9)
    return [
        first,
        liar.sign("profile", Profile(EVIL, EVIL), time=now - 8),
        liar.sign("comment", Comment(first.id, EVIL), time=now - 7, item=first.id),
    ]


async def on_terminal(daemon: Inside, *words: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; its status and all that it wrote."""

    def read(master: int) -> bytes:
        output = b""
        # Linux says EIO when the last process has closed the other end.
        with suppress(OSError):
            while piece := os.read(master, 65_536):
                output += piece
        return output

    master, slave = pty.openpty()
    environment = {"PKN_HOME": str(daemon.folder), "NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat"}
    process = await asyncio.create_subprocess_exec(
        str(PKN), *words, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, **environment}
    )
    os.close(slave)
    try:
        async with asyncio.timeout(60):
            output = await asyncio.to_thread(read, master)
            return await process.wait(), output.decode("utf-8")
    finally:
        os.close(master)


async def test_escapes_in_what_others_wrote_never_reach_the_terminal(tmp_path: Path) -> None:
    ann, liar = Inside("Ann", tmp_path), Liar("liar")
    await liar.party.start()
    try:
        async with ann.running() as daemon:
            link = await liar.party.network.dial("127.0.0.1", daemon.network.port)
            records = evil_records(liar, ann.now())
            await liar.push(link, records)
            first = cid_text(records[0].id)

            async def shown() -> int:
                return len((await daemon.items.show(first, fetch=True, timeout_s=20)).comments)

            await until("the item", lambda: ann.env.store.read_now(lambda db: is_held(db, records[0].id)))
            await until_so("the comment", shown, 1)
            for words in (
                ("query", "turbulence", "--everyone"),
                ("list",),
                ("list", "--tag", EVIL),
                ("show", first),
                ("history", first),
                ("get", first),
                ("tags",),
                ("people",),
                ("peers",),
                ("peers", liar.party.device.hex()),
                ("show", EVIL),
                ("trust", EVIL, "Mallory"),
            ):
                _, output = await on_terminal(ann, *words)
                assert [char for char in FORBIDDEN if char in output] == [], (words, output)
                if words[0] in ("query", "list", "show", "get", "history") and EVIL not in words:
                    # It was there to be shown; as a filter, a tag is read without its line breaks.
                    assert "Harm" in output, (words, output)
    finally:
        await liar.party.network.stop()

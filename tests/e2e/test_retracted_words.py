"""A word that is taken back: it was in the files of all who could read it, and afterwards is in none."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pkn_protocol.control.items import EditRequest, PublishRequest
from pkn_protocol.control.summaries import ListFilter
from pkn_protocol.records.ids import did_key
from pknd.daemon import Daemon
from pknd.store.backups import backups
from tests.e2e.inside import Inside, until, until_so

LARGE_LINES = 8_000
"""Some 250 KiB: its block is a file, and it is fetched by who wants it."""
PUBLIC = (b"Xylotomist", b"quagswagging", b"sesquipedal")
SEALED = (b"Zugzwanger", b"floccinaucical")


def holding(person: Inside, words: bytes) -> list[str]:
    """The files of somebody's home that hold some bytes, by their folder's name or their own."""
    found = []
    for path in person.folder.rglob("*"):
        try:
            if path.is_file() and words in path.read_bytes():
                found.append(path.relative_to(person.folder).parts[0])
        except FileNotFoundError:
            # A log of the database that was just folded in.
            continue
    return sorted(found)


async def titles(daemon: Daemon) -> set[str]:
    return {item.title for item in (await daemon.items.listed(ListFilter())).items}


async def trust(one: Daemon, other: Daemon, name: str) -> None:
    await one.people.trust(did_key(other.people.view.me), petname=name)


async def test_a_retracted_word_is_in_no_file_block_backup_or_log_of_anybody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "pkn")
    ann, ben, cat = (Inside(name, tmp_path) for name in ("Ann", "Ben", "Cat"))
    async with ann.running() as a, ben.running() as b, cat.running() as c:
        for one, other, name in ((a, b, "Ben"), (b, a, "Ann"), (c, a, "Ann"), (b, c, "Cat"), (c, b, "Ben")):
            await trust(one, other, name)
        await b.dial("127.0.0.1", a.network.port, None)
        await c.dial("127.0.0.1", b.network.port, None)
        short = await a.items.publish(PublishRequest(text="# Xylotomist\n\nquagswagging", audience="public"))
        lines = "".join(f"{number} sesquipedal steps\n" for number in range(LARGE_LINES))
        large = await a.items.publish(PublishRequest(text="# Steps\n\n" + lines, audience="public"))
        sealed = await a.items.publish(PublishRequest(text="# Zugzwanger\n\nfloccinaucical"))
        await a.items.publish(PublishRequest(text="# Staying\n\nperseverant", audience="public"))
        everything = {"Xylotomist", "Steps", "Zugzwanger", "Staying"}
        await until_so("Ben to have all", lambda: titles(b), everything)
        await until_so("Cat to have what is public", lambda: titles(c), everything - {"Zugzwanger"})
        for daemon in (b, c):
            for item in (short, large):
                shown = await daemon.items.show(item.id, fetch=True, timeout_s=20)
                assert shown.text is not None
        assert (await b.items.show(sealed.id, fetch=True, timeout_s=20)).text is not None
        await a.items.edit(short.id, EditRequest(text="# Xylotomist again\n\nquagswagging twice"))
        await until_so("the new version", lambda: titles(c), {"Xylotomist again", "Steps", "Staying"})
        for person in (ann, ben, cat):
            await person.env.store.back_up()
        # So the search finds them where they are: in databases, blocks and backups.
        for person in (ann, ben, cat):
            for word in PUBLIC:
                assert holding(person, word), (person.name, word)
            assert "blocks" in holding(person, b"sesquipedal")
            assert "backups" in holding(person, b"Xylotomist")
        for word in SEALED:
            assert holding(ann, word) and holding(ben, word)
            assert not holding(cat, word)

        for item in (short, large, sealed):
            await a.items.retract(item.id)
        for person, daemon in ((ann, a), (ben, b), (cat, c)):
            await until_so(f"{person.name} to know", lambda d=daemon: titles(d), {"Staying"})  # type: ignore[misc]
            for word in (*PUBLIC, *SEALED):
                await until(
                    f"{word!r} to be gone at {person.name}'s",
                    lambda p=person, w=word: holding(p, w) == [],  # type: ignore[misc]
                )
            await until("a backup without them", lambda p=person: len(backups(p.folder)) == 1)  # type: ignore[misc]
            assert "backups" in holding(person, b"Staying")
    for word in (*PUBLIC, *SEALED):
        # Whoever reads the logs learns nothing either, at whatever level.
        assert word.decode() not in caplog.text
        assert not any(word.decode() in str(record.__dict__) for record in caplog.records)

"""Bookmarks that are published again: one item for one address."""

from __future__ import annotations

from pathlib import Path

from pkn_protocol.control.items import PublishRequest
from pkn_protocol.control.kinds import Kind
from pkn_protocol.control.summaries import ListFilter
from tests.e2e.inside import Inside

URL = "https://example.org/sloes"


async def test_the_same_address_is_the_same_item(tmp_path: Path) -> None:
    ann = Inside("Ann", tmp_path)
    async with ann.running() as daemon:
        items = daemon.items
        first = await items.publish(PublishRequest(url=URL, title="Sloes", tags=("fruit",), text="ripe late"))
        again = await items.publish(PublishRequest(url=URL))
        assert again.unchanged and again.id == first.id
        assert (await items.publish(PublishRequest(url=URL, title="Sloes", tags=("fruit",)))).unchanged
        tagged = await items.publish(PublishRequest(url=URL, tags=("gin",)))
        assert (tagged.item, tagged.title, tagged.unchanged) == (first.item, "Sloes", False)
        shown = await items.show(first.item, fetch=False, timeout_s=1)
        assert (set(shown.tags), shown.text, shown.url) == ({"fruit", "gin"}, "ripe late", URL)
        named = await items.publish(PublishRequest(url=URL, title="Sloe gin"))
        assert (named.item, named.title) == (first.item, "Sloe gin")
        noted = await items.publish(PublishRequest(url=URL, text="after frost"))
        assert noted.item == first.item
        assert (await items.show(first.item, fetch=False, timeout_s=1)).text == "after frost"
        [listed] = (await items.listed(ListFilter())).items
        assert listed.title == "Sloe gin"


async def test_another_audience_or_address_is_another_item(tmp_path: Path) -> None:
    ann = Inside("Ann", tmp_path)
    async with ann.running() as daemon:
        items = daemon.items
        first = await items.publish(PublishRequest(url=URL, audience="public"))
        # Without an audience it stays for whom it was.
        assert (await items.publish(PublishRequest(url=URL))).unchanged
        private = await items.publish(PublishRequest(url=URL, audience="private"))
        assert private.item != first.item and "published to public before" in private.warnings[0]
        assert (await items.publish(PublishRequest(url=URL, audience="public"))).id == first.id
        assert (await items.publish(PublishRequest(url=URL, audience="private"))).id == private.id
        assert (await items.publish(PublishRequest(url=URL + "/gin"))).item not in (first.item, private.item)
        question = PublishRequest(url=URL + "/when", kind=Kind.QUESTION)
        asked = await items.publish(question)
        assert (await items.publish(question)).id == asked.id
        assert (await items.publish(PublishRequest(text=URL))).kind == Kind.NOTE


async def test_a_bookmark_that_was_retracted_is_published_anew(tmp_path: Path) -> None:
    ann = Inside("Ann", tmp_path)
    async with ann.running() as daemon:
        first = await daemon.items.publish(PublishRequest(url=URL))
        await daemon.items.retract(first.id)
        anew = await daemon.items.publish(PublishRequest(url=URL))
        assert not anew.unchanged and anew.item != first.item

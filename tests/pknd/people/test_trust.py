"""Trusting, blocking and naming people: each act does what it says and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkn_protocol.control.people import Trust
from pkn_protocol.records.ids import did_key
from pknd.errors import DomainError
from pknd.store.people import vouches
from tests.e2e.inside import Inside
from tests.pknd.store.people import Person


async def test_whom_one_does_not_trust_is_not_untrusted(tmp_path: Path) -> None:
    bea = did_key(Person("Bea").author)
    async with Inside("Ann", tmp_path).running() as ann:
        with pytest.raises(DomainError, match="is not trusted"):
            await ann.people.untrust(bea)
        await ann.people.trust(bea, petname="bea")
        await ann.people.block("bea")
        with pytest.raises(DomainError, match="bea is not trusted but blocked"):
            await ann.people.untrust("bea")
        assert (await ann.people.person("bea")).trust is Trust.BLOCKED


async def test_the_name_of_whom_one_trusts_no_longer_is_free(tmp_path: Path) -> None:
    wrong, right = did_key(Person("Anna").author), did_key(Person("Anna herself").author)
    async with Inside("Ann", tmp_path).running() as ann:
        await ann.people.trust(wrong, petname="anna")
        with pytest.raises(DomainError, match="already means somebody else"):
            await ann.people.trust(right, petname="anna")
        await ann.people.untrust("anna")
        await ann.people.trust(right, petname="anna")
        assert (await ann.people.person("anna")).id == right
        assert (await ann.people.person(wrong)).petname is None
        await ann.people.block("anna")
        with pytest.raises(DomainError, match="already means somebody else"):
            await ann.people.trust(wrong, petname="anna")


@pytest.mark.parametrize("act", ["untrust", "block"])
async def test_whom_one_trusts_no_longer_one_vouches_for_no_longer(tmp_path: Path, act: str) -> None:
    bea, cat = Person("Bea").author, did_key(Person("Cat").author)
    inside = Inside("Ann", tmp_path)
    async with inside.running() as ann:
        for one, name in ((did_key(bea), "bea"), (cat, "cat")):
            await ann.people.trust(one, petname=name)
        await ann.people.vouch("bea", withdraw=False)
        after = await getattr(ann.people, act)("bea")
        assert (after.vouched, after.vouch_withdrawn) == (False, True)
        # What friends count by: the records, of which theirs are copies.
        assert await inside.env.store.read(vouches) == {}
        assert not (await getattr(ann.people, act)("cat")).vouch_withdrawn
        if act == "block":
            await ann.people.unblock("bea")
        await ann.people.trust("bea", petname=None)
        assert not (await ann.people.person("bea")).vouched
        assert (await ann.people.vouch("bea", withdraw=False)).vouched
        assert [*(await inside.env.store.read(vouches)).values()] == [frozenset({bea})]


@pytest.mark.parametrize("before", ["", "z6Mk", "did:key:z6Mk"])
async def test_the_beginning_of_a_key_that_is_too_short_is_told_as_that(tmp_path: Path, before: str) -> None:
    bea = did_key(Person("Bea").author)
    start = bea.removeprefix("did:key:z6Mk")
    async with Inside("Ann", tmp_path).running() as ann:
        await ann.people.trust(bea, petname=None)
        assert (await ann.people.person(before + start[:8])).id == bea
        with pytest.raises(DomainError, match="too short for a person's key") as error:
            await ann.people.person(before + start[:7])
        assert "8 or more characters" in str(error.value.hint)
        # What begins nobody's key may be a name.
        with pytest.raises(DomainError, match="nobody here is called"):
            await ann.people.person("Nobody")

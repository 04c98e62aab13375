"""Trusting, blocking and naming people: each act does what it says and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkn_protocol.control.people import Trust
from pkn_protocol.records.ids import did_key
from pknd.errors import DomainError
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

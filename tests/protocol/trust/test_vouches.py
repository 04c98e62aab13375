"""Which vouches stand: given, taken back, given again, by whom, in any order of arrival."""

from __future__ import annotations

import hashlib
from itertools import permutations
from typing import Any

from pkn_protocol.records.codec import sign_record
from pkn_protocol.records.ids import AuthorId
from pkn_protocol.records.model import Record, Vouch
from pkn_protocol.records.signing import Ed25519Key
from pkn_protocol.trust.vouches import standing_vouches

NOW = 1_790_000_000_000
HOUR = 3_600_000


def key(name: str) -> Ed25519Key:
    return Ed25519Key.from_seed(hashlib.sha256(name.encode()).digest())


def author(name: str) -> AuthorId:
    return AuthorId(key(name).public)


def vouch(by: str, person: str, time: int, *, vouched: bool = True, **fields: Any) -> Record:
    body, device = Vouch(author(person), vouched), key(f"{by}'s device")
    return sign_record(author=author(by), key=device, time=time, kind="vouch", body=body, **fields)


def test_a_vouch_stands_until_it_is_withdrawn_in_whatever_order_the_records_come() -> None:
    given = vouch("anna", "bruno", NOW - 3)
    withdrawn = vouch("anna", "bruno", NOW - 2, vouched=False, replaces=(given.id,))
    again = vouch("anna", "bruno", NOW - 1, replaces=(withdrawn.id, given.id))
    for records in permutations((given, withdrawn)):
        assert standing_vouches(records, now=NOW) == {}
    for records in permutations((given, withdrawn, again)):
        assert standing_vouches(records, now=NOW) == {author("anna"): {author("bruno")}}


def test_of_two_that_do_not_know_each_other_the_later_one_counts() -> None:
    records = [vouch("anna", "bruno", NOW - 1, vouched=False), vouch("anna", "bruno", NOW - 2)]
    assert standing_vouches(records, now=NOW) == {}


def test_nobody_can_replace_the_vouch_of_somebody_else() -> None:
    given = vouch("anna", "bruno", NOW - 2)
    hostile = vouch("mallory", "bruno", NOW - 1, vouched=False, replaces=(given.id,))
    assert standing_vouches([given, hostile], now=NOW) == {author("anna"): {author("bruno")}}


def test_vouching_for_oneself_says_nothing() -> None:
    assert standing_vouches([vouch("anna", "anna", NOW)], now=NOW) == {}


def test_what_has_expired_or_lies_ahead_says_nothing() -> None:
    records = [
        vouch("anna", "bruno", NOW - HOUR, expires=NOW),
        vouch("anna", "chiara", NOW + HOUR),
    ]
    assert standing_vouches(records, now=NOW) == {}
    assert standing_vouches(records, now=NOW - 1) == {author("anna"): {author("bruno")}}

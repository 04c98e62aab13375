"""Circles: who holds the key reads, nobody else does, and nothing can be passed off as sealed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.circles import (
    CannotOpen,
    EpochKey,
    grant_bodies,
    grant_boxes,
    membership_proof,
    open_grant,
    open_sealed,
    seal_record,
)
from pkn_protocol.records.codec import verify_record
from pkn_protocol.records.fields import RecordError
from pkn_protocol.records.ids import DeviceId
from pkn_protocol.records.model import Item, Record, Sealed
from pkn_protocol.records.signing import Ed25519Key
from tests.vectors.generate import DEVICE, MEMBER, signed

EPOCH = EpochKey(b"e" * 32)
OTHER = EpochKey(b"f" * 32)
NONCE = b"n" * 24


def inner(title: str = "For few", **more: object) -> Record:
    return signed("note", Item(title=title), audience="trusted", **more)


def granted(members: list[Ed25519Key], earlier: list[EpochKey] | None = None) -> Record:
    count = grant_boxes(len(members))
    seeds = b"".join(bytes((n % 255 + 1,)) * 32 for n in range(count))
    devices = [DeviceId(member.public) for member in members]
    [body] = grant_bodies(EPOCH, members=devices, earlier=earlier or [], seeds=seeds, nonce=NONCE)
    return signed("grant", body)


def test_members_open_what_was_sealed() -> None:
    record = inner()
    sealed = seal_record(record, epoch=EPOCH, key=DEVICE, nonce=NONCE)
    verify_record(sealed)
    assert open_sealed(sealed, EPOCH) == record
    assert b"For few" not in sealed.block


def test_another_key_opens_nothing_even_under_the_same_tag() -> None:
    sealed = seal_record(inner(), epoch=EPOCH, key=DEVICE, nonce=NONCE)
    with pytest.raises(CannotOpen):
        open_sealed(sealed, OTHER)
    assert isinstance(sealed.body, Sealed)
    relabelled = replace(sealed, body=replace(sealed.body, tag=OTHER.tag))
    with pytest.raises(CannotOpen):
        open_sealed(relabelled, OTHER)


def test_a_sealed_record_cannot_be_moved_to_another_author_or_time() -> None:
    sealed = seal_record(inner(), epoch=EPOCH, key=DEVICE, nonce=NONCE)
    for moved in (replace(sealed, time=sealed.time + 1), replace(sealed, author=DEVICE.public)):  # type: ignore[arg-type]
        with pytest.raises(CannotOpen):
            open_sealed(moved, EPOCH)


def test_a_public_record_is_not_sealed() -> None:
    with pytest.raises(RecordError):
        seal_record(signed("note", Item(title="open")), epoch=EPOCH, key=DEVICE, nonce=NONCE)


def test_a_grant_opens_for_each_member_and_for_nobody_else() -> None:
    members = [Ed25519Key.from_seed(bytes((n,)) * 32) for n in range(1, 12)]
    grant = granted(members, [OTHER])
    for member in members:
        assert open_grant(grant, member) == [EPOCH, OTHER]
    assert open_grant(grant, MEMBER) == []


def test_a_grant_that_is_not_understood_gives_no_key() -> None:
    grant = granted([MEMBER])
    assert open_grant(grant, MEMBER) == [EPOCH]
    assert open_grant(signed("grant", grant.body, extra={"!until": 1}), MEMBER) == []


@pytest.mark.parametrize(("members", "boxes"), [(0, 8), (1, 8), (8, 8), (9, 16), (100, 128)])
def test_a_grant_tells_the_size_of_a_circle_only_roughly(members: int, boxes: int) -> None:
    assert grant_boxes(members) == boxes


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_proof_holds_for_one_connection_and_one_direction(transcript: bytes, other: bytes) -> None:
    proof = membership_proof(EPOCH, transcript, b"client")
    assert proof == membership_proof(EPOCH, transcript, b"client")
    assert proof != membership_proof(EPOCH, transcript, b"server")
    assert proof != membership_proof(OTHER, transcript, b"client")
    assert (proof == membership_proof(EPOCH, other, b"client")) == (other == transcript)

"""Records: what goes in comes out, what was changed is noticed, and no bytes do more than be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records import limits
from pkn_protocol.records.cbor import BadEncoding, Link, Value, decode, encode
from pkn_protocol.records.codec import decode_record, sign_record, verify_record
from pkn_protocol.records.fields import BadField, BadSignature, RecordError
from pkn_protocol.records.ids import (
    AuthorId,
    BadId,
    cid_text,
    dag_cbor_cid,
    did_key,
    parse_cid,
    parse_did_key,
    raw_cid,
)
from pkn_protocol.records.model import Item, Payload, Profile, Rating
from pkn_protocol.records.signing import Ed25519Key, verify
from tests.vectors.generate import AUTHOR, DEVICE, ME, TIME, signed, valid_records

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60)
cids = st.binary(max_size=8).map(dag_cbor_cid)
items = st.builds(
    Item,
    title=texts,
    tags=st.lists(texts.filter(lambda t: len(t.encode()) <= limits.TAG_BYTES), max_size=5, unique=True).map(
        tuple
    ),
    lang=st.sampled_from(["en", "de", "zh"]),
    excerpt=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100),
    sketch=st.none() | st.binary(min_size=1, max_size=200),
    payload=st.none()
    | st.builds(Payload, st.just("text/plain"), st.integers(0, 2**40), st.binary(max_size=9).map(raw_cid)),
    links=st.lists(cids, max_size=4, unique=True).map(tuple),
    url=st.none() | texts,
)


@given(items, st.integers(0, 2**48), st.none() | st.integers(0, 2**48))
def test_an_item_comes_out_as_it_went_in(item: Item, time: int, expires: int | None) -> None:
    record = sign_record(author=ME, key=DEVICE, time=time, kind="note", body=item, expires=expires)
    again = decode_record(record.block)
    verify_record(again)
    assert again == record
    assert (again.body, again.time, again.expires) == (item, time, expires)


@given(st.sampled_from(valid_records()), st.data())
def test_no_byte_of_a_record_can_be_changed(vector: tuple[str, object], data: st.DataObject) -> None:
    block = bytearray(vector[1].block)  # type: ignore[attr-defined]
    place = data.draw(st.integers(0, len(block) - 1))
    block[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((RecordError, BadEncoding)):
        verify_record(decode_record(bytes(block)))


@given(st.binary(max_size=400))
def test_any_bytes_decode_or_raise_the_typed_error(block: bytes) -> None:
    try:
        decode_record(block)
    except (RecordError, BadEncoding):
        return
    raise AssertionError("random bytes became a record")


values = st.recursive(
    st.integers(-(2**53), 2**53)
    | st.booleans()
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
    | cids.map(Link),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc!", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_encoding_is_a_bijection(value: Value) -> None:
    block = encode(value)
    again = decode(block, most_bytes=10_000)
    assert again == value
    assert encode(again) == block


@pytest.mark.parametrize("value", [1.5, None, 2**53 + 1, -(2**53) - 1, "a\0b", {"a\0": 1}, [[[None]]]])
def test_values_outside_the_data_model_are_refused(value: object) -> None:
    with pytest.raises(BadEncoding):
        encode(value)  # type: ignore[arg-type]


def test_structures_that_are_deep_or_large_are_refused_cheaply() -> None:
    with pytest.raises(BadEncoding):
        decode(b"\x81" * 100_000 + b"\x00", most_bytes=200_000)
    with pytest.raises(BadEncoding):
        decode(bytes(20_000), most_bytes=16_384)
    # A list that announces 2^60 entries.
    with pytest.raises(BadEncoding):
        decode(b"\x9b\x10" + bytes(7), most_bytes=100)


def test_a_record_beyond_sixteen_kib_is_refused_when_it_is_written() -> None:
    links = tuple(dag_cbor_cid(bytes((n,))) for n in range(64))
    with pytest.raises((RecordError, BadEncoding)):
        signed(
            "note",
            Item(
                title="t" * 512,
                sketch=b"\x01" * 6144,
                lang="en",
                links=links,
                url="u" * 2048,
                tags=tuple(f"{n:0128}" for n in range(32)),
                excerpt="e" * 1024,
                name="n" * 512,
            ),
        )


def test_signing_refuses_what_a_peer_would_refuse() -> None:
    with pytest.raises(BadField):
        signed("rating", Rating(dag_cbor_cid(b"x"), 9), item=dag_cbor_cid(b"x"))
    with pytest.raises(BadField):
        signed("note", Item(title=""))
    with pytest.raises(BadField):
        signed("note", Item(title="t"), item=dag_cbor_cid(b"x"))


def test_a_signature_by_another_key_is_told_from_a_broken_record() -> None:
    record = signed("profile", Profile("x"))
    forged = record.block.replace(DEVICE.public, AUTHOR.public[::-1])
    with pytest.raises(BadSignature):
        verify_record(decode_record(forged))


@pytest.mark.parametrize("others", [0, 1, 17, 18, 19, 40])
def test_a_signature_holds_however_many_fields_stand_around_it(others: int) -> None:
    # Of all lengths, so that some stand before it; a map of more than 23 fields has another head.
    extra: dict[str, Value] = {"x" * n: b"\x63sig\x58\x40" + bytes(n) for n in range(1, others + 1)}
    fields = Item(title="t")
    record = sign_record(author=ME, key=DEVICE, time=TIME, kind="note", body=fields, extra=extra)
    again = decode_record(record.block)
    verify_record(again)
    assert again.extra == extra


def test_a_signature_that_another_field_repeats_is_that_of_its_own_field() -> None:
    value = decode(signed("note", Item(title="t")).block, most_bytes=1000)
    assert isinstance(value, dict)
    for place in ("a", "zzzzzz"):
        forged = encode({**value, place: b"\x63sig\x58\x40" + value["sig"]})
        with pytest.raises(BadSignature):
            verify_record(decode_record(forged))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_signatures_hold_for_their_message_alone(seed: bytes, message: bytes) -> None:
    key = Ed25519Key.from_seed(seed)
    signature = key.sign(message)
    assert verify(key.public, message, signature)
    assert not verify(key.public, message + b"x", signature)
    assert not verify(key.public, message, signature[:-1])


@given(st.binary(min_size=32, max_size=32))
def test_two_devices_agree_on_a_secret(seed: bytes) -> None:
    key = Ed25519Key.from_seed(seed)
    assert key.agree(DEVICE.public) == DEVICE.agree(key.public)


@given(st.binary(max_size=20))
def test_ids_have_one_spelling(data: bytes) -> None:
    cid = dag_cbor_cid(data)
    text = cid_text(cid)
    assert parse_cid(text) == cid
    for wrong in (text.upper(), text[:-1], text + "a", "z" + text[1:], " " + text):
        with pytest.raises(BadId):
            parse_cid(wrong)


@given(st.binary(min_size=32, max_size=32), st.text(max_size=60))
def test_people_have_one_spelling(key: bytes, junk: str) -> None:
    text = did_key(key)
    assert parse_did_key(text) == AuthorId(key)
    with pytest.raises(BadId):
        parse_did_key(text + "1")
    with pytest.raises(BadId):
        parse_did_key("did:key:z" + junk + "0")


def test_unknown_fields_are_kept_to_the_byte() -> None:
    [record] = [r for name, r in valid_records() if name == "an unknown field"]
    again = decode_record(record.block)
    assert again.extra == {"colour": "red"}
    assert again.block == record.block
    assert again.understood
    assert again.time == TIME

"""Messages: one table of cases through encoder and decoder, each whole, cut off, and with bytes too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import LARGEST_MESSAGE, Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.records.cbor import Link, decode, encode
from pkn_protocol.records.ids import AuthorId, DeviceId, ShortId, dag_cbor_cid, raw_cid

CID = dag_cbor_cid(b"x")
KEY = b"k" * 32
HASH = b"h" * 8
HANDSHAKE: list[m.Message] = [
    m.Hello(1, 2, DeviceId(KEY), AuthorId(KEY), b"n" * 32, "pkn/1", b"c" * 32, 7867),
    m.Proof(b"s" * 64, b"record", b"t" * 32),
    m.Proof(b"s" * 64, b"record", b"t" * 32, knows=True),
    m.Welcome(b"s" * 64, b"record", b"t" * 32),
    m.Welcome(b"s" * 64, b"", b"t" * 32),
]
OPEN: list[m.Message] = [
    m.Ping(),
    m.Pong(),
    m.Want(1, 0, (m.WantEntry(HASH), m.WantEntry(HASH, (5, CID))), (HASH,), more=True),
    m.Circles((KEY,)),
    m.Compare(1, 3_600_000, 1, 2, KEY[:16]),
    m.Same(1),
    m.Stale(1),
    m.Rows(1, 20, m.Form.CODE, b"c" * 34, more=True),
    m.Rows(1, 2, m.Form.SHORT, b"r" * 16),
    m.MoreRows(1, 12),
    m.Groups(1, b"name", (m.Group(b"", HASH, (0,), 3, m.Form.CODE, b"c" * 34),), more=True),
    m.Groups(1, b"", (m.Group(b"s" * 16, HASH, (671, 672), 2, m.Form.WHOLE, KEY * 2),)),
    m.MoreIds(1, (m.IdsAsk(0, m.Form.CODE, 7), m.IdsAsk(1, m.Form.PRINT)), more=True),
    m.Parts(1, (m.Part(0, m.Form.CODE, b"c" * 17), m.Part(1, m.Form.PRINT, b"p" * 16)), more=True),
    m.Lacks(1, (m.Part(0, m.Form.SHORT, HASH),), (m.RowIds(b"", HASH, 671, m.Form.WHOLE, KEY),), more=True),
    m.Fetch((CID,), devices=True),
    m.Fetch(shorts=(m.ShortIds(HASH, (ShortId(HASH), ShortId(b"g" * 8))),)),
    m.Records((b"block",), (CID,), more=True),
    m.Push(HASH, (b"block", b"other")),
    m.Push(HASH, (b"block",), hops=3),
    m.Announce((m.Announced(HASH, (ShortId(HASH), ShortId(b"g" * 8)), hops=2),)),
    m.Graft(HASH, (), m.Tree.EVERYBODY),
    m.Graft(HASH, (ShortId(HASH),), m.Tree.NOBODY),
    m.Prune(HASH, m.Tree.EVERYBODY),
    m.Grants((b"block",)),
    m.Refused((CID,), "too new"),
    m.Have((CID, raw_cid(b"y"))),
    m.Holds(b"\x01\x00"),
    m.Ask(
        b"q" * 16,
        "drag -lift",
        (m.QueryTerm("drag", (1, 2), 40),),
        (("boundary", "layer"),),
        (m.QueryTerm("lift", (3,), 0),),
        1400,
        60,
        10,
        32,
        65536,
        2,
        5000,
        ("flow",),
        AuthorId(KEY),
        "note",
        77,
        (("not", "this"),),
        (HASH,),
    ),
    m.Answers((m.AnswerHit(CID, 1234, "a passage", (2, 5), confirmed=True),), asked=3, more=True),
    m.Cancel(7),
    m.Unsupported("novelty"),
]
CASES = [(message, Stage.HANDSHAKE) for message in HANDSHAKE] + [(message, Stage.OPEN) for message in OPEN]


def name(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("message", "stage"), CASES, ids=name)
def test_each_message_comes_out_as_it_went_in(message: m.Message, stage: Stage, version: int) -> None:
    envelope = m.Envelope(message, request=3) if stage is Stage.OPEN else m.Envelope(message)
    frame = encode_message(envelope, version)
    assert decode_message(frame, stage) == envelope
    for cut in range(len(frame)):
        with pytest.raises(ChannelError):
            decode_message(frame[:cut], stage)
    with pytest.raises(ChannelError):
        decode_message(frame + b"\x00", stage)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("message", OPEN, ids=name)
def test_nothing_but_the_handshake_is_spoken_before_it_is_over(message: m.Message, version: int) -> None:
    if not isinstance(message, m.Unsupported):
        with pytest.raises(ChannelError):
            decode_message(encode_message(m.Envelope(message), version), Stage.HANDSHAKE)


@pytest.mark.parametrize("message", HANDSHAKE, ids=name)
def test_the_handshake_is_not_repeated(message: m.Message) -> None:
    with pytest.raises(ChannelError):
        decode_message(encode_message(m.Envelope(message), 1), Stage.OPEN)


def test_frequent_messages_of_version_2_are_as_the_specification_says() -> None:
    short = ShortId(b"s" * 8)

    def written(message: m.Message) -> object:
        return decode(encode_message(m.Envelope(message), 2), most_bytes=LARGEST_MESSAGE)

    told = m.Announced(HASH, (short,) * 300, hops=2), m.Announced(KEY[:8], (short,))
    assert written(m.Announce(told)) == {
        "t": "a",
        "d": b"\xff\x02"
        + HASH
        + short * 255
        + b"\x2d\x02"
        + HASH
        + short * 45
        + b"\x01\x00"
        + KEY[:8]
        + short,
    }
    assert written(m.Graft(HASH, (short,), m.Tree.AUTHOR)) == {"t": "g", "d": b"\x01" + HASH + short}
    assert written(m.Prune(HASH, m.Tree.EVERYBODY)) == {"t": "x", "d": b"\x02" + HASH}
    assert written(m.Push(HASH, (b"block",), hops=3)) == {"t": "p", "a": HASH, "b": [b"block"], "h": 3}
    assert written(m.Same(1)) == {"t": "s", "n": 1}
    compare = {"t": "c", "n": 1, "a": 3_600_000, "m": 1, "y": 2, "o": KEY[:16]}
    assert written(m.Compare(1, 3_600_000, 1, 2, KEY[:16])) == compare
    floors = (m.WantEntry(HASH), m.WantEntry(HASH, (5, CID)))
    whole = {"t": "w", "n": 3, "b": 2, "a": HASH, "f": [[HASH, 5, Link(CID)]], "d": KEY[:8]}
    assert written(m.Want(3, 2, floors, (KEY[:8],))) == whole


def test_as_many_ids_as_may_be_told_at_once_are_understood_in_both_versions() -> None:
    some = ShortId(b"s" * 8)
    lists = tuple(m.Announced(at.to_bytes(8, "big"), (some,) * (1793 if at == 0 else 1)) for at in range(256))
    announce = m.Announce(lists)
    for version in (1, 2):
        assert decode_message(encode_message(m.Envelope(announce), version), Stage.OPEN).message == announce


def test_neighbouring_parts_of_an_announcement_are_one_list() -> None:
    part = b"\1\0" + HASH + HASH
    told = decode_message(encode({"t": "a", "d": part * 264}), Stage.OPEN).message
    assert told == m.Announce((m.Announced(HASH, (ShortId(HASH),) * 264),))


def test_a_want_may_name_as_many_authors_in_both_versions() -> None:
    floors = tuple(m.WantEntry(HASH, (5, CID)) for _ in range(1000))
    want = m.Want(1, 0, (m.WantEntry(HASH),) * 15_384 + floors)
    for version in (1, 2):
        assert decode_message(encode_message(m.Envelope(want), version), Stage.OPEN).message == want


def test_a_message_of_a_later_program_is_told_from_nonsense() -> None:
    frame = encode({"t": "novelty", "q": 5, "x": [1, 2]})
    assert decode_message(frame, Stage.OPEN) == m.Envelope(m.Unsupported("novelty"), request=5)
    known = encode({"t": "same", "n": 4, "later": True})
    assert decode_message(known, Stage.OPEN).message == m.Same(4)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"t": "same"}, CloseCode.BAD_MESSAGE),
        ({"t": "same", "n": "4"}, CloseCode.BAD_MESSAGE),
        ({"t": "same", "n": -1}, CloseCode.BAD_MESSAGE),
        ({"t": "circles", "proofs": [b"short"]}, CloseCode.BAD_MESSAGE),
        ({"t": "fetch", "ids": [b"no link"]}, CloseCode.BAD_MESSAGE),
        ({"t": "rows", "n": 1, "total": 2, "form": 0, "data": b"x" * 18}, CloseCode.BAD_MESSAGE),
        ({"t": "rows", "n": 1, "total": 2, "form": 4, "data": b""}, CloseCode.BAD_MESSAGE),
        ({"t": "rows", "n": 1, "total": 2, "form": 1, "data": bytes(2**18 + 8)}, CloseCode.BAD_MESSAGE),
        ({"t": "compare", "n": 1, "at": 0, "mine": 1, "yours": 1, "root": KEY}, CloseCode.BAD_MESSAGE),
        ({"t": "groups", "n": 1, "rows": b"", "groups": [[b"", HASH, [], 1, 0, b""]]}, CloseCode.BAD_MESSAGE),
        (
            {"t": "groups", "n": 1, "rows": b"", "groups": [[b"odd", HASH, [5], 1, 0, b""]]},
            CloseCode.BAD_MESSAGE,
        ),
        ({"t": "groups", "n": 1, "rows": b"", "groups": [[b"", HASH, [5], 1, 0]]}, CloseCode.BAD_MESSAGE),
        ({"t": "more_ids", "n": 1, "asks": [[0, 0, -1]]}, CloseCode.BAD_MESSAGE),
        ({"t": "parts", "n": 1, "parts": [[0, 1, b"seven b"]]}, CloseCode.BAD_MESSAGE),
        ({"t": "lacks", "n": 1, "rows": [[b"", HASH, 5, 2, HASH]]}, CloseCode.BAD_MESSAGE),
        ({"t": "fetch", "shorts": [[HASH, b"short"]]}, CloseCode.BAD_MESSAGE),
        ({"t": "fetch", "shorts": [[HASH, HASH * 200], [KEY[:8], HASH * 57]]}, CloseCode.BAD_MESSAGE),
        ({"t": "ping", "q": 1, "pad": b"x" * 2000}, CloseCode.TOO_LARGE),
        ({"t": "records", "blocks": [b"x" * 20_000]}, CloseCode.BAD_MESSAGE),
        ({"t": "a", "d": b"\0\0" + HASH}, CloseCode.BAD_MESSAGE),
        ({"t": "a", "d": b"\2\0" + HASH + HASH}, CloseCode.BAD_MESSAGE),
        ({"t": "a", "d": b"\1"}, CloseCode.BAD_MESSAGE),
        (
            {"t": "a", "d": b"".join(b"\1\0" + i.to_bytes(8, "big") + HASH for i in range(257))},
            CloseCode.BAD_MESSAGE,
        ),
        ({"t": "g", "d": b"\3" + HASH}, CloseCode.BAD_MESSAGE),
        ({"t": "g", "d": b"\1" + HASH + b"short"}, CloseCode.BAD_MESSAGE),
        ({"t": "x", "d": b"\0" + HASH}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "a": b"short"}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "d": 0}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "f": [[HASH]]}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "f": [[HASH, 5]]}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "a": HASH * 16_385}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "d": HASH * 16_385}, CloseCode.BAD_MESSAGE),
        ({"t": "w", "n": 1, "a": HASH * 16_384, "f": [[HASH, 5, Link(CID)]]}, CloseCode.BAD_MESSAGE),
        ({"t": "want", "number": 1, "base": 0, "add": [[HASH]] * 16_385}, CloseCode.BAD_MESSAGE),
        ({"t": "a", "d": (b"\1\0" + HASH + HASH) * 265}, CloseCode.BAD_MESSAGE),
        ({"x": 1}, CloseCode.BAD_MESSAGE),
    ],
)
def test_wrong_fields_close_the_connection_with_a_reason(fields: dict[str, object], code: CloseCode) -> None:
    with pytest.raises(ChannelError) as error:
        decode_message(encode(fields), Stage.OPEN)  # type: ignore[arg-type]
    assert error.value.code is code
    assert error.value.reason


def test_an_oversized_frame_is_refused_unread() -> None:
    with pytest.raises(ChannelError) as error:
        decode_message(bytes(LARGEST_MESSAGE + 1), Stage.OPEN)
    assert error.value.code is CloseCode.TOO_LARGE


@given(st.binary(max_size=300), st.sampled_from(list(Stage)))
def test_any_frame_decodes_or_raises_the_remote_error(frame: bytes, stage: Stage) -> None:
    try:
        decode_message(frame, stage)
    except ChannelError as error:
        assert error.reason

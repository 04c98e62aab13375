"""The handshake: two machines joined in memory, and everything that may be wrong with one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import ClientHandshake, Local, PeerAuthenticated, ServerHandshake
from pkn_protocol.records.cbor import decode, encode
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.limits import RECORD_BYTES
from pkn_protocol.records.model import Device
from pkn_protocol.records.signing import Ed25519Key


def person(number: int) -> Local:
    author, device = (Ed25519Key.from_seed(bytes((number, part)) * 16) for part in (1, 2))
    me = AuthorId(author.public)
    body = Device(DeviceId(device.public), "a device", countersign_device(me, device, 5))
    record = sign_record(author=me, key=author, time=5, kind="device", body=body)
    return Local(me, device, record.block, "pkn/test", bytes((number,)) * 32, 7000 + number)


ANN, BEN, EVE = person(1), person(2), person(3)


def client(
    local: Local = ANN, server: Local = BEN, *, expected: Local | None = None, known: bytes | None = None
) -> ClientHandshake:
    return ClientHandshake(
        local,
        nonce=b"c" * 32,
        token=b"C" * 32,
        certificate=server.certificate,
        certificate_key=server.device_key.public,
        expected=None if expected is None else DeviceId(expected.device_key.public),
        known=lambda: known,
    )


def meet(one: ClientHandshake, other: ServerHandshake) -> tuple[PeerAuthenticated, PeerAuthenticated]:
    hello, nobody = other.receive(one.start())
    assert nobody is None
    proof = one.receive(hello)
    assert isinstance(proof, m.Proof)
    welcome, at_server = other.receive(proof)
    at_client = one.receive(welcome)
    assert isinstance(at_client, PeerAuthenticated)
    assert at_server is not None
    return at_client, at_server


def server(local: Local = BEN) -> ServerHandshake:
    return ServerHandshake(local, nonce=b"s" * 32, token=b"S" * 32)


def test_both_know_who_the_other_is_and_share_a_transcript() -> None:
    at_client, at_server = meet(client(), server())
    assert (at_client.device, at_client.author) == (BEN.device_key.public, BEN.author)
    assert (at_server.device, at_server.author) == (ANN.device_key.public, ANN.author)
    assert at_client.transcript == at_server.transcript
    assert (at_client.token, at_server.token) == (b"S" * 32, b"C" * 32)
    assert (at_client.port, at_server.port) == (7002, 7001)
    assert (at_client.certificate, at_server.certificate) == (BEN.certificate, ANN.certificate)


def test_the_transcript_is_another_on_another_connection() -> None:
    first, _ = meet(client(), server())
    second, _ = meet(client(), ServerHandshake(BEN, nonce=b"z" * 32, token=b"S" * 32))
    assert first.transcript != second.transcript


def test_another_device_at_the_address_is_refused_before_anything_is_said() -> None:
    with pytest.raises(ChannelError) as error:
        client(expected=EVE)
    assert error.value.code is CloseCode.WRONG_DEVICE


def test_a_hello_of_another_device_than_the_certificate_is_refused() -> None:
    one = client(server=EVE)
    hello, _ = server(BEN).receive(one.start())
    with pytest.raises(ChannelError) as error:
        one.receive(hello)
    assert error.value.code is CloseCode.WRONG_DEVICE


@pytest.mark.parametrize(
    ("mine", "theirs", "common"), [((1, 1), (1, 2), 1), ((1, 3), (2, 2), 2), ((1, 3), (1, 3), 3)]
)
def test_the_greatest_common_version_is_spoken(
    mine: tuple[int, int], theirs: tuple[int, int], common: int
) -> None:
    one = replace(ANN, least_version=mine[0], greatest_version=mine[1])
    other = replace(BEN, least_version=theirs[0], greatest_version=theirs[1])
    at_client, at_server = meet(client(one, other), server(other))
    assert at_client.version == at_server.version == common


def test_without_a_common_version_the_reason_names_both_ranges() -> None:
    later = replace(ANN, least_version=3, greatest_version=4)
    with pytest.raises(ChannelError) as error:
        server().receive(client(later).start())
    assert error.value.code is CloseCode.NO_COMMON_VERSION
    assert "1 to 2" in error.value.reason
    assert "3 to 4" in error.value.reason


def test_one_cannot_connect_to_oneself() -> None:
    with pytest.raises(ChannelError) as error:
        server(ANN).receive(client(ANN, ANN).start())
    assert error.value.code is CloseCode.SELF


def bad_proofs() -> list[tuple[str, m.Proof]]:
    one = client()
    hello, _ = server().receive(one.start())
    good = one.receive(hello)
    assert isinstance(good, m.Proof)
    flipped = bytes((good.signature[0] ^ 1,)) + good.signature[1:]
    return [
        ("a broken signature", replace(good, signature=flipped)),
        ("somebody else's device record", replace(good, device_record=EVE.device_record)),
        ("no record at all", replace(good, device_record=b"\x00")),
    ]


@pytest.mark.parametrize(("what", "proof"), bad_proofs(), ids=lambda v: v if isinstance(v, str) else "")
def test_a_bad_proof_is_refused(what: str, proof: m.Proof) -> None:
    other = server()
    other.receive(client().start())
    with pytest.raises(ChannelError) as error:
        other.receive(proof)
    assert error.value.code is CloseCode.BAD_PROOF


def test_a_proof_made_for_one_server_is_worth_nothing_at_another() -> None:
    # Eve stands between: Ann proves herself to Eve, who passes it on to Ben.
    one = client(server=EVE)
    hello, _ = server(EVE).receive(one.start())
    proof = one.receive(hello)
    assert isinstance(proof, m.Proof)
    ben = server()
    ben.receive(one.start())
    with pytest.raises(ChannelError):
        ben.receive(proof)


@pytest.mark.parametrize(
    "message", [m.Ping(), m.Welcome(b"s" * 64, b"x", b"t" * 32), m.Proof(b"s" * 64, b"x", b"t" * 32)]
)
def test_messages_out_of_order_end_the_handshake(message: m.Message) -> None:
    with pytest.raises(ChannelError):
        server().receive(message)
    with pytest.raises(ChannelError):
        client().receive(message)


def test_a_device_record_that_the_dialling_side_holds_is_not_sent() -> None:
    one, other = client(known=BEN.device_record), server()
    hello, _ = other.receive(one.start())
    proof = one.receive(hello)
    assert isinstance(proof, m.Proof)
    welcome, _ = other.receive(proof)
    assert isinstance(welcome, m.Welcome) and not welcome.device_record
    at_client = one.receive(welcome)
    assert isinstance(at_client, PeerAuthenticated)
    assert (at_client.author, at_client.device_record.block) == (BEN.author, BEN.device_record)


def with_a_broken_signature(block: bytes) -> bytes:
    fields = decode(block, most_bytes=RECORD_BYTES)
    assert isinstance(fields, dict) and isinstance(fields["sig"], bytes)
    return encode({**fields, "sig": bytes((fields["sig"][0] ^ 1,)) + fields["sig"][1:]})


def with_another_author(local: Local) -> Local:
    """The same device, after its person began anew."""
    author = Ed25519Key.from_seed(b"another author".ljust(32, b"."))
    me = AuthorId(author.public)
    body = Device(DeviceId(local.device_key.public), "a device", countersign_device(me, local.device_key, 6))
    record = sign_record(author=me, key=author, time=6, kind="device", body=body)
    return replace(local, author=me, device_record=record.block)


DO_NOT_FIT = [
    None,
    ANN.device_record,
    with_another_author(BEN).device_record,
    with_a_broken_signature(BEN.device_record),
    b"no record",
]


@pytest.mark.parametrize("known", DO_NOT_FIT)
def test_who_holds_no_record_that_fits_the_server_says_so_and_is_sent_it(known: bytes | None) -> None:
    one, other = client(known=known), server()
    hello, _ = other.receive(one.start())
    proof = one.receive(hello)
    assert isinstance(proof, m.Proof) and not proof.knows
    welcome, _ = other.receive(proof)
    at_client = one.receive(welcome)
    assert isinstance(at_client, PeerAuthenticated)
    assert at_client.device_record.block == BEN.device_record


@pytest.mark.parametrize("known", DO_NOT_FIT)
def test_a_welcome_without_a_record_that_joins_the_server_s_author_is_refused(known: bytes | None) -> None:
    one, other = client(known=known), server()
    hello, _ = other.receive(one.start())
    proof = one.receive(hello)
    assert isinstance(proof, m.Proof)
    welcome, _ = other.receive(replace(proof, knows=True))
    with pytest.raises(ChannelError) as error:
        one.receive(welcome)
    assert error.value.code is CloseCode.BAD_PROOF


def test_an_older_server_sends_its_record_to_who_holds_it_too() -> None:
    one, other = client(known=BEN.device_record), server()
    hello, _ = other.receive(one.start())
    proof = one.receive(hello)
    assert isinstance(proof, m.Proof)
    welcome, _ = other.receive(replace(proof, knows=False))
    assert isinstance(one.receive(welcome), PeerAuthenticated)

"""The handshake: who is at the other end, proved to both (SPEC, Channel, Handshake).

    client                                server
      hello  ------------------------------>
             <------------------------------  hello
      proof  ------------------------------>
             <------------------------------  welcome

TLS has shown the client the server's device key already; the client shows its own by signing the transcript.
The server signs as well, so that the proof does not hang on one TLS library. Machines without I/O: nonce and
token are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from pkn_protocol.channel.codec import encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.messages import Close, Envelope, Hello, Message, Proof, Welcome
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.codec import RecordError, decode_record, verify_record
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Device, Record
from pkn_protocol.records.signing import Ed25519Key, is_valid_public_key, verify

LEAST_VERSION = 1
GREATEST_VERSION = 2
_DOMAIN = b"pkn channel v1\n"
CLIENT = b"client"
SERVER = b"server"


@dataclass(frozen=True, slots=True)
class Local:
    """This end: its keys, its `device` record, the SHA-256 of its certificate, the port on which it gives
    blocks (0: none), and the versions that it speaks."""

    author: AuthorId
    device_key: Ed25519Key
    device_record: bytes
    agent: str
    certificate: bytes
    port: int
    least_version: int = LEAST_VERSION
    greatest_version: int = GREATEST_VERSION

    def hello(self, nonce: bytes) -> Hello:
        return Hello(
            self.least_version,
            self.greatest_version,
            DeviceId(self.device_key.public),
            self.author,
            nonce,
            self.agent,
            self.certificate,
            self.port,
        )


@dataclass(frozen=True, slots=True)
class PeerAuthenticated:
    """The other end is proved. `transcript` (32 bytes) is the same on both sides and on no other
    connection; `token` opens the peer's blocks over HTTP at `port`, where `certificate` (SHA-256) is
    shown."""

    device: DeviceId
    author: AuthorId
    device_record: Record
    version: int
    agent: str
    transcript: bytes
    token: bytes
    certificate: bytes
    port: int


class ClientHandshake:
    """The dialling side. `certificate` (SHA-256) and `certificate_key` are what TLS showed; `expected` the
    device that was meant; `token` opens this side's blocks; `known` gives the `device` record of that key, if
    it is held here: it is asked once, when the proof is made."""

    def __init__(
        self,
        local: Local,
        *,
        nonce: bytes,
        token: bytes,
        certificate: bytes,
        certificate_key: bytes,
        expected: DeviceId | None = None,
        known: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        if expected is not None and certificate_key != expected:
            raise ChannelError(CloseCode.WRONG_DEVICE, "another device answers at this address")
        self._local = local
        self._token = token
        self._known = known
        self._certificate = certificate
        self._certificate_key = certificate_key
        self._hello = local.hello(nonce)
        self._server: Hello | None = None
        self._held: Record | None = None
        self._transcript = b""
        self._version = 0

    def start(self) -> Message:
        return self._hello

    def receive(self, message: Message) -> Message | PeerAuthenticated:
        """The next message to send, or who the peer is.

        Raises:
            ChannelError: with what to send as close code and reason.
        """
        match message:
            case Close(code, reason):
                raise ChannelError(_code(code), f"refused: {reason}")
            case Hello() if self._server is None:
                return self._on_hello(message)
            case Welcome() if self._server is not None:
                return self._on_welcome(message, self._server)
            case _:
                raise ChannelError(CloseCode.BAD_MESSAGE, "out of order in the handshake")

    def _on_hello(self, hello: Hello) -> Message:
        if hello.device != self._certificate_key or hello.certificate != self._certificate:
            raise ChannelError(CloseCode.WRONG_DEVICE, "the hello is of another device than the certificate")
        self._version = _common_version(self._hello, hello)
        _check_peer_keys(self._hello, hello)
        self._server = hello
        self._transcript = transcript_of(self._hello, hello)
        signature = self._local.device_key.sign(signed_message(CLIENT, self._transcript, self._hello, hello))
        self._held = _held(hello, self._known())
        return Proof(signature, self._local.device_record, self._token, knows=self._held is not None)

    def _on_welcome(self, welcome: Welcome, server: Hello) -> PeerAuthenticated:
        _check_signature(
            server, signed_message(SERVER, self._transcript, self._hello, server), welcome.signature
        )
        sent = welcome.device_record
        record = self._held if self._held is not None and not sent else _joining_record(server, sent)
        return _authenticated(server, record, self._version, self._transcript, welcome.token)


class ServerHandshake:
    """The listening side."""

    def __init__(self, local: Local, *, nonce: bytes, token: bytes) -> None:
        self._local = local
        self._hello = local.hello(nonce)
        self._token = token
        self._client: Hello | None = None
        self._transcript = b""
        self._version = 0

    def receive(self, message: Message) -> tuple[Message, PeerAuthenticated | None]:
        """The message to send, and with the last one who the peer is.

        Raises:
            ChannelError: with what to send as close code and reason.
        """
        match message:
            case Close(code, reason):
                raise ChannelError(_code(code), f"refused: {reason}")
            case Hello() if self._client is None:
                self._version = _common_version(self._hello, message)
                _check_peer_keys(self._hello, message)
                self._client = message
                self._transcript = transcript_of(message, self._hello)
                return self._hello, None
            case Proof() if self._client is not None:
                return self._on_proof(message, self._client)
            case _:
                raise ChannelError(CloseCode.BAD_MESSAGE, "out of order in the handshake")

    def _on_proof(self, proof: Proof, client: Hello) -> tuple[Message, PeerAuthenticated]:
        message = signed_message(CLIENT, self._transcript, client, self._hello)
        _check_signature(client, message, proof.signature)
        record = _joining_record(client, proof.device_record)
        answer = self._local.device_key.sign(signed_message(SERVER, self._transcript, client, self._hello))
        peer = _authenticated(client, record, self._version, self._transcript, proof.token)
        block = b"" if proof.knows else self._local.device_record
        return Welcome(answer, block, self._token), peer


def transcript_of(client: Hello, server: Hello) -> bytes:
    """The hash of both hellos as they were encoded, which is the same in all versions."""
    frames = (encode_message(Envelope(hello), LEAST_VERSION) for hello in (client, server))
    return sha256(_DOMAIN + b"".join(sha256(frame).digest() for frame in frames)).digest()


def signed_message(role: bytes, transcript: bytes, client: Hello, server: Hello) -> bytes:
    """What a side signs: domain, role, both device keys, both authors, both nonces, the transcript."""
    return b"".join(
        (
            _DOMAIN,
            role,
            client.device,
            server.device,
            client.author,
            server.author,
            client.nonce,
            server.nonce,
            transcript,
        )
    )


def _authenticated(
    hello: Hello, record: Record, version: int, transcript: bytes, token: bytes
) -> PeerAuthenticated:
    return PeerAuthenticated(
        hello.device,
        hello.author,
        record,
        version,
        hello.agent,
        transcript,
        token,
        hello.certificate,
        hello.port,
    )


def _common_version(mine: Hello, theirs: Hello) -> int:
    version = min(mine.greatest_version, theirs.greatest_version)
    if version < max(mine.least_version, theirs.least_version):
        raise ChannelError(
            CloseCode.NO_COMMON_VERSION,
            f"no common protocol version: here {mine.least_version} to {mine.greatest_version},"
            f" there {theirs.least_version} to {theirs.greatest_version}; update the older program",
        )
    return version


def _check_peer_keys(mine: Hello, theirs: Hello) -> None:
    if theirs.device == mine.device:
        raise ChannelError(CloseCode.SELF, "this is the same device")
    if not (is_valid_public_key(theirs.device) and is_valid_public_key(theirs.author)):
        raise ChannelError(CloseCode.BAD_PROOF, "a key that is not a valid Ed25519 key")


def _check_signature(hello: Hello, message: bytes, signature: bytes) -> None:
    if not verify(hello.device, message, signature):
        raise ChannelError(CloseCode.BAD_PROOF, "the signature over the handshake is not the device's")


def _held(hello: Hello, block: bytes | None) -> Record | None:
    """What is held of the device of a hello, if it is of the same author still: to a device key that was kept
    with a new author key the record of the old one does not belong."""
    try:
        return None if block is None else _joining_record(hello, block)
    except ChannelError:
        return None


def _joining_record(hello: Hello, block: bytes) -> Record:
    """The valid `device` record that joins the author and device of a hello."""
    try:
        record = decode_record(block)
        verify_record(record)
    except (RecordError, BadEncoding) as error:
        raise ChannelError(CloseCode.BAD_PROOF, f"the device record is not valid: {error}") from error
    if (
        not isinstance(record.body, Device)
        or record.author != hello.author
        or record.body.device != hello.device
    ):
        raise ChannelError(CloseCode.BAD_PROOF, "the device record joins another author or device")
    return record


def _code(code: int) -> CloseCode:
    try:
        return CloseCode(code)
    except ValueError:
        return CloseCode.BAD_MESSAGE

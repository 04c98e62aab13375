"""Circles: epoch keys, sealed records, grants, proofs of membership (SPEC, Circles).

Randomness (nonces, epoch keys, seeds of sealed boxes) is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

import nacl.bindings
import nacl.exceptions

from pkn_protocol.records import limits
from pkn_protocol.records.bodies import BOX_BYTES, KEY_BYTES, NONCE_BYTES, TAG_BYTES
from pkn_protocol.records.cbor import BadEncoding
from pkn_protocol.records.codec import decode_record, sign_record, verify_record
from pkn_protocol.records.fields import RecordError
from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.model import Grant, Record, Sealed
from pkn_protocol.records.signing import Ed25519Key, SigningKey, is_valid_public_key

_TAG_PERSON = b"pkn circle tag 1"
_EPOCH_PERSON = b"pkn epoch id   1"
_RECORD_PERSON = b"pkn record key 1"
_COMMIT_PERSON = b"pkn commitment 1"
_EARLIER_PERSON = b"pkn earlier    1"
_MEMBER_PERSON = b"pkn membership 1"
PROOF_BYTES = 32
LEAST_BOXES = 8
"""A grant is padded to a power of two, so that it tells the circle's size only roughly."""


class CannotOpen(ValueError):
    """A sealed record or grant that the key does not open, or that holds something else than it says."""

    code = "cannot-open"


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The key of one epoch of a circle, 32 bytes."""

    secret: bytes

    @property
    def epoch_id(self) -> bytes:
        """The epoch's name, 32 bytes: the hash of its key, so that two epochs cannot collide."""
        return blake2b(self.secret, digest_size=32, person=_EPOCH_PERSON).digest()

    @property
    def tag(self) -> bytes:
        """16 bytes that only members can link to the circle."""
        return _keyed(self.secret, b"", TAG_BYTES, _TAG_PERSON)


def seal_record(inner: Record, *, epoch: EpochKey, key: SigningKey, nonce: bytes) -> Record:
    """The `sealed` record around an inner one: same author, same time, signed by the device `key`.

    The key of the encryption is derived from epoch key and nonce, and committed to, so that a ciphertext
    cannot open under two keys.

    Raises:
        RecordError: the inner record has no audience, or is too large.
    """
    if inner.audience is None or len(nonce) != NONCE_BYTES:
        raise RecordError("a record to be sealed names its audience, and the nonce has 24 bytes")
    record_key = _keyed(epoch.secret, nonce, KEY_BYTES, _RECORD_PERSON)
    box = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        inner.block, _associated(inner.author, inner.time, epoch.tag), nonce, record_key
    )
    body = Sealed(epoch.tag, nonce, _keyed(record_key, b"", KEY_BYTES, _COMMIT_PERSON), bytes(box))
    return sign_record(
        author=inner.author, key=key, time=inner.time, kind="sealed", body=body, expires=inner.expires
    )


def open_sealed(outer: Record, epoch: EpochKey) -> Record:
    """The inner record, decoded and verified, of the author, time and expiry that the outer one says.

    Raises:
        CannotOpen: another key, or what is inside is not a valid record of that author for this audience.
    """
    body = outer.body
    if not isinstance(body, Sealed) or not compare_digest(body.tag, epoch.tag):
        raise CannotOpen("not sealed under this epoch")
    record_key = _keyed(epoch.secret, body.nonce, KEY_BYTES, _RECORD_PERSON)
    if not compare_digest(_keyed(record_key, b"", KEY_BYTES, _COMMIT_PERSON), body.commitment):
        raise CannotOpen("the commitment is to another key")
    try:
        block = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            body.box, _associated(outer.author, outer.time, body.tag), body.nonce, record_key
        )
        inner = decode_record(bytes(block))
        verify_record(inner)
    except (nacl.exceptions.CryptoError, RecordError, BadEncoding, ValueError) as error:
        raise CannotOpen(f"what is sealed is no valid record: {error}") from error
    if (inner.author, inner.time, inner.expires) != (outer.author, outer.time, outer.expires):
        raise CannotOpen("author, time or expiry differ inside and outside")
    if inner.audience is None:
        raise CannotOpen("a record without an audience was sealed")
    return inner


def grant_bodies(
    epoch: EpochKey,
    *,
    members: list[DeviceId],
    earlier: list[EpochKey],
    seeds: bytes,
    nonce: bytes,
) -> list[Grant]:
    """The grants that give an epoch's key to the devices of its members, padded and without addresses.

    `seeds`: 32 random bytes a box (see `grant_boxes`), for ephemeral keys and padding; `nonce`: 24 random
    bytes. `earlier`: keys that members may read too, newest first.

    Raises:
        ValueError: too few random bytes, or a member's key that is not valid.
    """
    count = grant_boxes(len(members))
    if len(seeds) != count * KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("the random bytes do not have the length that these members need")
    parts = [seeds[at : at + KEY_BYTES] for at in range(0, len(seeds), KEY_BYTES)]
    boxes = [seal_box(epoch.secret, device, seed) for device, seed in zip(members, parts, strict=False)]
    boxes += [_padding(seed) for seed in parts[len(members) :]]
    # In the order of their bytes: where a member's box stands says nothing about when it joined.
    boxes.sort()
    kept = b"".join(key.secret for key in earlier[: limits.EARLIER_KEYS])
    sealed_earlier = b""
    if kept:
        earlier_key = _keyed(epoch.secret, nonce, KEY_BYTES, _EARLIER_PERSON)
        sealed_earlier = nonce + bytes(
            nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(kept, epoch.tag, nonce, earlier_key)
        )
    step = limits.GRANT_BOXES
    return [
        Grant(epoch.tag, epoch.epoch_id, tuple(boxes[at : at + step]), sealed_earlier, at // step)
        for at in range(0, len(boxes), step)
    ]


def grant_boxes(members: int) -> int:
    """How many boxes a grant for so many devices has: the next power of two, at least 8."""
    return max(LEAST_BOXES, 1 << max(0, members - 1).bit_length())


def open_grant(record: Record, device: Ed25519Key) -> list[EpochKey]:
    """The epoch's key and the earlier ones that a grant gives to a device; empty if it is not a member, or if
    the grant has a field that must be understood and is not.

    Raises:
        CannotOpen: a box opens, but holds another key than the grant says.
    """
    grant = record.body
    if not isinstance(grant, Grant):
        raise CannotOpen("not a grant")
    if not record.understood:
        return []
    for box in grant.boxes:
        secret = device.open_box(box)
        if secret is None:
            continue
        epoch = EpochKey(secret)
        if len(secret) != KEY_BYTES or epoch.epoch_id != grant.epoch or epoch.tag != grant.tag:
            raise CannotOpen("the grant's box holds the key of another epoch")
        return [epoch, *_open_earlier(grant, epoch)]
    return []


def _open_earlier(grant: Grant, epoch: EpochKey) -> list[EpochKey]:
    if not grant.earlier:
        return []
    nonce, box = grant.earlier[:NONCE_BYTES], grant.earlier[NONCE_BYTES:]
    try:
        kept = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            box, grant.tag, nonce, _keyed(epoch.secret, nonce, KEY_BYTES, _EARLIER_PERSON)
        )
    except (nacl.exceptions.CryptoError, ValueError, TypeError) as error:
        raise CannotOpen("the earlier keys do not open") from error
    if len(kept) % KEY_BYTES:
        raise CannotOpen("the earlier keys have a wrong length")
    return [EpochKey(bytes(kept[at : at + KEY_BYTES])) for at in range(0, len(kept), KEY_BYTES)]


def membership_proof(epoch: EpochKey, transcript: bytes, role: bytes) -> bytes:
    """What shows, on one connection and in one direction, that its sender holds the epoch's key.

    `transcript` is the handshake's hash, `role` b"client" or b"server" of the sender, so that a proof
    cannot be sent back or used elsewhere. It names no circle: only members recognise it.
    """
    return _keyed(epoch.secret, transcript + role, PROOF_BYTES, _MEMBER_PERSON)


def seal_box(message: bytes, device: DeviceId, seed: bytes) -> bytes:
    """A sealed box that libsodium's `crypto_box_seal_open` opens, with the ephemeral key made from `seed`.

    libsodium draws the ephemeral key itself; here it is passed in, as all randomness is.

    Raises:
        ValueError: the device key is not a valid point.
    """
    if not is_valid_public_key(device):
        raise ValueError("not a valid device key")
    recipient = nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(device)
    public, secret = nacl.bindings.crypto_box_seed_keypair(seed)
    nonce = blake2b(public + recipient, digest_size=NONCE_BYTES).digest()
    return bytes(public + nacl.bindings.crypto_box(message, nonce, recipient, secret))


def _padding(seed: bytes) -> bytes:
    # It must look like a box to those whom it is not for: a real public key first.
    public, secret = nacl.bindings.crypto_box_seed_keypair(seed)
    return bytes(public) + blake2b(bytes(secret), digest_size=BOX_BYTES - KEY_BYTES).digest()


def _associated(author: AuthorId, time: int, tag: bytes) -> bytes:
    return author + time.to_bytes(8, "big") + tag


def _keyed(key: bytes, message: bytes, size: int, person: bytes) -> bytes:
    return blake2b(message, digest_size=size, key=key, person=person).digest()

"""Ed25519 under strict rules (RFC 8032 without cofactor), so that all implementations agree on validity.

libsodium refuses s >= L, keys and R of small order, and non-canonical encodings; the check that the key lies
in the prime-order group is added here, because a mixed-order key makes verifiers disagree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import nacl.bindings
import nacl.exceptions

SIGNATURE_BYTES = 64
SEED_BYTES = 32


class Signed(NamedTuple):
    """A message with its detached signature, and the key that made it."""

    public: bytes
    message: bytes
    signature: bytes


class SigningKey(Protocol):
    """Something that signs: a key in memory, or one in a device that never shows it."""

    @property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The detached signature, 64 bytes."""
        ...


class Ed25519Key:
    """A signing key held in memory."""

    __slots__ = ("_secret", "public")

    def __init__(self, public: bytes, secret: bytes) -> None:
        self.public = public
        self._secret = secret

    @classmethod
    def from_seed(cls, seed: bytes) -> Ed25519Key:
        """The key of a 32-byte seed (RFC 8032, section 5.1.5).

        Raises:
            ValueError: the seed has another length.
        """
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        public, secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        return cls(public, secret)

    @property
    def seed(self) -> bytes:
        return self._secret[:SEED_BYTES]

    def sign(self, message: bytes) -> bytes:
        return bytes(nacl.bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES])

    def agree(self, other: bytes) -> bytes:
        """The X25519 secret shared with the holder of another Ed25519 key, both keys converted.

        Raises:
            ValueError: the other key is not a valid point.
        """
        if not is_valid_public_key(other):
            raise ValueError("not a valid Ed25519 key")
        mine = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(self._secret)
        theirs = nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(other)
        return bytes(nacl.bindings.crypto_scalarmult(mine, theirs))

    def open_box(self, box: bytes) -> bytes | None:
        """The plaintext of a libsodium sealed box made for this key; None if it is for another one."""
        mine = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(self._secret)
        public = nacl.bindings.crypto_scalarmult_base(mine)
        try:
            return bytes(nacl.bindings.crypto_box_seal_open(box, public, mine))
        except (nacl.exceptions.CryptoError, ValueError, TypeError):
            return None


@lru_cache(maxsize=65536)
def is_valid_public_key(key: bytes) -> bool:
    """Whether 32 bytes are a canonical point of the prime-order group, other than the identity."""
    if len(key) != 32:
        return False
    return bool(nacl.bindings.crypto_core_ed25519_is_valid_point(key))


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is a strict Ed25519 signature of `message` by `public`."""
    if len(signature) != SIGNATURE_BYTES or not is_valid_public_key(public):
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, public)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.CryptoError, ValueError):
        return False
    return True

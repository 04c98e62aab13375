"""Keys as words of the BIP 39 English list: to be written on paper, or read out over the telephone."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

from mnemonic import Mnemonic

from pkn_protocol.records.ids import AuthorId

# 6 words are 66 bits: nobody grinds a key that shows the same ones.
FINGERPRINT_WORDS = 6
_BITS_A_WORD = 11
_PERSONALISATION = b"pkn fingerprint1"


@cache
def _list() -> Mnemonic:
    return Mnemonic("english")


def recovery_words(seed: bytes) -> str:
    """The 24 words of a 32-byte seed (BIP 39 with its checksum; the entropy is the seed itself)."""
    return str(_list().to_mnemonic(seed))


def seed_of_words(words: str) -> bytes:
    """The seed of 24 recovery words.

    Raises:
        ValueError: a word is not of the list, or the checksum is wrong.
    """
    seed = bytes(_list().to_entropy(" ".join(words.lower().split())))
    if len(seed) != 32:
        raise ValueError("recovery words are 24 words")
    return seed


@cache
def _word(index: int) -> str:
    return str(_list().wordlist[index])


def fingerprint(author: AuthorId) -> str:
    """Six words that two people compare to know that they mean the same key (SPEC, Identity).

    The words are the first 66 bits of BLAKE2b-256 of the key with the personalisation
    `pkn fingerprint1`, 11 bits a word, most significant first.
    """
    digest = blake2b(author, digest_size=32, person=_PERSONALISATION).digest()
    number = int.from_bytes(digest, "big") >> (256 - FINGERPRINT_WORDS * _BITS_A_WORD)
    indexes = [
        (number >> (_BITS_A_WORD * place)) & (2**_BITS_A_WORD - 1)
        for place in reversed(range(FINGERPRINT_WORDS))
    ]
    return " ".join(_word(index) for index in indexes)

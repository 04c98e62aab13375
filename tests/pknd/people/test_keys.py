"""The keys of a home: made once, refused when damaged, and the words that stand for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkn_protocol.records.ids import AuthorId
from pknd.people.keys import KeysUnusable, open_keys, read_author_seed, remove_author_secret
from pknd.people.words import fingerprint, recovery_words, seed_of_words


def seeded(count: int) -> bytes:
    seeded.drawn += 1  # type: ignore[attr-defined]
    return hashlib.shake_128(str(seeded.drawn).encode()).digest(count)  # type: ignore[attr-defined]


seeded.drawn = 0  # type: ignore[attr-defined]


def test_keys_are_made_once_and_found_again(tmp_path: Path) -> None:
    first, made = open_keys(tmp_path / "keys", random_bytes=seeded)
    again, made_again = open_keys(tmp_path / "keys", random_bytes=seeded)
    assert (made, made_again) == (True, False)
    assert (first.author, first.device) == (again.author, again.device)
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "keys").iterdir()} == {0o600}


@pytest.mark.parametrize("lost", [["author.key", "author.pub"], ["author.key", "author.pub", "device.key"]])
def test_a_home_in_use_gets_no_other_identity_when_its_keys_are_lost(tmp_path: Path, lost: list[str]) -> None:
    open_keys(tmp_path, random_bytes=seeded)
    for name in lost:
        (tmp_path / name).unlink()
    with pytest.raises(KeysUnusable) as error:
        open_keys(tmp_path, random_bytes=seeded, in_use=True)
    assert "backup" in error.value.hint
    assert not (tmp_path / "author.key").exists()


def test_without_the_author_secret_the_person_stays_the_same(tmp_path: Path) -> None:
    keys, _ = open_keys(tmp_path, random_bytes=seeded)
    seed = read_author_seed(tmp_path)
    assert seed is not None
    remove_author_secret(tmp_path)
    again, _ = open_keys(tmp_path, random_bytes=seeded)
    assert again.author == keys.author
    assert again.author_key is None
    assert all(seed.hex().encode() not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["author.key", "device.key"])
@pytest.mark.parametrize("content", [b"", b"not hexadecimal", b"00" * 31, b"00" * 40, b"\xff" * 64])
def test_a_damaged_key_is_refused_and_left_alone(tmp_path: Path, name: str, content: bytes) -> None:
    open_keys(tmp_path, random_bytes=seeded)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KeysUnusable) as error:
        open_keys(tmp_path, random_bytes=seeded)
    assert name in error.value.message
    assert error.value.hint
    assert (tmp_path / name).read_bytes() == content


def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    open_keys(tmp_path, random_bytes=seeded)
    (tmp_path / "device.key").chmod(0o644)
    with pytest.raises(KeysUnusable) as error:
        open_keys(tmp_path, random_bytes=seeded)
    assert error.value.hint.startswith("chmod 600")


def test_a_missing_device_key_is_told_from_a_first_start(tmp_path: Path) -> None:
    open_keys(tmp_path, random_bytes=seeded)
    (tmp_path / "device.key").unlink()
    with pytest.raises(KeysUnusable):
        open_keys(tmp_path, random_bytes=seeded)


@given(st.binary(min_size=32, max_size=32))
def test_recovery_words_give_the_seed_back(seed: bytes) -> None:
    words = recovery_words(seed)
    assert len(words.split()) == 24
    assert seed_of_words(words.upper() + " ") == seed


def test_recovery_words_follow_bip39() -> None:
    # The test vector of BIP 39 for 32 bytes of 0x7f.
    assert recovery_words(b"\x7f" * 32).split()[:3] == ["legal", "winner", "thank"]


def test_a_wrong_word_is_noticed() -> None:
    words = recovery_words(b"\x01" * 32).split()
    words[0] = "zoo" if words[0] != "zoo" else "able"
    with pytest.raises(ValueError, match=r"checksum|entropy|word"):
        seed_of_words(" ".join(words))


def test_fingerprints_differ_and_have_six_words() -> None:
    one, other = fingerprint(AuthorId(b"\x01" * 32)), fingerprint(AuthorId(b"\x02" * 32))
    assert len(one.split()) == len(other.split()) == 6
    assert one != other

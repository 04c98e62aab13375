"""The two secrets of a home: the person's key and this machine's key, as files of mode 0600.

A key file holds one line: the 32-byte Ed25519 seed in hexadecimal (RFC 8032, section 5.1.5). `author.pub`
keeps the public half once the author's secret has been taken off the machine (SPEC, Identity).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pkn_protocol.records.ids import AuthorId, DeviceId
from pkn_protocol.records.signing import Ed25519Key
from pknd.errors import DomainError

SEED_BYTES = 32
_AUTHOR_SECRET = "author.key"  # noqa: S105 - a file's name
_AUTHOR_PUBLIC = "author.pub"
_DEVICE_SECRET = "device.key"  # noqa: S105 - a file's name


class KeysUnusable(DomainError):
    """The key files cannot be used; the message says which, why, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("keys-unusable", message, hint)


@dataclass(frozen=True, slots=True)
class Keys:
    """`author_key` is None once the author's secret was removed from this machine."""

    author: AuthorId
    device_key: Ed25519Key
    author_key: Ed25519Key | None

    @property
    def device(self) -> DeviceId:
        return DeviceId(self.device_key.public)


def open_keys(
    folder: Path, *, random_bytes: Callable[[int], bytes], in_use: bool = False
) -> tuple[Keys, bool]:
    """The keys in `folder`, made there if there are none; and whether they were made now. `in_use`: the home
    holds records already, so that none are made: its owner would become a stranger to all of them.

    Raises:
        KeysUnusable: a file is unreadable, damaged, readable by others, or one of the pair is missing; or all
            of a home in use.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret, public, device = (folder / name for name in (_AUTHOR_SECRET, _AUTHOR_PUBLIC, _DEVICE_SECRET))
    present = [path.name for path in (secret, public, device) if path.exists()]
    if in_use and not (secret.exists() or public.exists()):
        raise KeysUnusable(
            f"the keys of the person whose home this is are missing in {folder}",
            "restore the keys folder from a backup of the home; or, to begin as somebody new, name another "
            "home with --home",
        )
    if not present:
        # The device key first: a crash between the two leaves a state that is told from a lost author key.
        _write(device, random_bytes(SEED_BYTES))
        _write(secret, random_bytes(SEED_BYTES))
        author_key = Ed25519Key.from_seed(_read(secret))
        _write(public, author_key.public)
        return Keys(AuthorId(author_key.public), Ed25519Key.from_seed(_read(device)), author_key), True
    if present == [_DEVICE_SECRET]:
        # The first start ended before the author key was written; nothing was signed with this device key.
        _write(secret, random_bytes(SEED_BYTES))
    if not device.exists():
        raise KeysUnusable(
            f"{device} is missing beside the author's key",
            "restore the keys folder from a backup of the home",
        )
    author = Ed25519Key.from_seed(_read(secret)) if secret.exists() else None
    if author is not None and not public.exists():
        _write(public, author.public)
    known = _read(public)
    if author is not None and author.public != known:
        raise KeysUnusable(f"{secret} and {public} are of two persons", "restore both from one backup")
    return Keys(AuthorId(known), Ed25519Key.from_seed(_read(device)), author), False


def remove_author_secret(folder: Path) -> None:
    """Take the author's secret off this machine: overwritten, unlinked, and the folder synced."""
    path = folder / _AUTHOR_SECRET
    with path.open("r+b") as file:
        file.write(b"0" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    _sync_folder(folder)


def read_author_seed(folder: Path) -> bytes | None:
    """The author's seed while it lies on this machine, else None."""
    path = folder / _AUTHOR_SECRET
    return _read(path) if path.exists() else None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if path.suffix == ".key" and (
                about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077
            ):
                raise KeysUnusable(f"{path} can be read by others", f"chmod 600 {path}")
            text = file.read(SEED_BYTES * 2 + 2)
    except OSError as error:
        raise KeysUnusable(
            f"{path} cannot be read: {error.strerror}", "check its owner and permissions"
        ) from error
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != SEED_BYTES:
        raise KeysUnusable(f"{path} does not hold a key", "restore it from a backup of the home")
    return key


def _write(path: Path, key: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.hex().encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

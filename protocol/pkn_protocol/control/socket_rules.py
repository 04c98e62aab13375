"""Where the control socket lies and who may speak through it: the rules that both of its ends keep.

Pure functions; each end looks at its own file system and socket and hands over what it found.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import blake2b

SOCKET_NAME = "control.sock"
FOLDER_MODE = 0o700
# sun_path has 108 bytes on Linux (unix(7)) and 104 on macOS (sys/un.h), one of them the final NUL. The lesser
# serves for both, so that a home behaves alike everywhere.
SOCKET_PATH_BYTES = 103
# A name that does not depend on the environment: a daemon started by a service and a command started over
# ssh must come to the same path.
_RUNTIME_BASE = "/tmp"  # noqa: S108 - the folder made there is checked to be ours and of mode 0700
_NAME_BYTES = 8

# getsockopt's (level, option, length) by sys.platform, and the struct of the answer with the user id's place:
# struct ucred of unix(7) {pid, uid, gid}; struct xucred of sys/ucred.h {version, uid, ...}.
_PEER_CREDENTIALS: dict[str, tuple[int, int, str, int]] = {
    "linux": (1, 17, "=iII", 1),
    "darwin": (0, 1, "=IIhxx16I", 1),
}


class UnsafeSocket(Exception):
    """The folder or the other end of the socket is not ours; the text says what was found."""


def socket_path(home: str, user_id: int) -> str:
    """The control socket's path for a home (absolute, links resolved) of a user.

    It lies in the home, or where that path would be too long in a runtime folder named after the home.
    """
    path = f"{home}/{SOCKET_NAME}"
    encoded = path.encode("utf-8", "surrogateescape")
    if len(encoded) <= SOCKET_PATH_BYTES:
        return path
    name = blake2b(home.encode("utf-8", "surrogateescape"), digest_size=_NAME_BYTES).hexdigest()
    return f"{_RUNTIME_BASE}/pkn-{user_id}-{name}/{SOCKET_NAME}"


def check_folder(folder: str, *, mode: int, owner: int, is_link: bool, user_id: int) -> None:
    """Refuse a socket's folder that others could write to or own; values as `os.lstat` gives them.

    Raises:
        UnsafeSocket: it is a link, belongs to another user, or its mode is not 0700.
    """
    if is_link:
        raise UnsafeSocket(f"{folder} is a link")
    if owner != user_id:
        raise UnsafeSocket(f"{folder} belongs to user {owner}, not to {user_id}")
    if mode & 0o777 != FOLDER_MODE:
        raise UnsafeSocket(f"{folder} has mode {mode & 0o777:04o} where {FOLDER_MODE:04o} is asked for")


def check_peer(platform: str, getsockopt: Callable[[int, int, int], bytes], user_id: int) -> None:
    """Refuse another user at the other end of a connected Unix socket.

    `platform` is sys.platform, `getsockopt` the socket's method.

    Raises:
        UnsafeSocket: the other end is another user, or the platform does not tell.
        OSError: the call failed (the other end is gone).
    """
    found = _PEER_CREDENTIALS.get(platform)
    if found is None:
        raise UnsafeSocket(f"{platform} does not tell who is at the other end of a socket")
    level, option, form, place = found
    answer = getsockopt(level, option, struct.calcsize(form))
    if len(answer) != struct.calcsize(form):
        raise UnsafeSocket("the system's answer about the socket's other end cannot be read")
    other: int = struct.unpack(form, answer)[place]
    if other != user_id:
        raise UnsafeSocket(f"the socket's other end is user {other}, not {user_id}")

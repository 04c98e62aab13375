"""A process that verifies signatures: `python -m pknd.sync.signature_process`, spoken to over its pipes.

After each verification a thread has to get the interpreter's lock back, and waits for it behind all others:
with batches that are decoded and written at the same time, a second processor did next to nothing. A process
of its own needs nobody's lock, and one message for hundreds of signatures.

A request is a length (4 bytes, big-endian) and so many bytes: of each signature the key (32 bytes), the
signature (64), the message's length (4) and the message. The reply is one byte a signature, 1 where it is
valid. The process says `READY` when it can begin. It ends by itself with its input, or when nothing was asked
for `IDLE_SECONDS`.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import BinaryIO

from pkn_protocol.records.signing import SIGNATURE_BYTES, Signed, verify

IDLE_SECONDS = 20.0
READY = b"\x02"
_KEY_BYTES = 32
_LENGTH = Struct(">I")
_HEAD = Struct(f">{_KEY_BYTES}s{SIGNATURE_BYTES}sI")


def packed(signed: Sequence[Signed]) -> bytes:
    """A request."""
    parts = [b""]
    for public, message, signature in signed:
        parts += (_HEAD.pack(public, signature, len(message)), message)
    parts[0] = _LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


def unpacked(request: bytes) -> Iterator[Signed]:
    """What is in a request, behind its length."""
    at = 0
    while at < len(request):
        public, signature, size = _HEAD.unpack_from(request, at)
        at += _HEAD.size + size
        yield Signed(public, request[at - size : at], signature)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until there is nothing more, or nothing for a while."""
    replies.write(READY)
    replies.flush()
    while select.select([requests], [], [], IDLE_SECONDS)[0]:
        head = requests.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return
        (size,) = _LENGTH.unpack(head)
        request = requests.read(size)
        if len(request) < size:
            return
        replies.write(bytes(verify(*signed) for signed in unpacked(request)))
        replies.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)

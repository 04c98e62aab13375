"""What a connection may cost, in one place (SPEC, Transport, Limits)."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

PIECE_BYTES = 256 * KIB
"""Blocks are written in such pieces: over TLS several times faster than the library's file response."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds, sizes in bytes. Tests shorten the times; nothing else changes them."""

    handshake_seconds: float = 5.0
    """From the accepted connection to the authenticated peer, TLS included: enough for a slow radio link,
    short enough that idle connections cannot hold all places."""
    dial_seconds: float = 10.0
    """Connecting and TLS, before the handshake: three retransmissions of a lost SYN."""
    unfinished: int = 32
    """Connections whose handshake is not finished, together."""
    unfinished_per_network: int = 16
    """The same from one /24 or /64: half, so that one network cannot take all places."""
    new_per_minute: int = 240
    """Connections begun from one /24 or /64: a team restarting at once, not a flood."""
    strangers: int = 32
    """Connections that people outside the horizon opened, together."""

    send_seconds: float = 20.0
    """A peer that takes nothing for so long is dropped: a phone that changes networks is back sooner."""
    close_seconds: float = 1.0
    """For saying why a connection ends; the daemon stops within two."""
    settle_seconds: float = 5.0
    """For the side that decides which of two connections stays."""
    ping_seconds: float = 30.0
    """Between pings: below what home routers keep an idle connection for (RFC 5382 asks for 124 minutes,
    many keep less than 60 s)."""
    pong_seconds: float = 15.0
    """For the answer to a ping."""
    check_seconds: float = 3.0
    """For the answer when it is doubted that the connection still lives."""

    outbox_frames: int = 128
    outbox_bytes: int = 2 * MIB
    """Waiting for a peer that reads slowly; the sender waits when it is full."""
    inbox_frames: int = 256
    inbox_bytes: int = 4 * MIB
    """Waiting to be worked on; when it is full nothing more is read."""
    replies_waiting: int = 16
    """Replies to one request that wait for their reader; each is at most 256 KiB."""
    reply_stall_seconds: float = 10.0
    """When nobody takes a reply for so long, the request is given up and the others go on."""
    outstanding: int = 32
    """Requests of one side that are not answered yet; more is a fault."""
    answered_at_once: int = 8
    """Requests of one peer that are worked on together; the others wait."""

    peer_burst: int = 64 * MIB
    peer_rate: int = 4 * MIB
    """What one peer may send unasked: a burst, and bytes a second after it. Above it is read more slowly."""
    strangers_burst: int = 16 * MIB
    strangers_rate: int = MIB
    """The same for all strangers together."""
    frame_cost: int = KIB
    """What a frame costs on top of its bytes: decoding and dispatch."""

    bulk_at_once: int = 4
    """Blocks that one peer may fetch at a time."""
    bulk_from_close: int = 2
    bulk_close_ms: float = 5.0
    """So many at a time from peers that are nearer than this: there it is processors that bytes wait for, and
    two more threads would only keep a new record waiting twice as long."""
    bulk_in_all: int = 32
    """Blocks that are given at a time, to all peers together; each is up to 1 MiB of memory."""
    bulk_to_strangers: int = 8
    """The same to people beyond the horizon together."""
    bulk_per_network: int = 4
    """The same to strangers of one /24 or /64: half, so that one network cannot take all places."""
    bulk_strangers_burst: int = 64 * MIB
    bulk_strangers_rate: int = 16 * MIB
    """Bytes of blocks given to strangers together: a film in minutes, and a fraction of a local network."""
    bulk_refusals: int = 64
    """Blocks refused in a row because of `bulk_at_once`; a peer that goes on asking is at fault. Ours asks
    for no more than it may have, and waits when it is refused all the same."""
    bulk_write_seconds: float = 20.0
    """For one piece to be taken."""
    bulk_connect_seconds: float = 5.0
    bulk_read_seconds: float = 20.0
    """Without a byte, after which a transfer counts as broken."""
    bulk_block_seconds: float = 120.0
    """For a whole block of 1 MiB: 9 KiB/s."""
    bulk_tries: int = 3
    """Times that one block is begun or resumed while the connection lives."""

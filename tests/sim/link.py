"""One side of a connection between nodes: messages with their request numbers to bytes and back, counted."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.handshake import GREATEST_VERSION
from pkn_protocol.records.ids import short_id
from tests.sim.meter import Way
from tests.sim.network import Connection, framing_bytes

if TYPE_CHECKING:
    from tests.sim.node import Node


class Link:
    """`number` is this side's name of the connection; `side` 0 dialled; `other` is the node at the end."""

    __slots__ = ("_waiting", "asked", "connection", "node", "number", "other", "sent", "side", "since", "up")

    def __init__(self, node: Node, connection: Connection, side: int, number: int) -> None:
        self.node = node
        self.connection = connection
        self.side = side
        self.number = number
        self.other = connection.nodes[1 - side]
        self.up = False
        self.since = node.world.events.now
        self.sent: Counter[str] = Counter()
        """Messages that were sent, by type."""
        self.asked: set[bytes] = set()
        """Short ids of records that were asked for beside the tree, or to join it, and have not come."""
        self._waiting: deque[m.Envelope] = deque()

    def send(self, message: m.Message, *, request: int | None = None, reply: int | None = None) -> None:
        envelope = m.Envelope(message, request, reply)
        frame = encode_message(envelope, GREATEST_VERSION)
        size = len(frame) + framing_bytes(len(frame), by_client=self.side == 0)
        self.sent[type(message).__name__] += 1
        if isinstance(message, m.Graft):
            self.asked.update(message.shorts)
        world = self.node.world
        world.meter.message(self.node.number, type(message).__name__, size)
        self.connection.send(self.side, frame if world.settings.decode else envelope, size)

    def arrived(self, message: bytes | m.Envelope) -> None:
        envelope = decode_message(message, Stage.OPEN) if isinstance(message, bytes) else message
        if isinstance(envelope.message, m.Push | m.Records):
            self._count(envelope.message)
        if self._waiting or self.node.is_full(self):
            # What a peer reads slowly waits in the sockets of both; here it waits in one place.
            self._waiting.append(envelope)
            return
        self.node.handle(self, envelope)

    def _count(self, message: m.Push | m.Records) -> None:
        world = self.node.world
        for block in message.blocks:
            record = world.library.records[block]
            short = short_id(record.id)
            if isinstance(message, m.Records):
                way = Way.FETCHED
            elif short in self.asked:
                way = Way.ASKED_FOR
                self.asked.discard(short)
            else:
                way = Way.PUSHED
            is_known = self.node.store.get(record.author, record.id) is not None
            world.meter.received(record, way, is_known=is_known)

    def resume(self) -> None:
        """Hand over what waited while the node was busy with this peer."""
        while self._waiting and self.up and not self.node.is_full(self):
            self.node.handle(self, self._waiting.popleft())

    def broken(self) -> None:
        self.node.lost(self)

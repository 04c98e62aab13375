"""One side of a connection, as tests need it: a real network, and handlers that note what happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from pkn_protocol.channel import messages as m
from pkn_protocol.channel.handshake import GREATEST_VERSION, LEAST_VERSION, PeerAuthenticated
from pkn_protocol.records.codec import countersign_device, sign_record
from pkn_protocol.records.ids import AuthorId, Cid, DeviceId
from pkn_protocol.records.model import Device
from pkn_protocol.records.signing import Ed25519Key
from pknd.channel.limits import Limits
from pknd.channel.link import Link, LinkEnd
from pknd.channel.network import Handlers, Network
from pknd.config import Listen

LOOPBACK = "127.0.0.1"
TIME = 1_760_000_000_000
PATIENCE_SECONDS = 10.0


def seed_of(name: str, number: int = 0) -> bytes:
    return blake2b(f"{name} {number}".encode(), digest_size=32).digest()


def key_of(name: str) -> Ed25519Key:
    return Ed25519Key.from_seed(seed_of(name))


class Randomness:
    """Bytes that differ at each call and between names, and are the same in each run."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return blake2b(f"{self._name} random {self._count}".encode(), digest_size=64).digest()[:size]


@dataclass
class Heard:
    """What the handlers of one side were called with."""

    served: list[Link] = field(default_factory=list)
    ended: list[Link] = field(default_factory=list)
    messages: list[m.Message] = field(default_factory=list)
    wanting: list[Link] = field(default_factory=list)
    """Those over which the other side has said what it wants: before that it drops what it is sent."""
    violations: list[LinkEnd] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    blocks: list[Cid] = field(default_factory=list)
    """Those that were asked for."""


class Party:
    """A device of a person, with a network that listens on loopback once started."""

    def __init__(
        self,
        name: str,
        *,
        limits: Limits | None = None,
        versions: tuple[int, int] = (LEAST_VERSION, GREATEST_VERSION),
        near: bool = True,
        device_key: Ed25519Key | None = None,
        author_key: Ed25519Key | None = None,
    ) -> None:
        self.name = name
        self.device_key = device_key or key_of(f"{name} device")
        author_key = author_key or key_of(f"{name} author")
        self.author = AuthorId(author_key.public)
        self.device = DeviceId(self.device_key.public)
        self.heard = Heard()
        self.blocks: dict[Cid, bytes] = {}
        self.stalled: set[Cid] = set()
        """Blocks that never come, though they are asked for."""
        self.refusal: str | None = None
        self.knows: dict[DeviceId, bytes] = {}
        """`device` records of others."""
        self.look_up: Callable[[DeviceId], Awaitable[bytes | None]] | None = None
        """Instead of in `knows`."""
        self.near = near
        self.answer: Callable[[Link, m.Message], AsyncIterator[m.Message]] = _unsupported
        self.serve: Callable[[Link], Awaitable[None]] | None = None
        self.on_message: Callable[[Link, m.Message], Awaitable[None]] | None = None
        self._changed = asyncio.Condition()
        body = Device(self.device, name, countersign_device(self.author, self.device_key, TIME))
        record = sign_record(author=self.author, key=author_key, time=TIME, kind="device", body=body)
        self.device_record = record.block
        self.network = Network(
            author=self.author,
            device_key=self.device_key,
            device_record=record.block,
            agent="pkn/test",
            random_bytes=Randomness(name),
            clock=time.monotonic,
            versions=versions,
            limits=limits,
            handlers=Handlers(
                serve=self._serve,
                request=lambda link, message: self.answer(link, message),
                message=self._message,
                block=self._block,
                welcome=self._welcome,
                ended=self._ended,
                is_near=lambda author: self.near,
                violated=lambda peer, end: self._violated(end),
                device_block=self._device_block,
            ),
        )

    async def _device_block(self, device: DeviceId) -> bytes | None:
        return self.knows.get(device) if self.look_up is None else await self.look_up(device)

    async def start(self) -> Party:
        await self.network.start(Listen(LOOPBACK, 0))
        return self

    @property
    def port(self) -> int:
        return self.network.port

    async def dial(self, other: Party, *, expected: DeviceId | None = None) -> Link:
        return await self.network.dial(LOOPBACK, other.port, expected=expected)

    def link_to(self, other: Party) -> Link:
        return self.network.links[other.device]

    async def until(self, what: Callable[[], bool]) -> None:
        """Until something is so; looked at again whenever a handler was called."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(what)

    async def until_linked(self, other: Party) -> Link:
        await self.until(lambda: other.device in self.network.links and bool(self.heard.served))
        return self.link_to(other)

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._telling = asyncio.ensure_future(tell())

    async def _serve(self, link: Link) -> None:
        self.heard.served.append(link)
        self._tell()
        if self.serve is not None:
            await self.serve(link)
        try:
            await asyncio.Event().wait()
        finally:
            self.heard.cancelled.append("serve")

    async def _message(self, link: Link, message: m.Message) -> None:
        if self.on_message is not None:
            await self.on_message(link, message)
        self.heard.messages.append(message)
        if isinstance(message, m.Want):
            self.heard.wanting.append(link)
        self._tell()

    async def _block(self, link: Link, cid: Cid) -> bytes | None:
        self.heard.blocks.append(cid)
        if cid in self.stalled:
            await asyncio.Event().wait()
        return self.blocks.get(cid)

    def _welcome(self, peer: PeerAuthenticated) -> str | None:
        return self.refusal

    def _ended(self, link: Link) -> None:
        self.heard.ended.append(link)
        self._tell()

    def _violated(self, end: LinkEnd) -> None:
        self.heard.violations.append(end)


async def _unsupported(link: Link, message: m.Message) -> AsyncIterator[m.Message]:
    yield m.Unsupported(type(message).__name__.lower())

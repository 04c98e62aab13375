"""Finding peers on the local network by DNS-SD over mDNS (RFC 6762, 6763; SPEC, Discovery)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import ifaddr
from zeroconf import Error as ZeroconfError
from zeroconf import IPVersion, ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from pkn_protocol.control.people import Announcement
from pkn_protocol.control.status import LogLevel
from pkn_protocol.records.ids import DeviceId
from pknd import log

SERVICE = "_pkn._tcp.local."
BLINDED_BYTES = 8
_NAME_BYTES = 8
_PERSON = b"pkn mdns id    1"
MOST_FOUND = 1024
"""Instances remembered: a flood of names costs no more than this."""
_RESOLVE_MS = 3000
_MOST_RESOLVING = 16
_MOST_WAITING = 256
"""Instances that wait to be resolved; a flood beyond that is passed over."""
_MOST_ADDRESSES = 8
_MOST_ANNOUNCED_6 = 2
OWN_SECONDS = 5.0
"""An announcement that has not come back after so long does not: it is sent three times within a second."""
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """An instance on the local network: where it listens, and the blinded id by which those who know its
    device recognise it."""

    instance: str
    addresses: tuple[str, ...]
    port: int
    blinded: bytes


def blinded_id(device: DeviceId, instance: str) -> bytes:
    """The id of a device under one instance name: only who knows the device key recognises it."""
    return blake2b(device + instance.encode(), digest_size=BLINDED_BYTES, person=_PERSON).digest()


class LocalDiscovery:
    """Announces this daemon and looks for others, on the interfaces that it listens on.

    `found` is called on the event loop for each instance that is seen or changes, this one left out; `gone`
    with the instance of each that says goodbye or has not been heard of for longer than it said it would be.
    """

    def __init__(
        self,
        device: DeviceId,
        *,
        random_bytes: Callable[[int], bytes],
        found: Callable[[Found], None],
        gone: Callable[[str], None] = lambda instance: None,
    ) -> None:
        self._device = device
        self._random_bytes = random_bytes
        self._found = found
        self._gone = gone
        self._instance = ""
        self._since = 0.0
        self._state = Announcement.OFF
        self._loopback = False
        self._known: dict[str, Found] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._service: AsyncServiceInfo | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_MOST_RESOLVING)

    @property
    def announcement(self) -> Announcement:
        """Whether our own announcement came back to us over the network."""
        if self._state is Announcement.WAITING:
            waited = asyncio.get_running_loop().time() - self._since
            return Announcement.NOT_SEEN if waited > OWN_SECONDS else Announcement.WAITING
        return self._state

    @property
    def instance(self) -> str:
        """The name under which this daemon announces itself now."""
        return self._instance

    @property
    def known(self) -> tuple[Found, ...]:
        return tuple(self._known.values())

    async def start(self, host: str | None, port: int) -> None:
        """Announce and browse; a network without multicast is logged, not fatal."""
        self._instance = self._random_bytes(_NAME_BYTES).hex()
        self._state = Announcement.WAITING
        self._since = asyncio.get_running_loop().time()
        everywhere = host is None or host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        addresses = interface_addresses() if everywhere or host is None else [host]
        self._loopback = all(map(is_loopback, addresses))
        # Told over IPv4, which the same machines hear; who has no IPv4 here is told by hand.
        further = [] if self._loopback or not everywhere else interface_addresses_6()
        try:
            _check_own(addresses)
            self._zeroconf = AsyncZeroconf(interfaces=addresses, ip_version=_version(addresses))
            self._service = AsyncServiceInfo(
                SERVICE,
                f"{self._instance}.{SERVICE}",
                port=port,
                addresses=[_packed(address) for address in (*addresses, *further)],
                server=f"{self._instance}.local.",
                properties={"v": "1", "id": blinded_id(self._device, self._instance).hex()},
            )
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._on_change])
            # Registered without waiting for probes: the name is random, nobody else has it.
            await (await self._zeroconf.async_register_service(self._service, cooperating_responders=True))
        except (OSError, RuntimeError, ValueError, ZeroconfError) as error:
            self._state = Announcement.NOT_SEEN
            log.event("mdns.failed", LogLevel.WARNING, error=str(error) or type(error).__name__)

    async def stop(self) -> None:
        """Say goodbye and listen no more."""
        zeroconf, self._zeroconf = self._zeroconf, None
        browser, self._browser = self._browser, None
        self._state = Announcement.OFF
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                if browser is not None:
                    await browser.async_cancel()
                if zeroconf is not None:
                    await zeroconf.async_close()
        except (OSError, TimeoutError, ZeroconfError) as error:
            # The network may be gone already; then nobody would hear the goodbye.
            log.event("mdns.no_goodbye", LogLevel.DEBUG, error=str(error) or "too slow")
        self._known.clear()

    async def restart(self, host: str | None, port: int) -> None:
        """Announce anew, under a new name: after waking, or with other interfaces."""
        await self.stop()
        await self.start(host, port)

    def _on_change(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if name == f"{self._instance}.{SERVICE}":
            if state_change is not ServiceStateChange.Removed:
                self._state = Announcement.SEEN
            return
        if state_change is ServiceStateChange.Removed:
            if self._known.pop(name, None) is not None:
                self._gone(name)
            return
        if len(self._tasks) >= _MOST_WAITING:
            return
        task = asyncio.get_running_loop().create_task(self._resolve(zeroconf, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resolve(self, zeroconf: Zeroconf, name: str) -> None:
        async with self._slots:
            info = AsyncServiceInfo(SERVICE, name)
            if not await info.async_request(zeroconf, _RESOLVE_MS):
                return
        found = read_announcement(name, info, loopback=self._loopback)
        if found is None:
            log.event("mdns.not_understood", LogLevel.DEBUG, instance=name)
        elif self._known.get(name) != found:
            self._known[name] = found
            while len(self._known) > MOST_FOUND:
                del self._known[next(iter(self._known))]
            self._found(found)


def interface_addresses() -> list[str]:
    """The IPv4 addresses of this machine's interfaces, loopback only when there is no other."""
    found = [
        ip.ip
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str) and not ip.ip.startswith("169.254.")
    ]
    outside = [address for address in found if not address.startswith("127.")]
    return outside or found


def interface_addresses_6() -> list[str]:
    """Some IPv6 addresses at which others may reach this machine: neither loopback nor of one link alone, and
    few enough to leave room for those of IPv4."""
    found = [ip.ip[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, tuple)]
    usable = [a for a in found if not (a.startswith("fe80:") or ipaddress.ip_address(a).is_loopback)]
    return usable[:_MOST_ANNOUNCED_6]


def read_announcement(name: str, info: ServiceInfo, *, loopback: bool) -> Found | None:
    """What an instance says of itself; None where that is no pkn of a known kind, or no address that can be
    dialled from here. `loopback`: this daemon listens on loopback alone."""
    properties = info.properties
    if properties.get(b"v") != b"1" or info.port is None or not 0 < info.port < 65_536:
        return None
    text = properties.get(b"id") or b""
    if len(text) != 2 * BLINDED_BYTES or not text.isalnum():
        return None
    try:
        blinded = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    usable = [a for a in info.parsed_scoped_addresses(IPVersion.All) if _is_dialled(a, loopback=loopback)]
    return Found(name, tuple(usable[:_MOST_ADDRESSES]), info.port, blinded) if usable else None


def _is_dialled(address: str, *, loopback: bool) -> bool:
    """Nobody sends us to ourselves, or to everybody."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback == loopback and not (parsed.is_multicast or parsed.is_unspecified)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address; a name is none."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _version(addresses: list[str]) -> IPVersion:
    return IPVersion.V6Only if all(":" in address for address in addresses) else IPVersion.V4Only


def _check_own(addresses: list[str]) -> None:
    """Raise OSError for an address that is not this machine's: the library would leave sockets open."""
    if not addresses:
        raise OSError("no network is set up")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)

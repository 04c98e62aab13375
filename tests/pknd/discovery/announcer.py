"""A process of its own that announces itself on loopback until its standard input ends."""

from __future__ import annotations

import asyncio
import sys
from hashlib import blake2b

from pkn_protocol.records.ids import DeviceId
from pknd.discovery.mdns import LocalDiscovery


async def main(device: DeviceId, port: int) -> None:
    discovery = LocalDiscovery(
        device,
        random_bytes=lambda size: blake2b(device, digest_size=size).digest(),
        found=lambda found: print("found", found.blinded.hex(), flush=True),
    )
    await discovery.start("127.0.0.1", port)
    print("announced", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await discovery.stop()


if __name__ == "__main__":
    asyncio.run(main(DeviceId(bytes.fromhex(sys.argv[1])), int(sys.argv[2])))

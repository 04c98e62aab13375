"""`python -m bench.streamed BYTES`: how fast aiohttp streams over TLS 1.3 on loopback: bytes a second,
and the processor seconds that it took.

Both ends are in one process; the server writes 256 KiB at a time, the client drops what it reads.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import aiohttp
from aiohttp import web

from pkn_protocol.records.signing import Ed25519Key
from pknd.channel.tls import client_context, make_certificate, server_context

WRITE_BYTES = 256 * 1024


async def rate(size: int) -> tuple[float, float]:
    """Bytes a second, and processor seconds, of one answer of `size` bytes."""
    data = os.urandom(WRITE_BYTES)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = size
        await response.prepare(request)
        for _ in range(size // WRITE_BYTES):
            await response.write(data)
        await response.write_eof()
        return response

    certificate = make_certificate(Ed25519Key.from_seed(bytes(32)))
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        context = server_context(certificate, random_bytes=os.urandom)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as client:
            began, spent = time.perf_counter(), time.process_time()
            async with client.get(url, ssl=client_context()) as response:
                received = 0
                async for piece in response.content.iter_any():
                    received += len(piece)
            took, spent = time.perf_counter() - began, time.process_time() - spent
    finally:
        await runner.cleanup()
    if received != size // WRITE_BYTES * WRITE_BYTES:
        raise RuntimeError("it broke off")
    return received / took, spent


if __name__ == "__main__":
    print(*asyncio.run(rate(int(sys.argv[1]))))

"""Routes of peers: which devices are known, and connecting to one by hand."""

from __future__ import annotations

from aiohttp import web

from pkn_protocol.control.people import ConnectRequest
from pknd.control.replies import reply
from pknd.control.requests import Parameters, read_shape, reference
from pknd.control.services import PeersService


def routes(peers: PeersService) -> list[web.RouteDef]:
    async def show_all(request: web.Request) -> web.StreamResponse:
        Parameters(request).done()
        return reply(await peers.peers())

    async def show(request: web.Request) -> web.StreamResponse:
        return reply(await peers.peer(reference(request, "device")))

    async def connect(request: web.Request) -> web.StreamResponse:
        # Not an act that must be whole: who interrupts `pkn connect` wants the dialling to end.
        return reply(await peers.connect(await read_shape(request, ConnectRequest)))

    return [
        web.get("/v1/peers", show_all),
        web.get("/v1/peers/{device}", show),
        web.post("/v1/peers/connect", connect),
    ]

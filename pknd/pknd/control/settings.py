"""Routes of the settings."""

from __future__ import annotations

from aiohttp import web

from pkn_protocol.control.status import SettingRequest
from pknd.control.acts import Acts
from pknd.control.replies import reply
from pknd.control.requests import Parameters, read_shape, reference
from pknd.control.services import ConfigService


def routes(config: ConfigService, acts: Acts) -> list[web.RouteDef]:
    async def show_all(request: web.Request) -> web.StreamResponse:
        Parameters(request).done()
        return reply(await config.settings())

    async def show(request: web.Request) -> web.StreamResponse:
        return reply(await config.setting(reference(request, "key")))

    async def change(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, SettingRequest)
        return reply(await config.set(reference(request, "key"), wanted.value))

    async def put_back(request: web.Request) -> web.StreamResponse:
        return reply(await config.unset(reference(request, "key")))

    return [
        web.get("/v1/config", show_all),
        web.get("/v1/config/{key}", show),
        web.put("/v1/config/{key}", acts.whole(change)),
        web.delete("/v1/config/{key}", acts.whole(put_back)),
    ]

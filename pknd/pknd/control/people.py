"""Routes of people: who is known, and what we think of them."""

from __future__ import annotations

from aiohttp import web

from pkn_protocol.control.people import TrustRequest, VouchRequest
from pknd.control.acts import Acts
from pknd.control.replies import reply
from pknd.control.requests import Parameters, read_shape, reference
from pknd.control.services import PeopleService


def routes(people: PeopleService, acts: Acts) -> list[web.RouteDef]:
    async def show_all(request: web.Request) -> web.StreamResponse:
        Parameters(request).done()
        return reply(await people.people())

    async def show(request: web.Request) -> web.StreamResponse:
        return reply(await people.person(reference(request, "person")))

    async def trust(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, TrustRequest)
        return reply(await people.trust(reference(request, "person"), petname=wanted.petname))

    async def untrust(request: web.Request) -> web.StreamResponse:
        return reply(await people.untrust(reference(request, "person")))

    async def block(request: web.Request) -> web.StreamResponse:
        return reply(await people.block(reference(request, "person")))

    async def unblock(request: web.Request) -> web.StreamResponse:
        return reply(await people.unblock(reference(request, "person")))

    async def vouch(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, VouchRequest)
        return reply(await people.vouch(reference(request, "person"), withdraw=wanted.withdraw))

    return [
        web.get("/v1/people", show_all),
        web.get("/v1/people/{person}", show),
        web.post("/v1/people/{person}/trust", acts.whole(trust)),
        web.post("/v1/people/{person}/untrust", acts.whole(untrust)),
        web.post("/v1/people/{person}/block", acts.whole(block)),
        web.post("/v1/people/{person}/unblock", acts.whole(unblock)),
        web.post("/v1/people/{person}/vouch", acts.whole(vouch)),
    ]

"""Routes of who we are: identity and recovery words."""

from __future__ import annotations

from aiohttp import web

from pkn_protocol.control.status import RecoveryWords, RecoveryWordsRequest
from pknd.control.acts import Acts
from pknd.control.replies import reply
from pknd.control.requests import Parameters, read_shape
from pknd.control.services import IdentityService


def routes(identity: IdentityService, acts: Acts) -> list[web.RouteDef]:
    async def show(request: web.Request) -> web.StreamResponse:
        Parameters(request).done()
        return reply(await identity.identity())

    async def recovery_words(request: web.Request) -> web.StreamResponse:
        wanted = await read_shape(request, RecoveryWordsRequest)
        if wanted.confirm:
            await identity.remove_author_secret()
            return reply(RecoveryWords(None, True))
        return reply(RecoveryWords(await identity.recovery_words(), False))

    return [
        web.get("/v1/identity", show),
        web.post("/v1/identity/recovery-words", acts.whole(recovery_words)),
    ]

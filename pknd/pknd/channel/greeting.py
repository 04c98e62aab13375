"""The handshake over a WebSocket: the machines of `pkn_protocol` moved by frames (SPEC, Channel)."""

from __future__ import annotations

from collections.abc import Callable

from pkn_protocol.channel.codec import Stage, decode_message, encode_message
from pkn_protocol.channel.errors import ChannelError, CloseCode
from pkn_protocol.channel.handshake import LEAST_VERSION, ClientHandshake, PeerAuthenticated, ServerHandshake
from pkn_protocol.channel.messages import Envelope, Message
from pknd.channel.frames import FrameSocket, SocketEnded


async def greet_server(socket: FrameSocket, handshake: ClientHandshake) -> PeerAuthenticated:
    """Who the listening side is.

    Raises:
        ChannelError: it is not spoken with, or does not want to; SocketEnded: it went away.
    """
    await _send(socket, handshake.start())
    while True:
        result = handshake.receive(await _receive(socket))
        if isinstance(result, PeerAuthenticated):
            return result
        await _send(socket, result)


async def greet_client(
    socket: FrameSocket, handshake: ServerHandshake, check: Callable[[PeerAuthenticated], None]
) -> PeerAuthenticated:
    """Who the dialling side is; `check` may refuse it with a ChannelError before it is welcomed.

    Raises:
        ChannelError: it is not spoken with, or does not want to; SocketEnded: it went away.
    """
    while True:
        answer, peer = handshake.receive(await _receive(socket))
        if peer is not None:
            check(peer)
        await _send(socket, answer)
        if peer is not None:
            return peer


async def refuse(socket: FrameSocket, error: BaseException) -> str:
    """End a connection whose handshake failed; the reason in words."""
    if isinstance(error, ChannelError):
        await socket.close(error.code, error.reason)
        return error.reason
    if isinstance(error, TimeoutError):
        await socket.close(CloseCode.TOO_SLOW, "the handshake took too long")
        return "the handshake took too long"
    if isinstance(error, SocketEnded):
        await socket.close(CloseCode.GOING_AWAY, "", say=False)
        return "it went away during the handshake"
    socket.abort()
    return type(error).__name__


async def _send(socket: FrameSocket, message: Message) -> None:
    await socket.send(encode_message(Envelope(message), LEAST_VERSION))


async def _receive(socket: FrameSocket) -> Message:
    return decode_message(await socket.receive(), Stage.HANDSHAKE).message

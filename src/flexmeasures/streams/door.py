"""The ASGI application of the stream door: who may open which stream, and what is sent on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from flexmeasures.streams.hub import TooSlow
from flexmeasures.streams.identify import Identity
from flexmeasures.streams.notifications import NotificationStreams, Reading

__all__ = ["StreamDoor"]

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

log = logging.getLogger(__name__)

_TOO_SLOW, _AWAY = 1013, 1001
_LARGEST_TOKEN = 8192
_TITLES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
_BEARER = "bearer"
"""The subprotocol by which a browser, which cannot send headers, hands over a token: ``bearer, <token>``."""

NOTIFICATIONS = "/streams/notifications"


class StreamDoor:
    """Serves ``/streams/notifications`` as WebSocket, and ``/streams/health``.

    Args:
        streams: Of notifications.
        identify: Finds out whose token it is; blocks.
        most: How many connections are kept open at once; one client may have a tenth of them.
    """

    def __init__(
        self, streams: NotificationStreams, identify: Callable[[str], Identity | None], most: int
    ) -> None:
        self._streams, self._identify, self._most = streams, identify, most
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve_http(scope, send)

    async def _serve_http(self, scope: Scope, send: Send) -> None:
        if scope["path"] == "/streams/health":
            body = {"status": "ok", "connections": self._open.total()}
            await _respond(send, "http.response", 200, body)
        elif scope["path"] == NOTIFICATIONS:
            await _refuse(send, "http.response", 405, "Open a WebSocket here.")
        else:
            await _refuse(send, "http.response", 404, f"There is no stream at {scope['path'][:100]!r}.")

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        prefix = "websocket.http.response"
        if scope["path"] != NOTIFICATIONS:
            await _refuse(send, prefix, 404, f"Notifications are at {NOTIFICATIONS}.")
            return
        token = _token(scope)
        try:
            identity = await asyncio.to_thread(self._identify, token) if token else None
        except Exception as error:  # noqa: BLE001 - whatever kept the stores from answering
            log.warning("A token cannot be looked up: %s", error)
            await _refuse(send, prefix, 503, "The database does not answer. Try again.")
            return
        if identity is None:
            await _refuse(send, prefix, 401, "Send the token of a client as Authorization: Bearer.")
        elif identity.viewer is None:
            await _refuse(
                send, prefix, 403, "This token may not read: ask for read_all, or read_targets as a VEN."
            )
        elif self._is_full(identity):
            await _refuse(send, prefix, 503, "There are too many connections. Close one, or try again later.")
        else:
            await self._stream(identity, scope, receive, send)

    def _is_full(self, identity: Identity) -> bool:
        own = max(1, self._most // 10)
        return self._open.total() >= self._most or self._open[identity.name] >= own

    async def _stream(self, identity: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        assert identity.viewer is not None  # noqa: S101 - it was looked at
        self._open[identity.name] += 1
        reading = self._streams.open(
            identity.viewer, parse_qs(scope["query_string"].decode("ascii", "replace"))
        )
        try:
            accepted: Event = {"type": "websocket.accept"}
            if _BEARER in scope.get("subprotocols", ()):
                accepted["subprotocol"] = _BEARER
            await send(accepted)
            await _talk(reading, receive, send)
        finally:
            reading.close()
            self._open[identity.name] -= 1
            self._open += Counter()  # forgets whom nothing is open of


async def _talk(reading: Reading, receive: Receive, send: Send) -> None:
    """Send what is read until the client closes, or cannot be served any more."""
    sending, hearing = (
        asyncio.create_task(_send_all(reading, send)),
        asyncio.create_task(_until_closed(receive)),
    )
    done, pending = await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if sending in done and hearing not in done:
        await _close_after(sending, send)


async def _send_all(reading: Reading, send: Send) -> None:
    async with contextlib.aclosing(reading.bodies()) as bodies:
        async for body in bodies:
            await send({"type": "websocket.send", "text": body.decode()})


async def _until_closed(receive: Receive) -> None:
    """Wait for the client to close; what it sends is not listened to."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _close_after(sending: asyncio.Task[None], send: Send) -> None:
    error = sending.exception()
    code, reason = _AWAY, "the server ends"
    if isinstance(error, TooSlow):
        code, reason = (
            _TOO_SLOW,
            "too many notifications wait: read faster, and come back with after=<last id>",
        )
    elif isinstance(error, OSError) or "disconnect" in type(error).__name__.lower():
        return  # the client went away in the midst of a message
    elif error is not None:
        log.warning("A stream ended: %s", error)
    await send({"type": "websocket.close", "code": code, "reason": reason})


def _token(scope: Scope) -> str | None:
    """Find the token of a connection: in its headers, or as a subprotocol; never in the address, which is logged."""
    for name, value in scope["headers"]:
        if name == b"authorization" and len(value) <= _LARGEST_TOKEN:
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() or None if scheme.lower() == _BEARER else None
    offered = list(scope.get("subprotocols", ()))
    if _BEARER in offered:
        offered.remove(_BEARER)
        return offered[0] if offered and len(offered[0]) <= _LARGEST_TOKEN else None
    return None


async def _refuse(send: Send, kind: str, status: int, detail: str) -> None:
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    await _respond(send, kind, status, body)


async def _respond(send: Send, kind: str, status: int, body: dict[str, Any]) -> None:
    problem = b"application/problem+json" if status >= 400 else b"application/json"
    headers = [(b"content-type", problem)]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": orjson.dumps(body)})

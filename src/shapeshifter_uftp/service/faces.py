"""The receiving core as a WSGI and as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from shapeshifter_uftp.exceptions import TransportError
from shapeshifter_uftp.service.core import Answer, Receiver

__all__ = ["AsgiFace", "WsgiFace", "status_line"]

_UNKNOWN_STATUSES = {419: "Authentication Timeout"}


def status_line(status: int) -> str:
    """Give status and phrase; 419 has no registered phrase.

    >>> status_line(200), status_line(419)
    ('200 OK', '419 Authentication Timeout')
    """
    phrase = _UNKNOWN_STATUSES.get(status) or HTTPStatus(status).phrase
    return f"{status} {phrase}"


def _refusal(method: str, path: str, expected: str) -> Answer | None:
    if path.rstrip("/") != expected.rstrip("/"):
        return 404, {"content-type": "text/plain"}, b"Messages go to " + expected.encode()
    if method != "POST":
        return 405, {"content-type": "text/plain", "allow": "POST"}, b"Messages are posted"
    return None


class WsgiFace:
    """A WSGI application for gunicorn and its like."""

    def __init__(self, receiver: Receiver, path: str) -> None:
        self._receiver, self._path = receiver, path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle one request. Source: PEP 3333."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        status, headers, body = _refusal(environ["REQUEST_METHOD"], path, self._path) or self._answer(environ)
        start_response(status_line(status), [*headers.items(), ("content-length", str(len(body)))])
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        sent = {name[5:]: str(value) for name, value in environ.items() if name.startswith("HTTP_")}
        headers = {name.replace("_", "-").lower(): value for name, value in sent.items()}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        headers["content-length"] = environ.get("CONTENT_LENGTH", "")
        try:
            length = self._receiver.check_length(headers)
        except TransportError:
            return self._receiver.receive(b"", headers)  # which says what is wrong
        return self._receiver.receive(environ["wsgi.input"].read(length), headers)


class AsgiFace:
    """An ASGI application for uvicorn and its like. Every message is received in a thread: its sender's key may have to
    be looked up, and no other sender should wait for that.
    """

    def __init__(self, receiver: Receiver, path: str) -> None:
        self._receiver, self._path = receiver, path

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Handle one request, or the start and end of the server. Source: ASGI 3.0."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        answer = _refusal(scope["method"], scope["path"], self._path) or await self._answer(scope, receive)
        status, headers, body = answer
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    async def _lifespan(receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[None]]) -> None:
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _answer(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Awaitable[Any]]
    ) -> Answer:
        import asyncio  # noqa: PLC0415  an ASGI server has loaded it; a service without one does without

        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        chunks: list[bytes] = []
        length, more = 0, True
        while more and length <= self._receiver.limits.largest_body:
            event = await receive()
            chunks.append(event.get("body", b""))
            length += len(chunks[-1])
            more = event.get("more_body", False)
        return await asyncio.to_thread(self._receiver.receive, b"".join(chunks), headers)

"""The receiving core as a WSGI and as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from shapeshifter_uftp.exceptions import MessageTooLargeException, MissingContentLengthException
from shapeshifter_uftp.service.core import Answer, Receiver

__all__ = ["LARGEST_HEAD", "AsgiFace", "WsgiFace", "status_line"]

LARGEST_HEAD = 16_384
"""Longest head of a request [bytes]."""
_AROUND_HEADER = len(b": \r\n")
_LARGE_BODY = 262_144
_MOST_LARGE_BODIES = 8
_THREADS = 32
_UNKNOWN_STATUSES = {419: "Authentication Timeout"}
_TEXT = {"content-type": "text/plain; charset=utf-8"}


def status_line(status: int) -> str:
    """Give status and phrase; 419 has no registered phrase.

    >>> status_line(200), status_line(419)
    ('200 OK', '419 Authentication Timeout')
    """
    phrase = _UNKNOWN_STATUSES.get(status) or HTTPStatus(status).phrase
    return f"{status} {phrase}"


def _refusal(
    method: str, path: str, expected: str, headers: Iterable[tuple[str | bytes, str | bytes]]
) -> Answer | None:
    if sum(len(name) + len(value) + _AROUND_HEADER for name, value in headers) > LARGEST_HEAD:
        return 431, _TEXT, f"Headers may have {LARGEST_HEAD} bytes".encode()
    if path.rstrip("/") != expected.rstrip("/"):
        return 404, _TEXT, b"Messages go to " + expected.encode()
    if method != "POST":
        return 405, {**_TEXT, "allow": "POST"}, b"Messages are posted"
    return None


class WsgiFace:
    """A WSGI application for gunicorn and its like; how long a request may take is the server's business."""

    def __init__(self, receiver: Receiver, path: str) -> None:
        self._receiver, self._path = receiver, path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle one request. Source: PEP 3333."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        sent = {name[5:]: str(value) for name, value in environ.items() if name.startswith("HTTP_")}
        headers = {name.replace("_", "-").lower(): value for name, value in sent.items()}
        answer = _refusal(environ["REQUEST_METHOD"], path, self._path, headers.items())
        status, given, body = answer or self._answer(environ, headers)
        start_response(status_line(status), [*given.items(), ("content-length", str(len(body)))])
        return [body]

    def _answer(self, environ: dict[str, Any], headers: dict[str, str]) -> Answer:
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        headers["content-length"] = environ.get("CONTENT_LENGTH", "")
        peer = environ.get("REMOTE_ADDR", "")
        try:
            length = self._receiver.check_length(headers)
        except (MessageTooLargeException, MissingContentLengthException) as error:
            return self._receiver.refuse(error)
        return self._receiver.receive(environ["wsgi.input"].read(length), headers, peer)


class AsgiFace:
    """An ASGI application for uvicorn and its like. Every message is received in a thread: its sender's key may have to
    be looked up, and no other sender should wait for that.
    """

    def __init__(self, receiver: Receiver, path: str) -> None:
        self._receiver, self._path = receiver, path
        self._threads: ThreadPoolExecutor | None = None
        self._large_bodies = 0

    def close(self) -> None:
        """Let the threads go, when they have done what is in hand."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

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
        answer = _refusal(scope["method"], scope["path"], self._path, scope["headers"])
        status, headers, body = answer or await self._answer(scope, receive)
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
        try:
            length = self._receiver.check_length(headers)
        except (MessageTooLargeException, MissingContentLengthException) as error:
            return self._receiver.refuse(error)
        large = length > _LARGE_BODY
        if large and self._large_bodies >= _MOST_LARGE_BODIES:
            return 503, {**_TEXT, "retry-after": "5"}, b"Too many long messages at once"
        self._large_bodies += large
        try:
            async with asyncio.timeout(self._receiver.limits.body_timeout):
                body = await _read(receive, length)
            if body is None:
                return 400, _TEXT, b"The body ended early"
            client = scope.get("client") or ("",)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="uftp-receive")
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._receiver.receive, body, headers, client[0])
        except TimeoutError:
            return 408, {**_TEXT, "connection": "close"}, b"The body takes too long"
        finally:
            self._large_bodies -= large


async def _read(receive: Callable[..., Awaitable[Any]], length: int) -> bytes | None:
    """Read a body; None when it is not as long as it was said to be, or its sender has gone."""
    chunks: list[bytes] = []
    read, more = 0, True
    while more and read <= length:
        event = await receive()
        if event["type"] != "http.request":
            return None
        chunks.append(event.get("body", b""))
        read += len(chunks[-1])
        more = event.get("more_body", False)
    return b"".join(chunks) if read == length else None

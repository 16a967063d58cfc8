"""We as a client of webhooks: addresses are checked after they are resolved, and exactly those are connected to.

No redirects, no proxies, no cookies; every answer is bounded in time and size.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import certifi
import httpcore

from flexmeasures.domain.coordination.callbacks import Callback, check_target, read_callback
from flexmeasures.domain.errors import FlexError, InvalidInput, NotAllowed, PeerUnreachable

__all__ = ["TIMEOUT", "Answer", "CallbackClient", "check_callback", "send_once", "verify_echo"]

TIMEOUT = 10.0
"""Time limit of an endpoint, from its name to the end of its answer [s]."""

LARGEST_ANSWER = 64 * 1024
"""So much of an answer is read [bytes]."""

MOST_CONNECTIONS = 64
"""So many requests are under way at once; the others wait here, where waiting costs nothing and nobody's time runs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of an endpoint: the HTTP status, and the beginning of the body."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Tell whether it is a 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host itself, refuses addresses that are not allowed, and connects to one that was checked."""

    def __init__(self, is_production: bool) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._is_production = is_production

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        # Whether it is encrypted was checked before, when the scheme was still known.
        callback = Callback(f"https://{host}", host, port, is_encrypted=True)
        for address in addresses:
            check_target(callback, address, is_production=self._is_production)
        return await self._backend.connect_tcp(
            addresses[0], port, timeout=timeout, local_address=local_address, socket_options=socket_options
        )

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._backend.sleep(seconds)


class CallbackClient:
    """Sends to webhooks of one environment; to be used within ``async with``.

    Args:
        is_production: Whether the rules of production hold.
        timeout: How long an endpoint may take [s].
    """

    def __init__(self, is_production: bool, timeout: float = TIMEOUT) -> None:
        self._is_production = is_production
        self._timeout = timeout
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=certifi.where()),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_CONNECTIONS,
            keepalive_expiry=5,
            network_backend=_CheckedBackend(is_production),
        )

    async def __aenter__(self) -> CallbackClient:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._pool.__aexit__(None, None, None)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Send a request, and read the answer.

        Raises:
            InvalidInput: If the address is not a web address.
            NotAllowed: If it leads where notifications must not be sent.
            PeerUnreachable: If there is no answer in time.
        """
        callback = read_callback(url)
        async with self._slots:
            return await self._send(callback, method, headers, body)

    async def _send(
        self, callback: Callback, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        if not callback.is_encrypted:
            await self._check_plain(callback)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(method, callback.url, headers, body)
        except FlexError:
            raise
        except (TimeoutError, OSError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise PeerUnreachable(_explain(error)) from error
        except (httpcore.TimeoutException, httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise PeerUnreachable(_explain(error)) from error

    async def _check_plain(self, callback: Callback) -> None:
        """Allow plain HTTP to the machine itself only."""
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(self._timeout):
                found = await loop.getaddrinfo(callback.host, callback.port, type=socket.SOCK_STREAM)
        except (TimeoutError, OSError, UnicodeError) as error:
            raise PeerUnreachable(_explain(error)) from error
        for entry in found:
            check_target(callback, str(entry[4][0]), is_production=self._is_production)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)
        async with self._pool.stream(
            method, url, headers=list(headers.items()), content=body, extensions={"timeout": timeouts}
        ) as response:
            read = b""
            async for block in response.aiter_stream():
                read += block
                if len(read) > LARGEST_ANSWER:
                    break
            return Answer(response.status, read[:LARGEST_ANSWER])


def _explain(error: BaseException) -> str:
    """Say why an endpoint could not be reached, without what it sent."""
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return f"no answer within {TIMEOUT:g} s"
    if isinstance(error, socket.gaierror):
        return "the host is not known"
    return f"no connection ({type(error).__name__})"


def verify_echo(
    url: str, headers: Mapping[str, str], *, is_production: bool, timeout: float = TIMEOUT
) -> None:
    """Make sure that a callback wants our notifications: it has to repeat a random value.

    Args:
        url: Of the callback; the value is sent to it in the query parameter ``echo``.
        headers: To send along, such as a bearer token.
        is_production: Whether the rules of production hold.
        timeout: How long it may take [s].

    Raises:
        InvalidInput: If it does not repeat it, or is not a web address.
        NotAllowed: If notifications must not be sent there.
    """
    value = secrets.token_urlsafe(24)
    parts = urlsplit(read_callback(url).url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("echo", value)])

    async def ask() -> Answer:
        async with CallbackClient(is_production, timeout) as client:
            return await client.send("GET", urlunsplit(parts._replace(query=query)), headers)

    try:
        answer = asyncio.run(ask())
    except PeerUnreachable as error:
        raise InvalidInput(
            f"callbackUrl cannot be verified: {error}. It must answer GET with the value of the query parameter echo."
        ) from error
    except NotAllowed as error:
        raise InvalidInput(f"callbackUrl: {error}") from error
    if not answer.is_success or value.encode() not in answer.body:
        raise InvalidInput(
            f"callbackUrl answered {answer.status} and not with the value of the query parameter echo. "
            "It must repeat that value in the body of its answer."
        )


def check_callback(url: object, name: str, *, is_production: bool) -> None:
    """Check where a callback leads as far as that is known by now; it is checked again whenever something is sent.

    Raises:
        InvalidInput: If it is not a web address, or leads where notifications must not be sent.
    """
    callback = read_callback(url, name)
    try:
        found = socket.getaddrinfo(callback.host, callback.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"{name}: the host {callback.host[:100]} is not known.") from error
    try:
        for entry in found:
            check_target(callback, str(entry[4][0]), is_production=is_production)
    except NotAllowed as error:
        raise InvalidInput(f"{name}: {error}") from error


def send_once(url: str, headers: Mapping[str, str], body: bytes, *, is_production: bool) -> Answer:
    """Send one notification at once.

    Raises:
        PeerUnreachable: If there is no answer in time.
        NotAllowed: If it leads where notifications must not be sent.
    """

    async def send() -> Answer:
        async with CallbackClient(is_production) as client:
            return await client.send("POST", url, headers, body)

    return asyncio.run(send())

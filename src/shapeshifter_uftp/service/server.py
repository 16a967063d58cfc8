"""The server of a service: uvicorn, with what it does not bound by itself.

Slow connections cost it no thread. Beyond what uvicorn does, a connection that does not send the head of its request in
time is closed; and when there are too many connections, a new one takes the place of the one that has kept its request
back longest, so that slow ones never shut others out. Why uvicorn: see ``docs/decisions``.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shapeshifter_uftp.service.core import Limits
from shapeshifter_uftp.service.faces import LARGEST_HEAD, AsgiFace

__all__ = ["HttpServer"]

_KEEP_ALIVE = 75
_GRACE = 2
_HEAD_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class _Waiting:
    """The connections of one server whose next request has not come completely, the longest first."""

    def __init__(self, limits: Limits) -> None:
        self.most, self.head_timeout = limits.most_connections, limits.head_timeout
        self.connections: dict[_Connection, None] = {}

    def make_room(self) -> None:
        """Close the connection that has waited longest."""
        oldest = next(iter(self.connections), None)
        if oldest is not None:
            del self.connections[oldest]
            oldest.transport.abort()


class _Connection(HttpToolsProtocol):
    """A connection that has to get on with its request."""

    def __init__(self, *args: Any, waiting: _Waiting, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None
        self._in_head, self._head_bytes = False, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, in the place of another one where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._waiting.most:
            self._waiting.make_room()
        self._waiting.connections[self] = None
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._waiting.connections.pop(self, None)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the time for a head counts from its first byte."""
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_timer()
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self.transport.write(_HEAD_TOO_LONG)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hand a request to the application, which looks after the time that its body takes."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._waiting.connections.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if not self.transport.is_closing():
            self._waiting.connections[self] = None
        super().on_response_complete()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._waiting.head_timeout, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self.transport.abort()


class _Server(uvicorn.Server):
    """A uvicorn that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to listen, and leave no connection open."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets them end
        await asyncio.sleep(0)


class HttpServer:
    """Listens, and hands each request to an ASGI application.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0: a free one.
        limits: What is put up with.
        tls: TLS settings with our certificate; None: plain HTTP, for loopback or behind a proxy.
    """

    def __init__(
        self, app: AsgiFace, host: str, port: int, limits: Limits, tls: ssl.SSLContext | None = None
    ) -> None:
        self._address, self.port = (host, port), port
        protocol: Any = functools.partial(_Connection, waiting=_Waiting(limits))
        factory: Any = (lambda config, default: tls) if tls is not None else None
        self._server = _Server(
            uvicorn.Config(
                app, http=protocol, loop="asyncio", ws="none", lifespan="off", interface="asgi3", log_config=None,
                access_log=False, server_header=False, timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE, ssl_context_factory=factory,
            )
        )  # fmt: skip
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Open the port and start listening in the background.

        Raises:
            OSError: The port cannot be opened, or the server cannot start.
        """
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listening = socket.create_server(self._address, family=family, backlog=1024)
        self.port = listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(listening,), name="uftp-server", daemon=True)
        self._thread.start()
        self._server.listening.wait()
        if not self._server.started:
            raise OSError(f"The server on port {self.port} cannot start: see the log")

    def _run(self, listening: socket.socket) -> None:
        try:
            self._server.run(sockets=[listening])
        finally:
            self._ended.set()
            self._server.listening.set()  # whoever waits for that sees that it has not started

    def wait(self) -> None:
        """Wait until the server has ended."""
        self._ended.wait()

    def stop(self) -> None:
        """Close the port and all connections."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE + 5)

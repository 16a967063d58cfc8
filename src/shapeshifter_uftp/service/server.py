"""A small HTTP/1.1 server for one endpoint: one thread for each connection, so that a slow sender blocks nobody.

It knows what UFTP needs (POST, Content-Length, keep-alive, ``Expect: 100-continue``, TLS) and refuses the rest.
Behind a reverse proxy, or under gunicorn or uvicorn, use the faces of `faces` instead.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time

from shapeshifter_uftp.exceptions import (
    MessageTooLargeException,
    MissingContentLengthException,
    TransportError,
)
from shapeshifter_uftp.service.core import Answer, Receiver
from shapeshifter_uftp.service.faces import _refusal, status_line

__all__ = ["HttpServer"]

_log = logging.getLogger("shapeshifter_uftp.server")
_LONGEST_HEAD = 16_384
_IDLE, _READING = 75.0, 30.0
_MOST_CONNECTIONS = 256


class _BadRequest(Exception):
    """What came is no HTTP."""


class HttpServer:
    """Listens, and hands each request to a receiver.

    Args:
        receiver: Takes the requests.
        host: Address to listen on.
        port: Port to listen on; 0: a free one.
        path: Path of the endpoint.
        tls: TLS settings with our certificate; None: plain HTTP, for loopback or behind a proxy.
    """

    def __init__(
        self, receiver: Receiver, host: str, port: int, path: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._receiver, self._address, self._path, self._tls = receiver, (host, port), path, tls
        self._socket: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.port = port

    def start(self) -> None:
        """Open the port and start listening in the background."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._socket = socket.create_server(self._address, family=family, backlog=128)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, name="uftp-server", daemon=True).start()

    def wait(self, timeout: float) -> bool:
        """Wait until the server is stopped, or for a time [s]."""
        return self._stopped.wait(timeout)

    def stop(self) -> None:
        """Close the port and all connections."""
        self._stopped.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopped.is_set() and self._socket is not None:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                if not self._stopped.is_set():
                    time.sleep(0.05)  # out of file descriptors, perhaps: do not spin
                continue
            with self._lock:
                crowded = len(self._connections) >= _MOST_CONNECTIONS
                if not crowded:
                    self._connections.add(connection)
            if crowded:
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="uftp-connection", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        try:
            connection.settimeout(_READING)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            _Conversation(connection, self._receiver, self._path, self._stopped).run()
        except (OSError, _BadRequest) as error:
            _log.debug("A connection ended: %r", error)
        except Exception:  # noqa: BLE001  the outermost loop: one connection must not take the server along
            _log.exception("A connection failed")
        finally:
            with self._lock:
                self._connections.discard(plain)
            connection.close()


class _Conversation:
    """The requests of one connection, one after another."""

    def __init__(
        self, connection: socket.socket, receiver: Receiver, path: str, stopped: threading.Event
    ) -> None:
        self._connection, self._receiver, self._path, self._stopped = connection, receiver, path, stopped
        self._buffer = bytearray()
        self._deadline = 0.0

    def run(self) -> None:
        while not self._stopped.is_set():
            head = self._read_head()
            if head is None:
                return
            method, path, headers = head
            keep = headers.get("connection", "").lower() != "close"
            answer = _refusal(method, path, self._path)
            if answer is None:
                answer, body_read = self._receive(headers)
                keep = keep and body_read
            else:
                keep = keep and headers.get("content-length", "0").strip() == "0"
            self._write(answer, keep)
            if not keep:
                return

    def _more(self, deadline: float) -> bool:
        """Read some bytes; the deadline is for the whole request, so that drops of bytes do not extend it."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        chunk = self._connection.recv(65_536)
        self._buffer += chunk
        return bool(chunk)

    def _read_head(self) -> tuple[str, str, dict[str, str]] | None:
        deadline = time.monotonic() + _IDLE
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                raise _BadRequest("The headers are too long")
            if not self._more(deadline):
                return None
        if end > _LONGEST_HEAD:
            raise _BadRequest("The headers are too long")
        head = bytes(self._buffer[:end]).decode("latin-1")
        del self._buffer[: end + 4]
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            self._write((400, {}, b"This is no HTTP/1.1 request"), keep=False)
            raise _BadRequest(first[:100])
        return words[0], words[1].partition("?")[0], self._headers(lines)

    def _headers(self, lines: list[str]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            key = name.lower()
            # Two lengths, or a name with white space, are how requests are smuggled past proxies.
            if (
                not colon
                or name != name.strip()
                or (key == "content-length" and headers.get(key, value) != value)
            ):
                self._write((400, {}, b"A header is malformed"), keep=False)
                raise _BadRequest(line[:100])
            headers[key] = value.strip()
        return headers

    def _receive(self, headers: dict[str, str]) -> tuple[Answer, bool]:
        """Read the body and give the answer, and whether the connection can go on."""
        if "transfer-encoding" in headers:
            headers.pop("content-length", None)
        try:
            length = self._receiver.check_length(headers)
        except (MissingContentLengthException, MessageTooLargeException) as error:
            return self._receiver_refusal(error), False
        if headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        deadline = time.monotonic() + _READING
        while len(self._buffer) < length:
            if not self._more(deadline):
                raise _BadRequest("The body ended early")
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        try:
            return self._receiver.receive(body, headers), True
        except Exception:  # noqa: BLE001  a fault of ours is temporary to the sender: it will try again
            _log.exception("A request could not be handled")
            return (500, {"content-type": "text/plain"}, b"Internal error"), True

    @staticmethod
    def _receiver_refusal(error: TransportError) -> Answer:
        return error.http_status or 400, {"content-type": "text/plain; charset=utf-8"}, str(error).encode()

    def _write(self, answer: Answer, keep: bool) -> None:
        status, headers, body = answer
        lines = [f"HTTP/1.1 {status_line(status)}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [] if keep else ["connection: close"]
        self._connection.settimeout(_READING)
        self._connection.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)

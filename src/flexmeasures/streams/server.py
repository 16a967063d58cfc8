"""The process of ``flexmeasures streams``: the feed, the door, the publisher of MQTT and the announcement, together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import uvicorn
from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.tables import DrNotification
from flexmeasures.domain.coordination.notifications import Notification, Viewer
from flexmeasures.domain.errors import PeerUnreachable
from flexmeasures.services.coordination.notifications import CHANNEL, from_row, read_published
from flexmeasures.streams.announce import announced
from flexmeasures.streams.broker import Publisher, read_broker_address
from flexmeasures.streams.door import StreamDoor
from flexmeasures.streams.feed import Feed
from flexmeasures.streams.identify import identify
from flexmeasures.streams.notifications import REPLAY, REPLAY_PERIOD, NotificationStreams
from flexmeasures.streams.protocol import BoundedConnection

__all__ = ["StreamServer"]

log = logging.getLogger(__name__)

_HEARTBEAT = 20.0
"""Between two pings of a WebSocket; one that does not answer for as long is closed [s]."""

_LARGEST_MESSAGE = 16 * 1024
_GRACE = 3
_BACKOFF = (1.0, 30.0)
"""Shortest and longest pause before the broker is tried again [s]."""

_LATE = 100
"""So many ids back a notification may still turn up whose transaction took longer than those after it."""


class StreamServer:
    """Serves streams until it is stopped.

    Args:
        app: With its settings; its stores have been prepared.
        address: Where to listen, as host:port.
    """

    def __init__(self, app: Flask, address: str) -> None:
        self._app = app
        host, _, port = address.rpartition(":")
        self._host, self.port = host.strip("[]"), int(port)
        with app.app_context():
            self._engine: Engine = db.engine
        self._streams = NotificationStreams(self._read_after)
        door = StreamDoor(
            self._streams, lambda token: identify(app, token), app.config["FLEXMEASURES_STREAMS_CONNECTIONS"]
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                door, http=BoundedConnection, loop="asyncio", ws="websockets-sansio", ws_max_size=_LARGEST_MESSAGE,
                ws_ping_interval=_HEARTBEAT, ws_ping_timeout=_HEARTBEAT, ws_per_message_deflate=False,
                lifespan="off", interface="asgi3", log_config=None, access_log=False, server_header=False,
                timeout_graceful_shutdown=_GRACE, limit_concurrency=2 * app.config["FLEXMEASURES_STREAMS_CONNECTIONS"],
            )
        )  # fmt: skip
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last = 0
        self._broker = _make_broker(app, self._engine)
        self._feed = Feed(redis_connection(app), {CHANNEL: self._on_published}, self._look_for_missed)

    def run(self, on_ready: Callable[[int], None] = lambda port: None) -> None:
        """Serve until `stop`, SIGINT or SIGTERM.

        Args:
            on_ready: Is told the port once the door listens.

        Raises:
            OSError: If the port cannot be opened.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.create_server((self._host, self.port), family=family, backlog=1024) as listening:
            self.port = listening.getsockname()[1]
            with (
                announced(self._app.config["FLEXMEASURES_MDNS_URL"]),
                _running(self._feed),
                _running(self._broker) if self._broker else contextlib.nullcontext(),
            ):
                asyncio.run(self._serve(listening, on_ready))

    def stop(self) -> None:
        """End from another thread."""
        self._server.should_exit = True

    async def _serve(self, listening: socket.socket, on_ready: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        on_ready(self.port)
        await self._server.serve(sockets=[listening])
        self._loop = None

    def _publish(self, notification: Notification) -> None:
        self._last = max(self._last, notification.id)
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it ends right now
                loop.call_soon_threadsafe(self._streams.publish, notification)

    def _on_published(self, body: bytes) -> None:
        self._publish(read_published(body))
        if self._broker:
            self._broker.wake()

    def _look_for_missed(self) -> None:
        """Read from the outbox what was not heard of: the job store may have been away, or its messages lost."""
        for notification in self._read_new():
            self._publish(notification)
            if self._broker:
                self._broker.wake()

    def _read_new(self) -> Sequence[Notification]:
        since = datetime.now(UTC) - REPLAY_PERIOD
        with Session(self._engine) as session:
            if not self._last:
                newest = select(DrNotification.id).order_by(DrNotification.id.desc()).limit(1)
                self._last = session.scalar(newest) or -1
                return ()
            # Ids are drawn before they are committed: one that comes late is found a little further back.
            recent = (
                select(DrNotification.id)
                .where(DrNotification.id > max(0, self._last - _LATE), DrNotification.announced_at > since)
                .order_by(DrNotification.id)
                .limit(REPLAY)
            )
            new = [number for number in session.scalars(recent) if not self._streams.has_seen(number)]
            if not new:
                return ()
            rows = select(DrNotification).where(DrNotification.id.in_(new)).order_by(DrNotification.id)
            return [from_row(row) for row in session.scalars(rows)]

    def _read_after(self, last: int, viewer: Viewer) -> Sequence[Notification]:
        since = datetime.now(UTC) - REPLAY_PERIOD
        with Session(self._engine) as session:
            query = (
                select(DrNotification)
                .where(
                    DrNotification.id > last,
                    DrNotification.environment == viewer.environment,
                    DrNotification.announced_at > since,
                )
                .order_by(DrNotification.id)
                .limit(REPLAY)
            )
            return [from_row(row) for row in session.scalars(query)]


class _BrokerThread:
    """Publishes to the broker when woken, and from time to time by itself."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._woken, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        self._thread.join(5)

    def _run(self) -> None:
        pause = _BACKOFF[0]
        while not self._stopping.is_set():
            try:
                self._publisher.publish_waiting()
                pause = _BACKOFF[0]
            except Exception as error:  # noqa: BLE001 - the outermost loop of a server
                what = "" if isinstance(error, PeerUnreachable) else "Notifications wait for the broker: "
                log.warning("%s%s", what, error)
                self._stopping.wait(pause)
                pause = min(2 * pause, _BACKOFF[1])
            self._woken.wait(_BACKOFF[0])
            self._woken.clear()
        self._publisher.close()


@contextlib.contextmanager
def _running(part: Feed | _BrokerThread) -> Iterator[None]:
    part.start()
    try:
        yield
    finally:
        part.stop()


def _make_broker(app: Flask, engine: Engine) -> _BrokerThread | None:
    url = app.config["FLEXMEASURES_MQTT_BROKER_URL"]
    if not url:
        return None
    return _BrokerThread(
        Publisher(engine, read_broker_address(url, app.config["FLEXMEASURES_MQTT_CERTIFICATES"]))
    )

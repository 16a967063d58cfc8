"""The publisher of MQTT: what waits in the outbox goes to the broker, in order, and is kept until the broker has it."""

from __future__ import annotations

import logging
import selectors
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from sqlalchemy import Engine, text

from flexmeasures.domain.coordination.topics import publications
from flexmeasures.domain.errors import PeerUnreachable
from flexmeasures.services.coordination.notifications import take_for_broker

__all__ = ["BrokerAddress", "Publisher", "read_broker_address"]

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Notifications that are published in one transaction of the outbox."""

PATIENCE = 10.0
"""How long the broker may take for each step [s]."""

STALE = timedelta(days=1)
"""What has waited so long is not published any more: clients have asked for it otherwise."""

_LOCK = 4_040_000_014  # an arbitrary number: the advisory lock of the one that publishes


@dataclass(frozen=True)
class BrokerAddress:
    """A broker and how to log in there.

    Attributes:
        certificates: Files in PEM: ``ca``, ``certificate`` and ``key``.
    """

    host: str
    port: int
    is_secure: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    certificates: Mapping[str, str] = field(default_factory=dict)


def read_broker_address(address: str, certificates: Mapping[str, str]) -> BrokerAddress:
    """Read the address of a broker, as settings write it.

    >>> read_broker_address("mqtts://me:p%40ss@broker.example", {}).port
    8883
    """
    parts = urlsplit(address)
    is_secure = parts.scheme == "mqtts"
    username, password = (
        None if word is None else unquote(word) for word in (parts.username, parts.password)
    )
    port = parts.port or (8883 if is_secure else 1883)
    return BrokerAddress(parts.hostname or "", port, is_secure, username, password, certificates)


class Publisher:
    """Publishes notifications to a broker; of several processes one at a time, so that their order stays.

    Args:
        engine: Of the database.
        address: Of the broker.
    """

    def __init__(self, engine: Engine, address: BrokerAddress) -> None:
        self._engine, self._address = engine, address
        self._client: mqtt.Client | None = None
        self._mutex = threading.Lock()

    def publish_waiting(self) -> int:
        """Publish what waits; returns how many notifications that were.

        Raises:
            PeerUnreachable: If the broker does not take them; they wait on.
        """
        total = 0
        with self._mutex, self._as_the_only_one() as alone:
            while alone:
                published = self._publish_some()
                total += published
                if published < AT_ONCE:
                    break
        return total

    def close(self) -> None:
        """Leave the broker."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _publish_some(self) -> int:
        now = datetime.now(UTC)
        with take_for_broker(self._engine, AT_ONCE, now) as waiting:
            fresh = [one for one in waiting if now - one.announced_at < STALE]
            if fresh:
                client = self._connected()
                sent = [
                    client.publish(one.topic, orjson.dumps(notification.body_for(one.viewer)), qos=1)
                    for notification in fresh
                    for one in publications(notification)
                ]
                self._await(sent)
            return len(waiting)

    def _await(self, sent: list[mqtt.MQTTMessageInfo]) -> None:
        try:
            for message in sent:
                message.wait_for_publish(PATIENCE)
                if not message.is_published():
                    raise PeerUnreachable(f"The MQTT broker did not take a message within {PATIENCE:.0f} s.")
        except (RuntimeError, ValueError) as error:
            self.close()
            raise PeerUnreachable(f"The MQTT broker does not take messages: {error}") from error
        except PeerUnreachable:
            self.close()
            raise

    def _connected(self) -> mqtt.Client:
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        self._client = connect(self._address)
        return self._client

    @contextmanager
    def _as_the_only_one(self) -> Iterator[bool]:
        with self._engine.connect() as connection:
            got = bool(connection.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}))
            yield got


class _Client(mqtt.Client):
    """A client of paho that waits with poll: paho waits with select, which takes descriptors below 1,024 only."""

    def _loop(self, timeout: float = 1.0) -> MQTTErrorCode:
        """Wait for the broker or for something to send, and handle it."""
        connection = self.socket()
        if connection is None:
            return mqtt.MQTT_ERR_NO_CONN
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.want_write() else 0)
        with selectors.DefaultSelector() as selector:
            selector.register(connection, wanted)
            if self._sockpairR is not None:
                selector.register(self._sockpairR, selectors.EVENT_READ)
            pending = getattr(connection, "pending", lambda: 0)()
            ready = {key.fileobj: events for key, events in selector.select(0 if pending else timeout)}
        if self._sockpairR in ready:
            self._drain_wakeups()
        status = mqtt.MQTT_ERR_SUCCESS
        if pending or ready.get(connection, 0) & selectors.EVENT_READ:
            status = self.loop_read()
        if status == mqtt.MQTT_ERR_SUCCESS and self.want_write():
            status = self.loop_write()
        return status or self.loop_misc()

    def _drain_wakeups(self) -> None:
        try:
            while self._sockpairR and self._sockpairR.recv(10_000):
                pass
        except BlockingIOError:
            pass


def connect(address: BrokerAddress, **options: Any) -> mqtt.Client:
    """Connect to a broker, and keep the connection in a thread of its own.

    Args:
        address: Of the broker.
        options: For paho's client, such as ``client_id``.

    Raises:
        PeerUnreachable: If it does not answer or refuses us.
    """
    client = _Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, **options)
    client.max_inflight_messages_set(1000)
    client.connect_timeout = PATIENCE
    if address.username is not None:
        client.username_pw_set(address.username, address.password)
    if address.is_secure:
        files = address.certificates
        client.tls_set(files.get("ca"), files.get("certificate"), files.get("key"))
    answered = threading.Event()
    reasons: list[Any] = []

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        reasons.append(reason)
        answered.set()

    client.on_connect = on_connect
    where = f"The MQTT broker at {address.host}:{address.port}"
    try:
        client.connect(address.host, address.port, keepalive=30)
    except (OSError, ValueError) as error:
        raise PeerUnreachable(f"{where} cannot be reached: {error}") from error
    client.loop_start()
    if not answered.wait(PATIENCE) or reasons[0].is_failure:
        client.disconnect()
        client.loop_stop()
        why = f"refuses the login: {reasons[0]}" if reasons else "does not answer"
        raise PeerUnreachable(f"{where} {why}.")
    return client

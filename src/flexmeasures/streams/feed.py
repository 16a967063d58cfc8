"""What happens elsewhere, as it happens: from the job store's publish/subscribe, and a look for what that missed."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

import redis

__all__ = ["Feed", "Seen"]

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""How long one wait for messages lasts, and between attempts to reach the job store [s]."""


class Seen:
    """The ids of the last messages, so that one that comes in two ways is handed out once."""

    def __init__(self, size: int = 20_000) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()
        self._size = size

    def __contains__(self, number: int) -> bool:
        return number in self._ids

    def add(self, number: int) -> bool:
        """Take note of an id; tells whether it is new."""
        if number in self._ids:
            return False
        self._ids[number] = None
        if len(self._ids) > self._size:
            self._ids.popitem(last=False)
        return True


class Feed:
    """A thread that listens to channels of the job store, whatever happens to the connection.

    Args:
        connection: To the job store.
        handlers: By channel: is given each message, in that thread.
        idle: Is called about every second, also while the job store is away, to look for what was missed.
    """

    def __init__(
        self,
        connection: redis.Redis,
        handlers: Mapping[str, Callable[[bytes], None]],
        idle: Callable[[], None],
    ) -> None:
        self._connection, self._handlers, self._idle = connection, handlers, idle
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streams-feed", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        self._thread.join(2 * PATIENCE)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except redis.RedisError as error:
                log.warning("The job store does not answer, so messages come late: %s", error)
                self._attempt_idle()
                self._stopping.wait(PATIENCE)

    def _listen(self) -> None:
        with self._connection.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(*self._handlers)
            looked = 0.0
            while not self._stopping.is_set():
                message = subscription.get_message(timeout=PATIENCE)
                if message is not None:
                    self._attempt(message["channel"].decode(), message["data"])
                if time.monotonic() - looked >= PATIENCE:
                    self._attempt_idle()
                    looked = time.monotonic()

    def _attempt(self, channel: str, body: bytes) -> None:
        try:
            self._handlers[channel](body)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("A message on %s cannot be read: %s", channel, error)

    def _attempt_idle(self) -> None:
        try:
            self._idle()
        except Exception as error:  # noqa: BLE001 - the outermost loop of a server
            log.warning("What was missed cannot be looked for: %s", error)

"""Readers of a stream: each has a queue of its own, and one that does not keep up is dropped rather than waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Hub", "Reader", "TooSlow"]

Message = TypeVar("Message")

QUEUE = 1000
"""So many messages may wait for a reader."""


class TooSlow(Exception):
    """A reader has left so many messages waiting that it was dropped."""


class Reader(Generic[Message]):
    """One connection that reads.

    Args:
        wants: Tells whether a message is for it; rights included.
    """

    def __init__(self, wants: Callable[[Message], bool], size: int = QUEUE) -> None:
        self.wants = wants
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(size + 1)
        self._size = size
        self.is_dropped = False

    async def next(self, timeout: float | None = None) -> Message:
        """Wait for the next message.

        Raises:
            TooSlow: If it was dropped.
            TimeoutError: If none comes in time [s].
        """
        if self.is_dropped:
            raise TooSlow
        message = await asyncio.wait_for(self._queue.get(), timeout)
        if message is None:
            raise TooSlow
        return message

    def offer(self, message: Message) -> None:
        """Leave a message, or drop the reader if too many wait."""
        if self._queue.qsize() >= self._size:
            self.is_dropped = True
            self._queue.put_nowait(None)
        else:
            self._queue.put_nowait(message)


class Hub(Generic[Message]):
    """Hands each message to the readers that want it; all within one event loop."""

    def __init__(self) -> None:
        self._readers: set[Reader[Message]] = set()

    def __len__(self) -> int:
        return len(self._readers)

    def join(self, reader: Reader[Message]) -> None:
        """Let a reader have what comes from now on."""
        self._readers.add(reader)

    def leave(self, reader: Reader[Message]) -> None:
        """Forget a reader."""
        self._readers.discard(reader)

    def publish(self, message: Message) -> None:
        """Hand a message out; a reader that does not keep up is dropped."""
        for reader in list(self._readers):
            if reader.wants(message):
                reader.offer(message)
                if reader.is_dropped:
                    self._readers.discard(reader)

"""Streams of notifications: what a client may see of what changes, and what it missed while it was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from flexmeasures.domain.coordination.notifications import Notification, Viewer
from flexmeasures.streams.feed import Seen
from flexmeasures.streams.hub import Hub, Reader

__all__ = ["REPLAY", "REPLAY_PERIOD", "NotificationStreams", "Reading"]

REPLAY = 1000
"""So many missed notifications are sent to one that comes back; further ones it has to ask the API for."""

REPLAY_PERIOD = timedelta(days=1)


class NotificationStreams:
    """Hands notifications to clients.

    Args:
        read_after: Reads the notifications after an id, in their order; blocks.
    """

    def __init__(self, read_after: Callable[[int, Viewer], Sequence[Notification]]) -> None:
        self._read_after = read_after
        self._hub: Hub[Notification] = Hub()
        self._seen = Seen()

    def publish(self, notification: Notification) -> None:
        """Hand out a notification, once; within the event loop."""
        if self._seen.add(notification.id):
            self._hub.publish(notification)

    def has_seen(self, number: int) -> bool:
        """Tell whether a notification was handed out."""
        return number in self._seen

    def open(self, viewer: Viewer, wanted: Mapping[str, list[str]]) -> Reading:
        """Let a client read from now on; close what is returned.

        Args:
            viewer: The client.
            wanted: From the query: ``objects`` (types of objects), ``programID``, and ``after``, the id of the last
                notification that the client had.
        """
        reader: Reader[Notification] = Reader(_wanted_by(viewer, wanted))
        self._hub.join(reader)
        after = wanted.get("after", [""])[-1]
        is_id = after.isascii() and after.isdigit() and len(after) < 19
        missed = (lambda: self._read_after(int(after), viewer)) if is_id else None
        return Reading(viewer, reader, lambda: self._hub.leave(reader), missed)


@dataclass(frozen=True)
class Reading:
    """What one client reads.

    Attributes:
        viewer: The client.
        reader: What comes for it.
        close: Ends it.
        missed: Reads what it missed; blocks. None: it does not want that.
    """

    viewer: Viewer
    reader: Reader[Notification]
    close: Callable[[], None]
    missed: Callable[[], Sequence[Notification]] | None

    async def bodies(self) -> AsyncGenerator[bytes]:
        """Read for ever.

        Yields:
            Each notification as JSON: the body of a webhook, with the ``id`` to come back with.

        Raises:
            TooSlow: If the client does not keep up.
        """
        sent: set[int] = set()
        for one in await asyncio.to_thread(self.missed) if self.missed else ():
            sent.add(one.id)
            if self.reader.wants(one):
                yield _write(one, self.viewer)
        while True:
            one = await self.reader.next()
            if one.id not in sent:
                yield _write(one, self.viewer)


def _wanted_by(viewer: Viewer, wanted: Mapping[str, list[str]]) -> Callable[[Notification], bool]:
    objects = {word for words in wanted.get("objects", ()) for word in words.upper().split(",")}
    programs = set(wanted.get("programID", ()))

    def wants(one: Notification) -> bool:
        return (
            one.is_visible_to(viewer)
            and (not objects or one.object_type in objects)
            and (not programs or one.program_id in programs)
        )

    return wants


def _write(notification: Notification, viewer: Viewer) -> bytes:
    return orjson.dumps({"id": notification.id, **notification.body_for(viewer)})

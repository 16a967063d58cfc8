"""The one place where changes are announced: to webhooks, to the MQTT broker and to open connections.

Whoever changes an object calls `announce` in the transaction of the change; nothing is told of what is rolled back, and
nothing is lost that was committed. Afterwards:

* the job `flexmeasures.jobs.coordination.deliver` addresses and sends webhooks, and publishes each notification on
  `CHANNEL` of the job store (see `read_published`), for open connections;
* a publisher of MQTT takes what waits with `take_for_broker`, and has it again if it fails.

What a client is told is `Notification.body_for(viewer)`, if `Notification.is_visible_to(viewer)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from flexmeasures.data.stores.coordination.grants import find_grantees
from flexmeasures.data.tables import DrNotification
from flexmeasures.domain.coordination.notifications import Notification, Viewer

__all__ = [
    "CHANNEL",
    "Notification",
    "Viewer",
    "announce",
    "from_row",
    "read_published",
    "take_for_broker",
    "write_published",
]

CHANNEL = "flexmeasures:coordination:notifications"
"""Channel of the job store on which notifications are published for open connections."""

_MEANT_FOR_TARGETS = frozenset({"PROGRAM", "EVENT"})


def announce(
    session: Session,
    operation: str,
    document: Mapping[str, Any],
    *,
    environment: str,
    program_id: str | None,
    now: datetime,
) -> None:
    """Announce a change, in its transaction.

    Args:
        session: Of the transaction.
        operation: CREATE, UPDATE or DELETE.
        document: The object in the words of 3.1.0, with id, objectType and (where it has an owner) clientID.
        environment: Of the object.
        program_id: The programme that it is, or belongs to.
        now: When it is changed.
    """
    kind = document["objectType"]
    targets: Sequence[str] = document.get("targets") or ()
    granted: dict[str, list[str]] = {}
    client_ids: list[str] | None = None
    if kind not in _MEANT_FOR_TARGETS:
        client_ids = [document["clientID"]] if document.get("clientID") else []
    elif targets:
        granted = find_grantees(session, environment, targets)
        client_ids = list(granted)
    session.add(
        DrNotification(
            environment=environment,
            object_type=kind,
            operation=operation,
            object_id=document["id"],
            program_id=program_id,
            object=dict(document),
            targets=list(targets),
            client_ids=client_ids,
            granted=granted,
            announced_at=now,
        )
    )


def from_row(row: DrNotification) -> Notification:
    """Read a stored notification."""
    return Notification(
        id=row.id,
        environment=row.environment,
        object_type=row.object_type,
        operation=row.operation,
        object=row.object,
        program_id=row.program_id,
        client_ids=None if row.client_ids is None else tuple(row.client_ids),
        granted=row.granted,
        announced_at=row.announced_at,
    )


@contextmanager
def take_for_broker(engine: Engine, limit: int, now: datetime) -> Iterator[list[Notification]]:
    """Take the oldest notifications that the broker has not had and that nobody else is publishing right now.

    They count as published when the block ends well, and wait again when it raises.

    Args:
        engine: Of the database; the block has a transaction of its own.
        limit: The largest number of notifications.
        now: Noted as the time of publication.
    """
    with Session(engine) as session:
        rows = session.scalars(
            select(DrNotification)
            .where(DrNotification.mqtt_at.is_(None))
            .order_by(DrNotification.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        yield [from_row(row) for row in rows]
        session.execute(
            update(DrNotification)
            .where(DrNotification.id.in_([row.id for row in rows]))
            .values(mqtt_at=now)
            .execution_options(synchronize_session=False)
        )
        session.commit()


def write_published(notification: Notification) -> bytes:
    """Write a notification as it is published on `CHANNEL`."""
    return orjson.dumps(
        {
            "id": notification.id,
            "environment": notification.environment,
            "objectType": notification.object_type,
            "operation": notification.operation,
            "object": notification.object,
            "programID": notification.program_id,
            "clientIDs": notification.client_ids,
            "granted": notification.granted,
            "announcedAt": notification.announced_at,
        }
    )


def read_published(message: bytes) -> Notification:
    """Read a notification from `CHANNEL`."""
    fields = orjson.loads(message)
    client_ids = fields["clientIDs"]
    return Notification(
        id=fields["id"],
        environment=fields["environment"],
        object_type=fields["objectType"],
        operation=fields["operation"],
        object=fields["object"],
        program_id=fields["programID"],
        client_ids=None if client_ids is None else tuple(client_ids),
        granted=fields["granted"],
        announced_at=datetime.fromisoformat(fields["announcedAt"]),
    )

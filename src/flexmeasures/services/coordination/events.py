"""Events: made by the business logic, versioned, cancelled rather than deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent, DrEventVersion
from flexmeasures.domain.coordination.documents import find_bounds
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.event_targets import note_event_targets
from flexmeasures.services.coordination.objects import (
    Listing,
    Sent,
    announce_change,
    find_own,
    list_rows,
    live,
    named_program,
    new_metadata,
    touch,
)

__all__ = ["EventFilter", "cancel_event", "create_event", "delete_event", "list_events", "update_event"]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selection of events.

    Attributes:
        program_id: Those of a programme.
        active_at: Those that are not over at that time.
    """

    program_id: str | None = None
    active_at: datetime | None = None


def list_events(session: Session, caller: Caller, listing: Listing, wanted: EventFilter) -> Sequence[DrEvent]:
    """List the events that a client may see: the highest priority first, of equal ones the newest first."""
    query = live(DrEvent).order_by(DrEvent.priority.asc().nulls_last(), DrEvent.serial.desc())
    if wanted.program_id is not None:
        query = query.where(DrEvent.program_id == wanted.program_id)
    if wanted.active_at is not None:
        query = query.where(or_(DrEvent.ends_at.is_(None), DrEvent.ends_at > wanted.active_at))
    return list_rows(session, query, DrEvent, caller, listing)


def create_event(
    session: Session, caller: Caller, sent: Sent, now: datetime, payload_type: str | None = None
) -> DrEvent:
    """Make an event.

    Args:
        session: Of the transaction.
        caller: Who makes it.
        sent: The event.
        now: When.
        payload_type: What partners call it, where that cannot be told from its payloads.

    Raises:
        InvalidInput: If its programme does not exist.
    """
    program = named_program(session, caller, sent.content["programID"])
    event = DrEvent(
        **new_metadata(caller, sent, now),
        program_id=program.id,
        payload_type=payload_type,
        version=1,
    )
    _note_times(event, now)
    session.add(event)
    session.flush()
    note_event_targets(session, event)
    announce_change(session, "CREATE", event, now)
    return event


def update_event(session: Session, caller: Caller, event_id: str, sent: Sent, now: datetime) -> DrEvent:
    """Change an event; what it said before is kept.

    Raises:
        NotFound: If there is none.
        InvalidInput: If its programme does not exist.
    """
    event = find_own(session, DrEvent, caller, event_id)
    program = named_program(session, caller, sent.content["programID"])
    _keep_version(session, event, now)
    touch(event, sent, now)
    event.program_id = program.id
    event.version += 1
    _note_times(event, now)
    session.flush()
    note_event_targets(session, event)
    announce_change(session, "UPDATE", event, now)
    return event


def delete_event(session: Session, caller: Caller, event_id: str, now: datetime) -> DrEvent:
    """Cancel an event.

    Raises:
        NotFound: If there is none.
    """
    event = find_own(session, DrEvent, caller, event_id)
    cancel_event(session, event, now)
    return event


def cancel_event(session: Session, event: DrEvent, now: datetime) -> None:
    """Cancel an event that was found; reports about it stay."""
    _keep_version(session, event, now)
    event.deleted_at = now
    session.flush()
    announce_change(session, "DELETE", event, now)


def _keep_version(session: Session, event: DrEvent, now: datetime) -> None:
    session.add(
        DrEventVersion(event_id=event.id, version=event.version, content=event.content, held_until=now)
    )


def _note_times(event: DrEvent, now: datetime) -> None:
    event.priority = event.content.get("priority")
    event.starts_at, event.ends_at = find_bounds(event.content, now)

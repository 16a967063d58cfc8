"""Events as partners see them: those that are about something of theirs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrClient, DrEvent, DrEventTarget, DrProgram
from flexmeasures.domain.coordination.partner import PartnerTarget, write_eligibility, write_payload
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.clients import Caller

__all__ = ["find_partner_event", "list_partner_events", "payloads_of", "targets_for"]

MOST = 500
"""So many events are listed, the newest ones."""


def list_partner_events(session: Session, caller: Caller) -> Sequence[DrEvent]:
    """List the events that are about something of a partner, the newest first."""
    return session.scalars(
        _of_partner(caller).where(DrEvent.deleted_at.is_(None)).order_by(DrEvent.serial.desc()).limit(MOST)
    ).all()


def find_partner_event(session: Session, caller: Caller, event_id: str) -> DrEvent:
    """Find an event that is about something of a partner; one that was cancelled may still be reported about.

    Raises:
        NotFound: If there is none.
    """
    event: DrEvent | None = session.scalar(_of_partner(caller).where(DrEvent.id == event_id))
    if event is None:
        raise NotFound(f"There is no event with the id {quote(event_id)}.")
    return event


def _of_partner(caller: Caller) -> Any:
    return select(DrEvent).where(
        DrEvent.environment == caller.environment,
        exists().where(DrEventTarget.event_id == DrEvent.id, DrEventTarget.client_id == caller.id),
    )


def targets_for(session: Session, event_id: str, client_id: int) -> list[DrEventTarget]:
    """List what of a partner an event is about."""
    return list(
        session.scalars(
            select(DrEventTarget)
            .where(DrEventTarget.event_id == event_id, DrEventTarget.client_id == client_id)
            .order_by(DrEventTarget.id)
        )
    )


def payloads_of(
    session: Session, event_ids: Collection[str], client_ids: Collection[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Write the payloads of events for each of some partners.

    Returns:
        By event and ``clientID``, where the event is about something of the partner.
    """
    if not event_ids or not client_ids:
        return {}
    rows = session.execute(
        select(DrEventTarget, DrClient.client_id)
        .join(DrClient, DrClient.id == DrEventTarget.client_id)
        .where(DrEventTarget.event_id.in_(event_ids), DrClient.client_id.in_(client_ids))
        .order_by(DrEventTarget.id)
    ).all()
    targets: dict[tuple[str, str], list[PartnerTarget]] = {}
    for row, client_id in rows:
        targets.setdefault((row.event_id, client_id), []).append(
            PartnerTarget(row.location_id, row.resource_id, row.meter_point_id)
        )
    events = {e.id: e for e in session.scalars(select(DrEvent).where(DrEvent.id.in_(event_ids)))}
    programs = {
        p.id: p.content.get("payloadDescriptors")
        for p in session.scalars(
            select(DrProgram).where(DrProgram.id.in_({e.program_id for e in events.values()}))
        )
    }
    return {
        (event_id, client_id): _payload(events[event_id], about, programs)
        for (event_id, client_id), about in targets.items()
    }


def _payload(event: DrEvent, targets: Sequence[PartnerTarget], programs: Mapping[str, Any]) -> dict[str, Any]:
    if event.payload_type == "UserEligibility":
        return write_eligibility(event.content, event.modified_at)
    return write_payload(
        event.content,
        str(event.payload_type),
        targets,
        descriptors=programs.get(event.program_id),
        received_at=event.modified_at,
    )

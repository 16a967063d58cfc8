"""Overviews for the operator of coordination: events with partners' promises, deliveries and payments."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.orm import Session

from flexmeasures.domain.coordination.compensation import CompensatedSlot, Compensation, compensate
from flexmeasures.services.coordination.compensation import month_of, settle

__all__ = ["EventLine", "PaidLine", "list_event_lines", "list_paid"]

MOST = 200


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event and what came of it.

    Attributes:
        starts_at: None: at once.
        targets: How many users, locations, resources or meter points of partners it means.
        accepted: How many acknowledgements said yes ...
        refused: ... and no.
        reports: How many reports came about it.
        kilowatt_hours: Energy that was reported [kWh]; None: none was.
    """

    event_id: str
    program: str
    payload_type: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    is_cancelled: bool
    targets: int
    accepted: int
    refused: int
    reports: int
    kilowatt_hours: Decimal | None


@dataclass(frozen=True, slots=True)
class PaidLine:
    """Payments to the users of a partner in the current month [currency]."""

    client_id: str
    currency: str
    amounts: Compensation


# Of several values of a slot the newest counts, as for money.
_EVENTS = text("""
select event.id as event_id, program.name as program, event.payload_type, event.starts_at, event.ends_at,
    event.created_at, event.deleted_at is not null as is_cancelled,
    (select count(*) from dr_event_target target where target.event_id = event.id) as targets,
    (select count(*) from dr_acknowledgement ack where ack.event_id = event.id and ack.is_accepted) as accepted,
    (select count(*) from dr_acknowledgement ack where ack.event_id = event.id and not ack.is_accepted) as refused,
    (select count(*) from dr_report report where report.event_id = event.id) as reports,
    (select sum(kilowatt_hours) from (select distinct on (client_id, location_id, resource_id, slot_start)
        kilowatt_hours from dr_usage usage where usage.event_id = event.id
        order by client_id, location_id, resource_id, slot_start, id desc) newest) as kilowatt_hours
from dr_event event join dr_program program on program.id = event.program_id
where event.environment = :environment
    and (event.starts_at is null or event.starts_at < :end) and (event.ends_at is null or event.ends_at > :start)
order by coalesce(event.starts_at, event.created_at) desc limit :most
""")


def list_event_lines(session: Session, environment: str, start: datetime, end: datetime) -> list[EventLine]:
    """List the events of a period with what came of each, the newest first, at most `MOST`; one query."""
    rows = session.execute(_EVENTS, {"environment": environment, "start": start, "end": end, "most": MOST})
    return [EventLine(**row) for row in rows.mappings()]


def list_paid(session: Session, environment: str, now: datetime, zone: str) -> list[PaidLine]:
    """Add up what partners' users are paid in the current month, by partner and currency."""
    start, end = month_of(now, zone)
    slots: dict[tuple[str, str], list[CompensatedSlot]] = defaultdict(list)
    for line in settle(session, environment, start, end, zone):
        if line.is_in_time:
            slots[line.client_id, line.currency].append(line.slot)
    return [PaidLine(client, currency, compensate(own)) for (client, currency), own in sorted(slots.items())]

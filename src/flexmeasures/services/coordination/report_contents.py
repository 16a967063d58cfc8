"""Reports of OpenADR about events that partners know: their usage is settled, their acknowledgements are noted.

What they say beside that is kept as it was sent, and not judged.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.coordination.usage import insert_usage
from flexmeasures.data.tables import DrAcknowledgement, DrClient, DrEvent, DrEventTarget, DrReport, DrUsage
from flexmeasures.domain.coordination.intervals import Span
from flexmeasures.domain.coordination.reports import BASELINE, read_acknowledgements, read_energy
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.services.coordination.event_slots import find_resource_types, find_spans, may_feed_in
from flexmeasures.services.coordination.partner_events import targets_for

__all__ = ["find_baselines", "note_contents"]


def note_contents(session: Session, report: DrReport, event: DrEvent, now: datetime) -> None:
    """Note energy and acknowledgements of a report that was stored or replaced.

    Of the resources that the event is not about nothing is noted, nor energy below zero of those that only consume.
    """
    for table in (DrUsage, DrAcknowledgement):
        session.execute(delete(table).where(table.report_id == report.id))
    client = session.scalar(select(DrClient.id).where(DrClient.client_id == report.client_id))
    targets = [] if client is None else targets_for(session, event.id, client)
    by_name = {target.resource_id: target for target in targets if target.resource_id is not None}
    if not by_name:
        return
    common = {"report_id": report.id, "event_id": event.id, "client_id": client}
    types = find_resource_types(session, report.environment, report.client_id, targets)
    usage = [
        _about(by_name[energy.resource_name])
        | {
            "user_id": by_name[energy.resource_name].user_id,
            "slot_start": energy.slot_start,
            "kilowatt_hours": energy.kilowatt_hours,
        }
        for energy in read_energy(report.content, _spans_of(event))
        if energy.resource_name in by_name
        and (energy.kilowatt_hours >= 0 or may_feed_in(types.get(energy.resource_name, "")))
    ]
    insert_usage(session, common, usage, now)
    answers = [
        common | _about(by_name[name]) | {"is_accepted": is_accepted, "acknowledged_at": now}
        for name, is_accepted in read_acknowledgements(report.content).items()
        if name in by_name
    ]
    if answers:
        session.execute(insert(DrAcknowledgement), answers)


def _spans_of(event: DrEvent) -> tuple[Span, ...]:
    """Find when the values of an event hold; none, if that cannot be told: its reports are kept all the same."""
    try:
        return find_spans(event)
    except (InvalidInput, OverflowError):
        return ()


def _about(target: DrEventTarget) -> dict[str, str | None]:
    return {
        "location_id": target.location_id,
        "resource_id": target.resource_id,
        "meter_point_id": target.meter_point_id,
    }


def find_baselines(session: Session, event: DrEvent) -> dict[tuple[str, str, datetime], Decimal]:
    """Find what reports about an event say would have been used without it; of several values the newest holds.

    Returns:
        Energy [kWh] by ``clientID``, name of the resource and start of the slot.
    """
    spans = _spans_of(event)
    reports = select(DrReport).where(DrReport.event_id == event.id).order_by(DrReport.modified_at)
    return {
        (report.client_id, energy.resource_name, energy.slot_start): energy.kilowatt_hours
        for report in session.scalars(reports)
        for energy in read_energy(report.content, spans, BASELINE)
    }

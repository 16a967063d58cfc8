"""Usage that was reported: stored in one statement, however many slots there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

__all__ = ["insert_usage"]

_INSERT = text("""
insert into dr_usage (report_id, event_id, client_id, user_id, location_id, resource_id, meter_point_id, slot_start,
    kilowatt_hours, reported_at)
select :report_id, :event_id, :client_id, slot.*, :reported_at
from unnest(cast(:user_id as text[]), cast(:location_id as text[]), cast(:resource_id as text[]),
    cast(:meter_point_id as text[]), cast(:slot_start as timestamptz[]), cast(:kilowatt_hours as numeric[])) slot
""")

_COLUMNS = ("user_id", "location_id", "resource_id", "meter_point_id", "slot_start", "kilowatt_hours")


def insert_usage(
    session: Session, common: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Store what a report says of slots.

    Args:
        session: Of the transaction.
        common: The report, its event and the number of its client.
        rows: User, location, resource, meter point, start of the slot and energy [kWh] of each.
        now: When it was reported.
    """
    if rows:
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
        session.execute(_INSERT, {**common, **columns, "reported_at": now})

"""Queries of energy communities: readings of many meters at once, settled days, and days gone stale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import read_array
from flexmeasures.data.stores.driver import driver_of
from flexmeasures.data.tables import (
    CommunityDay,
    CommunityService,
    DistributionTable,
    Generator,
    Inscription,
    SupplyPoint,
    community_meter,
    community_stale,
)
from flexmeasures.domain.time import Instants

__all__ = [
    "MARK_STALE",
    "MeterWindow",
    "forget_days",
    "is_stale",
    "known_days",
    "lock_service",
    "mark_stale_days",
    "read_meters",
    "replace_days",
    "set_meters",
    "settled_days",
    "settled_points",
    "stale_periods",
    "stale_readings",
    "tables_in_force",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

_LOCK = 1_040_002  # an arbitrary number: the first half of the advisory locks of those who settle

_READINGS = """
select meter.id, reading.* from unnest(%(ids)s::int[]) meter(id) cross join lateral (
    select array_agg(event_start), array_agg(event_value) from (
        select distinct on (sensor_id, event_start) event_start, event_value from belief
        where sensor_id = meter.id and sensor_id = any(%(ids)s) and event_start >= %(start)s and event_start < %(end)s
            and (belief_horizon <= '0' or %(forecasts)s) and cumulative_probability = 0.5
        order by sensor_id, event_start, belief_horizon, source_id
    ) latest
) reading
"""

# Whole local days, so that a day has one note however often its readings come. A note that is there already will do,
# unless somebody is taking it away right now: such a row is locked, and skipped. One that will do is locked in turn, so
# that whoever takes it away waits for these readings.
MARK_STALE = (
    "insert into community_stale (service_id, since, until) select note.service_id, note.since, note.until from ("
    " select distinct meter.service_id,"
    " date_trunc('day', %(since)s::timestamptz at time zone timezone) at time zone timezone as since,"
    " (date_trunc('day', %(until)s::timestamptz at time zone timezone) + interval '1 day') at time zone timezone"
    " - interval '1 microsecond' as until"
    " from community_meter meter join community_service on community_service.id = meter.service_id"
    " join community on community.id = community_service.community_id"
    " where meter.sensor_id = any(%(measured)s::int[])) note"
    " where not exists (select from community_stale known where known.service_id = note.service_id"
    " and known.since <= note.since and known.until >= note.until for key share skip locked)"
)
"""Notes that readings have changed, for services that settle by them; in the transaction that stores them."""


@dataclass(frozen=True)
class MeterWindow:
    """Readings that are wanted: events that start from `start` on and before `end`, of these sensors.

    Attributes:
        with_forecasts: Whether what was held before events had ended counts, too.
    """

    sensor_ids: tuple[int, ...]
    start: datetime
    end: datetime
    with_forecasts: bool = False


def read_meters(session: Session, window: MeterWindow) -> dict[int, tuple[Instants, Values]]:
    """Read the newest measured value of each event of many sensors in one query.

    Forecasts and schedules, which were held before their events had ended, are not measured and do not count unless
    the window says so.

    Returns:
        Starts and values by sensor, in the order of time.
    """
    connection = driver_of(session)
    readings: dict[int, tuple[Any, Any]] = {}
    with connection.cursor(binary=True) as cursor:
        cursor.execute(
            _READINGS,
            {
                "ids": list(window.sensor_ids),
                "start": window.start,
                "end": window.end,
                "forecasts": window.with_forecasts,
            },
        )
        answer = cursor.pgresult
        assert answer is not None  # noqa: S101 - a select has a result
        for row in range(answer.ntuples):
            sensor_id = int.from_bytes(answer.get_value(row, 0) or b"", "big")
            readings[sensor_id] = (
                read_array("timestamptz", answer.get_value(row, 1)),
                read_array("float8", answer.get_value(row, 2)),
            )
    return readings


def stale_readings(sensor_ids: Iterable[int], starts: Instants) -> dict[str, Any]:
    """Name what `MARK_STALE` is to note.

    Args:
        sensor_ids: Whose readings.
        starts: Of the events that have changed; may be empty.
    """
    if not len(starts):
        return {"measured": [], "since": None, "until": None}
    since, until = (value.astype("datetime64[us]").item() for value in (starts.min(), starts.max()))
    return {
        "measured": sorted({int(number) for number in sensor_ids}),
        "since": _utc(since),
        "until": _utc(until),
    }


def _utc(naive: datetime) -> str:
    return f"{naive.isoformat()}Z"


def mark_stale_days(session: Session, service_id: int, since: datetime, until: datetime) -> None:
    """Note that a service must be settled anew for some time, because its rules or members have changed."""
    session.execute(insert(community_stale).values(service_id=service_id, since=since, until=until))


def lock_service(session: Session, service_id: int) -> None:
    """Keep others from settling a service until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCK, service_id)))


def stale_periods(session: Session, service_id: int) -> list[tuple[datetime, datetime]]:
    """Take away the notes that a service must be settled anew, and give the times they speak of (both inclusive).

    To be followed by reading beliefs: what was stored and noted by then is read; what is stored later is noted later.
    """
    taken = session.execute(
        delete(community_stale)
        .where(community_stale.c.service_id == service_id)
        .returning(community_stale.c.since, community_stale.c.until)
    )
    return [(row.since, row.until) for row in taken]


def settled_days(session: Session, service_id: int, first: date, last: date) -> list[Any]:
    """Get what was settled, without the values of members, in the order of days."""
    query = (
        select(CommunityDay.__table__)
        .with_only_columns(
            *(c for c in CommunityDay.__table__.c if c.name not in ("service_id", "points", "by_point"))
        )
        .where(CommunityDay.service_id == service_id, CommunityDay.day.between(first, last))
        .order_by(CommunityDay.day)
    )
    return list(session.execute(query))


def settled_points(session: Session, service_id: int, first: date, last: date) -> list[Any]:
    """Get what was settled of the supply points of a service, as bytes, in the order of days."""
    query = (
        select(CommunityDay.day, CommunityDay.intervals, CommunityDay.points, CommunityDay.by_point)
        .where(CommunityDay.service_id == service_id, CommunityDay.day.between(first, last))
        .order_by(CommunityDay.day)
    )
    return list(session.execute(query))


def known_days(session: Session, service_id: int, first: date, last: date) -> set[date]:
    """List the days that are settled."""
    query = select(CommunityDay.day).where(
        CommunityDay.service_id == service_id, CommunityDay.day.between(first, last)
    )
    return set(session.scalars(query))


def forget_days(session: Session, service_id: int, first: date, last: date) -> None:
    """Delete what was settled for some days."""
    session.execute(
        delete(CommunityDay).where(
            CommunityDay.service_id == service_id, CommunityDay.day.between(first, last)
        )
    )


def is_stale(session: Session, service_id: int) -> bool:
    """Tell whether anything that a service was settled by has changed."""
    query = select(community_stale.c.id).where(community_stale.c.service_id == service_id).limit(1)
    return session.scalar(query) is not None


def replace_days(session: Session, service_id: int, rows: Sequence[dict[str, Any]]) -> None:
    """Store what was settled, in place of what was there for the same days."""
    days = [row["day"] for row in rows]
    session.execute(
        delete(CommunityDay).where(CommunityDay.service_id == service_id, CommunityDay.day.in_(days))
    )
    session.execute(insert(CommunityDay), [{"service_id": service_id, **row} for row in rows])


def set_meters(session: Session, service_id: int) -> None:
    """Write down anew which sensors a service reads."""
    by_point = (
        select(SupplyPoint.consumption_sensor_id)
        .join(Inscription, Inscription.supply_point_id == SupplyPoint.id)
        .where(Inscription.service_id == service_id)
    )
    by_operator = select(Inscription.operator_sensor_id).where(Inscription.service_id == service_id)
    by_plant = select(Generator.sensor_id).where(Generator.service_id == service_id)
    by_service = select(CommunityService.intensity_sensor_id).where(CommunityService.id == service_id)
    ids = {
        number for query in (by_point, by_operator, by_plant, by_service) for number in session.scalars(query)
    }
    session.execute(delete(community_meter).where(community_meter.c.service_id == service_id))
    rows = [{"service_id": service_id, "sensor_id": number} for number in ids if number is not None]
    if rows:
        session.execute(insert(community_meter), rows)


def tables_in_force(session: Session, service_id: int) -> list[DistributionTable]:
    """List the active distribution tables of a service, the earliest first."""
    query = (
        select(DistributionTable)
        .where(DistributionTable.service_id == service_id, DistributionTable.state == "active")
        .order_by(DistributionTable.starts_on)
    )
    return list(session.scalars(query))

"""What programs said before they said something newer: found, and deleted in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.driver import driver_of
from flexmeasures.data.tables import DataSource, Sensor

__all__ = ["Step", "delete_superseded", "event_range", "program_sources", "sensors_by_id"]


@dataclass(frozen=True)
class Step:
    """A part of the beliefs of a sensor.

    Attributes:
        sensor_id: The sensor ...
        resolution: ... whose events last this long.
        start: Start of the first event ...
        end: ... and end of the period in which the events start (exclusive).
    """

    sensor_id: int
    resolution: timedelta
    start: datetime
    end: datetime


def program_sources(session: Session) -> dict[str, list[int]]:
    """List the sources of schedules and of forecasts, by their types "scheduler" and "forecaster"."""
    found: dict[str, list[int]] = {"scheduler": [], "forecaster": []}
    query = select(DataSource.type, DataSource.id).where(DataSource.type.in_(found)).order_by(DataSource.id)
    for type_name, source_id in session.execute(query):
        found[type_name].append(source_id)
    return found


def sensors_by_id(session: Session) -> list[tuple[int, timedelta]]:
    """List all sensors with the length of their events, in the order of their ids."""
    return [(number, length) for number, length in session.execute(_SENSORS)]


_SENSORS = select(Sensor.id, Sensor.event_resolution).order_by(Sensor.id)


def event_range(
    session: Session, sensor_id: int, source_ids: Sequence[int]
) -> tuple[datetime, datetime] | None:
    """Find the first and the last event start about which sources have said something; None if there is none."""
    row = (
        driver_of(session)
        .execute(
            "select min(first), max(last) from unnest(%(sources)s::int[]) as source (id) cross join lateral ("
            " select min(event_start) as first, max(event_start) as last from belief"
            " where sensor_id = %(sensor)s and source_id = source.id) as said",
            {"sensor": sensor_id, "sources": list(source_ids)},
        )
        .fetchone()
    )
    return None if row is None or row[0] is None else (row[0], row[1])


# A belief goes once a newer one of the same source about the same event was there at the given instant. Of what is
# said in classes of horizons, the newest in each class stays.
_DELETE = """
with said as (
    select event_start, belief_horizon, source_id, cumulative_probability, lag(belief_horizon) over (
        partition by event_start, source_id, cumulative_probability,
            case when source_id = any(%(in_classes)s::int[])
                then width_bucket(belief_horizon, %(classes)s::interval[]) end
        order by belief_horizon
    ) as newer
    from belief
    where sensor_id = %(sensor)s and event_start >= %(start)s and event_start < %(end)s
        and source_id = any(%(sources)s::int[])
), old as (
    select * from said where event_start + %(resolution)s - newer <= %(superseded_by)s limit %(limit)s
), gone as (
    delete from belief using old
    where belief.sensor_id = %(sensor)s and belief.event_start = old.event_start
        and belief.belief_horizon = old.belief_horizon and belief.source_id = old.source_id
        and belief.cumulative_probability = old.cumulative_probability
    returning belief.sensor_id
)
select count(*) from gone
"""


def delete_superseded(
    session: Session,
    step: Step,
    sources: dict[str, list[int]],
    classes: Sequence[timedelta],
    superseded_by: datetime,
    limit: int,
) -> int:
    """Delete beliefs that were superseded by an instant: of schedules all, of forecasts all but one in each class.

    Args:
        session: Within its transaction; the caller commits.
        step: Which beliefs are looked at.
        sources: From `program_sources`.
        classes: Bounds between classes of belief horizons, ascending.
        superseded_by: The newer belief was held at this instant, counted as if events were known when they end.
        limit: The largest number of rows.

    Returns:
        How many were deleted.
    """
    parameters = {
        "sensor": step.sensor_id,
        "resolution": step.resolution,
        "start": step.start,
        "end": step.end,
        "sources": [number for ids in sources.values() for number in ids],
        "in_classes": sources["forecaster"],
        "classes": list(classes),
        "superseded_by": superseded_by,
        "limit": limit,
    }
    row = driver_of(session).execute(_DELETE, parameters).fetchone()
    return 0 if row is None else int(row[0])

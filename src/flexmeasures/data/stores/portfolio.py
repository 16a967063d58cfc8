"""Beliefs about many sensors at once, in one query."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import Int4Array, TimestamptzArray
from flexmeasures.data.stores.as_of import held_by_condition, start_held_by
from flexmeasures.data.stores.beliefs import last_start_before
from flexmeasures.data.stores.driver import driver_of, fetch_arrays
from flexmeasures.data.tables import Sensor
from flexmeasures.domain.beliefs import MEDIAN, Beliefs, Series
from flexmeasures.domain.time import to_datetime64

__all__ = ["PortfolioWindow", "read_latest_by_source", "read_newest_event", "read_series"]


@dataclass(frozen=True)
class PortfolioWindow:
    """Selection of beliefs to read of each of several sensors.

    Attributes:
        start: About events that end after this instant ...
        end: ... and start before this one.
        scheduled: Whether to read schedules, or all but schedules; None: both.
        min_horizon: Held at least this long before the knowledge time; None for all.
        max_horizon: Held at most this long before the knowledge time; None for all.
        held_by: Held at this instant or before it, by the knowledge rule of each sensor; None for all.
        probability: Values of this cumulative probability.
    """

    start: datetime
    end: datetime
    scheduled: bool | None = None
    min_horizon: timedelta | None = None
    max_horizon: timedelta | None = None
    held_by: datetime | None = None
    probability: float = MEDIAN


def read_series(session: Session, sensors: Sequence[Sensor], window: PortfolioWindow) -> dict[int, Series]:
    """Read one belief an event of each sensor, the most recent one that the window allows.

    One query for all sensors; with `held_by` one more for each rule by which events are known on another local clock.

    Returns:
        A series by sensor; an empty one where nothing is known.
    """
    series = {one.id: Series.empty(one.event_resolution, one.unit, window.probability) for one in sensors}
    for group in _groups(sensors, window.held_by):
        condition, parameters = _where(group, window)
        # Lateral, so that each sensor is one walk along the index of beliefs, from its own first event on.
        query = (
            "select array_agg(id), array_agg(event_start), array_agg(event_value) from ("  # noqa: S608 - our texts
            f"select wanted.id, latest.event_start, latest.event_value from {_WANTED} cross join lateral ("
            "select distinct on (sensor_id, event_start) event_start, event_value from belief"
            f" where {condition} order by sensor_id, event_start, belief_horizon, source_id) latest) found"
        )
        ids, starts, values = fetch_arrays(session, query, parameters, ("int4", "timestamptz", "float8"))
        for number, rows in _runs(ids):
            series[number] = replace(series[number], starts=starts[rows], values=values[rows])
    return series


def read_latest_by_source(
    session: Session, sensors: Sequence[Sensor], window: PortfolioWindow
) -> dict[int, Beliefs]:
    """Read one belief an event and source of each sensor, the most recent one that the window allows.

    Returns:
        Beliefs by sensor, by event and source; only of sensors with any.
    """
    found: dict[int, Beliefs] = {}
    columns = "event_start, event_value, belief_horizon, source_id"
    for group in _groups(sensors, window.held_by):
        condition, parameters = _where(group, window)
        query = (
            "select array_agg(id), array_agg(event_start), array_agg(event_value), array_agg(belief_horizon),"  # noqa: S608
            f" array_agg(source_id) from (select wanted.id, {columns} from {_WANTED} cross join lateral ("
            f"select distinct on (sensor_id, event_start, source_id) {columns} from belief where {condition}"
            " order by sensor_id, event_start, source_id, belief_horizon) latest) found"
        )
        types = ("int4", "timestamptz", "float8", "interval", "int4")
        ids, *rest = fetch_arrays(session, query, parameters, types)
        everything = Beliefs(*rest)
        found |= {number: everything.take(rows) for number, rows in _runs(ids)}
    return found


def read_newest_event(
    session: Session, sensors: Sequence[Sensor], until: datetime | None
) -> dict[int, tuple[datetime, float]]:
    """Read the last measured event of each sensor, its start and its value; one walk along the index for each.

    Args:
        session: For reading.
        sensors: Which ones.
        until: Only events that have ended at this instant; None for all.
    """
    limits = [_NO_LIMIT if until is None else until - one.event_resolution for one in sensors]
    query = (
        "select wanted.id, newest.event_start, newest.event_value"
        " from unnest(%(ids)b, %(latest)b) as wanted (id, latest) cross join lateral ("
        "select event_start, event_value from belief where sensor_id = wanted.id and sensor_id = any(%(ids)b)"
        " and event_start <= wanted.latest and belief_horizon <= interval '0' and cumulative_probability = 0.5"
        " and source_id = any(array(select id from data_source where type <> 'scheduler'))"
        " order by sensor_id, event_start desc, belief_horizon, source_id limit 1) newest"
    )
    parameters = {
        "ids": Int4Array(np.asarray([one.id for one in sensors], dtype=np.int32)),
        "latest": TimestamptzArray(np.array([to_datetime64(one) for one in limits])),
    }
    connection = driver_of(session)
    return {number: (start, value) for number, start, value in connection.execute(query, parameters)}


_WANTED = "unnest(%(ids)b, %(after)b, %(held)b) as wanted (id, after, held)"
"""The sensors, the instants after which their events start, and what start less horizon must not exceed."""

_NO_LIMIT = datetime(9999, 12, 31, tzinfo=UTC)


def _groups(sensors: Sequence[Sensor], held_by: datetime | None) -> list[list[Sensor]]:
    """Put together the sensors that one query can read."""
    if held_by is None:
        return [list(sensors)] if sensors else []
    groups: dict[Any, list[Sensor]] = {}
    for sensor in sensors:
        rule = sensor.knowledge_rule
        simple = start_held_by(rule, sensor.event_resolution, held_by) is not None
        groups.setdefault(None if simple else rule, []).append(sensor)
    return list(groups.values())


def _runs(ids: np.ndarray[Any, Any]) -> Iterator[tuple[int, slice]]:
    """Find where the rows of each sensor lie, which follow each other."""
    edges = np.flatnonzero(np.diff(ids, prepend=-1, append=-1)) if len(ids) else np.empty(0, dtype=int)
    for first, last in itertools.pairwise(edges.tolist()):
        yield int(ids[first]), slice(first, last)


def _where(sensors: Sequence[Sensor], window: PortfolioWindow) -> tuple[str, dict[str, Any]]:
    """Write the condition of a window for the beliefs of one sensor, and the parameters of the query."""
    after = [last_start_before(window.start, one.event_resolution) or window.start for one in sensors]
    held = [_NO_LIMIT] * len(sensors)
    condition = (
        "sensor_id = wanted.id and sensor_id = any(%(ids)b) and event_start > wanted.after and event_start < %(end)s"
        " and cumulative_probability = %(probability)s"
    )
    parameters: dict[str, Any] = {"end": window.end, "probability": window.probability}
    if window.held_by is not None:
        rule, resolution = sensors[0].knowledge_rule, sensors[0].event_resolution
        text, parameters_of_rule = held_by_condition(
            rule, resolution, window.held_by, (min(after), window.end)
        )
        limits = [start_held_by(one.knowledge_rule, one.event_resolution, window.held_by) for one in sensors]
        if limits[0] is None:
            parameters |= parameters_of_rule
        else:
            held = [limit or _NO_LIMIT for limit in limits]
            text = "event_start - belief_horizon <= wanted.held"
        condition += f" and {text}"
    parameters |= {
        "ids": Int4Array(np.asarray([one.id for one in sensors], dtype=np.int32)),
        "after": TimestamptzArray(np.array([to_datetime64(one) for one in after])),
        "held": TimestamptzArray(np.array([to_datetime64(one) for one in held])),
    }
    for name, text, value in (
        ("min_horizon", "belief_horizon >= %(min_horizon)s", window.min_horizon),
        ("max_horizon", "belief_horizon <= %(max_horizon)s", window.max_horizon),
        ("scheduled", f"source_id = any({_SOURCES})", window.scheduled),
    ):
        if value is not None:
            condition += f" and {text}"
            parameters[name] = value
    return condition, parameters


_SOURCES = "array(select id from data_source where (type = 'scheduler') = %(scheduled)s)"

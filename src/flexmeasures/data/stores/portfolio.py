"""Beliefs about many sensors at once, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import Int4Array, read_array
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import Instants

__all__ = ["PortfolioWindow", "read_latest_by_sensor", "read_latest_by_source"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class PortfolioWindow:
    """Which beliefs are read of each of several sensors.

    Attributes:
        start: About events that end after this instant ...
        end: ... and start before this one.
        scheduled: Whether to read schedules, or all but schedules.
        min_horizon: Held at least this long before the knowledge time; None for all.
        max_horizon: Held at most this long before the knowledge time; None for all.
    """

    start: datetime
    end: datetime
    scheduled: bool
    min_horizon: timedelta | None = None
    max_horizon: timedelta | None = None


def read_latest_by_sensor(
    session: Session, sensor_ids: Sequence[int], window: PortfolioWindow
) -> dict[int, tuple[Instants, Values]]:
    """Read one belief an event of each sensor, the most recent one that the window allows.

    Returns:
        Starts of events, UTC, and values, shape ``(n,)`` each, by sensor; only of sensors with any.
    """
    condition, parameters = _where(sensor_ids, window)
    # Lateral, so that each sensor is one walk along the index of beliefs, from its own first event on.
    query = (
        "select array_agg(id), array_agg(event_start), array_agg(event_value) from ("  # noqa: S608 - the texts above
        "select sensor.id, latest.event_start, latest.event_value from sensor cross join lateral ("
        "select distinct on (sensor_id, event_start) event_start, event_value from belief"
        f" where {condition} order by sensor_id, event_start, belief_horizon, source_id) latest"
        " where sensor.id = any(%(sensor_ids)b)) found"
    )
    ids, starts, values = _fetch(session, query, parameters, ("int4", "timestamptz", "float8"))
    return {int(i): (starts[ids == i], values[ids == i]) for i in np.unique(ids)}


def read_latest_by_source(
    session: Session, sensor_ids: Sequence[int], window: PortfolioWindow
) -> dict[int, Beliefs]:
    """Read one belief an event and source of each sensor, the most recent one that the window allows.

    Returns:
        Beliefs by sensor, by event and source; only of sensors with any.
    """
    condition, parameters = _where(sensor_ids, window)
    columns = "event_start, event_value, belief_horizon, source_id"
    query = (
        "select array_agg(id), array_agg(event_start), array_agg(event_value), array_agg(belief_horizon),"  # noqa: S608
        f" array_agg(source_id) from (select sensor.id, {columns} from sensor cross join lateral ("
        f"select distinct on (sensor_id, event_start, source_id) {columns} from belief where {condition}"
        " order by sensor_id, event_start, source_id, belief_horizon) latest"
        " where sensor.id = any(%(sensor_ids)b)) found"
    )
    types = ("int4", "timestamptz", "float8", "interval", "int4")
    ids, *rest = _fetch(session, query, parameters, types)
    everything = Beliefs(*rest)
    return {int(i): everything.take(ids == i) for i in np.unique(ids)}


def _where(sensor_ids: Sequence[int], window: PortfolioWindow) -> tuple[str, dict[str, Any]]:
    """Write the condition of a window for the beliefs of one sensor, and the parameters of the query."""
    condition = (
        "sensor_id = sensor.id and sensor_id = any(%(sensor_ids)b)"
        " and event_start > %(start)s - sensor.event_resolution and event_start < %(end)s"
        " and source_id = any(array(select id from data_source where (type = 'scheduler') = %(scheduled)s))"
        " and cumulative_probability = 0.5"
    )
    parameters: dict[str, Any] = {
        "sensor_ids": Int4Array(np.asarray(sensor_ids, dtype=np.int32)),
        "start": window.start,
        "end": window.end,
        "scheduled": window.scheduled,
    }
    if window.min_horizon is not None:
        condition += " and belief_horizon >= %(min_horizon)s"
        parameters["min_horizon"] = window.min_horizon
    if window.max_horizon is not None:
        condition += " and belief_horizon <= %(max_horizon)s"
        parameters["max_horizon"] = window.max_horizon
    return condition, parameters


def _fetch(
    session: Session, query: str, parameters: dict[str, Any], types: tuple[str, ...]
) -> list[np.ndarray[Any, Any]]:
    """Run a query whose one row holds arrays."""
    session.flush()
    connection: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        answer = cursor.pgresult
        assert answer is not None  # noqa: S101 - a select has a result
        return [read_array(name, answer.get_value(0, n)) for n, name in enumerate(types)]

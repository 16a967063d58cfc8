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
from flexmeasures.domain.time import Instants

__all__ = ["PortfolioWindow", "read_latest_by_sensor"]

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
    limits = ""
    parameters: dict[str, Any] = {
        "sensor_ids": Int4Array(np.asarray(sensor_ids, dtype=np.int32)),
        "start": window.start,
        "end": window.end,
        "scheduled": window.scheduled,
    }
    if window.min_horizon is not None:
        limits += " and belief_horizon >= %(min_horizon)s"
        parameters["min_horizon"] = window.min_horizon
    if window.max_horizon is not None:
        limits += " and belief_horizon <= %(max_horizon)s"
        parameters["max_horizon"] = window.max_horizon
    # Lateral, so that each sensor is one walk along the index of beliefs, from its own first event on.
    query = (
        "select array_agg(id), array_agg(event_start), array_agg(event_value) from ("  # noqa: S608 - the texts above
        "select sensor.id, latest.event_start, latest.event_value from sensor cross join lateral ("
        "select distinct on (event_start) event_start, event_value from belief"
        " where sensor_id = sensor.id and event_start > %(start)s - sensor.event_resolution"
        " and event_start < %(end)s"
        " and source_id in (select id from data_source where (type = 'scheduler') = %(scheduled)s)"
        f"{limits} order by event_start, belief_horizon, source_id) latest"
        " where sensor.id = any(%(sensor_ids)b)) found"
    )
    session.flush()
    connection: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        answer = cursor.pgresult
        assert answer is not None  # noqa: S101 - a select has a result
        ids = read_array("int4", answer.get_value(0, 0))
        starts = read_array("timestamptz", answer.get_value(0, 1))
        values = read_array("float8", answer.get_value(0, 2))
    return {int(i): (starts[ids == i], values[ids == i]) for i in np.unique(ids)}

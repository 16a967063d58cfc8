"""Beliefs straight between PostgreSQL and numpy: bulk write, and reads of what was believed when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import (
    Float8Array,
    Int4Array,
    IntervalArray,
    TimestamptzArray,
    copy_rows,
    horizons_column,
    instants_column,
    read_array,
    register_dumpers,
)
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import Conflict
from flexmeasures.domain.time import Instants

__all__ = [
    "SensorBeliefs",
    "SourceFilter",
    "Window",
    "insert_beliefs",
    "read_beliefs",
    "read_latest",
    "time_range",
]

register_dumpers(psycopg.adapters)

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class SensorBeliefs:
    """Beliefs on their way into the store: those of one sensor."""

    sensor_id: int
    beliefs: Beliefs


@dataclass(frozen=True)
class SourceFilter:
    """Whose beliefs count.

    Attributes:
        types: Types of sources, such as "user" and "forecaster"; None for all.
        user_ids: Of the sources of type "user", only those of these users; None for all.
    """

    types: tuple[str, ...] | None = None
    user_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Window:
    """Which beliefs are read.

    Attributes:
        sensor_id: About the events of this sensor ...
        resolution: ... which last this long ...
        start: ... and end after this instant; None for all.
        end: They start before this instant; None for all.
        min_horizon: Held at least this long before the knowledge time.
        max_horizon: Held at most this long before the knowledge time.
        held_by: Held at this instant or before it; for sensors that know their events at their end.
        sources: Whose beliefs count.
    """

    sensor_id: int
    resolution: timedelta
    start: datetime | None = None
    end: datetime | None = None
    min_horizon: timedelta | None = None
    max_horizon: timedelta | None = None
    held_by: datetime | None = None
    sources: SourceFilter = field(default_factory=SourceFilter)


def insert_beliefs(session: Session, batches: Sequence[SensorBeliefs], overwrite: bool = False) -> None:
    """Store beliefs, all or none of them.

    Args:
        session: Within its transaction; the caller commits.
        batches: Beliefs by sensor.
        overwrite: Whether a belief about the same event, with the same horizon and source, is replaced.

    Raises:
        Conflict: If there is such a belief already and it may not be overwritten. The transaction is spoilt then.
    """
    sensor_ids = np.repeat([b.sensor_id for b in batches], [len(b.beliefs) for b in batches])
    if not len(sensor_ids):
        return
    starts = np.concatenate([b.beliefs.event_starts for b in batches])
    horizons = np.concatenate([b.beliefs.horizons for b in batches])
    source_ids = np.concatenate([b.beliefs.source_ids for b in batches])
    values = np.concatenate([b.beliefs.values for b in batches])
    connection = _psycopg(session)
    if overwrite:
        connection.execute(
            "insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
            " select distinct on (1, 2, 3, 4) * from unnest(%b, %b, %b, %b, %b) as new"
            " on conflict (sensor_id, event_start, belief_horizon, source_id)"
            " do update set event_value = excluded.event_value",
            (
                Int4Array(sensor_ids),
                TimestamptzArray(starts),
                IntervalArray(horizons),
                Int4Array(source_ids),
                Float8Array(values),
            ),
        )
        return
    rows = copy_rows(
        [
            ("int4", sensor_ids),
            ("timestamptz", instants_column(starts)),
            ("interval", horizons_column(horizons)),
            ("int4", source_ids),
            ("float8", values),
        ]
    )
    try:
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "copy belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
                " from stdin (format binary)"
            ) as copy,
        ):
            copy.write(rows)
    except psycopg.errors.UniqueViolation as error:
        raise Conflict(
            "A belief about the same event, with the same horizon and source, was stored before. Nothing was changed."
        ) from error


def read_latest(session: Session, window: Window) -> tuple[Instants, Values]:
    """Read one belief an event, the most recent one that the window allows, in the order of the events.

    Of equally recent ones that of the source with the lowest id counts, as in the domain's ``latest_per_event``.

    Returns:
        Starts of events, UTC, and values: shape ``(n,)`` each.
    """
    condition, parameters = _where(window)
    starts, values = _fetch_arrays(
        session,
        "select array_agg(event_start), array_agg(event_value) from ("  # noqa: S608 - the texts of _where
        "select distinct on (event_start) event_start, event_value from belief"
        f" where {condition} order by event_start, belief_horizon, source_id) latest",
        parameters,
        ("timestamptz", "float8"),
    )
    return starts, values


def read_beliefs(session: Session, window: Window) -> Beliefs:
    """Read all beliefs that the window allows, by event and, within an event, the most recent first."""
    condition, parameters = _where(window)
    starts, values, horizons, source_ids = _fetch_arrays(
        session,
        "select array_agg(event_start), array_agg(event_value), array_agg(belief_horizon), array_agg(source_id) from ("  # noqa: S608
        f"select * from belief where {condition} order by event_start, belief_horizon, source_id) ordered",
        parameters,
        ("timestamptz", "float8", "interval", "int4"),
    )
    return Beliefs(starts, values, horizons, source_ids)


def time_range(session: Session, sensor_id: int) -> tuple[datetime, datetime] | None:
    """Find the first and the last event start of a sensor; None if it has no beliefs."""
    row = (
        _psycopg(session)
        .execute(
            "select (select event_start from belief where sensor_id = %(id)s order by event_start limit 1),"
            " (select event_start from belief where sensor_id = %(id)s order by event_start desc limit 1)",
            {"id": sensor_id},
        )
        .fetchone()
    )
    return row if row and row[0] is not None else None


def _psycopg(session: Session) -> psycopg.Connection[Any]:
    """Get the driver's connection, inside the session's transaction."""
    session.flush()
    return session.connection().connection.driver_connection  # type: ignore[return-value]


def _fetch_arrays(
    session: Session, query: str, parameters: dict[str, Any], types: tuple[str, ...]
) -> tuple[np.ndarray[Any, Any], ...]:
    with _psycopg(session).cursor(binary=True) as cursor:
        cursor.execute(query, parameters)
        answer = cursor.pgresult
        assert answer is not None  # noqa: S101 - a select has a result
        return tuple(read_array(name, answer.get_value(0, n)) for n, name in enumerate(types))


def _where(window: Window) -> tuple[str, dict[str, Any]]:
    """Write the condition of a window and its parameters; what is not limited is not mentioned."""
    sources = window.sources
    conditions = {
        "sensor_id = %(sensor_id)s": window.sensor_id,
        "event_start > %(start)s - %(resolution)s": window.start,
        "event_start < %(end)s": window.end,
        "belief_horizon >= %(min_horizon)s": window.min_horizon,
        "belief_horizon <= %(max_horizon)s": window.max_horizon,
        "event_start + %(resolution)s - belief_horizon <= %(held_by)s": window.held_by,
        # As arrays, which are looked up before the beliefs are: a join would lose the order of the index.
        "source_id = any(array(select id from data_source where type = any(%(types)s)))": sources.types,
        "source_id = any(array(select id from data_source where type != 'user' or user_id = any(%(user_ids)s)))": (
            sources.user_ids
        ),
    }
    parameters = {
        "sensor_id": window.sensor_id,
        "resolution": window.resolution,
        "start": window.start,
        "end": window.end,
        "min_horizon": window.min_horizon,
        "max_horizon": window.max_horizon,
        "held_by": window.held_by,
        "types": None if sources.types is None else list(sources.types),
        "user_ids": None if sources.user_ids is None else list(sources.user_ids),
    }
    used = [text for text, limit in conditions.items() if limit is not None]
    # The driver binds a parameter only where the text names it.
    return " and ".join(used), {
        k: v for k, v in parameters.items() if any(f"%({k})s" in text for text in used)
    }

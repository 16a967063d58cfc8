"""Beliefs straight between PostgreSQL and numpy: bulk write, and reads of what was believed when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.time import Instants

__all__ = [
    "Added",
    "Contradiction",
    "SensorBeliefs",
    "SourceFilter",
    "Window",
    "add_beliefs",
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


@dataclass(frozen=True)
class Contradiction:
    """A belief that contradicts one that was stored before: same event, horizon and source, another value."""

    sensor_id: int
    event_start: datetime
    value: float
    stored_value: float


@dataclass(frozen=True)
class Added:
    """Beliefs that were to be added: what became of them.

    Attributes:
        new: How many are stored now and were not before.
        known: How many were stored before, with the same value.
        contradicting: How many were stored before with another value, which they keep.
        first: The first of those; None if there are none.
    """

    new: int
    known: int = 0
    contradicting: int = 0
    first: Contradiction | None = None


def insert_beliefs(session: Session, batches: Sequence[SensorBeliefs], overwrite: bool = False) -> None:
    """Store beliefs, all or none of them.

    Args:
        session: Within its transaction; the caller commits.
        batches: Beliefs by sensor.
        overwrite: Whether a belief about the same event, with the same horizon and source, is replaced.

    Raises:
        Conflict: If there is such a belief already and it may not be overwritten. The transaction is spoilt then.
        NotFound: If there is no such sensor or source, or not any more. The transaction is spoilt then.
    """
    columns = _columns(batches)
    if not len(columns):
        return
    with _parents_are_there():
        if overwrite:
            _replace(_psycopg(session), columns)
        elif _add(_psycopg(session), columns) < len(columns):
            raise Conflict(
                "A belief about the same event, with the same horizon and source, was stored before."
                " Nothing was changed."
            )


def add_beliefs(session: Session, batches: Sequence[SensorBeliefs]) -> Added:
    """Store those beliefs that are new; none is replaced.

    Args:
        session: Within its transaction; the caller commits.
        batches: Beliefs by sensor; none of them twice.

    Raises:
        NotFound: If there is no such sensor or source, or not any more. The transaction is spoilt then.
    """
    columns = _columns(batches)
    total = len(columns)
    if not total:
        return Added(0)
    connection = _psycopg(session)
    with _parents_are_there():
        new = _add(connection, columns)
    if new == total:
        return Added(total)
    contradicting, first = _find_contradictions(connection, columns)
    return Added(new, total - new - contradicting, contradicting, first)


@dataclass(frozen=True)
class _Columns:
    """Beliefs of several sensors, by sensor and event: whoever writes the same ones waits, instead of a deadlock."""

    sensor_ids: np.ndarray[Any, Any]
    starts: Instants
    horizons: np.ndarray[Any, Any]
    source_ids: np.ndarray[Any, Any]
    values: Values

    def __len__(self) -> int:
        return len(self.sensor_ids)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The columns as parameters of a query."""
        return (
            Int4Array(self.sensor_ids),
            TimestamptzArray(self.starts),
            IntervalArray(self.horizons),
            Int4Array(self.source_ids),
            Float8Array(self.values),
        )


def _columns(batches: Sequence[SensorBeliefs]) -> _Columns:
    ordered = sorted((b for b in batches if len(b.beliefs)), key=lambda b: b.sensor_id)
    if not ordered:
        return _Columns(*(np.empty(0) for _ in range(5)))
    beliefs = [b.beliefs for b in ordered]
    return _Columns(
        np.repeat([b.sensor_id for b in ordered], [len(b) for b in beliefs]),
        np.concatenate([b.event_starts for b in beliefs]),
        np.concatenate([b.horizons for b in beliefs]),
        np.concatenate([b.source_ids for b in beliefs]),
        np.concatenate([b.values for b in beliefs]),
    )


@contextmanager
def _parents_are_there() -> Iterator[None]:
    """Say in our words that beliefs lack their sensor or source."""
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFound("What these data are about was deleted meanwhile. Nothing was stored.") from error


def _replace(connection: psycopg.Connection[Any], columns: _Columns) -> None:
    connection.execute(
        "insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
        " select distinct on (1, 2, 3, 4) * from unnest(%b, %b, %b, %b, %b) as new"
        " on conflict (sensor_id, event_start, belief_horizon, source_id)"
        " do update set event_value = excluded.event_value",
        columns.arrays,
    )


_BULK = 1000
"""From so many rows on COPY, which knows no conflicts, is worth a savepoint: it takes less than half the time."""


def _add(connection: psycopg.Connection[Any], columns: _Columns) -> int:
    """Insert the rows that are not there yet; count them."""
    if len(columns) >= _BULK:
        try:
            with connection.transaction():
                _copy(connection, columns)
        except psycopg.errors.UniqueViolation:
            pass  # then one by one
        else:
            return len(columns)
    row = connection.execute(
        "with added as (insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
        " select * from unnest(%b, %b, %b, %b, %b) on conflict do nothing returning 1) select count(*) from added",
        columns.arrays,
    ).fetchone()
    return int(row[0]) if row else 0


def _copy(connection: psycopg.Connection[Any], columns: _Columns) -> None:
    rows = copy_rows(
        [
            ("int4", columns.sensor_ids),
            ("timestamptz", instants_column(columns.starts)),
            ("interval", horizons_column(columns.horizons)),
            ("int4", columns.source_ids),
            ("float8", columns.values),
        ]
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy belief (sensor_id, event_start, belief_horizon, source_id, event_value)"
            " from stdin (format binary)"
        ) as copy,
    ):
        copy.write(rows)


def _find_contradictions(
    connection: psycopg.Connection[Any], columns: _Columns
) -> tuple[int, Contradiction | None]:
    """Count the rows that are stored with another value, and find the first of them."""
    row = connection.execute(
        "select count(*) over (), sensor_id, event_start, new.event_value, belief.event_value"
        " from unnest(%b, %b, %b, %b, %b) as new (sensor_id, event_start, belief_horizon, source_id, event_value)"
        " join belief using (sensor_id, event_start, belief_horizon, source_id)"
        " where new.event_value <> belief.event_value order by sensor_id, event_start limit 1",
        columns.arrays,
    ).fetchone()
    return (0, None) if row is None else (row[0], Contradiction(*row[1:]))


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

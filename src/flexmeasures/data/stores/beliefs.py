"""Beliefs straight between PostgreSQL and numpy: bulk write, and reads of what was believed when."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.orm import Session

from flexmeasures.data.faults import Fault, classify
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
from flexmeasures.data.stores.as_of import held_by_condition
from flexmeasures.data.stores.communities import MARK_STALE, stale_readings
from flexmeasures.domain.beliefs import (
    MEDIAN,
    Beliefs,
    ExPost,
    InsertPolicy,
    KnowledgeRule,
    check_distributions,
)
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.time import EPOCH, Instants

__all__ = [
    "Added",
    "Contradiction",
    "SensorBeliefs",
    "SourceFilter",
    "Window",
    "add_beliefs",
    "count_up_to",
    "insert_beliefs",
    "last_start_before",
    "read_beliefs",
    "read_latest",
    "time_range",
]

register_dumpers(psycopg.adapters)

log = logging.getLogger(__name__)

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class SensorBeliefs:
    """Beliefs on their way into the store: those of one sensor."""

    sensor_id: int
    beliefs: Beliefs


@dataclass(frozen=True)
class SourceFilter:
    """Sources whose beliefs count.

    Attributes:
        types: Types of sources, such as "user" and "forecaster"; None for all.
        user_ids: Of the sources of type "user", only those of these users; None for all.
    """

    types: tuple[str, ...] | None = None
    user_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Window:
    """Selection of beliefs to read.

    Attributes:
        sensor_id: About the events of this sensor ...
        resolution: ... which last this long ...
        start: ... and end after this instant; None for all.
        end: They start before this instant; None for all.
        min_horizon: Held at least this long before the knowledge time.
        max_horizon: Held at most this long before the knowledge time.
        held_by: Held at this instant or before it ...
        rule: ... by the rule which says from when on the events of the sensor are known.
        sources: Whose beliefs count.
        probability: Only values of this cumulative probability; the median unless said; None: whole distributions.
    """

    sensor_id: int
    resolution: timedelta
    start: datetime | None = None
    end: datetime | None = None
    min_horizon: timedelta | None = None
    max_horizon: timedelta | None = None
    held_by: datetime | None = None
    rule: KnowledgeRule = field(default_factory=ExPost)
    sources: SourceFilter = field(default_factory=SourceFilter)
    probability: float | None = MEDIAN


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


def insert_beliefs(
    session: Session, batches: Sequence[SensorBeliefs], policy: InsertPolicy = InsertPolicy.REFUSE
) -> int:
    """Store beliefs, all or none of them.

    Args:
        session: Within its transaction; the caller commits.
        batches: Beliefs by sensor.
        policy: What becomes of beliefs that are there already.

    Returns:
        How many rows were stored.

    Raises:
        BadValues: If a distribution has no median.
        NotFound: If a sensor or a source does not exist, or was deleted meanwhile.
        Conflict: If the policy refuses what is there already. The transaction must be rolled back then.
    """
    rows = _as_rows(batches)
    if not len(rows):
        return 0
    connection = _psycopg(session)
    _lock_parents(connection, rows)
    if policy is InsertPolicy.REPLACE:
        return _replace(connection, rows)
    if policy is InsertPolicy.SKIP_EQUAL:
        rows = rows.take(~_says_nothing_new(connection, rows))
    if len(rows) and _add(connection, rows) < len(rows):
        raise Conflict(
            "A belief about the same event, with the same horizon and source, was stored before. Nothing was changed."
        )
    return len(rows)


def add_beliefs(session: Session, batches: Sequence[SensorBeliefs]) -> Added:
    """Store those beliefs that are new; none is replaced.

    Args:
        session: Within its transaction; the caller commits.
        batches: Beliefs by sensor; none of them twice.

    Raises:
        BadValues: If a distribution has no median.
        NotFound: If there is no such sensor or source, or not any more.
    """
    rows = _as_rows(batches)
    total = len(rows)
    if not total:
        return Added(0)
    connection = _psycopg(session)
    _lock_parents(connection, rows)
    new = _add(connection, rows)
    if new == total:
        return Added(total)
    contradicting, first = _find_contradictions(connection, rows)
    return Added(new, total - new - contradicting, contradicting, first)


@dataclass(frozen=True)
class _Rows:
    """Beliefs of several sensors, by sensor and event: whoever writes the same ones waits, instead of a deadlock."""

    sensor_ids: np.ndarray[Any, Any]
    beliefs: Beliefs

    def __len__(self) -> int:
        return len(self.sensor_ids)

    def take(self, rows: np.ndarray[Any, Any]) -> _Rows:
        """Keep some rows, by mask."""
        return _Rows(self.sensor_ids[rows], self.beliefs.take(rows))

    @property
    def probabilities(self) -> np.ndarray[Any, Any]:
        likely = self.beliefs.probabilities
        return np.full(len(self), MEDIAN) if likely is None else likely

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The columns as parameters of a query, in the order of `_COLUMNS`."""
        beliefs = self.beliefs
        return (
            Int4Array(self.sensor_ids),
            TimestamptzArray(beliefs.event_starts),
            IntervalArray(beliefs.horizons),
            Int4Array(beliefs.source_ids),
            Float8Array(self.probabilities),
            Float8Array(beliefs.values),
        )


def _as_rows(batches: Sequence[SensorBeliefs]) -> _Rows:
    for batch in batches:
        check_distributions(batch.beliefs)
    kept = sorted((batch for batch in batches if len(batch.beliefs)), key=lambda batch: batch.sensor_id)
    if not kept:
        return _Rows(np.empty(0, dtype=np.int32), Beliefs(*(np.empty(0) for _ in range(4))))
    parts = [batch.beliefs for batch in kept]
    likely = None
    if any(part.probabilities is not None for part in parts):
        likely = np.concatenate(
            [np.full(len(p), MEDIAN) if p.probabilities is None else p.probabilities for p in parts]
        )
    return _Rows(
        np.repeat([batch.sensor_id for batch in kept], [len(part) for part in parts]),
        Beliefs(
            np.concatenate([part.event_starts for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.horizons for part in parts]),
            np.concatenate([part.source_ids for part in parts]),
            likely,
        ),
    )


_KEY = "sensor_id, event_start, belief_horizon, source_id, cumulative_probability"
_COLUMNS = f"{_KEY}, event_value"
_NEW_ROWS = f"unnest(%b, %b, %b, %b, %b, %b) as new ({_COLUMNS})"


def _lock_parents(connection: psycopg.Connection[Any], rows: _Rows) -> None:
    """Make sure that sensors and sources exist, and stay until the transaction ends.

    Energy communities, which settle by what was measured, are told in the same breath that there is something new.
    """
    sensor_ids, source_ids = np.unique(rows.sensor_ids), np.unique(rows.beliefs.source_ids)
    measured = rows.beliefs.horizons <= np.timedelta64(0, "us")
    stale = stale_readings(np.unique(rows.sensor_ids[measured]), rows.beliefs.event_starts[measured])
    found = connection.execute(
        f"with stale as ({MARK_STALE})"  # noqa: S608 - our text
        " select (select count(*) from (select 1 from sensor where id = any(%(sensors)b) for key share) as held),"
        " (select count(*) from (select 1 from data_source where id = any(%(sources)b) for key share) as held)",
        {**stale, "sensors": Int4Array(sensor_ids), "sources": Int4Array(source_ids)},
    ).fetchone()
    if found != (len(sensor_ids), len(source_ids)):
        raise NotFound("What these data are about was deleted meanwhile. Nothing was stored.")


_BULK = 1000
"""From so many rows on COPY, which knows no conflicts, is worth a savepoint: it takes less than half the time."""


def _add(connection: psycopg.Connection[Any], rows: _Rows) -> int:
    """Insert the rows that are not there yet; count them."""
    if len(rows) >= _BULK:
        try:
            with connection.transaction():
                _copy(connection, rows)
        except psycopg.DatabaseError as error:
            if not _may_be_known(error):
                raise
            # Then they are added one by one.
            log.debug("COPY of %d beliefs failed: %s", len(rows), error)
        else:
            return len(rows)
    stored = connection.execute(
        f"with stored as (insert into belief ({_COLUMNS}) select * from {_NEW_ROWS}"  # noqa: S608 - our columns
        " on conflict do nothing returning sensor_id) select count(*) from stored",
        rows.arrays,
    ).fetchone()
    return int(stored[0]) if stored else 0


def _may_be_known(error: psycopg.Error) -> bool:
    """Tell whether one of the rows of a COPY may be there already.

    Where the table is distributed, the coordinator repeats what the worker's database said, but not its code.
    """
    return classify(error) is Fault.CLASH or isinstance(error, psycopg.errors.InternalError_)


def _copy(connection: psycopg.Connection[Any], rows: _Rows) -> None:
    beliefs = rows.beliefs
    payload = copy_rows(
        [
            ("int4", rows.sensor_ids),
            ("timestamptz", instants_column(beliefs.event_starts)),
            ("interval", horizons_column(beliefs.horizons)),
            ("int4", beliefs.source_ids),
            ("float8", rows.probabilities),
            ("float8", beliefs.values),
        ]
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy belief ({_COLUMNS}) from stdin (format binary)") as copy,
    ):
        copy.write(payload)


def _find_contradictions(
    connection: psycopg.Connection[Any], rows: _Rows
) -> tuple[int, Contradiction | None]:
    """Count the rows that are stored with another value, and find the first of them."""
    row = connection.execute(
        "select count(*) over (), belief.sensor_id, event_start, new.event_value, belief.event_value"  # noqa: S608
        f" from {_NEW_ROWS} join belief using ({_KEY}) where belief.sensor_id = any(%b)"
        " and new.event_value <> belief.event_value order by belief.sensor_id, event_start limit 1",
        (*rows.arrays, Int4Array(np.unique(rows.sensor_ids))),
    ).fetchone()
    return (0, None) if row is None else (row[0], Contradiction(*row[1:]))


def _replace(connection: psycopg.Connection[Any], rows: _Rows) -> int:
    stored = connection.execute(
        f"with stored as (insert into belief ({_COLUMNS})"  # noqa: S608 - our columns
        f" select distinct on ({_KEY}) * from {_NEW_ROWS} order by {_KEY}"
        f" on conflict ({_KEY}) do update set event_value = excluded.event_value returning sensor_id)"
        " select count(*) from stored",
        rows.arrays,
    ).fetchone()
    return int(stored[0]) if stored else 0


def _says_nothing_new(
    connection: psycopg.Connection[Any], rows: _Rows
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Find the beliefs that say what their source said last about the event, as whole distributions.

    Returns:
        Shape ``(n,)``, a mask of rows.
    """
    with connection.cursor(binary=True) as cursor:
        # The belief of the source that was the latest one when the new one came to be held.
        cursor.execute(
            "select array_agg(number::int4) from ("  # noqa: S608 - our columns
            f"select new.* from rows from ({_NEW_ROWS.partition(' as ')[0]}) with ordinality"
            f" as new ({_COLUMNS}, number)) as new cross join lateral (select event_value from belief"
            " where sensor_id = any(%b) and sensor_id = new.sensor_id and event_start = new.event_start"
            " and belief_horizon >= new.belief_horizon and source_id = new.source_id"
            " and cumulative_probability = new.cumulative_probability"
            " order by sensor_id, belief_horizon limit 1) as last where last.event_value = new.event_value",
            (*rows.arrays, Int4Array(np.unique(rows.sensor_ids))),
        )
        answer = cursor.pgresult
        assert answer is not None  # noqa: S101 - a select has a result
        unchanged = np.zeros(len(rows), dtype=bool)
        unchanged[read_array("int4", answer.get_value(0, 0)) - 1] = True
    if rows.beliefs.probabilities is None:
        return unchanged
    # A distribution of which one value is new is stored as a whole: parts of two are none.
    keys = np.rec.fromarrays(
        [
            rows.sensor_ids,
            rows.beliefs.event_starts.astype(np.int64),
            rows.beliefs.horizons.astype(np.int64),
            rows.beliefs.source_ids,
        ]
    )
    _, which = np.unique(keys, return_inverse=True)
    changed = np.bincount(which, weights=~unchanged) > 0
    return ~changed[which]


def read_latest(session: Session, window: Window) -> tuple[Instants, Values]:
    """Read one belief an event, the most recent one that the window allows, in the order of the events.

    Of equally recent ones that of the source with the lowest id counts, as in the domain's ``latest_per_event``.

    Returns:
        Starts of events, UTC, and values: shape ``(n,)`` each.
    """
    condition, parameters = _where(session, window)
    starts, values = _fetch_arrays(
        session,
        "select array_agg(event_start), array_agg(event_value) from ("  # noqa: S608 - the texts of _where
        "select distinct on (sensor_id, event_start) event_start, event_value from belief"
        f" where {condition} order by sensor_id, event_start, belief_horizon, source_id) latest",
        parameters,
        ("timestamptz", "float8"),
    )
    return starts, values


def read_beliefs(session: Session, window: Window) -> Beliefs:
    """Read all beliefs that the window allows, by event and, within an event, the most recent first."""
    condition, parameters = _where(session, window)
    *columns, likely = _fetch_arrays(
        session,
        "select array_agg(event_start), array_agg(event_value), array_agg(belief_horizon), array_agg(source_id),"  # noqa: S608
        " array_agg(cumulative_probability) from ("
        f"select * from belief where {condition} order by {_KEY}) ordered",
        parameters,
        ("timestamptz", "float8", "interval", "int4", "float8"),
    )
    return Beliefs(*columns, None if window.probability == MEDIAN else likely)


def count_up_to(session: Session, sensor_ids: Sequence[int], most: int) -> int:
    """Count the beliefs about some sensors; no further than a number, which takes too long above it."""
    query = (
        "select count(*) from (select 1 from belief where sensor_id = any(%(ids)b) limit %(most)s) counted"
    )
    parameters = {"ids": Int4Array(np.asarray(sensor_ids, dtype=np.int32)), "most": most}
    found = _psycopg(session).execute(query, parameters).fetchone()
    return int(found[0]) if found else 0


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


def _where(session: Session, window: Window) -> tuple[str, dict[str, Any]]:
    """Write the condition of a window and its parameters; what is not limited is not mentioned."""
    sources = window.sources
    types, user_ids = sources.types, sources.user_ids
    limits: dict[str, tuple[str, Any]] = {
        "sensor_id": ("sensor_id = %(sensor_id)s", window.sensor_id),
        "probability": ("cumulative_probability = %(probability)s", window.probability),
        "after": ("event_start > %(after)s", last_start_before(window.start, window.resolution)),
        "end": ("event_start < %(end)s", window.end),
        "min_horizon": ("belief_horizon >= %(min_horizon)s", window.min_horizon),
        "max_horizon": ("belief_horizon <= %(max_horizon)s", window.max_horizon),
        # As arrays, which are looked up before the beliefs are: a join would lose the order of the index.
        "types": (
            "source_id = any(array(select id from data_source where type = any(%(types)s)))",
            None if types is None else list(types),
        ),
        "user_ids": (
            "source_id = any(array(select id from data_source where type != 'user' or user_id = any(%(user_ids)s)))",
            None if user_ids is None else list(user_ids),
        ),
    }
    used = {name: limit for name, limit in limits.items() if limit[1] is not None}
    texts, parameters = (
        [text for text, _ in used.values()],
        {name: value for name, (_, value) in used.items()},
    )
    if window.held_by is not None:
        text, more = held_by_condition(
            window.rule, window.resolution, window.held_by, _events_of(session, window)
        )
        texts.append(text)
        parameters |= more
    return " and ".join(texts), parameters


def last_start_before(start: datetime | None, resolution: timedelta) -> datetime | None:
    """Find the instant after which events start that end after another, or that happen at it or after it."""
    if start is None:
        return None
    try:
        return start.astimezone(UTC) - max(resolution, timedelta(microseconds=1))
    except OverflowError:
        return None


def _events_of(session: Session, window: Window) -> tuple[datetime, datetime]:
    """Find between which starts of events a window reads, if only roughly."""
    after = last_start_before(window.start, window.resolution)
    if after is not None and window.end is not None and after < window.end:
        return after, window.end
    return time_range(session, window.sensor_id) or (EPOCH, EPOCH)

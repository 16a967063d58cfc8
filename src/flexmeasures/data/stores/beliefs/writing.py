"""Beliefs straight from numpy into PostgreSQL: all of them or none, by a rule for those that are there already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
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
)
from flexmeasures.data.stores.beliefs.key import KEY
from flexmeasures.data.stores.communities import MARK_STALE, stale_readings
from flexmeasures.data.stores.driver import driver_of
from flexmeasures.domain.beliefs import MEDIAN, Beliefs, InsertPolicy, check_distributions
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.metrics import STORED

__all__ = ["Added", "Contradiction", "SensorBeliefs", "add_beliefs", "insert_beliefs"]


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SensorBeliefs:
    """Beliefs on their way into the store: those of one sensor."""

    sensor_id: int
    beliefs: Beliefs


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
    connection = driver_of(session)
    _lock_parents(connection, rows)
    if policy is InsertPolicy.REPLACE:
        return _note(session, _replace(connection, rows))
    if policy is InsertPolicy.SKIP_EQUAL:
        rows = rows.take(~_says_nothing_new(connection, rows))
    if len(rows) and _add(connection, rows) < len(rows):
        raise Conflict(
            "A belief about the same event, with the same horizon and source, was stored before. Nothing was changed."
        )
    return _note(session, len(rows))


def _note(session: Session, stored: int) -> int:
    session.info[STORED] = session.info.get(STORED, 0) + stored
    return stored


def add_beliefs(session: Session, batches: Sequence[SensorBeliefs]) -> Added:
    """Store those beliefs that are new; none is replaced.

    Args:
        session: Within its transaction; the caller commits.
        batches: Beliefs by sensor; none of them twice.

    Raises:
        BadValues: If a distribution has no median.
        NotFound: If there is no such sensor or source, or not any more. The transaction must be rolled back then.
    """
    rows = _as_rows(batches)
    total = len(rows)
    if not total:
        return Added(0)
    connection = driver_of(session)
    new = _note(session, _lock_and_add(connection, rows))
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
        nothing: np.ndarray[Any, Any] = np.empty(0, dtype=np.int32)
        return _Rows(nothing, Beliefs(nothing, nothing, nothing, nothing))
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


_COLUMNS = f"{KEY}, event_value"


_NEW_ROWS = f"unnest(%b, %b, %b, %b, %b, %b) as new ({_COLUMNS})"


def _lock_and_add(connection: psycopg.Connection[Any], rows: _Rows) -> int:
    """Insert the rows that are not there yet, and count them; few in the same exchange in which parents are locked."""
    if len(rows) >= _BULK:
        _lock_parents(connection, rows)
        return _add(connection, rows)
    with connection.pipeline():
        check = _ask_for_parents(connection, rows)
        stored = _insert(connection, rows)
    check()
    return _count(stored)


def _lock_parents(connection: psycopg.Connection[Any], rows: _Rows) -> None:
    """Make sure that sensors and sources exist, and stay until the transaction ends."""
    _ask_for_parents(connection, rows)()


def _ask_for_parents(connection: psycopg.Connection[Any], rows: _Rows) -> Callable[[], None]:
    """Lock sensors and sources until the transaction ends.

    Energy communities, which settle by what was measured, are told in the same breath that there is something new.

    Returns:
        A check that all of them exist, for when the answer is there.
    """
    sensor_ids, source_ids = np.unique(rows.sensor_ids), np.unique(rows.beliefs.source_ids)
    measured = rows.beliefs.horizons <= np.timedelta64(0, "us")
    stale = stale_readings(np.unique(rows.sensor_ids[measured]), rows.beliefs.event_starts[measured])
    found = connection.execute(
        f"with stale as ({MARK_STALE})"  # noqa: S608 - our text
        " select (select count(*) from (select 1 from sensor where id = any(%(sensors)b) for key share) as held),"
        " (select count(*) from (select 1 from data_source where id = any(%(sources)b) for key share) as held)",
        {**stale, "sensors": Int4Array(sensor_ids), "sources": Int4Array(source_ids)},
    )

    def check() -> None:
        if found.fetchone() != (len(sensor_ids), len(source_ids)):
            raise NotFound("What these data are about was deleted meanwhile. Nothing was stored.")

    return check


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
    return _count(_insert(connection, rows))


def _insert(connection: psycopg.Connection[Any], rows: _Rows) -> psycopg.Cursor[Any]:
    return connection.execute(
        f"with stored as (insert into belief ({_COLUMNS}) select * from {_NEW_ROWS}"  # noqa: S608 - our columns
        " on conflict do nothing returning sensor_id) select count(*) from stored",
        rows.arrays,
    )


def _count(stored: psycopg.Cursor[Any]) -> int:
    row = stored.fetchone()
    return int(row[0]) if row else 0


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
        f" from {_NEW_ROWS} join belief using ({KEY}) where belief.sensor_id = any(%b)"
        " and new.event_value <> belief.event_value order by belief.sensor_id, event_start limit 1",
        (*rows.arrays, Int4Array(np.unique(rows.sensor_ids))),
    ).fetchone()
    return (0, None) if row is None else (row[0], Contradiction(*row[1:]))


def _replace(connection: psycopg.Connection[Any], rows: _Rows) -> int:
    stored = connection.execute(
        f"with stored as (insert into belief ({_COLUMNS})"  # noqa: S608 - our columns
        f" select distinct on ({KEY}) * from {_NEW_ROWS} order by {KEY}"
        f" on conflict ({KEY}) do update set event_value = excluded.event_value returning sensor_id)"
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

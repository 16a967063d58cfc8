"""Cut the table of beliefs into parts by time while others go on reading and writing; and how it would be distributed.

The parts are made beside the table and filled from it in small steps. Meanwhile triggers note which rows were changed;
these are copied once more in the end, when the two tables change places within one short transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from psycopg import errors, sql

from flexmeasures.domain.errors import Conflict

__all__ = ["DISTRIBUTE", "Part", "Period", "drop_remains", "partition_beliefs", "parts_between"]

Period = Literal["year", "month"]

_LOCK = 4_040_000_002  # an arbitrary number: the advisory lock of those who cut the table
_KEY = "sensor_id, event_start, belief_horizon, source_id, cumulative_probability"
_AHEAD = 3
"""Parts are made for the present and so many periods from it on; later events go to the last, open part."""

_PATIENCE = "2s"
"""Longest wait for others to let go of the table; nobody else waits longer for this than that."""

_ATTEMPTS = 60

DISTRIBUTE = (
    "create extension if not exists citus",
    "set citus.shard_count to 32",
    "set citus.multi_shard_modify_mode to 'sequential'",
    "select create_distributed_table('belief', 'sensor_id', colocate_with => 'none')",
    "select truncate_local_data_after_distributing_table('belief')",
)
"""Statements that spread beliefs over the servers of a Citus cluster, to be run on its coordinator.

All other tables stay on the coordinator. Source: Citus documentation, "Citus Utility Functions".
"""


@dataclass(frozen=True)
class Part:
    """A part of the table: events that start from `since` on and before `until`; None: without a bound."""

    name: str
    since: datetime | None
    until: datetime | None


def parts_between(first: datetime, last: datetime, period: Period) -> list[Part]:
    """List the parts for events of a time range: one for each period (UTC), and an open one at each end.

    >>> [part.name for part in parts_between(datetime(2024, 5, 1), datetime(2025, 2, 1), "year")]
    ['belief_before_2024', 'belief_2024', 'belief_2025', 'belief_2026', 'belief_2027', 'belief_from_2028']
    """
    per_year = 12 if period == "month" else 1

    def number(instant: datetime) -> int:
        return instant.year * per_year + (instant.month - 1 if period == "month" else 0)

    def start(index: int) -> datetime:
        return datetime(index // per_year, index % per_year + 1, 1, tzinfo=UTC)

    def name(index: int) -> str:
        return f"{start(index):%Y_%m}" if period == "month" else f"{start(index):%Y}"

    begin, end = number(first), number(last) + _AHEAD
    between = [Part(f"belief_{name(i)}", start(i), start(i + 1)) for i in range(begin, end)]
    return [
        Part(f"belief_before_{name(begin)}", None, start(begin)),
        *between,
        Part(f"belief_from_{name(end)}", start(end), None),
    ]


def partition_beliefs(
    connection: psycopg.Connection[Any],
    period: Period,
    now: datetime,
    on_step: Callable[[int, int], object] = lambda done, total: None,
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """Cut the table of beliefs into parts.

    Args:
        connection: A connection of its own, in autocommit mode.
        period: Of a part.
        now: The present.
        on_step: Is told after each sensor how many are copied, and how many there are.
        pause: Rests between two steps, as long as the step took [s].

    Returns:
        The number of beliefs that were moved.

    Raises:
        Conflict: If the table is in parts or distributed already, or somebody else cuts it right now.
        LockNotAvailable: If others held the table for longer than a minute; then it is as it was.
    """
    if connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() != (True,):
        raise Conflict("Somebody else is cutting the table of beliefs into parts. Wait for them to end.")
    try:
        _check(connection)
        drop_remains(connection)
        _prepare(connection, period, now)
        sensors = [row[0] for row in connection.execute("select id from sensor order by id")]
        for done, sensor_id in enumerate(sensors, 1):
            began = time.monotonic()
            _copy(connection, sensor_id)
            on_step(done, len(sensors))
            pause(time.monotonic() - began)
        # Those who write go on writing: what is left is done when they cannot.
        while _catch_up(connection) > _FEW:
            pass
        moved = _change_places(connection, pause)
        connection.execute("drop table plain_belief")
    except BaseException:
        drop_remains(connection)
        raise
    else:
        return moved
    finally:
        connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def _check(connection: psycopg.Connection[Any]) -> None:
    if connection.execute("select to_regclass('pg_dist_partition') is not null").fetchone() == (True,):
        raise Conflict(
            "The table of beliefs is distributed, or is about to be: Citus cuts it by itself. Nothing was done."
        )
    kind = connection.execute("select relkind::text from pg_class where oid = 'belief'::regclass").fetchone()
    if kind != ("r",):
        raise Conflict("The table of beliefs is in parts already. Nothing was done.")


def drop_remains(connection: psycopg.Connection[Any]) -> None:
    """Remove what an attempt that was broken off has left; the table itself is never part of it."""
    with connection.transaction():
        for event in ("insert", "update", "delete"):
            connection.execute(
                sql.SQL("drop trigger if exists {} on belief").format(sql.Identifier(f"belief_noted_{event}"))
            )
        connection.execute("drop function if exists belief_noted()")
        connection.execute("drop table if exists belief_change, belief_in_parts")


def _prepare(connection: psycopg.Connection[Any], period: Period, now: datetime) -> None:
    """Make the parts and what notes changes; writers wait for no more than that."""
    row = connection.execute("select min(event_start) from belief").fetchone()
    first = min(row[0], now) if row and row[0] else now
    options = connection.execute("select reloptions from pg_class where oid = 'belief'::regclass").fetchone()
    storage = f" with ({', '.join(options[0])})" if options and options[0] else ""
    with connection.transaction():
        connection.execute(
            "create table belief_in_parts (like belief including defaults) partition by range (event_start)"
        )
        connection.execute(f"alter table belief_in_parts add primary key ({_KEY})")
        for part in parts_between(first.astimezone(UTC), now.astimezone(UTC), period):
            bounds = sql.SQL(
                "create table {} partition of belief_in_parts for values from ({}) to ({})"
            ).format(
                sql.Identifier(part.name),
                sql.Literal(part.since) if part.since else sql.SQL("minvalue"),
                sql.Literal(part.until) if part.until else sql.SQL("maxvalue"),
            )
            connection.execute(bounds + sql.SQL(storage))
        connection.execute(
            f"create table belief_change as select {_KEY} from belief_in_parts with no data"  # noqa: S608 - our columns
        )
        connection.execute("alter table belief_change add column number bigserial")
    for command in _NOTING:
        _within_patience(connection, lambda command=command: connection.execute(command), time.sleep)  # type: ignore[misc]


_NOTING = (
    f"""create function belief_noted() returns trigger language plpgsql set search_path from current as $$ begin
        insert into belief_change select {_KEY} from changed;
        return null;
    end $$""",  # noqa: S608 - our columns
    """create trigger belief_noted_insert after insert on belief
        referencing new table as changed for each statement execute function belief_noted()""",
    """create trigger belief_noted_update after update on belief
        referencing new table as changed for each statement execute function belief_noted()""",
    """create trigger belief_noted_delete after delete on belief
        referencing old table as changed for each statement execute function belief_noted()""",
)


def _within_patience(
    connection: psycopg.Connection[Any], work: Callable[[], Any], pause: Callable[[float], object]
) -> Any:
    """Do something that needs the table for itself; try again rather than let others queue behind it."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{_PATIENCE}'")
                return work()
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if attempt == _ATTEMPTS:
                raise
            pause(0.5)
    raise AssertionError


def _copy(connection: psycopg.Connection[Any], sensor_id: int) -> None:
    """Copy the beliefs about a sensor, a few weeks of events a time."""
    for since, until in _steps(connection, sensor_id):
        connection.execute(
            f"insert into belief_in_parts ({_KEY}, event_value) select {_KEY}, event_value from belief"  # noqa: S608
            " where sensor_id = %s and event_start >= %s and event_start < %s on conflict do nothing",
            (sensor_id, since, until),
        )


_ROWS_A_STEP = 200_000
_FEW = 2_000
"""So few changes are copied while everybody waits."""


def _steps(connection: psycopg.Connection[Any], sensor_id: int) -> Iterator[tuple[datetime, datetime]]:
    """Walk through the events of a sensor in steps of so many rows."""
    query = (
        "select event_start from belief where sensor_id = %s and event_start >= %s"
        " order by event_start offset %s limit 1"
    )
    since: datetime | str = "-infinity"
    while True:
        row = connection.execute(query, (sensor_id, since, _ROWS_A_STEP)).fetchone()
        until = row[0] if row and row[0] != since else "infinity"
        yield since, until  # type: ignore[misc]
        if until == "infinity":
            return
        since = until


def _catch_up(connection: psycopg.Connection[Any]) -> int:
    """Copy once more what was changed since; gives how many changes that were."""
    with connection.transaction():
        connection.execute(
            f"create temporary table taken on commit drop as select distinct {_KEY} from belief_change limit 0"  # noqa: S608
        )
        done = connection.execute(
            "with gone as (delete from belief_change where number in"  # noqa: S608 - our columns
            f" (select number from belief_change order by number limit {_ROWS_A_STEP}) returning {_KEY})"
            f" insert into taken select distinct {_KEY} from gone"
        ).rowcount
        if done:
            connection.execute(
                f"delete from belief_in_parts where ({_KEY}) in (select {_KEY} from taken)"  # noqa: S608
            )
            connection.execute(
                f"insert into belief_in_parts ({_KEY}, event_value) select {_KEY}, event_value from belief"  # noqa: S608
                f" join taken using ({_KEY})"
            )
        connection.execute("drop table taken")
    return done


def _change_places(connection: psycopg.Connection[Any], pause: Callable[[float], object]) -> int:
    """Let the parts take the place of the table, with nothing missing."""

    def change() -> int:
        connection.execute("lock table belief in access exclusive mode")
        while _catch_up(connection):
            pass
        counts = connection.execute(_COUNTS).fetchone()
        if counts is None or counts[0] != counts[1]:
            raise Conflict(
                f"The parts hold {counts} beliefs of the table: nothing was changed. Run it once more."
            )
        for event in ("insert", "update", "delete"):
            connection.execute(
                sql.SQL("drop trigger {} on belief").format(sql.Identifier(f"belief_noted_{event}"))
            )
        for command in _CHANGE:
            connection.execute(command)
        return int(counts[0])

    moved: int = _within_patience(connection, change, pause)
    return moved


_COUNTS = "select (select count(sensor_id) from belief), (select count(sensor_id) from belief_in_parts)"
_CHANGE = (
    "drop function belief_noted()",
    "drop table belief_change",
    "alter table belief rename to plain_belief",
    "alter index belief_pkey rename to plain_belief_pkey",
    "alter table belief_in_parts rename to belief",
    "alter index belief_in_parts_pkey rename to belief_pkey",
)

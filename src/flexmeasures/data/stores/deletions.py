"""Deleting beliefs, in statements that name their sensor, so that they run where beliefs are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.orm import Session

from flexmeasures.data.stores.communities import MARK_STALE, stale_readings

__all__ = ["BeliefSelection", "count_beliefs", "delete_beliefs", "delete_unchanged_beliefs"]


@dataclass(frozen=True)
class BeliefSelection:
    """Beliefs to delete; what is None does not limit it.

    Attributes:
        measured: Whether they were held when their events were known, or later (horizon ≤ 0); False: before.
        start: About events that start at this instant or later ...
        end: ... and before this one.
        source_ids: Of these sources.
        without_value: Only those whose value is not a number.
    """

    measured: bool | None = None
    start: datetime | None = None
    end: datetime | None = None
    source_ids: tuple[int, ...] | None = None
    without_value: bool = False


def count_beliefs(session: Session, sensor_ids: Sequence[int], selection: BeliefSelection) -> int:
    """Count the beliefs that a deletion would delete."""
    condition, parameters = _where(selection)
    connection = _psycopg(session)
    query = f"select count(*) from belief where sensor_id = any(%(ids)s) and {condition}"  # noqa: S608 - our texts
    row = connection.execute(query, {**parameters, "ids": list(sensor_ids)}).fetchone()
    return int(row[0]) if row else 0


def delete_beliefs(session: Session, sensor_id: int, selection: BeliefSelection) -> int:
    """Delete beliefs about one sensor, and count them; energy communities that settle by them are told."""
    condition, parameters = _where(selection)
    return _delete(
        session,
        sensor_id,
        f"delete from belief where sensor_id = %(sensor_id)s and {condition}",  # noqa: S608 - our texts
        parameters,
    )


# A distribution goes as a whole: it is unchanged if all of its values are those of the one before. Beliefs of one
# source about one event are in the order in which they came to be held, the largest horizon first.
_UNCHANGED = """
delete from belief using (
    select event_start, belief_horizon, source_id from (
        select *, lag(row(likely, valued)) over (
            partition by event_start, source_id order by belief_horizon desc
        ) is not distinct from row(likely, valued) as repeats
        from (
            select event_start, belief_horizon, source_id,
                array_agg(cumulative_probability order by cumulative_probability) as likely,
                array_agg(event_value order by cumulative_probability) as valued
            from belief where sensor_id = %(sensor_id)s group by event_start, belief_horizon, source_id
        ) held
    ) compared where repeats
) again
where belief.sensor_id = %(sensor_id)s and belief.event_start = again.event_start
    and belief.belief_horizon = again.belief_horizon and belief.source_id = again.source_id
"""


def delete_unchanged_beliefs(session: Session, sensor_id: int, selection: BeliefSelection) -> int:
    """Delete the beliefs about one sensor that repeat what their source had said of the event before; count them."""
    condition, parameters = _where(selection, "belief.")
    return _delete(session, sensor_id, f"{_UNCHANGED} and {condition}", parameters)


def _delete(session: Session, sensor_id: int, statement: str, parameters: dict[str, Any]) -> int:
    connection = _psycopg(session)
    query = (
        f"with gone as ({statement} returning belief.event_start, belief.belief_horizon)"  # noqa: S608 - our texts
        " select count(*), min(event_start) filter (where belief_horizon <= '0'),"
        " max(event_start) filter (where belief_horizon <= '0') from gone"
    )
    row = connection.execute(query, {**parameters, "sensor_id": sensor_id}).fetchone()
    count, first, last = row or (0, None, None)
    if first is not None and last is not None:
        starts = np.array([one.replace(tzinfo=None) for one in (first, last)], dtype="datetime64[us]")
        connection.execute(MARK_STALE, stale_readings([sensor_id], starts))
    return int(count)


def _where(selection: BeliefSelection, table: str = "") -> tuple[str, dict[str, Any]]:
    """Write the condition of a selection and its parameters."""
    limits: dict[str, tuple[str, Any]] = {
        "start": (f"{table}event_start >= %(start)s", selection.start),
        "end": (f"{table}event_start < %(end)s", selection.end),
        "sources": (
            f"{table}source_id = any(%(sources)s)",
            None if selection.source_ids is None else list(selection.source_ids),
        ),
    }
    texts = [text for text, value in limits.values() if value is not None]
    if selection.measured is not None:
        texts.append(f"{table}belief_horizon {'<=' if selection.measured else '>'} interval '0'")
    if selection.without_value:
        texts.append(f"{table}event_value = 'NaN'")
    return " and ".join(texts) or "true", {
        name: value for name, (_, value) in limits.items() if value is not None
    }


def _psycopg(session: Session) -> psycopg.Connection[Any]:
    """Get the driver's connection, inside the session's transaction and on the clock of UTC."""
    session.flush()
    return session.connection().connection.driver_connection  # type: ignore[return-value]

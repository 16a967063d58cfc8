"""Reads of what was believed when, straight into numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import Int4Array
from flexmeasures.data.stores.as_of import held_by_condition
from flexmeasures.data.stores.beliefs.key import KEY
from flexmeasures.data.stores.driver import driver_of, fetch_arrays
from flexmeasures.domain.beliefs import MEDIAN, Beliefs, ExPost, KnowledgeRule
from flexmeasures.domain.time import EPOCH, Instants

__all__ = [
    "SourceFilter",
    "Window",
    "count_up_to",
    "last_start_before",
    "read_beliefs",
    "read_latest",
    "time_range",
]


Values = np.ndarray[Any, np.dtype[np.float64]]


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


def read_latest(session: Session, window: Window) -> tuple[Instants, Values]:
    """Read one belief an event, the most recent one that the window allows, in the order of the events.

    Of equally recent ones that of the source with the lowest id counts, as in the domain's ``latest_per_event``.

    Returns:
        Starts of events, UTC, and values: shape ``(n,)`` each.
    """
    condition, parameters = _where(session, window)
    starts, values = fetch_arrays(
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
    starts, values, horizons, sources, likely = fetch_arrays(
        session,
        "select array_agg(event_start), array_agg(event_value), array_agg(belief_horizon), array_agg(source_id),"  # noqa: S608
        " array_agg(cumulative_probability) from ("
        f"select * from belief where {condition} order by {KEY}) ordered",
        parameters,
        ("timestamptz", "float8", "interval", "int4", "float8"),
    )
    return Beliefs(starts, values, horizons, sources, None if window.probability == MEDIAN else likely)


def count_up_to(session: Session, sensor_ids: Sequence[int], most: int) -> int:
    """Count the beliefs about some sensors; no further than a number, which takes too long above it."""
    query = (
        "select count(*) from (select 1 from belief where sensor_id = any(%(ids)b) limit %(most)s) counted"
    )
    parameters = {"ids": Int4Array(np.asarray(sensor_ids, dtype=np.int32)), "most": most}
    found = driver_of(session).execute(query, parameters).fetchone()
    return int(found[0]) if found else 0


def time_range(session: Session, sensor_id: int) -> tuple[datetime, datetime] | None:
    """Find the first and the last event start of a sensor; None if it has no beliefs."""
    row = (
        driver_of(session)
        .execute(
            "select (select event_start from belief where sensor_id = %(id)s order by event_start limit 1),"
            " (select event_start from belief where sensor_id = %(id)s order by event_start desc limit 1)",
            {"id": sensor_id},
        )
        .fetchone()
    )
    return row if row and row[0] is not None else None


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

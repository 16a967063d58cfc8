"""All that is believed about a sensor, for developers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_beliefs, time_range
from flexmeasures.data.tables import DataSource, Sensor
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.time import Instants, to_datetime64, to_microseconds
from flexmeasures.services.record_beliefs import TooManyValues

__all__ = [
    "BeliefFilter",
    "SensorBeliefs",
    "find_sensor",
    "read_sensor_beliefs",
    "sensor_time_range",
]


@dataclass(frozen=True)
class BeliefFilter:
    """Selection of beliefs; None: no limit.

    Attributes:
        event_starts_after: About events that start at this instant or after it.
        event_ends_before: About events that end at this instant or before it.
        beliefs_after: Held at this instant or after it.
        beliefs_before: Held at this instant or before it.
    """

    event_starts_after: datetime | None = None
    event_ends_before: datetime | None = None
    beliefs_after: datetime | None = None
    beliefs_before: datetime | None = None


@dataclass(frozen=True)
class SensorBeliefs:
    """Beliefs about a sensor, by event and, within an event, the most recent first.

    Attributes:
        beliefs: The beliefs.
        belief_times: When each was held: shape ``(n,)``, UTC.
        source_names: Who held them, by id of the source.
    """

    beliefs: Beliefs
    belief_times: Instants
    source_names: dict[int, str]


def find_sensor(session: Session, sensor_id: int) -> Sensor:
    """Get a sensor.

    Raises:
        NotFound: If there is none with that id.
    """
    sensor = session.get(Sensor, sensor_id) if is_id(sensor_id) else None
    if sensor is None:
        raise NotFound(f"Sensor {sensor_id} not found")
    return sensor


def sensor_time_range(session: Session, sensor: Sensor, now: datetime) -> tuple[datetime, datetime]:
    """Find when the first event of a sensor starts and the last one ends; ``now`` for both if there are none."""
    found = time_range(session, sensor.id)
    return (now, now) if found is None else (found[0], found[1] + sensor.event_resolution)


def read_sensor_beliefs(session: Session, sensor: Sensor, wanted: BeliefFilter, limit: int) -> SensorBeliefs:
    """Read beliefs about a sensor, those superseded by later ones included.

    Raises:
        TooManyValues: If there are more than a limit.
    """
    window = Window(
        sensor.id, sensor.event_resolution, start=wanted.event_starts_after, end=wanted.event_ends_before
    )
    beliefs = read_beliefs(session, window)
    known = sensor.knowledge_rule.knowledge_times(beliefs.event_starts, sensor.event_resolution)
    held = known - beliefs.horizons
    keep = np.ones(len(beliefs), dtype=bool)
    if wanted.event_starts_after is not None:
        # The store also gives the event that covers this instant.
        keep &= beliefs.event_starts >= to_datetime64(wanted.event_starts_after)
    if wanted.event_ends_before is not None:
        ends = beliefs.event_starts + np.timedelta64(to_microseconds(sensor.event_resolution), "us")
        keep &= ends <= to_datetime64(wanted.event_ends_before)
    if wanted.beliefs_after is not None:
        keep &= held >= to_datetime64(wanted.beliefs_after)
    if wanted.beliefs_before is not None:
        keep &= held <= to_datetime64(wanted.beliefs_before)
    count = int(keep.sum())
    if count > limit:
        raise TooManyValues(
            f"There are {count} such beliefs; one request may ask for at most {limit}. Ask for a shorter time.",
            {"limit": limit},
        )
    rows = beliefs.take(keep)
    source_ids = [int(i) for i in np.unique(rows.source_ids)]
    names = session.execute(select(DataSource.id, DataSource.name).where(DataSource.id.in_(source_ids)))
    return SensorBeliefs(rows, held[keep], {row.id: row.name for row in names})

"""Store what was measured or forecast: the one way in for power, prices and weather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Added, SensorBeliefs, add_beliefs, insert_beliefs
from flexmeasures.domain.beliefs import (
    Beliefs,
    InsertPolicy,
    belief_horizons,
    belief_times,
    infer_repetition,
    repeat_values,
)
from flexmeasures.domain.errors import BadValues, Conflict, ResolutionMismatch
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.sensors import SensorFacts
from flexmeasures.domain.time import event_grid, format_duration

__all__ = ["Recording", "Series", "TooManyValues", "check_signs", "record_beliefs"]

Values = np.ndarray[Any, np.dtype[np.float64]]


class TooManyValues(BadValues):
    """More values than one request may carry."""

    code = "too-many-values"


@dataclass(frozen=True)
class Series:
    """Values for one or more sensors, evenly spread over the period of the message.

    Attributes:
        sensors: Each gets all of the values.
        values: Shape ``(n,)``, in the unit of the sensors.
    """

    sensors: Sequence[SensorFacts]
    values: Values


@dataclass(frozen=True)
class Recording:
    """When the values of a message happened and when they were known.

    Attributes:
        start: Start of the first event.
        end: End of the last event.
        recorded_by: All were recorded at this time or earlier; None: the horizon alone says when.
        horizon: Each was recorded this long before the end of its event or earlier; None: at ``recorded_by``.
        source_id: Who says so.
        policy: What becomes of a belief of this source that is there already.
        limit: The largest number of beliefs that may be stored.
    """

    start: datetime
    end: datetime
    recorded_by: datetime | None
    horizon: timedelta | None
    source_id: int
    policy: InsertPolicy = InsertPolicy.REFUSE
    limit: int = 1_000_000

    @property
    def is_after_the_fact(self) -> bool:
        """Tell whether all of it was recorded when its event had ended: measured rather than forecast."""
        in_time = self.horizon is None or self.horizon <= timedelta(0)
        return in_time and (self.recorded_by is None or self.recorded_by >= self.end)


def record_beliefs(session: Session, series: Sequence[Series], recording: Recording) -> Added:
    """Store what is new of a message; what is known stays as it is, unless the recording may overwrite it.

    Values coarser than a sensor's events are repeated. A sensor may be named several times with the same values.

    Returns:
        How much was new, known before, and in contradiction to what is known.

    Raises:
        ResolutionMismatch: If values do not fit the resolution of their sensors, or the sensors' resolutions differ.
        TooManyValues: If there are more than the limit.
        BadValues: If a sensor is named several times with different values.
        Conflict: If all of it is known. Nothing is stored then, and nothing else should be.
        NotFound: If a sensor was deleted meanwhile. The transaction is spoilt then.
    """
    resolution = _common_resolution([sensor for one in series for sensor in one.sensors])
    repetitions = [
        infer_repetition(recording.end - recording.start, len(one.values), resolution) for one in series
    ]
    total = sum(
        len(one.values) * times * len(one.sensors) for one, times in zip(series, repetitions, strict=True)
    )
    if total > recording.limit:
        raise TooManyValues(
            f"This request makes {total} values; one request may make at most {recording.limit}. Send it in parts.",
            {"limit": recording.limit},
        )
    by_sensor: dict[int, tuple[SensorFacts, Values]] = {}
    for one, times in zip(series, repetitions, strict=True):
        values = repeat_values(one.values, times)
        for sensor in one.sensors:
            if not np.array_equal(by_sensor.setdefault(sensor.id, (sensor, values))[1], values):
                raise BadValues(
                    f"{_shown(sensor)} is named more than once, with different values. Send each value once."
                )
    batches = [
        SensorBeliefs(sensor.id, _as_beliefs(sensor, values, recording))
        for sensor, values in by_sensor.values()
    ]
    if recording.policy is not InsertPolicy.REFUSE:
        return Added(insert_beliefs(session, batches, recording.policy))
    added = add_beliefs(session, batches)
    if not added.new and not added.contradicting:
        raise Conflict(f"All {added.known} values were stored before. Nothing was changed.")
    return added


def _shown(sensor: SensorFacts) -> str:
    return f"{quote(sensor.name)} (id {sensor.id})"


def _common_resolution(sensors: Sequence[SensorFacts]) -> timedelta:
    first = sensors[0]
    for other in sensors[1:]:
        if other.event_resolution != first.event_resolution:
            names = " and ".join(
                f"{s.name!r} (id {s.id}, {format_duration(s.event_resolution)})" for s in (first, other)
            )
            raise ResolutionMismatch(f"The resolutions of {names} are conflicting. Post to them separately.")
    return first.event_resolution


def _as_beliefs(sensor: SensorFacts, values: Values, recording: Recording) -> Beliefs:
    starts = event_grid(recording.start, sensor.event_resolution, len(values))
    times = belief_times(starts, sensor.event_resolution, recording.recorded_by, recording.horizon)
    horizons = belief_horizons(sensor.knowledge_rule, starts, sensor.event_resolution, times)
    return Beliefs(starts, values, horizons, np.full(len(values), recording.source_id, dtype=np.int32))


def check_signs(values: Values, is_consumer: bool, is_producer: bool) -> str | None:
    """Compare power [MW, consumption positive] with what an asset can do.

    Returns:
        None if it fits; else what the values break: "consumes only" or "produces only".
    """
    if is_consumer and not is_producer and (values < 0).any():
        return "consumes only"
    if is_producer and not is_consumer and (values > 0).any():
        return "produces only"
    return None

"""Thin out what programs said before they said something newer, in small steps beside other work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores import retention as store
from flexmeasures.data.stores.retention import Step
from flexmeasures.domain.forecasting import SUPPORTED_HORIZONS

__all__ = ["Thinned", "thin_beliefs"]

MONTH = timedelta(days=30)
"""Events of so long a period are looked at in one step."""

AT_ONCE = 5_000
"""So many rows at most are deleted in one transaction."""


@dataclass(frozen=True)
class Thinned:
    """What was done.

    Attributes:
        sensors: How many sensors were looked at.
        beliefs: How many beliefs were deleted.
        reached: Number of the last sensor that was finished, if the time was over before all were; else None.
    """

    sensors: int
    beliefs: int
    reached: int | None = None


def thin_beliefs(
    session: Session,
    superseded_by: datetime,
    on_sensor: Callable[[int, int], object] = lambda done, total: None,
    pause: Callable[[float], object] = time.sleep,
    *,
    after: int = 0,
    deadline: float = math.inf,
) -> Thinned:
    """Delete what schedulers and forecasters said and had superseded by an instant.

    What counted at any later instant stays: whoever asks what was believed then gets the same answer as before. Of
    forecasts one stays in each class of horizons in which forecasts are made and judged; the newest belief about an
    event always stays. What users and other programs said is not touched.

    Each step is a transaction of its own, and is followed by a rest as long as it took. Broken off anywhere, all is
    as if it had not come further; the next call goes on.

    Args:
        session: Without a transaction; this one commits.
        superseded_by: The instant.
        on_sensor: Is told after each sensor how many are done, and how many there are.
        pause: Rests for a number of seconds.
        after: Only sensors with a higher number than this are looked at.
        deadline: When to stop, even in the midst of a sensor, once something was done [s, monotonic].
    """
    sources = store.program_sources(session)
    ids = [number for numbers in sources.values() for number in numbers]
    sensors = [one for one in store.sensors_by_id(session) if one[0] > after] if ids else []
    session.commit()
    deleted, finished = 0, after
    for done, (sensor_id, resolution) in enumerate(sensors, 1):
        known = store.event_range(session, sensor_id, ids)
        session.commit()
        for step in _steps(sensor_id, resolution, known):
            gone = AT_ONCE
            while gone == AT_ONCE:
                began = time.perf_counter()
                gone = store.delete_superseded(
                    session, step, sources, SUPPORTED_HORIZONS, superseded_by, AT_ONCE
                )
                session.commit()
                deleted += gone
                pause(time.perf_counter() - began)
                # Not before something was done: the next call would find the same and end as early.
                if deleted and time.monotonic() >= deadline:
                    return Thinned(done, deleted, finished)
        on_sensor(done, len(sensors))
        finished = sensor_id
        if done < len(sensors) and time.monotonic() >= deadline:
            return Thinned(done, deleted, finished)
    return Thinned(len(sensors), deleted)


def _steps(sensor_id: int, resolution: timedelta, known: tuple[datetime, datetime] | None) -> Iterator[Step]:
    """Cut the period of a sensor's events into months."""
    if known is None:
        return
    start, last = known
    while start <= last:
        yield Step(sensor_id, resolution, start, start + MONTH)
        start += MONTH

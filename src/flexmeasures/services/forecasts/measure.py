"""Accuracy of the forecasts of a sensor: our own and those that others posted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_beliefs, read_latest
from flexmeasures.data.tables import DataSource, Sensor
from flexmeasures.domain.beliefs import MEDIAN, Beliefs
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.forecasting import Accuracy, measure_accuracy
from flexmeasures.domain.time import Instants

__all__ = ["SourceAccuracy", "measure_sensor"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class SourceAccuracy:
    """Accuracy of a source at a horizon.

    Attributes:
        source: Its name, with model and version where it has them.
        horizon: What it had said this long before the end of each event, or earlier, counts.
        accuracy: The measures.
        unit: Of MAE and bias.
    """

    source: str
    horizon: timedelta
    accuracy: Accuracy
    unit: str


def measure_sensor(
    session: Session, sensor_id: int, period: tuple[datetime, datetime], horizons: Sequence[timedelta]
) -> list[SourceAccuracy]:
    """Compare what each source had forecast with what was measured last.

    Args:
        session: For reading.
        sensor_id: Of which sensor.
        period: Events that end after its start and begin before its end.
        horizons: How far ahead.

    Raises:
        NotFound: If there is no such sensor.
    """
    sensor = session.get(Sensor, sensor_id)
    if sensor is None:
        raise NotFound(f"There is no sensor with id {sensor_id}.")
    resolution = sensor.event_resolution
    measured = read_latest(session, Window(sensor_id, resolution, *period, max_horizon=timedelta(0)))
    found = []
    for horizon in horizons:
        window = Window(sensor_id, resolution, *period, min_horizon=horizon, probability=None)
        beliefs = read_beliefs(session, window)
        for source in _sources(session, np.unique(beliefs.source_ids)):
            shown = " ".join(filter(None, (source.name, source.model, source.version)))
            if source.name.startswith("Seita ("):
                shown = source.name
            starts, values, likely = _distributions(beliefs.take(beliefs.source_ids == source.id))
            truth = _aligned(*measured, starts)
            found.append(SourceAccuracy(shown, horizon, measure_accuracy(truth, values, likely), sensor.unit))
    return found


def _sources(session: Session, ids: Sequence[int] | np.ndarray[Any, Any]) -> Iterator[DataSource]:
    """Find sources; schedules are not forecasts."""
    numbers = [int(number) for number in ids]
    query = select(DataSource).where(DataSource.id.in_(numbers), DataSource.type != "scheduler")
    return iter(session.scalars(query.order_by(DataSource.id)))


def _distributions(beliefs: Beliefs) -> tuple[Instants, Values, tuple[float, ...]]:
    """Lay out the latest belief about each event of one source.

    Returns:
        Starts (n,), values (n, k) and the k probabilities: the median alone where not all events have the others.
    """
    likely = np.full(len(beliefs), MEDIAN) if beliefs.probabilities is None else beliefs.probabilities
    order = np.lexsort((likely, beliefs.horizons, beliefs.event_starts))
    rows, likely = beliefs.take(order), likely[order]
    starts, where = np.unique(rows.event_starts, return_inverse=True)
    first = np.searchsorted(rows.event_starts, starts)
    latest = rows.horizons == rows.horizons[first][where]
    values, where, likely = rows.values[latest], where[latest], likely[latest]
    probabilities = np.unique(likely)
    if len(values) != len(starts) * len(probabilities):
        middle = likely == MEDIAN
        column = np.full((len(starts), 1), np.nan)
        column[where[middle], 0] = values[middle]
        return starts, column, (MEDIAN,)
    grid = np.empty((len(starts), len(probabilities)))
    grid[where, np.searchsorted(probabilities, likely)] = values
    return starts, grid, tuple(float(one) for one in probabilities)


def _aligned(starts: Instants, values: Values, wanted: Instants) -> Values:
    """Look up values by event start; not a number where there is none: shape of the wanted ones."""
    if not len(starts):
        return np.full(len(wanted), np.nan)
    position = np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)
    return np.where(starts[position] == wanted, values[position], np.nan)

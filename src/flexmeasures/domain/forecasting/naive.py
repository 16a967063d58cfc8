"""The forecast that every other one must beat: it will be as it was when we last knew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.errors import InvalidInput, NotEnoughData
from flexmeasures.domain.forecasting.horizons import SUPPORTED_HORIZONS, shortest_lag
from flexmeasures.domain.time import Instants, format_duration, to_microseconds

__all__ = ["NAIVE", "naive_forecast"]

Values = np.ndarray[Any, np.dtype[np.float64]]

NAIVE = ("naive", "1")
"""Name and version of the model."""


def naive_forecast(
    measured: tuple[Instants, Values], event_starts: Instants, resolution: timedelta, horizon: timedelta
) -> Values:
    """Forecast each event by the measurement that was the last one known at its horizon.

    Args:
        measured: Starts of events, ascending, and their values; those after an event's lag are not looked at.
        event_starts: What to forecast: shape ``(n,)``, UTC.
        resolution: Length of the events.
        horizon: Between the forecast and the end of each event.

    Returns:
        Shape ``(n,)``; a measurement that is missing is taken to be like the one before it.

    Raises:
        InvalidInput: If the horizon is not supported.
        NotEnoughData: If nothing was measured before the first of these.
    """
    if horizon not in SUPPORTED_HORIZONS:
        raise InvalidInput(
            f"Forecasts {format_duration(horizon)} ahead cannot be made. Choose one of "
            f"{', '.join(format_duration(h) for h in SUPPORTED_HORIZONS)}."
        )
    starts, values = measured
    lag = np.timedelta64(shortest_lag(horizon, resolution) * to_microseconds(resolution), "us")
    last_known = np.searchsorted(starts, event_starts - lag, side="right") - 1
    if not len(starts) or last_known.min() < 0:
        raise NotEnoughData(
            "No data available to forecast from: "
            f"nothing was measured {format_duration(horizon)} before the first event."
        )
    forecast: Values = values[last_known]
    return forecast

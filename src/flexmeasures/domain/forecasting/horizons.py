"""Forecast horizons, and the lags that they allow."""

from __future__ import annotations

from datetime import timedelta

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import format_duration

__all__ = ["SUPPORTED_HORIZONS", "check_horizon", "horizons_for", "shortest_lag"]

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

SUPPORTED_HORIZONS = (_HOUR, 6 * _HOUR, _DAY, 2 * _DAY)
"""Horizons for which forecasts can be made."""

_BY_RESOLUTION = {
    timedelta(minutes=5): (_HOUR, 6 * _HOUR, _DAY),
    timedelta(minutes=10): (_HOUR, 6 * _HOUR, _DAY),
    timedelta(minutes=15): SUPPORTED_HORIZONS,
    _HOUR: SUPPORTED_HORIZONS,
    _DAY: (_DAY, 2 * _DAY),
}


def horizons_for(resolution: timedelta) -> tuple[timedelta, ...]:
    """List the horizons at which events of a resolution are forecast; none for unusual resolutions."""
    return _BY_RESOLUTION.get(resolution, ())


def shortest_lag(horizon: timedelta, resolution: timedelta) -> int:
    """Find how many events back the last one lies that is known when an event is forecast.

    Args:
        horizon: Between the forecast and the end of the event.
        resolution: Length of the events.

    >>> shortest_lag(timedelta(hours=6), timedelta(minutes=15)), shortest_lag(timedelta(hours=1), timedelta(hours=1))
    (24, 1)
    """
    return 1 + (horizon - resolution) // resolution


def check_horizon(horizon: timedelta) -> None:
    """Make sure that forecasts can be made so far ahead.

    Raises:
        InvalidInput: If the horizon is not supported.
    """
    if horizon not in SUPPORTED_HORIZONS:
        raise InvalidInput(
            f"Forecasts {format_duration(horizon)} ahead cannot be made. Choose one of "
            f"{', '.join(format_duration(h) for h in SUPPORTED_HORIZONS)}."
        )

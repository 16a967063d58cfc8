"""Describe a sensor as far as forecasts need it: its signs, its seasons, the sun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.forecasting.history import HorizonView, Values
from flexmeasures.domain.time import Instants, to_microseconds

__all__ = ["Traits", "dark_events", "sun_height"]

Truths = np.ndarray[Any, np.dtype[np.bool_]]

_SURELY_DARK = np.sin(np.radians(-1.0))  # refraction and the sun's radius make up 0.83°
_NIGHT_DAYS = 14
_NOISE = 0.002
"""Standby power of an inverter, beside the largest values."""


@dataclass(frozen=True)
class Traits:
    """What is known of a sensor beside its values.

    Attributes:
        lowest: No value is lower, such as 0 for the power of a pure consumer; None: unknown.
        highest: No value is higher, such as 0 for the power of a pure producer (consumption is positive).
        is_solar: Whether the values are zero at night.
        place: Degrees north and east; None: unknown.
        box_cox_shift: Added to values before the Box-Cox transformation of the documented model; None: none is made.
        daily: Whether days resemble each other; weekly likewise.
    """

    lowest: float | None = None
    highest: float | None = None
    is_solar: bool = False
    place: tuple[float, float] | None = None
    box_cox_shift: float | None = None
    daily: bool = True
    weekly: bool = False


def sun_height(instants: Instants, place: tuple[float, float]) -> Values:
    """Compute the sine of the sun's elevation, to about half a degree: shape ``(n,)``.

    Source: Spencer (1971), Fourier series of the sun's declination and of the equation of time.
    """
    days = instants.astype("datetime64[D]")
    day_of_year = (days - days.astype("datetime64[Y]")).astype(float)
    hours = (instants - days) / np.timedelta64(1, "h")
    angle = 2 * np.pi * (day_of_year + (hours - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    equation_minutes = 229.18 * (
        0.000075
        + 0.001868 * np.cos(angle)
        - 0.032077 * np.sin(angle)
        - 0.014615 * np.cos(2 * angle)
        - 0.040849 * np.sin(2 * angle)
    )
    latitude, longitude = np.radians(place[0]), place[1]
    hour_angle = np.radians(15 * (hours - 12) + longitude + equation_minutes / 4)
    height: Values = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(
        hour_angle
    )
    return height


def dark_events(view: HorizonView, traits: Traits) -> Truths:
    """Tell in which events the sun does not shine at all: shape ``(n,)``; none for sensors that are not solar.

    By the sun where the place is known; else by the last two weeks, in which nothing was measured at that time.
    """
    if not traits.is_solar:
        return np.zeros(view.history_length, dtype=bool)
    if traits.place is not None:
        step = np.timedelta64(to_microseconds(view.resolution), "us")
        parts = max(2, int(view.resolution / timedelta(minutes=15)))
        heights = [sun_height(view.starts + step * n // parts, traits.place) for n in range(parts + 1)]
        return np.asarray(np.max(heights, axis=0) < _SURELY_DARK)
    first = -(-(view.shortest_lag + 1) // view.per_day)
    lags = [day * view.per_day + side for day in range(first, first + _NIGHT_DAYS) for side in (-1, 0, 1)]
    with np.errstate(invalid="ignore"):
        before = np.nan_to_num(np.abs([view.lagged(lag) for lag in lags])).max(axis=0)
    noise = _NOISE * np.maximum.accumulate(before)
    return np.asarray((before <= noise) & (noise > 0))

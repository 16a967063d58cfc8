"""Measurements on a regular grid, and a view of them that cannot see past a forecast's horizon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from flexmeasures.domain.errors import NotEnoughData, ResolutionMismatch
from flexmeasures.domain.forecasting.horizons import shortest_lag
from flexmeasures.domain.time import Instants, to_microseconds, utc_offsets

__all__ = ["History", "HorizonView", "Integers", "LookAhead", "Values"]

Values = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

_DAY = timedelta(days=1)


class LookAhead(AssertionError):
    """A model asked for a value that is not known at the horizon of its forecast: a bug of the model."""


@dataclass(frozen=True)
class History:
    """Values of a sensor on a grid without gaps: one for each event, not a number where nothing was measured.

    Attributes:
        start: Start of the first event, UTC.
        values: Shape ``(n,)``, in the sensor's unit.
        resolution: Length of an event, a whole part of a day.
        zone: Time zone that people live by at the sensor.
    """

    start: np.datetime64
    values: Values
    resolution: timedelta
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.resolution <= timedelta(0) or _DAY % self.resolution:
            raise ResolutionMismatch(
                f"A resolution of {self.resolution} does not divide a day into whole events."
            )

    @classmethod
    def of(
        cls,
        event_starts: Instants,
        values: Values,
        resolution: timedelta,
        zone: str = "UTC",
        *,
        until: np.datetime64,
    ) -> History:
        """Place measurements on a grid.

        Args:
            event_starts: Ascending, UTC; those off the grid that ends at ``until`` are left out.
            values: Of the same shape.
            resolution: Length of an event.
            zone: Time zone that people live by at the sensor.
            until: End of the grid (exclusive), where the last forecast event ends.

        Raises:
            NotEnoughData: If nothing was measured.
        """
        if not len(event_starts):
            raise NotEnoughData("Nothing was measured in the period that the forecast is made from.")
        step = np.timedelta64(to_microseconds(resolution), "us")
        count = max(0, int(-((event_starts[0] - until) // step)))
        first = until - count * step
        position, rest = np.divmod(event_starts - first, step)
        fits = (rest == np.timedelta64(0, "us")) & (position >= 0) & (position < count)
        grid = np.full(count, np.nan)
        grid[position[fits]] = values[fits]
        return cls(first, grid, resolution, zone)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def step(self) -> np.timedelta64:
        """Length of an event, ``timedelta64[us]``."""
        return np.timedelta64(to_microseconds(self.resolution), "us")

    @property
    def starts(self) -> Instants:
        """Starts of all events: shape ``(n,)``."""
        return self.start + np.arange(len(self)) * self.step

    @property
    def per_day(self) -> int:
        """Number of events in 24 hours."""
        return _DAY // self.resolution

    @property
    def per_hour(self) -> int:
        """Number of events in an hour, at least 1."""
        return max(1, timedelta(hours=1) // self.resolution)

    def positions(self, event_starts: Instants) -> Integers:
        """Find where events stand on the grid."""
        return ((event_starts - self.start) // self.step).astype(np.int64)


@dataclass(frozen=True)
class HorizonView:
    """A history as it is known when its events are forecast at a horizon.

    A forecast of an event sees nothing that ends later than the horizon before the event's own end. Models get only
    this view, so they cannot look ahead even by mistake.

    Attributes:
        horizon: Between the forecast and the end of the event.
    """

    _history: History
    horizon: timedelta

    @property
    def history_length(self) -> int:
        """Number of events on the grid."""
        return len(self._history)

    @property
    def resolution(self) -> timedelta:
        """Length of an event."""
        return self._history.resolution

    @property
    def per_day(self) -> int:
        """Number of events in 24 hours."""
        return self._history.per_day

    @property
    def per_hour(self) -> int:
        """Number of events in an hour, at least 1."""
        return self._history.per_hour

    @property
    def starts(self) -> Instants:
        """Starts of all events on the grid: shape ``(n,)``."""
        return self._history.starts

    @cached_property
    def local_offsets(self) -> np.ndarray[Any, np.dtype[np.timedelta64]]:
        """Lead of local clocks over UTC at each event: shape ``(n,)``."""
        return utc_offsets(self._history.starts, self._history.zone)

    @property
    def shortest_lag(self) -> int:
        """How many events back the last one lies that is known."""
        return shortest_lag(self.horizon, self._history.resolution)

    def lagged(self, lag: int | Integers) -> Values:
        """Return the value so many events before each event.

        Args:
            lag: At least `shortest_lag`; one for all events, or one each: shape ``(n,)``.

        Returns:
            Shape ``(n,)``; not a number where nothing was measured.

        Raises:
            LookAhead: If a value is asked for that is not known yet.
        """
        if np.any(np.asarray(lag) < self.shortest_lag):
            raise LookAhead(
                f"Lag {np.min(lag)} is not known at this horizon; the shortest lag is {self.shortest_lag}."
            )
        return self._shifted(lag)

    def filtered(self, function: Any, lag: int) -> Values:
        """Return a trailing statistic of the history as it was so many events before each event.

        Args:
            function: From values (n,) to values (n,), each from values up to its own event only.
            lag: At least `shortest_lag`.
        """
        if lag < self.shortest_lag:
            raise LookAhead(
                f"Lag {lag} is not known at this horizon; the shortest lag is {self.shortest_lag}."
            )
        return _shift(function(self._history.values), lag)

    def _shifted(self, lag: int | Integers) -> Values:
        if isinstance(lag, np.ndarray):
            position = np.arange(len(self._history)) - lag
            taken = self._history.values[np.maximum(position, 0)]
            return np.where(position >= 0, taken, np.nan)
        return _shift(self._history.values, lag)


def _shift(values: Values, lag: int) -> Values:
    shifted = np.full(len(values), np.nan)
    if lag < len(values):
        shifted[lag:] = values[: len(values) - lag]
    return shifted

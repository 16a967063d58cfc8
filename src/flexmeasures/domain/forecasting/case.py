"""Everything that models may know of a sensor when they forecast it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import numpy as np

from flexmeasures.domain.forecasting.features import (
    Calendar,
    Features,
    Regressor,
    calendar_of,
    rich_features,
    trailing_median,
)
from flexmeasures.domain.forecasting.history import History, HorizonView, Integers, LookAhead, Values
from flexmeasures.domain.forecasting.traits import Traits, dark_events

__all__ = ["Case", "Facts"]

Truths = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Facts:
    """What is known of a sensor beside what it measured.

    Attributes:
        traits: Its signs and seasons.
        special_days: Local dates, ``datetime64[D]``, such as holidays.
        regressors: What explains it, as it was known at the horizon of the forecast.
    """

    traits: Traits = field(default_factory=Traits)
    special_days: frozenset[np.datetime64] = frozenset()
    regressors: tuple[Regressor, ...] = ()


@dataclass(frozen=True)
class Case:
    """A sensor at one horizon, as models see it.

    Args:
        history: What was measured, on a grid that reaches to the last event to forecast.
        horizon: Between each forecast and the end of its event.
        facts: What is known besides.

    Raises:
        LookAhead: If a regressor was known later than at the horizon.
    """

    history: History
    horizon: timedelta
    facts: Facts = field(default_factory=Facts)

    def __post_init__(self) -> None:
        for regressor in self.facts.regressors:
            if regressor.horizon is not None and regressor.horizon < self.horizon:
                raise LookAhead(f"{regressor.name} is known {regressor.horizon} ahead, not {self.horizon}.")

    @property
    def traits(self) -> Traits:
        """Signs and seasons of the sensor."""
        return self.facts.traits

    @cached_property
    def view(self) -> HorizonView:
        """What is known of earlier events when each event is forecast."""
        return HorizonView(self.history, self.horizon)

    @cached_property
    def calendar(self) -> Calendar:
        """The local calendar at each event."""
        return calendar_of(self.view, self.facts.special_days)

    @cached_property
    def hours(self) -> Integers:
        """Local hour of each event, 0 … 23: shape ``(n,)``."""
        slots: Integers = self.calendar.slot * 24 // self.view.per_day
        return np.clip(slots, 0, 23)

    @cached_property
    def features(self) -> Features:
        """Columns for models that learn: shape ``(n, k)``."""
        return rich_features(self.view, self.calendar, self.facts.regressors)

    @cached_property
    def month_median(self) -> Values:
        """Median of the last 28 whole days that are known when each event is forecast: shape ``(n,)``."""
        return self.view.filtered(partial(trailing_median, per_day=self.view.per_day), self.view.shortest_lag)

    @cached_property
    def dark(self) -> Truths:
        """Events in which the sun does not shine; none for sensors that are not solar: shape ``(n,)``."""
        return dark_events(self.view, self.traits)

    def known_before(self, event: int) -> Truths:
        """Mark the events that were measured when an event is forecast: shape ``(n,)``."""
        known = ~np.isnan(self.history.values)
        known[max(0, event - self.view.shortest_lag + 1) :] = False
        return known

    def values(self, events: Integers | Truths, known: Truths) -> Values:
        """Return measurements to learn from, or to compare with.

        Args:
            events: Which ones: shape ``(m,)``.
            known: From `known_before`.

        Raises:
            LookAhead: If one of them is not known yet.
        """
        if not np.all(known[events]):
            raise LookAhead("A measurement was asked for that is not known yet.")
        chosen: Values = self.history.values[events]
        return chosen

    def bounded(self, values: Values, events: Integers, bounds: tuple[float, float]) -> Values:
        """Keep forecasts to what the sensor can measure: shape ``(m,)`` or ``(m, k)``.

        Args:
            values: Forecasts.
            events: Of which events.
            bounds: Lowest and highest value.
        """
        kept: Values = np.clip(values, bounds[0], bounds[1])
        kept[self.dark[events]] = 0.0
        return kept

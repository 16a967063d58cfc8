"""Columns that models learn from: what was measured before, and the calendar."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.forecasting.history import HorizonView, Integers, Values
from flexmeasures.domain.time import to_microseconds

__all__ = [
    "Calendar",
    "Features",
    "Regressor",
    "calendar_of",
    "recent_and_daily",
    "rich_features",
    "same_time_lags",
    "trailing_median",
]

Truths = np.ndarray[Any, np.dtype[np.bool_]]

_DAY = timedelta(days=1)
_SAME_TIME_DAYS = 7
_MONTH_DAYS = 28
_SAME_KIND_DAYS = 4
_RECENT = 7
_YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Regressor:
    """Something that explains the sensor, as it was known when each event was forecast.

    Attributes:
        name: Such as "wind_speed".
        values: One for each event on the grid: shape ``(n,)``; not a number where nothing was known.
        horizon: How long before the end of its event each was known at least; None: always, as a calendar is.
    """

    name: str
    values: Values
    horizon: timedelta | None = None


@dataclass(frozen=True)
class Features:
    """Named columns: matrix of shape ``(n, k)``; not a number where a value is missing."""

    names: tuple[str, ...]
    matrix: Values

    def select(self, names: tuple[str, ...]) -> Features:
        """Keep some columns; those that there are not are empty."""
        if names == self.names:
            return self
        absent = np.full(len(self.matrix), np.nan)
        columns = [self.column(name) if name in self.names else absent for name in names]
        return Features(names, np.column_stack(columns))

    def column(self, name: str) -> Values:
        """Return one column: shape ``(n,)``."""
        column: Values = self.matrix[:, self.names.index(name)]
        return column


@dataclass(frozen=True)
class Calendar:
    """Local calendar of events, shape ``(n,)`` each.

    Attributes:
        slot: Number of the event in its local day, from 0.
        weekday: 0 is Monday.
        season: Angle in the year [rad].
        is_special: Whether the local day is a holiday or marked as special.
    """

    slot: Integers
    weekday: Integers
    season: Values
    is_special: Truths


def calendar_of(view: HorizonView, special_days: frozenset[np.datetime64] = frozenset()) -> Calendar:
    """Read the local calendar at each event.

    Args:
        view: The events.
        special_days: Local dates, ``datetime64[D]``, such as holidays.
    """
    local = view.starts + view.local_offsets
    days = local.astype("datetime64[D]")
    number = days.astype(np.int64)
    step = np.timedelta64(to_microseconds(view.resolution), "us")
    day_of_year = (days - days.astype("datetime64[Y]")).astype(np.int64)
    return Calendar(
        slot=((local - days) // step).astype(np.int64),
        weekday=(number + 3) % 7,  # 1 January 1970 was a Thursday
        season=2 * np.pi * day_of_year / _YEAR_DAYS,
        is_special=np.isin(days, np.array(sorted(special_days), dtype="datetime64[D]")),
    )


def same_time_lags(view: HorizonView, first_day: int = 1) -> Iterator[Integers]:
    """Count the events back to the same local time on earlier days, as far as that is known at the horizon.

    Local clocks that were changed in between are followed: breakfast stays breakfast.

    Args:
        view: The events.
        first_day: How many days back to begin; later if that is not known yet.

    Yields:
        Shape ``(n,)``, for one day back after the other, endlessly.
    """
    offsets = view.local_offsets
    step = np.timedelta64(to_microseconds(view.resolution), "us")
    events = np.arange(view.history_length)
    shortest = view.shortest_lag
    day = max(first_day, -(-shortest // view.per_day))
    while True:
        lag = day * view.per_day
        before = offsets[np.maximum(events - lag, 0)]
        moved = lag - ((offsets - before) // step).astype(np.int64)
        yield np.where(moved >= shortest, moved, moved + view.per_day)
        day += 1


def recent_and_daily(
    view: HorizonView, *, lags: int = _RECENT, daily: bool = True, weekly: bool = False
) -> Features:
    """Build the columns of the documented linear model: the last known values, and those of the same time before.

    Args:
        view: The events.
        lags: How many of each.
        daily: Whether values of one day after the other are columns.
        weekly: Whether values of one and two weeks before are.
    """
    shortest = view.shortest_lag
    positions = list(range(shortest, shortest + lags))
    if daily:
        first = 1 + (shortest - 1) // view.per_day
        positions += [day * view.per_day for day in range(first, first + lags)]
    if weekly:
        first = 1 + (shortest - 1) // (7 * view.per_day)
        positions += [week * 7 * view.per_day for week in range(first, first + 2)]
    unique = list(dict.fromkeys(positions))
    return Features(
        tuple(f"lag {lag}" for lag in unique), np.column_stack([view.lagged(lag) for lag in unique])
    )


def rich_features(view: HorizonView, calendar: Calendar, regressors: tuple[Regressor, ...] = ()) -> Features:
    """Build the columns of the better models: lags, statistics of the same time and of late, calendar, regressors."""
    with warnings.catch_warnings():
        # A mean over nothing measured is not a number, as it should be.
        warnings.simplefilter("ignore", RuntimeWarning)
        columns = dict(_same_time(view))
        columns.update(_recent(view))
        columns.update(_same_kind_of_day(view, calendar))
    columns.update(
        slot=calendar.slot.astype(float),
        weekday=calendar.weekday.astype(float),
        weekend=(calendar.weekday >= 5).astype(float),
        special=calendar.is_special.astype(float),
        winter=np.cos(calendar.season),
        spring=np.sin(calendar.season),
    )
    columns.update({regressor.name: regressor.values for regressor in regressors})
    return Features(tuple(columns), np.column_stack(list(columns.values())))


def _same_time(view: HorizonView) -> Iterator[tuple[str, Values]]:
    """Values at the same local time of earlier days, and what they have in common."""
    lags = same_time_lags(view)
    days = np.array([view.lagged(next(lags)) for _ in range(_MONTH_DAYS)])
    week = days[:_SAME_TIME_DAYS]
    for number, day in enumerate(week):
        yield f"day {number + 1}", day
    yield "week mean", np.nanmean(week, axis=0)
    yield "week median", np.nanmedian(week, axis=0)
    yield "week spread", np.nanstd(week, axis=0)
    yield "month mean", np.nanmean(days, axis=0)
    weeks = _same_weekday(view)
    yield "last week", weeks[0]
    yield "week before", weeks[1]
    yield "weekday mean", np.nanmean(weeks, axis=0)
    for side, name in ((-1, "hour before"), (1, "hour after")):
        yield f"week mean, {name}", _beside(view, side * view.per_hour)


def _same_kind_of_day(view: HorizonView, calendar: Calendar) -> Iterator[tuple[str, Values]]:
    """Values at the same local time of earlier days of the same kind: working day, Saturday, Sunday or special day."""
    kind = np.where(calendar.is_special, 6, np.maximum(calendar.weekday, 4))
    lags = same_time_lags(view)
    found = np.zeros(view.history_length, dtype=np.int64)
    sums, latest = np.zeros(view.history_length), np.full(view.history_length, np.nan)
    events = np.arange(view.history_length)
    for lag in (next(lags) for _ in range(_MONTH_DAYS)):
        value = view.lagged(lag)
        alike = (kind[np.maximum(events - lag, 0)] == kind) & ~np.isnan(value) & (found < _SAME_KIND_DAYS)
        latest = np.where(alike & (found == 0), value, latest)
        sums[alike] += value[alike]
        found[alike] += 1
    yield "last day alike", latest
    yield "mean of days alike", np.where(found > 0, sums / np.maximum(found, 1), np.nan)


def _same_weekday(view: HorizonView, weeks: int = 4) -> Values:
    """Values at the same local time and weekday: shape ``(weeks, n)``."""
    first = max(1, -(-view.shortest_lag // (7 * view.per_day)))
    return np.array(
        [view.lagged(next(same_time_lags(view, 7 * week))) for week in range(first, first + weeks)]
    )


def _beside(view: HorizonView, events: int) -> Values:
    """Average a week of values at a neighbouring local time."""
    lags = same_time_lags(view)
    days = []
    for lag in (next(lags) for _ in range(_SAME_TIME_DAYS)):
        moved = lag - events
        days.append(view.lagged(np.where(moved >= view.shortest_lag, moved, moved + view.per_day)))
    average: Values = np.nanmean(days, axis=0)
    return average


def _recent(view: HorizonView) -> Iterator[tuple[str, Values]]:
    """The last known values, their level, and how unusual they are for their time of day."""
    shortest, hour = view.shortest_lag, view.per_hour
    for number in range(_RECENT):
        yield f"last {number + 1}", view.lagged(shortest + number)
    for number in range(1, 4):
        yield f"{number} h before last", view.lagged(shortest + number * hour)
    yield "last hour", view.filtered(lambda v: _trailing_mean(v, hour), shortest)
    yield "last day", view.filtered(lambda v: _trailing_mean(v, view.per_day), shortest)
    yield "last 7 days", view.filtered(lambda v: _trailing_mean(v, 7 * view.per_day), shortest)
    unusual = view.filtered(lambda v: v - _mean_of_days_before(v, view.per_day), shortest)
    yield "unusual now", unusual
    for hours in (3, 24):
        yield (
            f"unusual for {hours} h",
            view.filtered(
                lambda v, w=hours * hour: _trailing_mean(v - _mean_of_days_before(v, view.per_day), w),
                shortest,
            ),
        )


def _trailing_mean(values: Values, width: int) -> Values:
    """Average what was measured in the last events of each: shape ``(n,)``."""
    known = ~np.isnan(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(1, len(values) + 1) - width, 0)
    count = counts[1:] - counts[first]
    return np.where(count > 0, (sums[1:] - sums[first]) / np.maximum(count, 1), np.nan)


def _mean_of_days_before(values: Values, per_day: int) -> Values:
    """Average the same time of the seven days before each event: shape ``(n,)``."""
    days = np.full((_SAME_TIME_DAYS, len(values)), np.nan)
    for number in range(_SAME_TIME_DAYS):
        lag = (number + 1) * per_day
        if lag < len(values):
            days[number, lag:] = values[: len(values) - lag]
    average: Values = np.nanmean(days, axis=0)
    return average


def trailing_median(values: Values, per_day: int) -> Values:
    """Return the median of the 28 days before each event, moved on once a day: shape ``(n,)``.

    Args:
        values: Shape ``(n,)``; not a number where nothing was measured.
        per_day: Number of events in 24 hours.
    """
    days = len(values) // per_day
    medians = np.full(days + 1, np.nan)
    for day in range(1, days + 1):
        known = values[max(0, day - _MONTH_DAYS) * per_day : day * per_day]
        known = known[~np.isnan(known)]
        if len(known):
            medians[day] = np.median(known)
    # The day that an event ends is over when the event is.
    return medians[(np.arange(len(values)) + 1) // per_day]

"""Watching over measurements: what needs somebody's attention, since when, and whether it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np

from flexmeasures.domain.beliefs import Series
from flexmeasures.domain.time import from_datetime64, to_datetime64

__all__ = [
    "LOOK_BACK",
    "REFERENCE",
    "AlertKind",
    "Changes",
    "Finding",
    "KnownAlert",
    "WatchRule",
    "describe",
    "inspect",
    "patience_for",
    "reconcile",
]

LOOK_BACK = timedelta(days=2)
"""Measurements of so long are judged ..."""

REFERENCE = timedelta(days=14)
"""... by those of so long, these included."""

STRANGE = 3.0
"""A value is an outlier if it is more than so many times as large as 99 % of those before."""

FEWEST = 96
"""So many values must be known before one of them can be called usual."""

LEAK_FACTOR = 2.0
"""Consumption leaks if the least of a day is more than so many times what it usually was."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Values = np.ndarray[Any, np.dtype[np.float64]]


class AlertKind(StrEnum):
    """Kind of what needs attention."""

    THRESHOLD = "threshold"
    GAP = "gap"
    OUTLIER = "outlier"
    IDLE = "idle"
    LEAK = "leak"


@dataclass(frozen=True)
class WatchRule:
    """Limits beyond which a sensor's values are unusual; powers are positive where energy is consumed.

    Attributes:
        lowest: No value is below this one [unit of the sensor]; None: any may be.
        highest: No value is above this one; None: any may be.
        silent_after: Values that do not come for so long are missed ...
        hole_after: ... and so long a hole between values is a gap.
        idle_below: A consumption above zero and up to this one is that of something idle; None: nothing is idle.
        idle_after: Idle for so long without a break is too long.
        finds_outliers: Whether values that are much larger than others are reported.
    """

    lowest: float | None
    highest: float | None
    silent_after: timedelta
    hole_after: timedelta
    idle_below: float | None = None
    idle_after: timedelta = timedelta(days=1)
    finds_outliers: bool = True


@dataclass(frozen=True)
class Finding:
    """Something that needs attention.

    Attributes:
        start: Since when.
        end: Until when (exclusive); None: it goes on.
        value: The value furthest off; for gaps None.
        limit: What it should keep, in the same unit; None where there is none.
    """

    kind: AlertKind
    start: datetime
    end: datetime | None
    value: float | None = None
    limit: float | None = None


def patience_for(resolution: timedelta) -> timedelta:
    """Say how long values may stay away before they are missed: a day, or four events if these are longer.

    >>> str(patience_for(timedelta(minutes=15))), str(patience_for(timedelta(days=1)))
    ('1 day, 0:00:00', '4 days, 0:00:00')
    """
    return max(timedelta(days=1), 4 * resolution)


def inspect(series: Series, rule: WatchRule, now: datetime, last_end: datetime | None) -> list[Finding]:
    """Find what needs attention in the measurements of a sensor.

    Args:
        series: What was measured in the time `REFERENCE` before now, in the unit of the rule.
        rule: What is unusual.
        now: The present.
        last_end: End of the last event that was measured at all; None: none was, so none is missed.
    """
    findings = list(_silence(rule, now, last_end))
    judged = series.starts >= to_datetime64(now - LOOK_BACK)
    if not judged.any():
        return findings
    for mask, limit in _breaches(series.values, rule):
        findings += _as_findings(AlertKind.THRESHOLD, series, mask & judged, limit)
    findings += _holes(series, rule, now)
    if rule.finds_outliers:
        findings += _outliers(series, judged)
    if rule.idle_below is not None:
        findings += _idle(series, rule, now)
        findings += _leak(series, rule, now)
    return findings


def _silence(rule: WatchRule, now: datetime, last_end: datetime | None) -> Iterator[Finding]:
    if last_end is not None and last_end < now - rule.silent_after:
        yield Finding(AlertKind.GAP, last_end, None)


def _breaches(values: Values, rule: WatchRule) -> Iterator[tuple[Mask, float]]:
    with np.errstate(invalid="ignore"):
        if rule.lowest is not None:
            yield values < rule.lowest, rule.lowest
        if rule.highest is not None:
            yield values > rule.highest, rule.highest


def _as_findings(kind: AlertKind, series: Series, mask: Mask, limit: float) -> Iterator[Finding]:
    """Write each run of marked values as one finding; the one that holds the newest value goes on."""
    for first, after in _runs(series, mask):
        part = series.values[first:after]
        furthest = float(part[np.argmax(np.abs(part - limit))])
        end = None if after == len(series) else _end_of(series, after - 1)
        yield Finding(kind, from_datetime64(series.starts[first]), end, furthest, limit)


def _runs(series: Series, mask: Mask) -> Iterator[tuple[int, int]]:
    """List runs of marked values without a hole, as index of the first and index after the last."""
    marked = np.flatnonzero(mask)
    if not len(marked):
        return
    step = np.timedelta64(series.resolution, "us")
    apart = (np.diff(marked) > 1) | (np.diff(series.starts[marked]) > step)
    for run in np.split(marked, np.flatnonzero(apart) + 1):
        yield int(run[0]), int(run[-1]) + 1


def _end_of(series: Series, index: int) -> datetime:
    return from_datetime64(series.starts[index]) + series.resolution


def _holes(series: Series, rule: WatchRule, now: datetime) -> Iterator[Finding]:
    ends = series.starts[:-1] + np.timedelta64(series.resolution, "us")
    width = series.starts[1:] - ends
    begins_late_enough = ends >= to_datetime64(now - LOOK_BACK)
    for index in np.flatnonzero((width >= np.timedelta64(rule.hole_after, "us")) & begins_late_enough):
        yield Finding(AlertKind.GAP, from_datetime64(ends[index]), from_datetime64(series.starts[index + 1]))


def _outliers(series: Series, judged: Mask) -> Iterator[Finding]:
    """Find values that are much larger than nearly all of those before the judged ones."""
    before = series.values[~judged]
    sizes = np.sort(np.abs(before[np.isfinite(before) & (before != 0)]))
    if len(sizes) < FEWEST:
        return
    limit = STRANGE * float(sizes[int(0.99 * (len(sizes) - 1))])
    with np.errstate(invalid="ignore"):
        mask = (np.abs(series.values) > limit) & judged
    for one in _as_findings(AlertKind.OUTLIER, series, mask, 0.0):
        sign = -1.0 if (one.value or 0.0) < 0 else 1.0
        yield Finding(one.kind, one.start, one.end, one.value, sign * limit)


def _idle(series: Series, rule: WatchRule, now: datetime) -> Iterator[Finding]:
    """Find consumption that has been small, but never zero, for too long up to the newest value."""
    assert rule.idle_below is not None  # noqa: S101 - the caller asks
    with np.errstate(invalid="ignore"):
        mask = (series.values > 0.02 * rule.idle_below) & (series.values <= rule.idle_below)
    runs = list(_runs(series, mask))
    if not runs or runs[-1][1] != len(series):
        return
    first, after = runs[-1]
    start, end = from_datetime64(series.starts[first]), _end_of(series, after - 1)
    if end - start >= rule.idle_after and end > now - LOOK_BACK:
        mean = float(series.values[first:after].mean())
        yield Finding(AlertKind.IDLE, start, None, mean, rule.idle_below)


def _leak(series: Series, rule: WatchRule, now: datetime) -> Iterator[Finding]:
    """Find consumption whose least of the last day is well above the least of the days before."""
    assert rule.idle_below is not None  # noqa: S101 - the caller asks
    day = np.timedelta64(1, "D")
    # What began exactly a day ago belongs to the last day.
    age = ((to_datetime64(now) - series.starts - np.timedelta64(1, "us")) // day).astype(int)
    slots = day / np.timedelta64(series.resolution, "us") if series.resolution else 1.0
    least = [
        float(values.min())
        for values in (series.values[age == number] for number in range(REFERENCE.days))
        if len(values) >= 0.9 * slots
    ]
    if len(least) < 8 or np.count_nonzero(age == 0) < 0.9 * slots:
        return
    usual = float(np.median(least[1:]))
    limit = max(LEAK_FACTOR * usual, usual + rule.idle_below)
    if usual >= 0 and least[0] > limit:
        start = from_datetime64(series.starts[age == 0][0])
        yield Finding(AlertKind.LEAK, start, None, least[0], limit)


@dataclass(frozen=True)
class KnownAlert:
    """An alert that was raised before.

    Attributes:
        id: Its number.
        key: The sensor and the kind.
        end: None: it goes on, as far as was known.
    """

    id: int
    key: tuple[int, AlertKind]
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Changes:
    """Changes that new findings make to known alerts.

    Attributes:
        new: Sensors and what was found for the first time.
        seen: Ids of alerts and how they were found this time.
        ended: Ids of alerts that went on before, and were not found any more.
    """

    new: tuple[tuple[int, Finding], ...]
    seen: tuple[tuple[int, Finding], ...]
    ended: tuple[int, ...]


def reconcile(known: Sequence[KnownAlert], found: Iterable[tuple[int, Finding]]) -> Changes:
    """Match findings with alerts of the same sensor and kind at overlapping times, so that each is raised once.

    Args:
        known: Alerts that go on, and those that ended of late.
        found: Sensors and findings, all of those that are there now.
    """
    by_key: dict[tuple[int, AlertKind], list[KnownAlert]] = {}
    for alert in known:
        by_key.setdefault(alert.key, []).append(alert)
    new: list[tuple[int, Finding]] = []
    seen: dict[int, Finding] = {}
    for sensor_id, finding in found:
        same = [one for one in by_key.get((sensor_id, finding.kind), ()) if _overlap(one, finding)]
        if same:
            seen[min(one.id for one in same)] = finding
        else:
            new.append((sensor_id, finding))
    ended = tuple(one.id for one in known if one.end is None and one.id not in seen)
    return Changes(tuple(new), tuple(seen.items()), ended)


def _overlap(one: KnownAlert, other: Finding) -> bool:
    starts_before_end = other.end is None or one.start < other.end
    return starts_before_end and (one.end is None or other.start < one.end)


def describe(kind: AlertKind, value: float | None, limit: float | None, unit: str) -> str:
    """Say what was found, for people.

    >>> describe(AlertKind.THRESHOLD, 0.0123, 0.0105, "MW")
    '12.3 kW, beyond 10.5 kW'
    >>> describe(AlertKind.GAP, None, None, "MW")
    'No values'
    """
    if kind is AlertKind.GAP:
        return "No values"
    found, usual = _for_people(value, unit), _for_people(limit, unit)
    return {
        AlertKind.THRESHOLD: f"{found}, beyond {usual}",
        AlertKind.OUTLIER: f"{found}, where {usual} would be much already",
        AlertKind.IDLE: f"{found} all the time, though it does nothing",
        AlertKind.LEAK: f"Never below {found} for a day, where {usual} would be much already",
    }[kind]


def _for_people(value: float | None, unit: str) -> str:
    """Write a value with three significant digits; powers and energies of less than a MW in smaller units."""
    if value is None:
        return "–"
    if unit in ("MW", "MWh") and abs(value) < 1:
        value, unit = value * 1000, f"k{unit[1:]}"
    return f"{value:.3g} {unit}".replace("-", "−")

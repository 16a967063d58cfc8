"""From readings per settlement interval to energies per day: what a community produced, used itself and exported.

Self-consumption is settled interval by interval, never from daily sums: a sunny noon does not supply the evening.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexmeasures.domain.communities.allocation import (
    UNITS_PER_KWH,
    Energies,
    Round,
    allocate,
    split,
    to_units,
)
from flexmeasures.domain.communities.methods import pooled_energy

__all__ = [
    "DailyEnergy",
    "Differences",
    "IntervalEnergies",
    "Readings",
    "find_differences",
    "settle",
    "settle_intervals",
]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Readings:
    """Meter readings of consecutive settlement intervals [kWh]; NaN where a reading is missing.

    Attributes:
        generation: Shape ``(n_intervals, n_producers)``.
        consumption: Shape ``(n_intervals, n_members)``.
        operator: What the grid operator says each member used of the community's energy, shape
            ``(n_intervals, n_members)``; NaN where it says nothing. None: it says nothing at all.
        intensity: Emissions that a kWh avoids, shape ``(n_intervals,)`` [g/kWh]; None: a constant factor holds.
    """

    generation: Values
    consumption: Values
    operator: Values | None = None
    intensity: Values | None = None


@dataclass(frozen=True)
class DailyEnergy:
    """Energies of days in whole micro-kWh, and how complete their readings were.

    An interval counts where all generation and at least one consumption is known. In it, a member without a reading
    has proven no use: its share is surplus, and the coverage says that something is missing.

    Attributes:
        produced: Shape ``(n_days,)``.
        shared: Of that, used within the community, shape ``(n_days,)``.
        consumed: Shape ``(n_days, n_members)``.
        offered: Energy put at each member's disposal, shape ``(n_days, n_members)``.
        used: Of that, used, shape ``(n_days, n_members)``; zeros where members are not told apart.
        computed: The same as computed by us where the operator's values were taken, shape ``(n_days, n_members)``.
        taken: Used of each producer, shape ``(n_days, n_producers)``.
        generated: Of each producer, shape ``(n_days, n_producers)``.
        counted: Intervals that count, shape ``(n_days,)``.
        intervals: Intervals that the day has, shape ``(n_days,)``.
        present: Readings of each member in intervals that count, shape ``(n_days, n_members)``.
        readings: Readings of all meters, also where others were missing, shape ``(n_days,)``.
        avoided: Emissions that production avoided by hourly intensity [g], shape ``(n_days,)``; NaN without intensity.
        avoided_shared: The same of shared energy, shape ``(n_days,)``.
        differences: How many of the operator's values differ from ours by more than the tolerance, ``(n_days,)``.

    Invariants:
        ``shared == used.sum(1) <= produced`` (unless members are not told apart), ``used <= consumed``.
    """

    produced: Energies
    shared: Energies
    consumed: Energies
    offered: Energies
    used: Energies
    computed: Energies
    taken: Energies
    generated: Energies
    counted: Energies
    intervals: Energies
    present: Energies
    readings: Energies
    avoided: Values
    avoided_shared: Values
    differences: Energies


@dataclass(frozen=True)
class Differences:
    """Where the operator's values and ours differ.

    Attributes:
        intervals: Numbers of intervals, shape ``(n,)``.
        members: Positions of members, shape ``(n,)``.
        operator_kwh: Shape ``(n,)``.
        computed_kwh: Shape ``(n,)``.
    """

    intervals: Energies
    members: Energies
    operator_kwh: Values
    computed_kwh: Values


@dataclass(frozen=True)
class IntervalEnergies:
    """Energies of settlement intervals in whole micro-kWh; see `DailyEnergy`.

    Attributes:
        counts: Which intervals count, shape ``(n_intervals,)``; in the others all is zero.
        generation: Shape ``(n_intervals, n_producers)``; so is `taken`.
        consumption: Shape ``(n_intervals, n_members)``; so are `offered`, `used` and `computed`.
        shared: Shape ``(n_intervals,)``.
    """

    counts: np.ndarray[Any, np.dtype[np.bool_]]
    generation: Energies
    consumption: Energies
    offered: Energies
    used: Energies
    computed: Energies
    taken: Energies
    shared: Energies


def settle(
    readings: Readings, rounds: Sequence[Round] | None, day_starts: Energies, tolerance_kwh: float = 0.001
) -> DailyEnergy:
    """Settle readings and add them up by day.

    Args:
        readings: What meters and the operator say.
        rounds: How energy is shared; None: pooled, members are not told apart.
        day_starts: Number of the interval with which each day starts, ascending from 0, shape ``(n_days,)``. The last
            day ends with the last interval.
        tolerance_kwh: Differences from the operator's values above this are counted.
    """
    settled = settle_intervals(readings, rounds)
    counts = settled.counts
    found = find_differences(readings, settled.computed, tolerance_kwh)
    per_interval = np.bincount(found.intervals, minlength=len(counts)).astype(np.int64)
    intensity = np.full(len(counts), np.nan) if readings.intensity is None else readings.intensity
    produced = settled.generation.sum(axis=1)
    present = ~np.isnan(readings.consumption)
    all_readings = present.sum(axis=1) + (~np.isnan(readings.generation)).sum(axis=1)

    def by_day(values: Any) -> Any:
        return np.add.reduceat(values, day_starts, axis=0)

    return DailyEnergy(
        produced=by_day(produced),
        shared=by_day(settled.shared),
        consumed=by_day(settled.consumption),
        offered=by_day(settled.offered),
        used=by_day(settled.used),
        computed=by_day(settled.computed),
        taken=by_day(settled.taken),
        generated=by_day(settled.generation),
        counted=by_day(counts.astype(np.int64)),
        intervals=np.diff(np.append(day_starts, len(counts))),
        present=by_day((present & counts[:, None]).astype(np.int64)),
        readings=by_day(all_readings),
        avoided=by_day(_weighted(produced, intensity)),
        avoided_shared=by_day(_weighted(settled.shared, intensity)),
        differences=by_day(per_interval),
    )


def _counted(readings: Readings) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which intervals count: all generation and at least one consumption is known."""
    generation_known = ~np.isnan(readings.generation).any(axis=1) & (readings.generation.shape[1] > 0)
    counted: np.ndarray[Any, np.dtype[np.bool_]] = generation_known & (~np.isnan(readings.consumption)).any(
        axis=1
    )
    return counted


def settle_intervals(readings: Readings, rounds: Sequence[Round] | None) -> IntervalEnergies:
    """Settle readings interval by interval.

    Args:
        readings: What meters and the operator say.
        rounds: How energy is shared; None: pooled, members are not told apart.
    """
    counts = _counted(readings)
    generation = to_units(np.where(counts[:, None], np.maximum(readings.generation, 0), 0))
    known = counts[:, None] & ~np.isnan(readings.consumption)
    consumption = to_units(np.where(known, np.maximum(readings.consumption, 0), 0))
    if rounds is None:
        shared = pooled_energy(generation, consumption)
        zeros = np.zeros_like(consumption)
        from_each = _of_each(generation, shared)
        return IntervalEnergies(counts, generation, consumption, zeros, zeros, zeros, from_each, shared)
    made = allocate(generation, consumption, rounds)
    used, taken = made.used, made.taken
    if readings.operator is not None:
        says = counts[:, None] & ~np.isnan(readings.operator)
        values = to_units(np.where(says, np.maximum(readings.operator, 0), 0))
        used = np.where(says, values, made.used)
        taken = _of_each(generation, np.minimum(used.sum(axis=1), generation.sum(axis=1)))
    offered = np.maximum(made.offered, used)
    return IntervalEnergies(
        counts, generation, consumption, offered, used, made.used, taken, used.sum(axis=1)
    )


def _of_each(generation: Energies, shared: Energies) -> Energies:
    """Attribute shared energy to producers in proportion to their generation."""
    return split(shared, generation)


def _weighted(energy: Energies, intensity: Values) -> Values:
    grams: Values = energy / UNITS_PER_KWH * intensity
    return grams


def find_differences(readings: Readings, computed: Energies, tolerance_kwh: float) -> Differences:
    """List where the operator's values differ from ours by more than a tolerance."""
    if readings.operator is None:
        nothing = np.zeros(0, dtype=np.int64)
        return Differences(nothing, nothing, np.zeros(0), np.zeros(0))
    ours = computed / UNITS_PER_KWH
    # A missing value of the operator is NaN, which is never larger than the tolerance.
    intervals, members = np.nonzero(np.abs(readings.operator - ours) > tolerance_kwh)
    return Differences(intervals, members, readings.operator[intervals, members], ours[intervals, members])

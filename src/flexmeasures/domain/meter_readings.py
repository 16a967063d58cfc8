"""Cumulative meter readings, and the energy that was used between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.time import Instants, to_microseconds

__all__ = ["MeteredEnergy", "energy_between_readings"]

MOST_SLOTS = 10_000_000
"""Nobody means more: these are 285 years of quarter-hours."""

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class MeteredEnergy:
    """Energy of slots, from meter readings.

    Attributes:
        starts: Starts of the slots (n,), UTC.
        energy: Energy of each slot (n,), in the unit of the readings.
        resets: How often the meter began anew.
        spread: How many slots had no reading of their own, so that their energy is an equal part of what was used over
            a gap.
    """

    starts: Instants
    energy: Values
    resets: int = 0
    spread: int = 0


def energy_between_readings(instants: Instants, readings: Values, resolution: timedelta) -> MeteredEnergy:
    """Tell how much energy was used in each slot between readings of a meter that only counts up.

    A reading lower than the one before says that the meter was reset or replaced: it has counted from zero since.
    Energy over a gap of several slots is shared equally among them.

    Args:
        instants: When the meter was read (n,), UTC, ascending, each on a multiple of the resolution.
        readings: What it showed (n,).
        resolution: Length of a slot.

    Raises:
        BadValues: If there are fewer than two readings, no slots, or far too many.

    >>> at = np.array(["2021-01-01T00:00", "2021-01-01T00:15", "2021-01-01T00:45", "2021-01-01T01:00"], "M8[us]")
    >>> used = energy_between_readings(at, np.array([10.0, 12.0, 18.0, 1.0]), timedelta(minutes=15))
    >>> used.energy.tolist(), used.resets, used.spread
    ([2.0, 3.0, 3.0, 1.0], 1, 2)
    """
    if len(instants) < 2:
        raise BadValues("A meter says what was used between two readings: give at least two of them.")
    if not resolution:
        raise BadValues(
            "Values of this sensor are instantaneous: energy between readings needs a length of events."
        )
    used = np.diff(readings)
    reset = used < 0
    used = np.where(reset, readings[1:], used)
    step = to_microseconds(resolution)
    slots = np.diff(instants).astype("timedelta64[us]").astype(np.int64) // step
    if slots.sum() > MOST_SLOTS:
        raise BadValues(
            f"These readings span {slots.sum():,} slots of {resolution}; {MOST_SLOTS:,} are allowed. Check their "
            "times, or send them in parts."
        )
    within = np.arange(slots.sum()) - np.repeat(np.cumsum(slots) - slots, slots)
    starts = np.repeat(instants[:-1], slots) + (within * step).astype("timedelta64[us]")
    return MeteredEnergy(
        starts, np.repeat(used / slots, slots), int(reset.sum()), int(slots[slots > 1].sum())
    )

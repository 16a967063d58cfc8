"""Energy usage that partners report about an event, hour by hour (or in whatever steps the event has)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from flexmeasures.domain.coordination.faults import Fault, raise_faults
from flexmeasures.domain.time import Instants, format_duration, to_datetime64, to_microseconds

__all__ = ["EventSlots", "UsagePoint", "place_usage"]


@dataclass(frozen=True)
class EventSlots:
    """The slots of an event that usage is reported for.

    Attributes:
        starts: Shape ``(n,)``, UTC, ascending; hours in which nothing is wanted are left out.
        resolution: Length of each.
    """

    starts: Instants
    resolution: timedelta


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """Energy used in the slot that starts at an instant [kWh, consumption positive]."""

    timestamp: datetime
    kilowatt_hours: Decimal


def place_usage(
    points: Sequence[UsagePoint],
    resolution: timedelta,
    slots: EventSlots,
    *,
    path: str,
    bidirectional: bool = False,
) -> dict[int, Decimal]:
    """Assign reported energy to the slots of an event.

    Args:
        points: As they were reported; those outside the event are ignored.
        resolution: Length of the reported slots; it must be the event's.
        slots: Of the event.
        path: Where the points stand in the report, for the faults.
        bidirectional: Whether the resource may feed in, so that energy may be negative.

    Returns:
        Energy by number of the slot [kWh].

    Raises:
        InvalidReport: With every fault found.
    """
    faults: list[Fault] = []
    if resolution != slots.resolution:
        faults.append(
            Fault(
                f"{path}.resolution",
                f"The resolution is {format_duration(resolution)}; this event has slots of "
                f"{format_duration(slots.resolution)}. Aggregate the readings to that length.",
            )
        )
        raise_faults(faults)
    numbers = _slot_numbers([point.timestamp for point in points], slots)
    placed: dict[int, Decimal] = {}
    for position, (point, number) in enumerate(zip(points, numbers, strict=True)):
        fault = _fault_of(point, int(number), placed, bidirectional)
        if fault:
            faults.append(Fault(f"{path}[{position}]", fault))
        elif number >= 0:
            placed[int(number)] = point.kilowatt_hours
    raise_faults(faults)
    return placed


_OUTSIDE, _BETWEEN = -1, -2


def _slot_numbers(timestamps: Sequence[datetime], slots: EventSlots) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Find the slot that starts at each timestamp: −1 outside the event, −2 inside a slot rather than at its start."""
    at = np.array([to_datetime64(t) for t in timestamps], dtype="datetime64[us]")
    number = np.searchsorted(slots.starts, at, side="right") - 1
    inside = number >= 0
    begun = np.where(inside, slots.starts[np.maximum(number, 0)], at)
    length = np.timedelta64(to_microseconds(slots.resolution), "us")
    number = np.where(inside & (at < begun + length), number, _OUTSIDE)
    return np.where((number >= 0) & (at != begun), _BETWEEN, number)


def _fault_of(point: UsagePoint, number: int, placed: dict[int, Decimal], bidirectional: bool) -> str | None:
    energy = point.kilowatt_hours
    if not energy.is_finite():
        return f"kiloWattHours is {energy}, which is not a finite number. Leave out hours without a reading."
    if energy < 0 and not bidirectional:
        return f"kiloWattHours is {energy}; a resource that only consumes cannot use less than 0."
    if number == _BETWEEN:
        return f"timestamp {point.timestamp.isoformat()} is not the start of a slot of this event."
    if number in placed and placed[number] != energy:
        return (
            f"timestamp {point.timestamp.isoformat()} stands twice with different values. Send one of them."
        )
    return None

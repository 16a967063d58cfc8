"""Levels that a storage device can reach by its own limits, and the simple policy that needs no solver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.missed import Missed, Obstacle
from flexmeasures.domain.scheduling.wishes import SoftLimit, straight_pieces, wishes_by_boundary

__all__ = [
    "Dynamics",
    "FirstViolation",
    "exchange",
    "first_violation",
    "follow_fallback",
    "limits_by_boundary",
    "missed_by",
    "reachable_band",
    "simulate_soc",
    "within_reach",
]

_TOLERANCE_MWH = 1e-9
_MOST_SEARCHES = 20
"""For so many missed wishes later ones are searched for what keeping them would spoil: each search goes to the end."""


@dataclass(frozen=True)
class FirstViolation:
    """The first wish or limit that no plan can keep.

    Args:
        limit: Its name.
        boundary: When.
        wanted: What it asks for [MWh].
        reachable: The nearest that can be reached [MWh].
        clashes: Names of the limits in its way.
    """

    limit: str
    boundary: int
    wanted: float
    reachable: float
    clashes: tuple[str, ...]


class Dynamics:
    """Moves of a storage device from boundary to boundary.

    Its values are plain lists, made when they are first used: stepping through time one number at a time is much faster
    on them than on arrays.
    """

    def __init__(self, use: StorageUse, hours: FloatArray) -> None:
        self.device, self.durations, self.slots = use.device, hours, hours.size

    @cached_property
    def hours(self) -> list[float]:
        """Duration of each slot [h]."""
        return _numbers(self.durations)

    @cached_property
    def kept(self) -> list[float]:
        """Share of the state of charge that is left at the end of each slot."""
        return _numbers((1.0 - self.device.loss_per_hour) ** self.durations)

    @cached_property
    def stored(self) -> list[float]:
        """Energy stored for a unit consumed in each slot."""
        return _numbers(exchange(self.device, self.slots)[0])

    @cached_property
    def taken(self) -> list[float]:
        """Energy taken out for a unit produced in each slot."""
        return _numbers(exchange(self.device, self.slots)[1])

    @cached_property
    def usage(self) -> list[float]:
        """Return the power drawn from the store for other uses in each slot [MW]."""
        return _numbers(self.device.per_slot(self.device.usage_mw, self.slots))

    @cached_property
    def consumption(self) -> list[float]:
        """Highest charging power of each slot [MW], without the taper."""
        return _numbers(self.device.per_slot(self.device.max_consumption_mw, self.slots))

    @cached_property
    def production(self) -> list[float]:
        """Highest discharging power of each slot, ≥ 0 [MW], without the taper."""
        return _numbers(self.device.per_slot(self.device.max_production_mw, self.slots))

    @cached_property
    def least(self) -> tuple[list[float], list[float]]:
        """Least power of each slot at which it charges, and discharges, ≥ 0 [MW]."""
        device = self.device
        each = device.min_consumption_mw, device.min_production_mw
        return _numbers(device.per_slot(each[0], self.slots)), _numbers(device.per_slot(each[1], self.slots))

    @cached_property
    def soc_min(self) -> list[float]:
        """Lowest state of charge at each boundary [MWh]."""
        return _numbers(self.device.per_boundary(self.device.soc_min_mwh, self.slots))

    @cached_property
    def soc_max(self) -> list[float]:
        """Highest state of charge at each boundary [MWh]."""
        return _numbers(self.device.per_boundary(self.device.soc_max_mwh, self.slots))

    @cached_property
    def charge_pieces(self) -> list[tuple[float, float]]:
        """Straight pieces of the charge taper."""
        return straight_pieces(self.device.charge_taper)

    @cached_property
    def discharge_pieces(self) -> list[tuple[float, float]]:
        """Straight pieces of the discharge taper."""
        return straight_pieces(self.device.discharge_taper)

    def step(self, slot: int, soc: float, power: float) -> float:
        """State of charge [MWh] at the end of a slot that starts with `soc` and runs at `power` [MW]."""
        moved: float = power * self.stored[slot] if power > 0 else power * self.taken[slot]
        ended: float = self.kept[slot] * soc + self.hours[slot] * (moved - self.usage[slot])
        return ended

    def highest_power(self, slot: int, soc: float) -> float:
        """Highest charging power [MW], taper included."""
        power: float = self.consumption[slot]
        for slope, offset in self.charge_pieces:
            braking = 1.0 - min(slope, 0.0) * self.hours[slot] * self.stored[slot]
            power = min(power, max(0.0, (slope * soc + offset) / braking))
        return power

    def lowest_power(self, slot: int, soc: float) -> float:
        """Highest discharging power as a negative number [MW], taper included."""
        power: float = self.production[slot]
        for slope, offset in self.discharge_pieces:
            braking = 1.0 + max(slope, 0.0) * self.hours[slot] * self.taken[slot]
            power = min(power, max(0.0, (slope * soc + offset) / braking))
        return -power

    def power_towards(self, slot: int, soc: float, wanted: float) -> float:
        """Power [MW] within the device's limits that ends the slot as near to `wanted` [MWh] as possible."""
        needed: float = (wanted - self.step(slot, soc, 0.0)) / self.hours[slot]
        power: float = needed / (self.stored if needed > 0 else self.taken)[slot]
        if needed > 0:
            return self._at_least(slot, soc, min(power, self.highest_power(slot, soc)))
        return self._at_least(slot, soc, max(power, self.lowest_power(slot, soc)))

    def _at_least(self, slot: int, soc: float, power: float) -> float:
        """Raise a power [MW] to the least at which the device runs, or to none where that goes beyond its limits."""
        least = self.least[int(power < 0)][slot]
        if power == 0 or abs(power) >= least:
            return power
        raised = least if power > 0 else -least
        within = self.lowest_power(slot, soc) <= raised <= self.highest_power(slot, soc)
        ended = self.step(slot, soc, raised)
        return raised if within and self.soc_min[slot + 1] <= ended <= self.soc_max[slot + 1] else 0.0


def reachable_band(use: StorageUse, hours: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Widen the limits of state of charge just so far that they can be kept from where the device starts.

    A store that starts outside its limits goes back inside as fast as it can; inside, the limits are
    untouched.

    Returns:
        Lowest and highest state of charge at each boundary (n+1,) [MWh].
    """
    dynamics = Dynamics(use, hours)
    lower, upper = np.array(dynamics.soc_min), np.array(dynamics.soc_max)
    low = high = float(use.soc_at_start_mwh)
    lower[0], upper[0] = min(lower[0], low), max(upper[0], high)
    for slot in range(hours.size):
        low = dynamics.step(slot, low, dynamics.lowest_power(slot, low))
        high = dynamics.step(slot, high, dynamics.highest_power(slot, high))
        lower[slot + 1] = min(lower[slot + 1], high)
        upper[slot + 1] = max(upper[slot + 1], low)
        low, high = max(low, lower[slot + 1]), min(high, upper[slot + 1])
    return lower, upper


def within_reach(use: StorageUse, hours: FloatArray) -> StorageUse:
    """Raise targets of a device that cannot be discharged to what is in it anyway.

    A one-way charging point cannot empty a car: one that comes fuller than its target, or was to be fuller before, has
    what is wanted. Targets from which it is not kept by that are met exactly, as of any other device.
    """
    if not use.targets or np.any(np.asarray(use.device.max_production_mw, dtype=float) > 0):
        return use
    dynamics = Dynamics(use, hours)
    wishes = wishes_by_boundary(use)
    targets = dict(use.targets)
    low = high = float(use.soc_at_start_mwh)
    for slot in range(min(max(targets), hours.size)):
        low = dynamics.step(slot, low, 0.0)
        high = dynamics.step(slot, high, dynamics.highest_power(slot, high))
        high = max(low, min(high, dynamics.soc_max[slot + 1]))
        boundary = slot + 1
        if boundary in targets:
            targets[boundary] = max(targets[boundary], low)
        low = max([low, *(min(wish.lower, high) for wish in wishes.get(boundary, ()))])
    return replace(use, targets=targets)


@dataclass
class _Range:
    """States of charge that can be reached at a boundary, and which limit last cut them off."""

    low: float
    high: float
    floor: tuple[str, int] | None = None
    ceiling: tuple[str, int] | None = None

    def move(self, dynamics: Dynamics, slot: int) -> None:
        self.low = dynamics.step(slot, self.low, dynamics.lowest_power(slot, self.low))
        self.high = dynamics.step(slot, self.high, dynamics.highest_power(slot, self.high))

    def cut(self, limit: SoftLimit) -> FirstViolation | None:
        """Keep what a limit allows; if that is nothing, say what stands against it."""
        if limit.lower > self.high + _TOLERANCE_MWH:
            clashes = _obstacles("maximum consumption", self.ceiling, limit.boundary)
            return FirstViolation(limit.limit, limit.boundary, limit.lower, self.high, clashes)
        if limit.upper < self.low - _TOLERANCE_MWH:
            clashes = _obstacles("maximum production", self.floor, limit.boundary)
            return FirstViolation(limit.limit, limit.boundary, limit.upper, self.low, clashes)
        if limit.lower >= self.low:
            self.low, self.floor = limit.lower, (limit.limit, limit.boundary)
        if limit.upper <= self.high:
            self.high, self.ceiling = limit.upper, (limit.limit, limit.boundary)
        return None


def _obstacles(power_limit: str, edge: tuple[str, int] | None, boundary: int) -> tuple[str, ...]:
    """Name what stands against a limit: an edge at the same boundary alone, an earlier one with the power
    limit.
    """
    if edge is None:
        return (power_limit,)
    name, since = edge
    return (name,) if since == boundary else (power_limit, Obstacle(name, since))


def limits_by_boundary(use: StorageUse, dynamics: Dynamics) -> Iterator[list[SoftLimit]]:
    """List for each boundary 1 … n the device's own limits and, after them, the wishes."""
    wishes = wishes_by_boundary(use)
    for boundary in range(1, dynamics.slots + 1):
        yield [
            SoftLimit("soc minimum", 0, boundary, lower=dynamics.soc_min[boundary]),
            SoftLimit("soc maximum", 0, boundary, upper=dynamics.soc_max[boundary]),
            *wishes.get(boundary, []),
        ]


def first_violation(use: StorageUse, hours: FloatArray) -> FirstViolation | None:
    """Find the first wish or limit that cannot be kept together with those before it."""
    dynamics = Dynamics(use, hours)
    reachable = _Range(use.soc_at_start_mwh, use.soc_at_start_mwh)
    for slot, limits in enumerate(limits_by_boundary(use, dynamics)):
        reachable.move(dynamics, slot)
        for limit in limits:
            violation = reachable.cut(limit)
            if violation:
                return violation
    return None


def follow_fallback(use: StorageUse, hours: FloatArray) -> FloatArray:
    """Charge or discharge at full power towards the first wish or limit that cannot be kept, then stay idle.

    Returns:
        Power of each slot (n,) [MW]; all idle when every wish can be kept one by one.

    Invariants:
        The device's limits of power and state of charge are kept (from a start outside them: approached).
    """
    dynamics = Dynamics(use, hours)
    violation = first_violation(use, hours)
    lower, upper = reachable_band(use, hours)
    power = np.zeros(hours.size)
    soc = float(use.soc_at_start_mwh)
    for slot in range(hours.size):
        idle = dynamics.step(slot, soc, 0.0)
        wanted = violation.wanted if violation and slot < violation.boundary else idle
        power[slot] = dynamics.power_towards(
            slot, soc, float(np.clip(wanted, lower[slot + 1], upper[slot + 1]))
        )
        soc = dynamics.step(slot, soc, power[slot])
    return power


def simulate_soc(use: StorageUse, hours: FloatArray, power: FloatArray) -> FloatArray:
    """State of charge at every boundary (n+1,) [MWh] that a power profile (n,) [MW] leads to."""
    stored, taken = exchange(use.device, hours.size)
    usage = use.device.per_slot(use.device.usage_mw, hours.size)
    gained = hours * (np.where(power > 0, stored, taken) * power - usage)
    if use.device.loss_per_hour == 0:
        return np.concatenate(([0.0], np.cumsum(gained))) + use.soc_at_start_mwh
    kept = ((1.0 - use.device.loss_per_hour) ** hours).tolist()
    soc = [float(use.soc_at_start_mwh)]
    for share, more in zip(kept, gained.tolist(), strict=True):
        soc.append(share * soc[-1] + more)
    return np.array(soc)


def _numbers(values: FloatArray) -> list[float]:
    numbers: list[float] = values.tolist()
    return numbers


def exchange(device: StorageDevice, slots: int) -> tuple[FloatArray, FloatArray]:
    """Energy stored for a unit consumed, and taken out for a unit produced, in each slot, (n,) each."""
    stored = device.per_slot(device.charge_efficiency, slots) * device.per_slot(device.gain, slots)
    return stored, 1.0 / device.per_slot(device.discharge_efficiency, slots)


def missed_by(use: StorageUse, hours: FloatArray, soc: FloatArray) -> list[Missed]:
    """List the wishes and limits which states of charge (n+1,) [MWh] do not keep, in time order."""
    dynamics = Dynamics(use, hours)
    asked = [(limit, float(soc[limit.boundary])) for limit in _suspects(use, dynamics, soc)]
    broken = [(limit, reached) for limit, reached in asked if _is_missed(limit, reached)]
    if not broken:
        return []
    clashes = _what_stands_against([limit for limit, _ in broken], use, dynamics, soc)
    return [
        Missed(
            limit.limit,
            use.name,
            limit.boundary,
            min(max(reached, limit.lower), limit.upper),
            reached,
            clashes=clashes[limit],
        )
        for limit, reached in broken
    ]


def _what_stands_against(
    broken: list[SoftLimit], use: StorageUse, dynamics: Dynamics, soc: FloatArray
) -> dict[SoftLimit, tuple[str, ...]]:
    """Name for each missed wish what keeps the device from it, if all else stays as good as it is.

    That is what the device cannot do since an earlier limit, or else a later wish that keeping it would spoil.
    """
    by_boundary = [
        [_as_reached(limit, float(soc[limit.boundary])) for limit in limits]
        for limits in limits_by_boundary(use, dynamics)
    ]
    open_wishes: dict[int, list[SoftLimit]] = {}
    for limit in broken:
        open_wishes.setdefault(limit.boundary, []).append(limit)
    found: dict[SoftLimit, tuple[str, ...]] = {}
    reachable, before, searches = _Range(use.soc_at_start_mwh, use.soc_at_start_mwh), None, 0
    for slot, limits in enumerate(by_boundary):
        reachable.move(dynamics, slot)
        for limit in limits:
            reachable.cut(limit)
        for limit in open_wishes.get(slot + 1, ()):
            trial = replace(reachable)
            violation = trial.cut(limit)
            if violation is not None:
                found[limit] = violation.clashes
            elif before is not None and (before.limit, before.boundary) == (limit.limit, limit.boundary - 1):
                found[limit] = found[before]  # a wish that lasts is spoilt by one and the same
            elif searches < _MOST_SEARCHES:
                searches += 1
                found[limit] = _first_spoilt(trial, slot + 1, by_boundary, dynamics)
            else:
                found[limit] = ()
            before = limit
    return found


def _first_spoilt(
    trial: _Range, slot: int, by_boundary: list[list[SoftLimit]], dynamics: Dynamics
) -> tuple[str, ...]:
    """Name the first limit that can no longer be kept from a range on; nothing if all can."""
    for later in range(slot, len(by_boundary)):
        trial.move(dynamics, later)
        for limit in by_boundary[later]:
            if trial.cut(limit) is not None:
                return (Obstacle(limit.limit, limit.boundary),)
    return ()


def _as_reached(limit: SoftLimit, reached: float) -> SoftLimit:
    """Ask of a limit no more than what a plan reaches."""
    return replace(limit, lower=min(limit.lower, reached), upper=max(limit.upper, reached))


def _suspects(use: StorageUse, dynamics: Dynamics, soc: FloatArray) -> Iterator[SoftLimit]:
    """Give all wishes, and of the device's own limits those which are not kept to the last digit."""
    outside = (soc < np.array(dynamics.soc_min)) | (soc > np.array(dynamics.soc_max))
    wishes = wishes_by_boundary(use)
    places = sorted(set((np.flatnonzero(outside[1:]) + 1).tolist()) | set(wishes))
    for boundary in places:
        yield SoftLimit("soc minimum", 0, boundary, lower=dynamics.soc_min[boundary])
        yield SoftLimit("soc maximum", 0, boundary, upper=dynamics.soc_max[boundary])
        yield from wishes.get(boundary, [])


def _is_missed(limit: SoftLimit, reached: float) -> bool:
    wanted = min(max(reached, limit.lower), limit.upper)
    return abs(wanted - reached) > _TOLERANCE_MWH * max(1.0, abs(wanted))

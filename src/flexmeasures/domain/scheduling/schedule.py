"""The answer of planning: power, state of charge, cost, and what could not be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from flexmeasures.domain.scheduling.costs import Cost
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.missed import Missed

if TYPE_CHECKING:
    from flexmeasures.domain.scheduling.explain import Explanation

__all__ = ["DevicePlan", "Outcome", "Schedule", "SitePlan"]


class Outcome(Enum):
    """Outcome of a plan, best first."""

    OPTIMAL = "optimal"
    """All limits and wishes are kept, at the lowest cost."""
    BEST_FOUND = "best found"
    """All limits and wishes are kept; time ran out before the lowest cost was proven. See the gap."""
    RELAXED = "relaxed"
    """Not all wishes can be kept together: the least important ones are missed by as little as possible."""
    FALLBACK = "fallback"
    """No plan was computed: devices follow the simple fallback policy."""


@dataclass(frozen=True)
class Schedule:
    """The plan of one storage device.

    Args:
        power_mw: Average power in each slot (n,) [MW], consumption positive.
        soc_mwh: State of charge at the start of each slot and at the end of the last (n+1,) [MWh].
        cost: Σ price · power · duration, without the tiny slope [currency].
        outcome: How the plan came about.
        missed: What it does not keep; empty if `outcome` is OPTIMAL.
        notes: The same and other remarks, as sentences for people.
        gap: Proven relative distance from the lowest cost; 0 when optimal, inf when nothing is proven.
    """

    power_mw: FloatArray
    soc_mwh: FloatArray
    cost: float
    outcome: Outcome
    missed: tuple[Missed, ...] = ()
    notes: tuple[str, ...] = ()
    gap: float = 0.0


@dataclass(frozen=True)
class DevicePlan:
    """The plan of one device of a site.

    Args:
        name: The device.
        power_mw: Average power in each slot (n,) [MW], consumption positive.
        soc_mwh: State of charge at each boundary (n+1,) [MWh]; None if it stores nothing.
    """

    name: str
    power_mw: FloatArray
    soc_mwh: FloatArray | None = None


@dataclass(frozen=True)
class SitePlan:
    """The plan of a site.

    Args:
        devices: Device name → its plan.
        cost: What it costs, without the tiny slope and mere preferences.
        outcome: How the plan came about.
        missed: What it does not keep.
        notes: The same and other remarks, as sentences for people.
        gap: Proven relative distance from the optimum; 0 when optimal, inf when nothing is proven.
        explanation: Why it is so, if asked for.
    """

    devices: Mapping[str, DevicePlan]
    cost: Cost
    outcome: Outcome
    missed: tuple[Missed, ...] = ()
    notes: tuple[str, ...] = ()
    gap: float = 0.0
    explanation: Explanation | None = None

    @property
    def net_mw(self) -> FloatArray:
        """Power of the whole site in each slot (n,) [MW], consumption positive."""
        return np.asarray(sum(device.power_mw for device in self.devices.values()))

"""What planning answers: power, state of charge, cost, and what could not be kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from flexmeasures.domain.scheduling.linear import FloatArray

__all__ = ["Missed", "Outcome", "Schedule"]


class Outcome(Enum):
    """How a plan came about, best first."""

    OPTIMAL = "optimal"
    """All limits and wishes are kept, at the lowest cost."""
    BEST_FOUND = "best found"
    """All limits and wishes are kept; time ran out before the lowest cost was proven. See the gap."""
    RELAXED = "relaxed"
    """Not all wishes can be kept together: the least important ones are missed by as little as possible."""
    FALLBACK = "fallback"
    """No plan was computed: devices follow the simple fallback policy."""


@dataclass(frozen=True)
class Missed:
    """A wish or limit that the schedule does not keep.

    Args:
        limit: Name of what was asked for, for example ``"soc target"``.
        device: Name of the device, or of the connection.
        index: Which boundary between slots (0 … n; for states of charge) or which slot (0 … n−1; for power).
        wanted: What was asked for [unit].
        reached: What the schedule has instead [unit].
        unit: ``"MWh"`` at a boundary, ``"MW"`` in a slot.
        clashes: Names of the limits that stand against it.
    """

    limit: str
    device: str
    index: int
    wanted: float
    reached: float
    unit: str = "MWh"
    clashes: tuple[str, ...] = ()

    @property
    def amount(self) -> float:
        """By how much it was missed, never negative [unit]."""
        return abs(self.wanted - self.reached)

    def __str__(self) -> str:
        """Say it in one sentence.

        >>> print(Missed("soc target", "car", 4, 5.0, 3.0, clashes=("maximum consumption of car",)))
        soc target of car at boundary 4: wanted 5 MWh, reached 3 MWh; in its way: maximum consumption of car.
        """
        place = "boundary" if self.unit == "MWh" else "slot"
        reason = f"; in its way: {', '.join(self.clashes)}" if self.clashes else ""
        return (
            f"{self.limit} of {self.device} at {place} {self.index}: wanted {self.wanted:.6g} {self.unit}, "
            f"reached {self.reached:.6g} {self.unit}{reason}."
        )


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

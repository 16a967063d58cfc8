"""Rolling use: what an earlier plan, or an agreement, means for a later plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.site import Commitment

__all__ = ["AgreedPower", "EarlierPlan", "carry_soc", "power_on_grid"]


@dataclass(frozen=True)
class AgreedPower:
    """A power that an asset has agreed to, such as an ordered activation.

    Attributes:
        name: How messages call it.
        start: From when on.
        end: Until when (exclusive).
        power_mw: Average power of the asset [MW, consumption positive].
        price: What deviating from it is taken to cost, either way [currency/MWh]; it is in no bill, so it does not
            count in the cost of a plan.
    """

    name: str
    start: datetime
    end: datetime
    power_mw: float
    price: float

    def on_grid(self, start: datetime, resolution: timedelta, slots: int) -> Commitment | None:
        """State it for the slots that lie wholly within it; None if there is none in a window of n slots."""
        first = max(0, -((start - self.start) // resolution))
        last = min(slots, (self.end - start) // resolution)
        if first >= last:
            return None
        power = np.full(slots, np.nan)
        power[first:last] = self.power_mw
        return Commitment(self.name, power, self.price, self.price, is_paid=False)


@dataclass(frozen=True)
class EarlierPlan:
    """A plan that was made before.

    Attributes:
        start: Start of the first slot.
        resolution: Length of a slot.
        power_mw: Power of each slot (n,) [MW].
        soc_mwh: State of charge at each boundary (n+1,) [MWh], nan where unknown; None if nothing is stored.
    """

    start: datetime
    resolution: timedelta
    power_mw: FloatArray
    soc_mwh: FloatArray | None

    def soc_at(self, instant: datetime) -> float:
        """State of charge at an instant [MWh], as it ends after the plan; nan before it, or where it is unknown."""
        if self.soc_mwh is None or instant < self.start:
            return float("nan")
        place = min((instant - self.start) / self.resolution, self.power_mw.size)
        before = int(place)
        if place == before:
            return float(self.soc_mwh[before])
        return float(np.interp(place - before, (0.0, 1.0), self.soc_mwh[before : before + 2]))


def carry_soc(
    known: tuple[datetime, float] | None, plan: EarlierPlan | None, start: datetime
) -> float | None:
    """Find the state of charge at the start of a new plan, if the earlier plan was followed until then.

    Args:
        known: The last known state of charge: when, and how much [MWh].
        plan: The last plan.
        start: Start of the new plan.

    Returns:
        State of charge [MWh]; None if nothing is known. What is known counts, plus what the plan has moved since. A
        store that no plan covers is taken to stay as it is.

    >>> at = datetime.fromisoformat
    >>> plan = EarlierPlan(at("2021-06-01T00Z"), timedelta(hours=1), np.ones(2), np.array([1.0, 2.0, 3.0]))
    >>> carry_soc((at("2021-06-01T01Z"), 2.5), plan, at("2021-06-01T02Z"))
    3.5
    """
    planned = float("nan") if plan is None else plan.soc_at(start)
    if known is None or (plan is not None and plan.start > known[0]):
        if np.isfinite(planned):
            return planned
        return None if known is None else known[1]
    since = float("nan") if plan is None else plan.soc_at(known[0])
    moved = planned - since
    return known[1] + (float(moved) if np.isfinite(moved) and start > known[0] else 0.0)


def power_on_grid(plan: EarlierPlan, start: datetime, resolution: timedelta, slots: int) -> FloatArray | None:
    """Read the power of a plan on the slots of another one.

    Returns:
        Shape (n,) [MW], nan where there was no plan; None if their slots differ or do not touch.
    """
    if plan.resolution != resolution or (start - plan.start) % resolution:
        return None
    shift = (start - plan.start) // resolution
    power = np.full(slots, np.nan)
    first, last = max(shift, 0), min(shift + slots, plan.power_mw.size)
    if first >= last:
        return None
    power[first - shift : last - shift] = plan.power_mw[first:last]
    return power

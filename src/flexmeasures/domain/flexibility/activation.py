"""Effects and value of an activation of flexibility: a schedule against its baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flexmeasures.domain.errors import BadValues

__all__ = ["ActivationValue", "Effect", "EnergyLeft", "effect_of", "value_of"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """Difference between a schedule and its baseline.

    Args:
        shifted_mwh: Energy that is used (or produced) at another time [MWh].
        shifted_mwh_h: The same times the duration of the shift: the measure of shifting [MWh·h].
        curtailed_mwh: Consumption or production that no longer happens: the measure of curtailment [MWh].
        added_mwh: Consumption or production that would not have happened [MWh].
    """

    shifted_mwh: float
    shifted_mwh_h: float
    curtailed_mwh: float
    added_mwh: float


@dataclass(frozen=True)
class EnergyLeft:
    """Energy left in the stores of an asset at the end of its schedule, beside its baseline.

    Emptying a store saves nothing by itself: what was in it must be bought again.

    Args:
        schedule_mwh: Energy left by the schedule [MWh].
        baseline_mwh: Energy left by the baseline [MWh].
        price: What a unit of it is worth [currency/MWh].
        in_costs: Whether the costs count it already, because the flex model says what it is worth.
    """

    schedule_mwh: float
    baseline_mwh: float
    price: float
    in_costs: bool = False

    @property
    def worth(self) -> float:
        """Return the worth of what the schedule leaves more than the baseline, on top of the costs [currency]."""
        return 0.0 if self.in_costs else (self.schedule_mwh - self.baseline_mwh) * self.price


@dataclass(frozen=True)
class ActivationValue:
    """Value of following a schedule instead of its baseline.

    Args:
        effect: What it moves and loses.
        cost: Cost of the schedule [currency].
        baseline_cost: Cost of the baseline [currency].
        co2_kg: Emissions of the schedule [kg].
        baseline_co2_kg: Emissions of the baseline [kg].
        left: What is left in stores; None: nothing is stored.
    """

    effect: Effect
    cost: float
    baseline_cost: float
    co2_kg: float = 0.0
    baseline_co2_kg: float = 0.0
    left: EnergyLeft | None = None

    @property
    def saving(self) -> float:
        """Money saved, what is left in stores counted; negative if it costs more [currency]."""
        worth = 0.0 if self.left is None else self.left.worth
        return self.baseline_cost - self.cost + worth

    @property
    def co2_saving_kg(self) -> float:
        """Emissions avoided, negative if there are more [kg]."""
        return self.baseline_co2_kg - self.co2_kg


def effect_of(
    schedule_mw: ArrayLike, baseline_mw: ArrayLike, hours: ArrayLike, *, can_curtail: bool = True
) -> Effect:
    """Measure how a schedule differs from its baseline.

    Energy that is missing in one slot and more in another is shifted; it is matched in time order, which is the
    matching of least duration when nothing is curtailed. A shift lasts from the middle of one slot to the middle of
    the other. What finds no match is curtailed if the total shrinks, else added.

    Args:
        schedule_mw: Power of each slot (n,) [MW], consumption positive.
        baseline_mw: Power without the activation (n,) [MW].
        hours: Duration of the slots, one or (n,) [h].
        can_curtail: Whether what finds no match is lost; a store only takes or gives it at another time.

    Raises:
        BadValues: The profiles differ in length, or hold no finite numbers.

    >>> effect_of([0.0, 2.0], [2.0, 0.0], 0.5)
    Effect(shifted_mwh=1.0, shifted_mwh_h=0.5, curtailed_mwh=0.0, added_mwh=0.0)
    """
    scheduled, baseline = np.asarray(schedule_mw, dtype=float), np.asarray(baseline_mw, dtype=float)
    if (
        scheduled.shape != baseline.shape
        or not np.all(np.isfinite(scheduled))
        or not np.all(np.isfinite(baseline))
    ):
        raise BadValues("A schedule and its baseline must have as many values, all finite numbers [MW].")
    duration = np.broadcast_to(np.asarray(hours, dtype=float), scheduled.shape)
    change = (scheduled - baseline) * duration
    more, less = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    shifted, energy_time = _match_in_time_order(more, less, np.cumsum(duration) - duration / 2)
    net = float(np.sum(change))
    is_production = float(np.sum(baseline * duration)) < 0
    lost = net if is_production else -net
    return Effect(shifted, energy_time, max(0.0, lost) if can_curtail else 0.0, max(0.0, -lost))


def _match_in_time_order(more: FloatArray, less: FloatArray, middle: FloatArray) -> tuple[float, float]:
    """Match increases with decreases, the earliest with the earliest; give the energy and the energy times duration."""
    gains, losses = np.cumsum(more), np.cumsum(less)
    shifted = float(min(gains[-1], losses[-1])) if more.size else 0.0
    if shifted <= 0:
        return 0.0, 0.0
    # Equal edges give pieces of no length. Not np.unique: it would load numpy.ma, which takes longer than a schedule.
    edges = np.sort(np.clip(np.concatenate(([0.0], gains, losses)), 0.0, shifted))
    pieces = np.diff(edges)
    inside = edges[:-1] + pieces / 2
    gained_at = middle[np.searchsorted(gains, inside)]
    lost_at = middle[np.searchsorted(losses, inside)]
    return shifted, float(np.sum(pieces * np.abs(gained_at - lost_at)))


def value_of(
    effect: Effect,
    costs: tuple[float, float],
    co2_kg: tuple[float, float] = (0.0, 0.0),
    left: EnergyLeft | None = None,
) -> ActivationValue:
    """Put effect, costs (schedule, baseline) [currency], emissions (the same) [kg] and what is left together."""
    return ActivationValue(effect, costs[0], costs[1], co2_kg[0], co2_kg[1], left)

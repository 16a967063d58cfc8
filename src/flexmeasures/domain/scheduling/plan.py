"""Plans: a model is stated, solved, and read; a plan always comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadFlexModel, BadValues, UnknownPrices
from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.formulate import add_storage
from flexmeasures.domain.scheduling.highs import HighsSolver
from flexmeasures.domain.scheduling.linear import FloatArray, LinearModel, LinearSolver, SolverOptions, Status
from flexmeasures.domain.scheduling.reach import follow_fallback, missed_by, reachable_band, simulate_soc
from flexmeasures.domain.scheduling.schedule import Outcome, Schedule

__all__ = ["PlanOptions", "plan_storage", "sooner_slope"]


@dataclass(frozen=True)
class PlanOptions:
    """How to plan.

    Args:
        prefer_charging_sooner: Whether to charge early and discharge late among equal prices.
        first_slot_fraction: Share of the first slot that is still to come, above 0 up to 1.
        solver_options: Time limit and gap.
        solver: What minimises; HiGHS by default.
    """

    prefer_charging_sooner: bool = True
    first_slot_fraction: float = 1.0
    solver_options: SolverOptions = field(default_factory=SolverOptions)
    solver: LinearSolver = field(default_factory=HighsSolver)


def plan_storage(
    device: StorageDevice,
    prices: ArrayLike,
    *,
    resolution_hours: float,
    soc_at_start: float,
    targets: Mapping[int, float] | None = None,
    options: PlanOptions | None = None,
) -> Schedule:
    """Plan one storage device at the lowest cost of energy.

    Args:
        device: What it can do.
        prices: Price of each slot, for consumption and production alike (n,) [currency/MWh].
        resolution_hours: Duration of a slot, > 0 [h].
        soc_at_start: State of charge at the start of the window [MWh].
        targets: Boundary k (1 … n; the end of slot k−1) → state of charge to be met exactly [MWh].
        options: How to plan.

    Raises:
        UnknownPrices: A price is missing.
        BadValues: A price is infinite.
        BadFlexModel: Limits or targets contradict themselves or the window.
    """
    options = options or PlanOptions()
    price = check_prices(prices)
    hours = slot_hours(price.size, resolution_hours, options.first_slot_fraction)
    use = StorageUse(device, soc_at_start, dict(targets or {}))
    use.check_window(price.size)
    planned = _minimise(use, price, hours, options)
    if planned is None:
        return _fall_back(use, price, hours)
    return planned


def check_prices(prices: ArrayLike) -> FloatArray:
    """Refuse prices that cannot be planned with.

    Raises:
        UnknownPrices: A price is missing.
        BadValues: There is none at all, or one is infinite.
    """
    price = np.asarray(prices, dtype=float)
    if price.ndim != 1 or price.size == 0:
        raise BadValues("There are no prices: give one for each slot of the planning window.")
    missing = np.flatnonzero(np.isnan(price))
    if missing.size == price.size:
        raise UnknownPrices("Prices unknown for planning window.")
    if missing.size:
        raise UnknownPrices(
            f"Prices partially unknown for planning window: {missing.size} of {price.size} slots, the first is slot "
            f"{missing[0]}. Send prices for the whole window, or plan for a shorter one.",
            {"slots": missing.tolist()},
        )
    if not np.all(np.isfinite(price)):
        slot = int(np.flatnonzero(~np.isfinite(price))[0])
        raise BadValues(f"The price of slot {slot} is {price[slot]}: give a finite number.", {"slot": slot})
    return price


def slot_hours(slots: int, resolution_hours: float, first_slot_fraction: float) -> FloatArray:
    """Duration of each slot (n,) [h]; the first may be partly over.

    Raises:
        BadFlexModel: A duration is not above 0.
    """
    if not (np.isfinite(resolution_hours) and resolution_hours > 0):
        raise BadFlexModel(f"The resolution is {resolution_hours} h: give a duration above 0.")
    if not 0 < first_slot_fraction <= 1:
        raise BadFlexModel(
            f"The rest of the first slot is {first_slot_fraction}: give a share above 0 up to 1."
        )
    hours = np.full(slots, float(resolution_hours))
    hours[0] *= first_slot_fraction
    return hours


def sooner_slope(prices: FloatArray) -> FloatArray:
    """Tiny artificial price rise over the window (n,), at most 1 per thousand of the price spread
    [currency/MWh].

    >>> sooner_slope(np.array([100.0, 100.0, 90.0])).round(6).tolist()
    [0.0, 0.005, 0.01]
    >>> sooner_slope(np.array([70.0, 70.0, 70.0])).round(6).tolist()
    [0.0, 0.0005, 0.001]
    """
    spread = float(np.max(prices) - np.min(prices))
    return np.linspace(0.0, spread * 0.001 if spread > 0 else 0.001, prices.size)


def _minimise(use: StorageUse, price: FloatArray, hours: FloatArray, options: PlanOptions) -> Schedule | None:
    """Solve for the lowest cost; None if wishes and limits cannot be kept together."""
    model = LinearModel()
    device = use.device
    band = (
        device.per_boundary(device.soc_min_mwh, hours.size),
        device.per_boundary(device.soc_max_mwh, hours.size),
    )
    if not band[0][0] <= use.soc_at_start_mwh <= band[1][0]:
        band = reachable_band(use, hours)
    part = add_storage(model, use, hours, band, elastic=False)
    slope = sooner_slope(price) if options.prefer_charging_sooner else 0.0
    cost = model.column_arrays[2]
    for columns, coefficient in part.power:
        cost[columns] += np.asarray(coefficient) * (price + slope) * hours
    solution = options.solver.solve(model, options.solver_options)
    if not solution.has_values:
        return None
    power, soc = part.power_of(solution.x), part.soc_of(solution.x)
    missed = tuple(missed_by(use, hours, soc))
    proven = Outcome.OPTIMAL if solution.status is Status.OPTIMAL else Outcome.BEST_FOUND
    return Schedule(
        power,
        soc,
        float(np.sum(price * power * hours)),
        Outcome.RELAXED if missed else proven,
        missed,
        tuple(str(one) for one in missed),
        solution.gap,
    )


def _fall_back(use: StorageUse, price: FloatArray, hours: FloatArray) -> Schedule:
    """Follow the fallback policy and say what it misses."""
    power = follow_fallback(use, hours)
    soc = simulate_soc(use, hours, power)
    missed = tuple(missed_by(use, hours, soc))
    notes = (
        "Not all limits can be kept together; the fallback policy is followed.",
        *(str(one) for one in missed),
    )
    return Schedule(
        power, soc, float(np.sum(price * power * hours)), Outcome.FALLBACK, missed, notes, float("inf")
    )

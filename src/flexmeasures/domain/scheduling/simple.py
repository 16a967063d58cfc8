"""Simple rules that need no search: no plan that was cut off by the time limit may be worse than one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling.costs import Cost, cost_of, cost_of_agreements, unplanned_powers
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.fallback import fall_back
from flexmeasures.domain.scheduling.given import plan_of_powers
from flexmeasures.domain.scheduling.linear import FloatArray, Status
from flexmeasures.domain.scheduling.missed import Missed
from flexmeasures.domain.scheduling.reach import Dynamics, simulate_soc
from flexmeasures.domain.scheduling.schedule import Outcome, SitePlan
from flexmeasures.domain.scheduling.site import Curtailable, Site
from flexmeasures.domain.scheduling.sitemodel import Objective
from flexmeasures.domain.scheduling.wishes import soft_limits

__all__ = ["best_of_cut_off", "charge_by_price", "cut_off_note", "objective_of"]

_NOISE = 1e-6
"""Differences of energy [MWh], power [MW] or cost [currency] that do not count."""
_RANKS = {"soc target": 2, "run": 3}
_FIRM = 5
"""Rank of what should never be given up: limits of devices, exclusions."""


def best_of_cut_off(
    site: Site, hours: FloatArray, found: SitePlan | Status, objective: Objective
) -> SitePlan:
    """Choose the best of what a search had found when its time was over and of the simple rules.

    Args:
        site: The site.
        hours: Duration of each slot (n,) [h].
        found: The plan that the search ended with, or how it ended without one.
        objective: What the plan makes as small as possible.

    Returns:
        The plan that misses least, by the order in which wishes are given up, and then costs least. Its notes say
        that the search was cut off and how far from the optimum the plan can be.
    """
    if isinstance(found, Status):
        plans = [fall_back(site, hours, found), *_simple_plans(site, hours, inf, objective)]
    else:
        most = inf if found.missed else objective_of(site, hours, found, objective)
        plans = [found, *_simple_plans(site, hours, most, objective)]
    standings = [_standing(site, hours, plan, objective) for plan in plans]
    best = min(range(len(plans)), key=lambda number: standings[number])
    chosen = plans[best]
    if best and isinstance(found, SitePlan):
        chosen = replace(chosen, gap=_gap_beside(standings[best], standings[0], found.gap))
    if isinstance(found, Status) and not best:
        return chosen
    return replace(chosen, notes=(cut_off_note(chosen.gap), *chosen.notes))


def objective_of(site: Site, hours: FloatArray, plan: SitePlan, objective: Objective) -> float:
    """Evaluate the objective of a plan, without the tiny slope of prices [currency or kg]."""
    powers = {name: device.power_mw for name, device in plan.devices.items()}
    return _objective(site, hours, powers, plan.cost, objective)


def _objective(
    site: Site, hours: FloatArray, powers: Mapping[str, FloatArray], cost: Cost, objective: Objective
) -> float:
    value = cost.total
    if objective is Objective.CO2:
        value = cost.co2_kg + cost.curtailment + cost.commitments + cost.wear + cost.final_soc
    return value + cost_of_agreements(site, hours, powers, paid=False)


def cut_off_note(gap: float) -> str:
    """Say that the time limit ended a search, and how much was proven until then.

    >>> cut_off_note(0.004)
    'Time ran out before the lowest cost was proven: it may lie up to 0.4 % of the cost of this plan below it.'
    """
    much = "it is not known how far below that of this plan it lies"
    if isfinite(gap):
        much = f"it may lie up to {100 * gap:.2g} % of the cost of this plan below it"
    return f"Time ran out before the lowest cost was proven: {much}."


def charge_by_price(use: StorageUse, hours: FloatArray, price: FloatArray) -> FloatArray:
    """Charge at full power in the cheapest slots before each boundary at which energy is wanted, and never discharge.

    Args:
        use: The storage device and what is wanted of it.
        hours: Duration of each slot (n,) [h].
        price: Price of each slot (n,).

    Returns:
        Power of each slot (n,) [MW]. Where all slots are not enough, all of them are used.
    """
    dynamics = Dynamics(use, hours)
    wanted = {wish.boundary: wish.lower for wish in soft_limits(use) if isfinite(wish.lower)}
    if use.preferred_final_soc_mwh is not None:
        wanted.setdefault(hours.size, use.preferred_final_soc_mwh)
    power = np.zeros(hours.size)
    since, soc = 0, float(use.soc_at_start_mwh)
    for boundary, goal in sorted({**wanted, hours.size: wanted.get(hours.size, -inf)}.items()):
        cheapest = since + np.argsort(price[since:boundary], kind="stable")
        least, most, tried = 0, cheapest.size, 0  # often nothing is needed
        while least < most:
            _, ended = _fill(dynamics, (since, soc), goal, boundary, cheapest[:tried])
            least, most = (least, tried) if ended >= goal - _NOISE * 1e-3 else (tried + 1, most)
            tried = (least + most) // 2
        power[since:boundary], soc = _fill(dynamics, (since, soc), goal, boundary, cheapest[:least])
        since = boundary
    return power


def _fill(
    dynamics: Dynamics, start: tuple[int, float], goal: float, boundary: int, slots: NDArray[np.int64]
) -> tuple[list[float], float]:
    """Charge towards a state of charge in some slots; give the powers until the boundary and what it has there."""
    since, soc = start
    chosen = set(slots.tolist())
    power = []
    for slot in range(since, boundary):
        lowest, highest = dynamics.soc_min[slot + 1], dynamics.soc_max[slot + 1]
        aim = min(max(goal, lowest), highest) if slot in chosen else lowest
        idle = dynamics.step(slot, soc, 0.0)
        power.append(max(0.0, dynamics.power_towards(slot, soc, aim)) if aim > idle else 0.0)
        soc = dynamics.step(slot, soc, power[-1])
    return power, soc


def _simple_plans(site: Site, hours: FloatArray, most: float, objective: Objective) -> Iterator[SitePlan]:
    """Give what simple rules make of a site, if its objective lies below `most`.

    Production that the connection does not take is curtailed.
    """
    idle = unplanned_powers(site, hours, charging=False)
    bought = site.tariff.prices[0]
    stores = [one for one in site.devices if isinstance(one, StorageUse)]
    by_price = {**idle, **{one.name: charge_by_price(one, hours, bought) for one in stores}}
    for name, powers in (
        ("charging in the cheapest slots", by_price),
        ("charging at once", unplanned_powers(site, hours, charging=True)),
        ("doing nothing", idle),
    ):
        kept = _curtailed(site, hours, powers)
        soc = {one.name: simulate_soc(one, hours, kept[one.name]) for one in stores}
        if _objective(site, hours, kept, cost_of(site, hours, kept, soc), objective) < most:
            remark = f"The best that was found is {name}."
            yield plan_of_powers(site, hours, kept, Outcome.BEST_FOUND, remark, soc)


def _curtailed(site: Site, hours: FloatArray, powers: Mapping[str, FloatArray]) -> Mapping[str, FloatArray]:
    """Lower production as far as its minimum where the site would export more than its limit."""
    kept = dict(powers)
    most_exported = site.connection.per_slot(hours.size)[1]
    for one in site.devices:
        if isinstance(one, Curtailable):
            excess = np.maximum(-sum(kept.values(), np.zeros(hours.size)) - most_exported, 0.0)
            removable = np.maximum(-kept[one.name] - np.asarray(one.minimum_mw, dtype=float), 0.0)
            kept[one.name] = kept[one.name] + np.minimum(excess, removable)
    return kept


@dataclass(frozen=True, order=True)
class _Standing:
    """Rate a plan: what it misses in each rank, the most important first, then the objective."""

    missed: tuple[int, ...]
    objective: float


def _standing(site: Site, hours: FloatArray, plan: SitePlan, objective: Objective) -> _Standing:
    missed = [0.0] * _FIRM
    for one in plan.missed:
        missed[_FIRM - _rank(one)] += one.amount
    value = objective_of(site, hours, plan, objective)
    return _Standing(tuple(round(amount / _NOISE) for amount in missed), value)


def _rank(missed: Missed) -> int:
    """Place in the order of relaxation, as in `soft_limits` and the models."""
    if missed.limit.endswith("wished"):
        return 1
    if missed.limit.startswith(("import limit", "export limit")):
        return 4
    return _RANKS.get(missed.limit, _FIRM)


def _gap_beside(simple: _Standing, found: _Standing, gap: float) -> float:
    """Gap of a simple plan, by the bound that the search had proven; inf where it says nothing about it."""
    if simple.missed != found.missed or not isfinite(gap):
        return inf
    bound = found.objective - gap * abs(found.objective)
    return max(0.0, simple.objective - bound) / max(abs(simple.objective), 1e-9)

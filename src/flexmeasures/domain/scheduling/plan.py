"""Plans: a model is stated, solved, and read; a plan always comes back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.scheduling.budget import Budget, Timer
from flexmeasures.domain.scheduling.costs import charge_at_once, cost_of, do_nothing
from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.explain import explain
from flexmeasures.domain.scheduling.fallback import fall_back
from flexmeasures.domain.scheduling.highs import HighsSolver
from flexmeasures.domain.scheduling.linear import FloatArray, LinearSolver, SolverOptions, Status
from flexmeasures.domain.scheduling.missed import Missed
from flexmeasures.domain.scheduling.reach import missed_by
from flexmeasures.domain.scheduling.schedule import DevicePlan, Outcome, Schedule, SitePlan
from flexmeasures.domain.scheduling.simple import best_of_cut_off, objective_of
from flexmeasures.domain.scheduling.site import Site, Tariff
from flexmeasures.domain.scheduling.sitemodel import Objective, SiteModel, Statement, gains_by_both
from flexmeasures.domain.scheduling.solving import Answer, Problem, breaks_rules, solve, solve_relaxed
from flexmeasures.domain.scheduling.storage import StoragePart
from flexmeasures.domain.scheduling.stretches import join, plan_in_stretches

__all__ = ["PlanOptions", "plan_futures", "plan_site", "plan_storage", "slot_hours"]

_LONGEST_WINDOW = 3000
"""Slots up to which a window is always planned as one: a month of quarters."""
_SHARE_AS_ONE = 0.45
"""Share of the time in which a longer one is tried as one."""
_SHARE_OF_STRETCHES = 0.6
"""Share of what is left then for its stretches; the rest is for putting them together."""


@dataclass(frozen=True)
class PlanOptions:
    """Options of planning.

    Args:
        prefer_charging_sooner: Whether to charge early and discharge late among equal prices.
        prefer_charging_later: Whether to charge late and discharge early instead, whatever `prefer_charging_sooner` is.
        first_slot_fraction: Share of the first slot that is still to come, above 0 up to 1.
        objective: What to make as small as possible.
        relax: Whether wishes that cannot all be kept are given up in order; else the fallback policy follows.
        explain: Whether to say which rule bound in each slot, and the cost of simple plans.
        solver_options: Time limit of the whole plan, and gap.
        solver: What minimises; HiGHS by default.
        timer: Measures the time that planning takes.
    """

    prefer_charging_sooner: bool = True
    first_slot_fraction: float = 1.0
    objective: Objective = Objective.COST
    relax: bool = True
    explain: bool = False
    solver_options: SolverOptions = field(default_factory=SolverOptions)
    solver: LinearSolver = field(default_factory=HighsSolver)
    timer: Timer = time.monotonic
    prefer_charging_later: bool = False


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
    site = Site((StorageUse(device, soc_at_start, dict(targets or {})),), Tariff(prices))
    plan = plan_site(site, resolution_hours=resolution_hours, options=options)
    own = plan.devices[device.name]
    soc = np.empty(0) if own.soc_mwh is None else own.soc_mwh
    return Schedule(own.power_mw, soc, plan.cost.energy, plan.outcome, plan.missed, plan.notes, plan.gap)


def plan_site(site: Site, *, resolution_hours: float, options: PlanOptions | None = None) -> SitePlan:
    """Plan all devices of a site together, at the lowest cost or emissions.

    Args:
        site: Devices, connection, tariff and agreements.
        resolution_hours: Duration of a slot, > 0 [h].
        options: How to plan.

    Raises:
        UnknownPrices: A price is missing.
        BadValues: A series is infinite or has the wrong length.
        BadFlexModel: Devices contradict themselves or the window.

    Invariants:
        Device limits and exclusions are always kept; everything else that is not is listed in ``missed``.
    """
    return plan_futures([site], [1.0], resolution_hours=resolution_hours, options=options)[0]


def plan_futures(
    sites: Sequence[Site],
    weights: Sequence[float],
    *,
    resolution_hours: float,
    shared_slots: int = 1,
    options: PlanOptions | None = None,
) -> tuple[SitePlan, ...]:
    """Plan in two stages: the first slots for all possible futures together, later slots for each of them.

    Args:
        sites: The same devices in each future, with other prices or profiles.
        weights: Probability of each future; they add up to 1.
        resolution_hours: Duration of a slot, > 0 [h].
        shared_slots: In how many first slots each device has the same power in all futures, as far as it can do the
            same in them: what can be curtailed follows its forecast.
        options: How to plan.

    Raises:
        BadFlexModel: Futures have other devices or other lengths, or weights do not add up to 1, or a number of
            shared slots is below 0.
    """
    options = options or PlanOptions()
    _check_futures(sites, weights, shared_slots)
    slots = sites[0].tariff.prices[0].size
    hours = slot_hours(slots, resolution_hours, options.first_slot_fraction)
    statements = tuple(
        Statement(
            hours,
            options.objective,
            options.prefer_charging_sooner,
            options.prefer_charging_later,
            label=f"future {number}: " if len(sites) > 1 else "",
            weight=float(weight),
        )
        for number, weight in enumerate(weights)
    )
    budget = Budget(options.solver, options.solver_options, options.timer)
    if len(sites) == 1:
        plan_one = _plan_long if slots > _LONGEST_WINDOW else _plan_one
        return (plan_one(sites[0], hours, budget, options),)
    answer = solve(Problem(tuple(sites), statements, shared_slots, budget, options.relax))
    if isinstance(answer, Status):
        return tuple(fall_back(site, hours, answer) for site in sites)
    return tuple(_read(answer, stated, options) for stated in answer.stated)


def _plan_one(site: Site, hours: FloatArray, budget: Budget, options: PlanOptions) -> SitePlan:
    """Plan a site; if time ends the search, no simple rule does better than what is given."""
    statement = _statement(hours, options)
    answer = solve(Problem((site,), (statement,), 0, budget, options.relax))
    if answer is Status.INFEASIBLE:
        return fall_back(site, hours, answer)
    if isinstance(answer, Status):
        return best_of_cut_off(site, hours, answer, options.objective)
    plan = _read(answer, answer.stated[0], options)
    if answer.solution.status is Status.OPTIMAL:
        return plan
    return best_of_cut_off(site, hours, plan, options.objective)


def _plan_long(site: Site, hours: FloatArray, budget: Budget, options: PlanOptions) -> SitePlan:
    """Plan a site in a window that may be too long: as one without whole numbers, else in stretches.

    The plan without whole numbers, if there was time for it, bounds what could still be gained. Where export earns more
    than import costs it is not tried: it would do both at once, and its bound says little.
    """
    statement = _statement(hours, options)
    relaxed: Answer | Status = Status.LIMIT
    if not gains_by_both(site, statement):
        first_try = budget.part(_SHARE_AS_ONE)
        first_try.use_reserve()
        relaxed = solve_relaxed(Problem((site,), (statement,), 0, first_try, relax=False))
        if (
            isinstance(relaxed, Answer)
            and relaxed.solution.status is Status.OPTIMAL
            and not breaks_rules(relaxed)
        ):
            return _read(relaxed, relaxed.stated[0], options)
    plan_stretch = partial(_plan_stretch, options)
    pieces = plan_in_stretches(site, hours, budget.part(_SHARE_OF_STRETCHES), options.objective, plan_stretch)
    plan = join(site, hours, pieces)
    if isinstance(relaxed, Answer) and not plan.missed:
        value = objective_of(site, hours, plan, options.objective)
        plan = replace(plan, gap=max(0.0, value - relaxed.solution.objective) / max(abs(value), 1e-9))
    if plan.explanation is not None:
        baselines = (do_nothing(site, hours), charge_at_once(site, hours))
        plan = replace(plan, explanation=replace(plan.explanation, baselines=baselines))
    return best_of_cut_off(site, hours, plan, options.objective)


def _plan_stretch(options: PlanOptions, site: Site, hours: FloatArray, budget: Budget) -> SitePlan | None:
    """Plan a stretch of a long window; None if the time was too short for any answer."""
    statement = _statement(hours, options)
    answer = solve(Problem((site,), (statement,), 0, budget))
    return None if isinstance(answer, Status) else _read(answer, answer.stated[0], options)


def _statement(hours: FloatArray, options: PlanOptions) -> Statement:
    return Statement(hours, options.objective, options.prefer_charging_sooner, options.prefer_charging_later)


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


def _check_futures(sites: Sequence[Site], weights: Sequence[float], shared_slots: int) -> None:
    if not sites or shared_slots < 0:
        raise BadFlexModel(
            f"There are {len(sites)} futures that share {shared_slots} slots: give 1 and 0, or more."
        )
    names = {tuple(device.name for device in site.devices) for site in sites}
    lengths = {site.tariff.prices[0].size for site in sites}
    if len(names) > 1 or len(lengths) > 1:
        raise BadFlexModel("All futures of a plan must have the same devices and the same number of slots.")
    if len(weights) != len(sites) or not np.isclose(sum(weights), 1.0) or min(weights) <= 0:
        raise BadFlexModel("Each future needs a weight above 0, and the weights must add up to 1.")


def _read(answer: Answer, stated: SiteModel, options: PlanOptions) -> SitePlan:
    """Turn a solution into the plan of a site."""
    hours, x = stated.statement.hours, answer.solution.x
    powers = {name: part.power_of(x) for name, part in stated.parts.items()}
    soc = {name: part.soc_of(x) for name, part in stated.parts.items() if isinstance(part, StoragePart)}
    missed = tuple(_missed(answer, stated, soc))
    if missed:
        outcome = Outcome.RELAXED
    else:
        outcome = Outcome.OPTIMAL if answer.solution.status is Status.OPTIMAL else Outcome.BEST_FOUND
    explanation = None
    if options.explain:
        baselines = (do_nothing(stated.site, hours), charge_at_once(stated.site, hours))
        explanation = explain(answer, stated, baselines)
    return SitePlan(
        {name: DevicePlan(name, power, soc.get(name)) for name, power in powers.items()},
        cost_of(stated.site, hours, powers, soc),
        outcome,
        missed,
        tuple(str(one) for one in missed),
        answer.solution.gap,
        explanation,
    )


def _missed(answer: Answer, stated: SiteModel, soc: Mapping[str, FloatArray]) -> list[Missed]:
    """List what a solution misses: states of charge, loads that do not run, limits of the connection."""
    missed = []
    for name, part in stated.parts.items():
        if isinstance(part, StoragePart):
            for one in missed_by(part.use, stated.statement.hours, soc[name]):
                rank = 2 if one.limit == "soc target" else 1
                clashes = one.clashes or _others(answer.clashes.get(rank, ()), f"{one.limit} of {name}")
                missed.append(Missed(one.limit, name, one.index, one.wanted, one.reached, clashes=clashes))
        elif part.slacks and answer.solution.x[part.slacks[0].columns[0]] > 1e-6:
            clashes = _others(answer.clashes.get(3, ()), f"run once of {name}")
            run = 1.0 - float(answer.solution.x[part.slacks[0].columns[0]]) / part.slacks[0].most
            missed.append(Missed("run", name, part.limits[-1].first, 1.0, run, "run", clashes))
    return missed + _missed_at_connection(answer, stated)


def _missed_at_connection(answer: Answer, stated: SiteModel) -> list[Missed]:
    """List the slots in which the connection, with the margins for forecast errors, is not enough."""
    missed: list[Missed] = []
    if stated.balance is None:
        return missed
    x, most = answer.solution.x, stated.site.connection.per_slot(stated.statement.hours.size)
    for slack in stated.balance.slacks:
        limit = next(one for one in stated.balance.limits if one.at_upper == slack.limit)
        is_import = slack.limit == "import limit"
        used = x[stated.balance.imported if is_import else stated.balance.exported]
        wanted, excess = most[0 if is_import else 1], x[slack.columns]
        clashes = _others(answer.clashes.get(4, ()), f"{slack.limit} of {slack.device}")
        places = np.flatnonzero(excess > 1e-6)
        for place, slot in zip(places.tolist(), limit.when(places).tolist(), strict=True):
            name = slack.limit if used[slot] > wanted[slot] + 1e-6 else f"{slack.limit} with its margin"
            reached = float(wanted[slot] + excess[place])
            missed.append(Missed(name, slack.device, slot, float(wanted[slot]), reached, "MW", clashes))
    return missed


def _others(names: tuple[str, ...], own: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != own)

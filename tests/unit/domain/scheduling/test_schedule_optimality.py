"""Optimality of random plans against exact methods of their own: mixed-integer statements, a dynamic program."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from flexmeasures.domain.scheduling import (
    Commitment,
    Connection,
    Curtailable,
    Direction,
    Exclusion,
    Objective,
    Outcome,
    PeakPrice,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_futures,
    plan_site,
    stay_with,
)

PLAIN = PlanOptions(prefer_charging_sooner=False)
HOURS = 0.5
"""Duration of a slot, as in the exact statement [h]."""
CLEAN = PlanOptions(prefer_charging_sooner=False, objective=Objective.CO2)


def check(state_exactly, sites, weights=(1.0,), shared=0, options=PLAIN):
    """Plan, and compare cost, what is missed and every rule with the exact solution; say whether wishes were missed."""
    exact, powers = state_exactly(sites, weights, shared, options.objective)
    best, least = exact.best()
    plans = plan_futures(sites, weights, resolution_hours=HOURS, shared_slots=shared, options=options)

    cost = sum(
        weight * (planned_cost(site, plan, options))
        for site, plan, weight in zip(sites, plans, weights, strict=True)
    )
    assert cost == pytest.approx(best, abs=1e-5)
    is_missed = any(value > 1e-6 for value in least.values())
    assert (plans[0].outcome is Outcome.OPTIMAL) != is_missed or len(sites) > 1
    held = [
        (
            terms[k][0],
            plan.devices[name].power_mw[k] - terms[k][1] - 1e-5,
            plan.devices[name].power_mw[k] - terms[k][1] + 1e-5,
        )
        for plan, own in zip(plans, powers, strict=True)
        for name, terms in own.items()
        for k in range(plan.net_mw.size)
        if terms[k][0]
    ]
    held += [
        ([(column, 1) for column in exact.missed[rank]], -np.inf, least.get(rank, 0.0) + 1e-4)
        for rank in exact.missed
    ]
    assert exact.minimise(np.zeros(len(exact.cost)), held) is not None, (
        "the plan breaks a limit or rule of the exact statement"
    )
    return is_missed


def planned_cost(site, plan, options):
    """What a plan costs by its own account, with preferences for agreed profiles that nobody pays for."""
    preferred = 0.0
    for one in site.commitments:
        if not one.is_paid:
            deviation = (
                plan.net_mw if one.device is None else plan.devices[one.device].power_mw
            ) - one.power_mw
            prices = np.where(deviation > 0, one.price_above, -one.price_below)
            preferred += float(np.nansum(prices * deviation) * HOURS)
    if options.objective is Objective.COST:
        return preferred + plan.cost.total
    return preferred + plan.cost.co2_kg + plan.cost.curtailment + plan.cost.commitments + plan.cost.final_soc


def some(rng, *choices):
    """Pick one of some values."""
    return choices[int(rng.integers(len(choices)))]


def a_store(rng, name, n, *, wishes=False, losses=True, hungry=False):
    """A store: perhaps lossy, tapered, used, changing by slot, with a value or wish at the end."""
    size = rng.uniform(0.5, 2.0)
    start = rng.uniform(0, size)
    lossy = losses and rng.random() < 0.7
    heats = hungry and rng.random() < 0.5
    changing = rng.random() < 0.3
    device = StorageDevice(
        name,
        max_consumption_mw=rng.uniform(0.3, 1.5, n) if changing and not heats else rng.uniform(0.5, 1.5),
        max_production_mw=0.0 if heats or rng.random() < 0.3 else rng.uniform(0.2, 1.5),
        soc_min_mwh=np.r_[0.0, rng.uniform(0, 0.1 * start, n)] if changing and not heats else 0.0,
        soc_max_mwh=np.r_[size, np.full(n, size * rng.uniform(1, 1.5))] if changing else size,
        charge_efficiency=rng.uniform(0.7, 1.0) if lossy else 1.0,
        discharge_efficiency=rng.uniform(0.7, 1.0) if lossy else 1.0,
        gain=rng.uniform(2.0, 4.0, n) if heats else 1.0,
        loss_per_hour=0.0 if heats else some(rng, 0.0, 0.02),
        usage_mw=rng.uniform(0, 0.5) if heats else 0.0,
        charge_taper=((0.5 * size, 1.2), (1.5 * size, 0.0)) if rng.random() < 0.3 else (),
        discharge_taper=((0.0, 0.2), (0.5 * size, 1.0), (size, 1.2)) if rng.random() < 0.3 else (),
    )
    device = replace(device, loss_per_hour=0.0) if changing else device
    asked = {"targets": {}, "soc_minima": {}, "soc_maxima": {}}
    if wishes:
        for boundary in rng.choice(np.arange(1, n + 1), 2, replace=False).tolist():
            asked[some(rng, *asked)][boundary] = rng.uniform(0, 1.2 * size)
    final = (
        {"preferred_final_soc_mwh": rng.uniform(0, size), "final_soc_price": 30.0}
        if rng.random() < 0.3
        else {}
    )
    return StorageUse(device, start, **asked, value_of_energy_left=rng.uniform(0, 60), **final)


def a_load(rng, name, n):
    """A load that runs once, in one piece or in pieces."""
    length = int(rng.integers(1, 3))
    earliest = int(rng.integers(0, n - length))
    if rng.random() < 0.5:
        return ShiftableLoad(name, (rng.uniform(0.2, 1.0),) * length, earliest, n, interruptible=True)
    return ShiftableLoad(name, tuple(rng.uniform(0.2, 1.0, length)), earliest)


def a_tariff(rng, n, *, split=True, peaks=False, co2=False):
    """Prices that are negative now and then; export may earn less or more than import costs."""
    prices = rng.normal(30, 40, n)
    peak = (PeakPrice(rng.uniform(5, 40), rng.uniform(0, 0.5), rng.integers(0, 2, n)), PeakPrice(8.0))
    sold = prices - rng.choice([-10.0, 0.0, 15.0], n) if split else None
    emitted = {"co2_kg_per_mwh": rng.uniform(50, 700, n), "co2_price": some(rng, 0.0, 80.0)} if co2 else {}
    return Tariff(prices, sold, peak if peaks else (), **emitted)


def the_sun(rng, name, n):
    """Production that may be curtailed for a price."""
    return Curtailable(
        name, -rng.uniform(0, 1, n) * rng.integers(0, 2, n), some(rng, 0.0, 0.2), some(rng, 0.0, 5.0)
    )


def a_building(rng, n):
    """What nobody controls, perhaps with quantiles."""
    power = rng.uniform(-1, 1, n)
    if rng.random() < 0.5:
        return Profile("building", power)
    return Profile("building", power, power - rng.uniform(0, 0.3, n), power + rng.uniform(0, 0.3, n))


def lone_store(rng, n):
    """A store alone, with losses and negative prices."""
    return Site((a_store(rng, "a", n),), a_tariff(rng, n, split=False))


def wishful_store(rng, n):
    """A store with targets, minima and maxima, often more than it can keep."""
    return Site((a_store(rng, "a", n, wishes=True),), a_tariff(rng, n, split=False))


def hungry_buffer(rng, n):
    """A heated buffer that is drawn from, with a band of comfort."""
    return Site((a_store(rng, "a", n, wishes=True, hungry=True),), a_tariff(rng, n))


def building_with_sun(rng, n):
    """A store, sun and a building behind a limited connection, with peak and CO₂ prices."""
    devices = (a_store(rng, "a", n), the_sun(rng, "sun", n), a_building(rng, n))
    limits = Connection(rng.uniform(1.0, 3.0), rng.uniform(0.5, 3.0))
    return Site(devices, a_tariff(rng, n, peaks=True, co2=True), limits)


def crowded_connection(rng, n):
    """Two stores with wishes and a building behind a connection that is too small for all."""
    devices = (a_store(rng, "a", n, wishes=True), a_store(rng, "b", n, wishes=True), a_building(rng, n))
    return Site(devices, a_tariff(rng, n), Connection(rng.uniform(0.3, 1.2), rng.uniform(0.3, 1.2)))


def loads_and_store(rng, n):
    """Two loads and a store behind a limit, which may be too low for a run."""
    devices = (a_load(rng, "dish", n), a_load(rng, "wash", n), a_store(rng, "a", n, losses=False))
    return Site(devices, a_tariff(rng, n), Connection(rng.uniform(0.4, 2.0)))


def excluded_devices(rng, n):
    """Two or three stores and a load of which some must not run together."""
    names = ["a", "b", "c"][: int(rng.integers(2, 4))]
    stores = tuple(a_store(rng, name, n, wishes=rng.random() < 0.3) for name in names)
    ways = tuple(Direction)
    rules = [Exclusion(*pair, some(rng, *ways), some(rng, *ways)) for pair in pairwise([*names, "dish"])]
    rules += [Exclusion("a", "c")] * (len(names) == 3)
    return Site((*stores, a_load(rng, "dish", n)), a_tariff(rng, n), exclusions=tuple(rules))


def promised_profiles(rng, n):
    """Agreed profiles of a device and of the site, and a previous plan that should stay."""
    store, sun = a_store(rng, "a", n), the_sun(rng, "sun", n)
    edges = (0.0, 2.0, -2.0, *rng.uniform(-1, 1, 3))
    agreed = np.where(rng.random(n) < 0.7, [some(rng, *edges) for _ in range(n)], np.nan)
    site_wide = Commitment("ordered", rng.uniform(-1, 1, n), *rng.uniform(0, 30, 2))
    own = Commitment("ordered", agreed, -5.0, rng.uniform(5, 40), "a")
    previous = stay_with({"a": agreed, "sun": np.asarray(sun.forecast_mw), "dish": rng.uniform(0, 1, n)}, 3.0)
    chosen = (*((site_wide,) if rng.random() < 0.5 else ()), *((own,) if rng.random() < 0.5 else previous))
    return Site((store, sun, a_load(rng, "dish", n)), a_tariff(rng, n), commitments=chosen)


KINDS = {
    lone_store: 40,
    wishful_store: 40,
    hungry_buffer: 40,
    building_with_sun: 40,
    crowded_connection: 15,
    loads_and_store: 40,
    excluded_devices: 20,
    promised_profiles: 40,
}
CLEAN_CASES, FUTURES_CASES, GRID_CASES = 25, 20, 180


def test_there_are_five_hundred_cases():
    """The promise of this file: 500 random plans and no miss."""
    assert sum(KINDS.values()) + CLEAN_CASES + FUTURES_CASES + GRID_CASES >= 500


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_random_plans_cost_exactly_the_least(kind, state_exactly):
    """Each of these sites, most of them with negative prices, is planned at the cost that the exact method finds."""
    for seed in range(KINDS[kind]):
        rng = np.random.default_rng([list(KINDS).index(kind), seed])
        check(state_exactly, [kind(rng, int(rng.integers(3, 5)))])


def test_random_plans_emit_exactly_the_least(state_exactly):
    """With emissions as the goal energy and peaks cost nothing, and prices of wishes are weighed as kg."""
    for seed in range(CLEAN_CASES):
        rng = np.random.default_rng([91, seed])
        site = some(rng, building_with_sun, promised_profiles)(rng, 4)
        tariff = replace(site.tariff, co2_kg_per_mwh=rng.uniform(0, 100, 4), co2_price=30.0)
        check(state_exactly, [replace(site, tariff=tariff)], options=CLEAN)


def test_random_plans_for_two_futures_cost_exactly_the_least_on_average(state_exactly):
    """Futures differ in prices, the building's power and the sun; the stores and loads share their first slots."""
    for seed in range(FUTURES_CASES):
        rng = np.random.default_rng([92, seed])
        site = some(rng, building_with_sun, loads_and_store, wishful_store)(rng, 4)
        redrawn = {
            "building": lambda rng=rng: a_building(rng, 4),
            "sun": lambda rng=rng: the_sun(rng, "sun", 4),
        }
        devices = tuple(redrawn[one.name]() if one.name in redrawn else one for one in site.devices)
        other = replace(site, devices=devices, tariff=a_tariff(rng, 4, split=bool(seed % 2)))
        check(state_exactly, [site, other], (0.3, 0.7), shared=int(rng.integers(0, 3)))


def test_random_batteries_beside_a_building_follow_the_best_steps_of_a_dynamic_program():
    """Powers, sizes and loads in whole MW: the best plan goes from whole MWh to whole MWh; all of these are tried."""
    for seed in range(GRID_CASES):
        rng = np.random.default_rng([93, seed])
        n, size, power = int(rng.integers(6, 24)), int(rng.integers(2, 7)), int(rng.integers(1, 4))
        start, load = int(rng.integers(0, size + 1)), rng.integers(-3, 4, n).astype(float)
        tariff = a_tariff(rng, n)
        bought, sold = tariff.prices
        cheapest = {start: 0.0}
        for k in range(n):
            reached: dict[int, float] = {}
            for soc, spent in cheapest.items():
                for after in range(max(0, soc - power), min(size, soc + power) + 1):
                    net = load[k] + after - soc
                    cost = spent + net * (bought[k] if net > 0 else sold[k])
                    reached[after] = min(cost, reached.get(after, np.inf))
            cheapest = reached
        wanted = int(rng.integers(0, size + 1))
        use = StorageUse(battery("b", power, max_soc_mwh=size), start, {n: wanted})

        plan = plan_site(Site((use, Profile("load", load)), tariff), resolution_hours=1.0, options=PLAIN)

        assert (plan.outcome is Outcome.OPTIMAL) == (wanted in cheapest)
        if wanted in cheapest:
            assert plan.cost.total == pytest.approx(cheapest[wanted], abs=1e-6)

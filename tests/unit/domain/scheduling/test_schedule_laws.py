"""Laws of every schedule: bounds, balance, optimality against an independent statement, no worse than doing nothing."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from flexmeasures.domain.scheduling import (
    Connection,
    Outcome,
    PlanOptions,
    ShiftableLoad,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    do_nothing,
    plan_site,
    plan_storage,
)

PLAIN = PlanOptions(prefer_charging_sooner=False)
FEW = settings(max_examples=15, deadline=None, derandomize=True)


def cheapest_by_linprog(prices, hours, power, soc, target):
    """Lowest cost of a lossless battery by dense cumulative sums: power (n,) between bounds, stock below each row."""
    n = prices.size
    lower_triangle = np.tril(np.ones((n, n))) * hours
    least, most, start = soc
    above, below = np.full(n, most - start), np.full(n, start - least)
    if target is not None:
        above[target[0] - 1] = min(above[target[0] - 1], target[1] - start)
        below[target[0] - 1] = min(below[target[0] - 1], start - target[1])
    return linprog(
        prices * hours,
        A_ub=np.vstack([lower_triangle, -lower_triangle]),
        b_ub=np.concatenate([above, below]),
        bounds=[(-power, power)] * n,
    )


@FEW
@given(
    seed=st.integers(0, 10_000),
    slots=st.integers(1, 24),
    power=st.floats(0.01, 3),
    start=st.floats(0, 4),
    wanted=st.none() | st.floats(0, 4),
)
def test_a_battery_plan_is_optimal_within_its_limits(seed, slots, power, start, wanted):
    """The plan keeps bounds and balance and costs what an independent exact solution costs."""
    prices = np.random.default_rng(seed).normal(50, 40, slots)
    target = None if wanted is None else (slots, wanted)
    exact = cheapest_by_linprog(prices, 0.5, power, (0.0, 4.0, start), target)

    schedule = plan_storage(
        battery("b", power, max_soc_mwh=4.0),
        prices,
        resolution_hours=0.5,
        soc_at_start=start,
        targets={slots: wanted} if wanted is not None else None,
        options=PLAIN,
    )

    assert np.all(np.abs(schedule.power_mw) <= power + 1e-8)
    assert schedule.soc_mwh.min() >= -1e-8
    assert schedule.soc_mwh.max() <= 4 + 1e-8
    np.testing.assert_allclose(np.diff(schedule.soc_mwh), schedule.power_mw * 0.5, atol=1e-8)
    if exact.status == 0:
        assert schedule.cost == pytest.approx(exact.fun, abs=1e-6)
        assert schedule.outcome is Outcome.OPTIMAL
    else:
        assert schedule.outcome is Outcome.RELAXED
        assert schedule.missed[0].limit == "soc target"
        nearest = np.clip(wanted, start - power * 0.5 * slots, start + power * 0.5 * slots)
        assert schedule.missed[0].reached == pytest.approx(nearest, abs=1e-6)


@FEW
@given(seed=st.integers(0, 10_000), slots=st.integers(1, 12))
def test_without_target_no_plan_costs_more_than_doing_nothing(seed, slots):
    """Idling is always allowed for a battery without targets and losses, so the plan is at most as expensive."""
    prices = np.random.default_rng(seed).normal(20, 40, slots)
    site = Site((StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 1.0),), Tariff(prices, prices - 5))

    plan = plan_site(site, resolution_hours=1.0, options=PLAIN)

    assert plan.cost.total <= do_nothing(site, np.ones(slots)).cost.total + 1e-8


def test_the_same_input_gives_the_same_schedule():
    """Two plans of the same day are equal to the last bit."""
    prices = np.random.default_rng(4).normal(50, 20, 96)
    plans = [
        plan_storage(battery("b", 1.0, max_soc_mwh=2.0), prices, resolution_hours=0.25, soc_at_start=1.0)
        for _ in range(2)
    ]

    assert plans[0].power_mw.tobytes() == plans[1].power_mw.tobytes()


@pytest.mark.parametrize("seed", range(8))
def test_loads_behind_a_limit_start_when_all_together_cost_the_least(seed):
    """Three uninterrupted loads: the cost is the least over all ways to start them within the limit."""
    rng = np.random.default_rng(seed)
    prices, limit = rng.normal(10, 20, 6), rng.uniform(0.9, 2.0)
    runs = [tuple(rng.uniform(0.2, 1.0, int(rng.integers(1, 4)))) for _ in range(3)]
    loads = tuple(ShiftableLoad(f"load {number}", run) for number, run in enumerate(runs))

    plan = plan_site(Site(loads, Tariff(prices), Connection(limit)), resolution_hours=1.0, options=PLAIN)

    possible = []
    for starts in product(*[range(6 - len(run) + 1) for run in runs]):
        power = np.zeros(6)
        for start, run in zip(starts, runs, strict=True):
            power[start : start + len(run)] += run
        if power.max() <= limit + 1e-9:
            possible.append(float(prices @ power))
    assert (plan.outcome is Outcome.OPTIMAL) == bool(possible)
    if possible:
        assert plan.cost.total == pytest.approx(min(possible), abs=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    powers=st.tuples(st.floats(0, 3), st.floats(0, 3)),
    efficiencies=st.tuples(st.floats(0.3, 1), st.floats(0.3, 1)),
    loss=st.floats(0, 0.3),
    start=st.floats(-1, 6),
    wishes=st.dictionaries(st.integers(1, 8), st.floats(-2, 8), max_size=3),
    prices=st.lists(st.floats(-100, 300), min_size=8, max_size=8),
    rest=st.floats(0.1, 1),
    relax=st.booleans(),
)
def test_every_plan_keeps_the_energy_and_the_limits_of_its_device(
    powers, efficiencies, loss, start, wishes, prices, rest, relax
):
    """Whatever is wished and wherever it starts: energy adds up, power stays within bounds, charge goes back inside."""
    device = StorageDevice(
        "b",
        *powers,
        0.0,
        4.0,
        charge_efficiency=efficiencies[0],
        discharge_efficiency=efficiencies[1],
        loss_per_hour=loss,
    )
    options = PlanOptions(first_slot_fraction=rest, relax=relax)
    plan = plan_storage(
        device, prices, resolution_hours=0.5, soc_at_start=start, targets=wishes, options=options
    )

    power, soc = plan.power_mw, plan.soc_mwh
    hours = np.array([0.5 * rest, *[0.5] * 7])
    assert np.all((power <= powers[0] + 1e-7) & (power >= -powers[1] - 1e-7))
    moved = np.where(power > 0, power * efficiencies[0], power / efficiencies[1])
    np.testing.assert_allclose(soc[1:], (1 - loss) ** hours * soc[:-1] + hours * moved, atol=1e-6)
    outside = np.maximum(np.maximum(-soc, soc - 4.0), 0.0)
    assert np.all(outside[1:] <= np.maximum(outside[:-1], 0.0) + 1e-7)
    assert plan.cost == pytest.approx(float(np.asarray(prices) * hours @ power), abs=1e-6)
    missed = {one.index for one in plan.missed if one.limit == "soc target"}
    kept = [soc[boundary] == pytest.approx(soc_mwh, abs=1e-6) for boundary, soc_mwh in wishes.items()]
    assert all(done or boundary in missed for done, boundary in zip(kept, wishes, strict=True))


@FEW
@given(seed=st.integers(0, 10_000), slots=st.integers(2, 24))
def test_the_tiny_slope_costs_at_most_its_own_size(seed, slots):
    """With the slope a plan costs at most 0.1 % of the price spread more for each MWh that it moves."""
    prices = np.random.default_rng(seed).normal(50, 40, slots)
    device = battery("b", 1.0, max_soc_mwh=2.0)
    sooner = plan_storage(device, prices, resolution_hours=1.0, soc_at_start=1.0)
    cheapest = plan_storage(device, prices, resolution_hours=1.0, soc_at_start=1.0, options=PLAIN)

    moved = np.abs(sooner.power_mw).sum() + np.abs(cheapest.power_mw).sum()
    assert sooner.cost <= cheapest.cost + 0.001 * np.ptp(prices) * moved + 1e-9

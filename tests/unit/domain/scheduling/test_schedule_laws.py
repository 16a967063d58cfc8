"""Laws of every schedule: bounds, balance, optimality against an independent statement, no worse than doing nothing."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, milp

from flexmeasures.domain.scheduling import (
    Connection,
    Exclusion,
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


def random_site(seed: int, slots: int) -> tuple[Site, dict]:
    """A lossy battery and a building behind a limited connection with two prices and a peak price."""
    rng = np.random.default_rng(seed)
    known = {
        "bought": rng.normal(40, 40, slots),
        "load": rng.uniform(-1, 1, slots),
        "limit": 2.0,
        "peak": 5.0,
        "floor": 0.5,
    }
    known["sold"] = known["bought"] - rng.choice([-10, 0, 15], slots)
    device = StorageDevice(
        "b", 1.0, 1.0, 0.0, 2.0, charge_efficiency=0.9, discharge_efficiency=0.8, loss_per_hour=0.02
    )
    return Site(
        (StorageUse(device, 1.0), Profile("building", known["load"])),
        Tariff(known["bought"], known["sold"], (PeakPrice(5.0, 0.5),)),
        Connection(2.0, 2.0),
    ), known


def cheapest_by_milp(known: dict) -> float:
    """The same site stated anew: variables charge, discharge, import, export, both choices, soc and peak."""
    n = known["load"].size
    charge, discharge, bought, sold, store, buy = (np.arange(n) + k * n for k in range(6))
    soc, peak = np.arange(n) + 6 * n, 7 * n
    rows, lower, upper = [], [], []

    def row(entries, low, high):
        line = np.zeros(7 * n + 1)
        for column, value in entries:
            line[column] += value
        rows.append(line)
        lower.append(low)
        upper.append(high)

    for k in range(n):
        kept = 0.98 if k else 0.0
        start = 0.98 if k == 0 else 0.0
        row([(soc[k], 1), (soc[k - 1], -kept), (charge[k], -0.9), (discharge[k], 1 / 0.8)], start, start)
        row(
            [(charge[k], 1), (discharge[k], -1), (bought[k], -1), (sold[k], 1)],
            -known["load"][k],
            -known["load"][k],
        )
        row([(charge[k], 1), (store[k], -1)], -np.inf, 0)
        row([(discharge[k], 1), (store[k], 1)], -np.inf, 1)
        row([(bought[k], 1), (buy[k], -2)], -np.inf, 0)
        row([(sold[k], 1), (buy[k], 2)], -np.inf, 2)
        row([(bought[k], 1), (peak, -1)], -np.inf, known["floor"])
    cost = np.zeros(7 * n + 1)
    cost[bought], cost[sold], cost[peak] = known["bought"], -known["sold"], known["peak"]
    integrality = np.zeros(7 * n + 1)
    integrality[store] = integrality[buy] = 1
    most = np.full(7 * n + 1, 2.0)
    most[np.concatenate([charge, discharge, store, buy])] = 1.0
    most[peak] = np.inf
    exact = milp(
        cost,
        constraints=LinearConstraint(np.array(rows), lower, upper),
        bounds=(0, most),
        integrality=integrality,
        options={"mip_rel_gap": 1e-9},
    )
    assert exact.status == 0
    return exact.fun


@FEW
@given(seed=st.integers(0, 10_000), slots=st.integers(1, 10))
def test_a_site_with_losses_and_negative_prices_is_optimal(seed, slots):
    """Whole numbers enter only where needed, and yet the cost is that of the full mixed-integer statement."""
    site, known = random_site(seed, slots)

    plan = plan_site(site, resolution_hours=1.0, options=PLAIN)

    assert plan.outcome is Outcome.OPTIMAL
    assert plan.cost.total == pytest.approx(cheapest_by_milp(known), abs=1e-5)
    power, soc = plan.devices["b"].power_mw, plan.devices["b"].soc_mwh
    stored = np.where(power > 0, 0.9 * power, power / 0.8)
    np.testing.assert_allclose(soc[1:], 0.98 * soc[:-1] + stored, atol=1e-6)
    assert np.all(np.abs(plan.net_mw) <= 2 + 1e-8)


@FEW
@given(seed=st.integers(0, 10_000))
def test_excluded_devices_never_run_together_and_cost_the_least(seed):
    """Each slot belongs to one of two batteries: the cost is the best over all 2⁵ ways to share five slots."""
    prices = np.random.default_rng(seed).normal(0, 40, 5)
    storages = tuple(StorageUse(battery(name, 1.0, max_soc_mwh=2.0), 1.0) for name in ("a", "b"))
    site = Site(storages, Tariff(prices), exclusions=(Exclusion("a", "b"),))

    plan = plan_site(site, resolution_hours=1.0, options=PLAIN)

    def cost_when_limited(allowed):
        device = StorageDevice("x", allowed, allowed, 0.0, 2.0)
        return plan_storage(device, prices, resolution_hours=1.0, soc_at_start=1.0, options=PLAIN).cost

    shares = [np.array([(way >> slot) & 1 for slot in range(5)], dtype=float) for way in range(32)]
    best = min(cost_when_limited(share) + cost_when_limited(1 - share) for share in shares)
    assert plan.cost.total == pytest.approx(best, abs=1e-6)
    assert not np.any(
        (np.abs(plan.devices["a"].power_mw) > 1e-6) & (np.abs(plan.devices["b"].power_mw) > 1e-6)
    )


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

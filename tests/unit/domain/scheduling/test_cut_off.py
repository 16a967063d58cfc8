"""Plans that the time limit cuts off: near the optimum, never worse than simple rules, and open about the rest."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexmeasures.domain.scheduling import (
    Connection,
    Curtailable,
    HighsSolver,
    Outcome,
    PeakPrice,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    SolverOptions,
    StorageDevice,
    StorageUse,
    Tariff,
    charge_at_once,
    do_nothing,
    plan_site,
)
from flexmeasures.domain.scheduling.linear import LinearSolution, Status
from flexmeasures.domain.scheduling.simple import charge_by_price

HOME = Path(__file__).parents[3] / "data" / "home-with-feed-in.json"
LEAST_COST = -10.745
"""Least cost of the home, proven to 0.1 % by another solver in a statement of its own [EUR]."""


def home_with_feed_in():
    """A home at market prices with a fixed price for what it feeds in, above them most of the day."""
    case = json.loads(HOME.read_text())
    battery, car, sun, house = case["devices"]
    stores = [
        StorageUse(
            StorageDevice(
                one["name"],
                one["charge"],
                one["discharge"],
                one["soc_min"],
                one["soc_max"],
                charge_efficiency=one["charge_efficiency"],
                discharge_efficiency=one["discharge_efficiency"],
            ),
            one["start"],
            {int(boundary): soc for boundary, soc in one.get("targets", {}).items()},
        )
        for one in (battery, car)
    ]
    devices = (*stores, Curtailable("sun", sun["power"]), Profile("house", house["power"]))
    limits = Connection(case["import_limit_mw"], case["export_limit_mw"])
    return Site(devices, Tariff(case["import_price"], case["export_price"]), limits)


def test_a_home_that_is_paid_more_for_export_than_it_pays_comes_near_the_optimum_in_two_seconds():
    """Its choices between import and export are stated so tightly that little is lost, and the bound is below all."""
    options = PlanOptions(prefer_charging_sooner=False, solver_options=SolverOptions(time_limit_s=2.0))

    plan = plan_site(home_with_feed_in(), resolution_hours=0.25, options=options)

    assert plan.outcome is Outcome.BEST_FOUND
    assert not plan.missed
    assert plan.cost.total <= LEAST_COST * (1 - 0.015)
    # 0.1 % is what the other solver had left open
    assert plan.cost.total - plan.gap * abs(plan.cost.total) <= LEAST_COST
    assert plan.gap < 0.03
    assert plan.notes[0].startswith("Time ran out before the lowest cost was proven: it may lie up to")


class FindsNothing:
    """A solver whose time is always over."""

    def solve(self, model, options):
        """Give up at once."""
        return LinearSolution(Status.LIMIT)


NOTHING = PlanOptions(solver=FindsNothing())


def a_car(start=0.0, **wishes):
    """A car of 1 MW and 4 MWh that charges only."""
    return StorageUse(StorageDevice("car", 1.0, 0.0, 0.0, 4.0), start, **wishes)


def test_without_any_answer_a_car_charges_in_its_cheapest_slots():
    """2 MWh by boundary 4 at 4, 1, 3 and 2 a MWh: in slots 1 and 3, for 3; at once they would cost 5."""
    site = Site((a_car(targets={4: 2.0}),), Tariff([4.0, 1.0, 3.0, 2.0, 0.0]))

    plan = plan_site(site, resolution_hours=1.0, options=NOTHING)

    assert plan.devices["car"].power_mw.tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert (plan.cost.total, plan.outcome, plan.missed) == (3.0, Outcome.BEST_FOUND, ())
    assert plan.notes == (
        "Time ran out before the lowest cost was proven: it is not known how far below that of this plan it lies.",
        "The best that was found is charging in the cheapest slots.",
    )


def test_simple_rules_lower_production_that_the_connection_does_not_take():
    """3 MW of sun behind 2 MW: 1 MW is curtailed, for a plan that exceeds its connection would be worse than any."""
    sun = Curtailable("sun", [-3.0, -1.0])
    plan = plan_site(
        Site((sun,), Tariff([1.0, 1.0]), Connection(9.0, 2.0)), resolution_hours=1.0, options=NOTHING
    )

    assert plan.devices["sun"].power_mw.tolist() == [-2.0, -1.0]
    assert not plan.missed


def test_a_search_that_ends_badly_gives_way_to_the_best_simple_rule():
    """What a solver stopped with costs 3, charging in the cheapest slot 1: that is done, and the bound still holds."""
    site = Site((a_car(targets={3: 1.0}),), Tariff([3.0, 1.0, 2.0]))

    class StopsEarly(HighsSolver):
        """A solver that is stopped at the dearest answer."""

        def solve(self, model, options):
            worst = super().solve(dearest(model), options)
            cost = float(model.column_arrays[2] @ worst.x)
            return replace(worst, status=Status.LIMIT, objective=cost, gap=0.8)

    plan = plan_site(
        site, resolution_hours=1.0, options=PlanOptions(solver=StopsEarly(), prefer_charging_sooner=False)
    )

    assert plan.devices["car"].power_mw.tolist() == [0.0, 1.0, 0.0]
    assert plan.cost.total == 1.0
    assert plan.gap == pytest.approx(0.4)  # the bound was 3 − 0.8 · 3 = 0.6


def dearest(model):
    """Turn a model's costs round."""
    turned = model.without_whole_numbers()
    turned.column_arrays[2][:] *= -1.0
    return turned


@pytest.mark.parametrize("seed", range(20))
def test_charging_by_price_uses_the_cheapest_slots_until_the_time_of_the_wish(seed):
    """Of the fewest slots at full power that are enough, the cheapest; the last in time only as far as it is needed."""
    rng = np.random.default_rng(seed)
    n, wanted, boundary = 12, rng.uniform(0.2, 4.0), int(rng.integers(6, 13))
    price = rng.normal(30, 20, n)
    expected = np.zeros(n)
    chosen = np.sort(np.argsort(price[:boundary])[: int(np.ceil(wanted))])
    expected[chosen] = 1.0
    expected[chosen[-1]] = wanted - (chosen.size - 1)

    power = charge_by_price(a_car(targets={boundary: wanted}), np.ones(n), price)

    assert power == pytest.approx(expected)


def long_home(slots, *, feed_in):
    """A battery, a car with a reserve each morning, sun and house for many days; feed-in above some market prices."""
    rng = np.random.default_rng(slots)
    hour = np.arange(slots) * 0.5
    price = 60 + 30 * np.sin(hour / 24 * 2 * np.pi) + rng.normal(0, 10, slots)
    sun = np.maximum(0.0, np.sin(hour / 24 * 2 * np.pi - np.pi / 2)) * 0.008
    lossy = {"charge_efficiency": 0.95, "discharge_efficiency": 0.95}
    car = StorageDevice("car", 0.011, 0.0, 0.0, 0.06, usage_mw=0.0007)
    mornings = {48 * day + 14: 0.04 for day in range(slots // 48)}
    devices = (
        StorageUse(StorageDevice("battery", 0.005, 0.005, 0.0, 0.01, **lossy), 0.005),
        StorageUse(car, 0.035, soc_minima=mornings),
        ShiftableLoad("wash", (0.002, 0.001), 100, 200),
        Curtailable("sun", -sun),
        Profile("house", 0.001 + 0.0005 * np.sin(hour) ** 2),
    )
    sold = np.full(slots, 62.0) if feed_in else price - 20
    return Site(devices, Tariff(price, sold, (PeakPrice(5.0),)), Connection(0.017, 0.01))


def test_a_window_too_long_for_one_plan_is_planned_in_stretches():
    """65 days by half hours with a load that must not run by halves: all is kept, at most 2 % above a lower bound."""
    site = long_home(3120, feed_in=False)

    plan = plan_site(site, resolution_hours=0.5, options=PlanOptions(explain=True))

    assert (plan.outcome, plan.missed) == (Outcome.BEST_FOUND, ())
    assert 0 < plan.gap < 0.02
    assert [name for name, one in plan.devices.items() if one.power_mw.shape != (3120,)] == []
    assert plan.devices["battery"].soc_mwh.shape == (3121,)
    assert np.count_nonzero(plan.devices["wash"].power_mw) == 2
    assert plan.net_mw.max() <= 0.017 + 1e-9
    assert plan.explanation.marginal_price.shape == (3120,)
    assert all(len(slots) == 3120 for slots in plan.explanation.binding.values())
    assert "planned in stretches" in " ".join(plan.notes)


def test_a_long_window_that_needs_choices_is_planned_and_better_than_simple_rules():
    """Feed-in above market prices in each of 3,120 slots: a plan comes within the limit and beats doing it simply."""
    site = long_home(3120, feed_in=True)
    limit = PlanOptions(solver_options=SolverOptions(time_limit_s=6.0))

    plan = plan_site(site, resolution_hours=0.5, options=limit)

    hours = np.full(3120, 0.5)
    assert (plan.outcome, plan.missed) == (Outcome.BEST_FOUND, ())
    assert plan.cost.total < min(
        charge_at_once(site, hours).cost.total,
        do_nothing(site, hours).cost.total if do_nothing(site, hours).keeps_wishes else np.inf,
    )
    net = plan.net_mw
    assert net.max() <= 0.017 + 1e-9
    assert net.min() >= -0.01 - 1e-9


def test_a_long_window_without_time_for_its_stretches_follows_a_simple_rule():
    """No time at all for 3,120 slots: each morning's reserve is charged in cheap slots."""
    plan = plan_site(long_home(3120, feed_in=True), resolution_hours=0.5, options=NOTHING)

    assert (plan.outcome, plan.missed) == (Outcome.BEST_FOUND, ())
    assert plan.notes[0].endswith("it is not known how far below that of this plan it lies.")

"""Random whole sites, from flex context to plan, against an exact statement written from the reference alone."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.scheduling import PlanOptions
from flexmeasures.domain.scheduling.flex_context import FlexContext, read_flex_context
from flexmeasures.domain.scheduling.flex_model import read_flex_model
from flexmeasures.domain.scheduling.planning.connection import InflexibleFacts, SiteFacts
from flexmeasures.domain.scheduling.planning.facts import (
    AssetFacts,
    MarketFacts,
    OnSlots,
    SlotGrid,
    StateFacts,
)
from flexmeasures.domain.scheduling.planning.sites import plan_whole_site

from .exact_sites import Connected, Store, lowest_cost

START = datetime(2024, 3, 31, tzinfo=UTC)
SLOTS = 8
HOUR = timedelta(hours=1)
PLAIN = PlanOptions(prefer_charging_sooner=False)


def known(values):
    """Values of which all are known."""
    return OnSlots(np.asarray(values, dtype=float), np.ones(SLOTS, dtype=bool))


def draw(seed):
    """Draw a site: what the planner is told of it, and the same in numbers."""
    rng = np.random.default_rng(seed)
    grid = SlotGrid(START, HOUR, SLOTS, "Europe/Amsterdam")
    prices = rng.normal(60, 60, SLOTS)
    roof = np.where(rng.random(SLOTS) < 0.6, rng.uniform(0, 3, SLOTS), 0.0)
    load = rng.uniform(0.1, 1.6, SLOTS)
    context, numbers = draw_context(rng, prices)
    stores = draw_stores(rng)
    devices = [as_asked(number, name, one, grid) for number, (name, one) in enumerate(stores.items(), 1)]
    if roof.any():
        model = read_flex_model({"kind": "curtailable"})
        devices.append(AssetFacts(3, "roof", "solar", 3.0, model, grid, forecast_mw=known(-roof)))
    facts = SiteFacts(
        9,
        "site",
        read_flex_context(context),
        grid,
        tuple(devices),
        bought=MarketFacts("market", "EUR", known(prices), grid.end),
        inflexible=(InflexibleFacts("house", known(load)),),
    )
    return facts, Connected(hours=1.0, stores=stores, inflexible=load, roof=roof, **numbers)


def draw_context(rng, prices):
    """Draw a flex context, and what it means in numbers."""
    context = {
        name: True for name in ("no-export-of-grid-energy", "no-charging-from-grid") if rng.random() < 0.25
    }
    numbers = {"no_resale": "no-export-of-grid-energy" in context, "sold": prices.copy(), "peak": None}
    numbers["own_supply_only"] = "no-charging-from-grid" in context
    surcharge, margin, feed_in = rng.uniform(0, 80), rng.uniform(0, 0.2), rng.uniform(20, 120)
    most, peak = (rng.uniform(0.8, 3), rng.uniform(0, 2)), (rng.uniform(20, 200), rng.uniform(0, 1.5))
    limits = [np.full(SLOTS, np.inf), np.full(SLOTS, np.inf)]
    if rng.random() < 0.5:
        context["consumption-surcharge"] = f"{surcharge / 1000} EUR/kWh"
        prices = prices + surcharge
    if rng.random() < 0.4:
        context["production-price"] = f"{feed_in} EUR/MWh"
        numbers["sold"][:] = feed_in
    if rng.random() < 0.7:
        context["site-consumption-capacity"] = f"{most[0] * 1000} kW"
        limits[0][:] = most[0]
    if rng.random() < 0.6:
        context["site-production-capacity"] = f"{most[1]} MW"
        limits[1][:] = most[1]
    if rng.random() < 0.3:
        context["reserve-margin"] = f"{margin} MW"
        limits = [np.maximum(limit - margin, 0.0) for limit in limits]
    if rng.random() < 0.4:
        context["site-peak-consumption-price"] = f"{peak[0]} EUR/MW"
        context["site-peak-consumption"] = f"{peak[1]} MW"
        numbers["peak"] = peak
    if rng.random() < 0.5:
        rule = {"first": 1, "second": 2, "first_use": "producing", "second_use": "consuming"}
        context["exclusions"] = [rule]
        numbers["never_feeds"] = ("battery", "car")
    return context, {**numbers, "bought": prices, "limits": tuple(limits)}


def draw_stores(rng):
    """Draw a battery and a car, with least powers, wear and targets."""
    stores = {}
    for name, is_car in (("battery", False), ("car", True)):
        size = rng.uniform(1, 4)
        one = Store(
            most=(rng.uniform(0.6, 2), 0.0 if is_car else rng.uniform(0.5, 2)),
            band=(0.0, size),
            start=rng.uniform(0, 0.5) * size,
            efficiency=(rng.uniform(0.85, 1), 1.0 if is_car else rng.uniform(0.85, 1)),
        )
        if rng.random() < 0.6:
            one.least = (rng.uniform(0.3, 0.9) * one.most[0], rng.uniform(0.1, 0.5) * one.most[1])
        if not is_car and rng.random() < 0.4:
            one.wear = rng.uniform(1, 40)
        if is_car or rng.random() < 0.3:
            one.targets[int(rng.integers(3, SLOTS + 1))] = rng.uniform(0.3, 1) * size
        stores[name] = one
    return stores


def as_asked(number, name, one, grid):
    """Write a store as the platform knows it."""
    fields = {
        "kind": "storage",
        "max_consumption_mw": one.most[0],
        "max_production_mw": one.most[1],
        "soc_max_mwh": one.band[1],
        "charge_efficiency": one.efficiency[0],
        "discharge_efficiency": one.efficiency[1],
        "min_consumption_mw": one.least[0],
        "min_production_mw": one.least[1],
        "wear_price": one.wear,
    }
    targets = {START + boundary * HOUR: soc for boundary, soc in one.targets.items()}
    state = StateFacts(event_soc_mwh=one.start, targets=targets)
    return AssetFacts(number, name, "battery", max(one.most), read_flex_model(fields), grid, state)


def check(seed):
    """Plan a random site, and compare it with the exact solution, slot by slot and in sum."""
    facts, exact = draw(seed)
    plan = plan_whole_site(facts, PLAIN, 0.0)
    power = {one.asset_id: one.power_mw for one in plan.devices}
    net = exact.inflexible + sum(power.values())
    assert plan.net_mw == pytest.approx(net, abs=1e-6)
    best, (excess, short) = lowest_cost(exact)
    most = exact.limits[1]
    if exact.no_resale:
        most = np.minimum(most, exact.roof + np.maximum(-exact.inflexible, 0.0))
    over = np.maximum(net - exact.limits[0], 0.0).sum() + np.maximum(-net - most, 0.0).sum()
    assert over == pytest.approx(excess, abs=1e-5)
    for number, one in enumerate(exact.stores.values(), 1):
        used = power[number]
        for sign, way in ((1, 0), (-1, 1)):
            running = sign * used > 1e-6
            assert (sign * used[running] >= one.least[way] - 1e-5).all()
            assert (sign * used <= one.most[way] + 1e-6).all()
        soc = one.start + np.cumsum(np.where(used > 0, used * one.efficiency[0], used / one.efficiency[1]))
        assert soc.min() >= one.band[0] - 1e-6
        assert soc.max() <= one.band[1] + 1e-6
        short -= sum(abs(soc[boundary - 1] - wanted) for boundary, wanted in one.targets.items())
    assert short == pytest.approx(0.0, abs=1e-5)
    if exact.never_feeds:
        assert not ((power[1] < -1e-6) & (power[2] > 1e-6)).any()
    assert plan.value.cost == pytest.approx(best, abs=2e-3)
    return excess > 1e-6, any(one.least[0] > 0 for one in exact.stores.values())


@pytest.mark.parametrize("tens", range(int(os.environ.get("RANDOM_SITES", "40")) // 10))
def test_random_sites_are_planned_exactly(tens):
    """Limits, feed-in, surcharges, peaks, bans, margins, exclusions, least powers, wear: each plan is the cheapest.

    Forty sites, or as many as the environment variable RANDOM_SITES says.
    """
    seen = [check(seed) for seed in range(10 * tens, 10 * tens + 10)]
    assert any(least for _, least in seen)


def cost_at_connection(exact, net, powers):
    """What a power at the connection costs, with the wear of the stores."""
    energy = np.where(net > 0, exact.bought, exact.sold) * net
    wear = [
        one.wear * np.maximum(-power, 0.0).sum()
        for one, power in zip(exact.stores.values(), powers, strict=True)
    ]
    return float(energy.sum() + sum(wear))


@pytest.mark.parametrize("seed", range(20))
def test_a_site_costs_no_more_than_its_devices_planned_alone(seed):
    """Together, roof, house, battery and car never cost more than with the plan that each makes for itself.

    Without limits, bans and exclusions, single plans may be carried out together; what they cost at the connection,
    where a feed-in tariff makes one device's surplus cheaper than energy from the grid, is the measure.
    """
    facts, exact = draw(seed)
    prices = {name: getattr(facts.context, name) for name in ("consumption_surcharge", "production_price")}
    free = replace(facts, context=FlexContext().model_copy(update=prices))
    together = plan_whole_site(free, PLAIN, 0.0)
    single = [
        plan_whole_site(replace(free, devices=(one,), inflexible=()), PLAIN, 0.0).devices[0].power_mw
        for one in facts.devices
    ]
    stores = single[: len(exact.stores)]
    apart = cost_at_connection(exact, exact.inflexible + sum(single), stores)
    assert together.value.cost <= apart + 1e-3


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        pytest.param(datetime(2024, 3, 30, 11, tzinfo=UTC), 23, id="a night of one hour less"),
        pytest.param(datetime(2024, 10, 26, 10, tzinfo=UTC), 25, id="a night of one hour more"),
    ],
)
def test_a_home_over_both_clock_changes(start, hours):
    """A car that stays from 18:00 to 7:00 gets its energy by then, within the connection, in the cheap hours.

    From noon to noon there are 23 or 25 hours. The car needs 6 MWh at up to 2 MW behind 2.5 MW with a house of 1 MW,
    which leaves 1.5 MW: four hours. The four cheapest of its stay are those from 2:00 UTC on in spring, 3:00 in autumn.
    """
    grid = SlotGrid(start, HOUR, hours, "Europe/Amsterdam")
    leaves = start.replace(day=start.day + 1, hour=5 if hours == 23 else 6)  # 7:00 local
    last = (leaves - start) // HOUR
    prices = np.full(hours, 90.0)
    prices[last - 4 : last + 2] = 40.0  # also in two hours after it has left
    fields = {"kind": "evse", "max_production_mw": 0}
    fields["stays"] = [{"arrival": "18:00", "departure": "07:00", "soc_wanted_mwh": 6}]
    car = AssetFacts(1, "car", "one-way_evse", 2.0, read_flex_model(fields), grid)

    def everywhere(values):
        return OnSlots(np.broadcast_to(values, hours).astype(float), np.ones(hours, dtype=bool))

    facts = SiteFacts(
        9,
        "home",
        read_flex_context({"site-consumption-capacity": "2.5 MW"}),
        grid,
        (car,),
        bought=MarketFacts("market", "EUR", everywhere(prices), grid.end),
        inflexible=(InflexibleFacts("house", everywhere(1.0)),),
    )
    plan = plan_whole_site(facts, PLAIN, 0.0)
    power = plan.devices[0].power_mw
    assert np.flatnonzero(power > 1e-6).tolist() == list(range(last - 4, last))
    assert power[last - 4 : last] == pytest.approx([1.5] * 4)
    assert plan.net_mw.max() <= 2.5 + 1e-6
    assert not plan.devices[0].missed

"""Among equal prices: in one block, sooner or later as wished, and not where prices are only assumed."""

from datetime import UTC, datetime, time

import numpy as np
import pytest

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.scheduling import (
    Connection,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_site,
)
from flexmeasures.domain.scheduling.flex_model import DailyStay, EvseModel, StorageModel, read_flex_model
from flexmeasures.domain.scheduling.prices import fill_prices, needed_until

NEITHER = PlanOptions(prefer_charging_sooner=False)
LATER = PlanOptions(prefer_charging_later=True)


def a_car(boundary=80, wanted=2.75):
    """A car of 1 MW that needs eleven quarter-hours at full power."""
    return StorageUse(StorageDevice("car", 1.0, 0.0, 0.0, 10.0), 0.0, {boundary: wanted})


def used(site, options):
    """Slots in which the car charges, and the plan."""
    plan = plan_site(site, resolution_hours=0.25, options=options)
    return np.flatnonzero(plan.devices["car"].power_mw > 1e-9), plan


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with a house and a battery"])
@pytest.mark.parametrize(
    ("options", "first"),
    [(NEITHER, 0), (PlanOptions(), 0), (LATER, 80 - 11)],
    ids=["no wish", "sooner", "later"],
)
def test_charging_at_a_flat_price_is_one_block(options, first, alone):
    """Eleven quarter-hours follow one another: at once, or as late as the target allows; a battery stands still."""
    others = () if alone else (StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 0.0), Profile("house", 0.3))
    slots, plan = used(Site((a_car(), *others), Tariff([70.0] * 96), Connection(3.0)), options)

    assert slots.tolist() == list(range(first, first + 11))
    if not alone:
        assert plan.devices["b"].power_mw == pytest.approx(np.zeros(96))


def test_each_price_level_has_one_block():
    """Night at 40, day at 70: the car is charged in the first or the last slots of the night, at the same cost."""
    prices = [70.0] * 40 + [40.0] * 40 + [70.0] * 16
    for options, expected in ((NEITHER, range(40, 51)), (LATER, range(69, 80))):
        slots, plan = used(Site((a_car(),), Tariff(prices)), options)
        assert slots.tolist() == list(expected)
        assert plan.cost.total == pytest.approx(2.75 * 40.0)


def test_without_a_wish_for_a_time_a_later_slot_is_taken_for_the_smallest_saving():
    """Prices of a cent apart, many of them equal: the eleven cheapest slots are used, whatever their time."""
    rng = np.random.default_rng(3)
    prices = np.round(rng.uniform(70.0, 70.2, 80), 2)
    _, plan = used(Site((a_car(),), Tariff(prices)), NEITHER)

    assert plan.cost.total == pytest.approx(np.sort(prices)[:11].sum() * 0.25, abs=1e-6)


def test_a_battery_that_prefers_later_does_not_cycle_at_equal_prices():
    """Full at the start, with energy that is worth as much left as sold: nothing moves, sooner or later."""
    for options in (LATER, PlanOptions(), NEITHER):
        use = StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 1.0, value_of_energy_left=50.0)
        plan = plan_site(Site((use,), Tariff([50.0] * 8)), resolution_hours=1.0, options=options)
        assert plan.devices["b"].power_mw == pytest.approx(np.zeros(8))


def test_wishes_for_both_times_are_refused():
    """A flex model cannot ask for sooner and later; later alone is fine."""
    assert read_flex_model({"kind": "storage", "prefer_charging_later": True}).prefer_charging_later
    with pytest.raises(BadFlexModel, match="either prefer_charging_sooner or prefer_charging_later"):
        read_flex_model({"kind": "evse", "prefer_charging_later": True, "prefer_charging_sooner": True})


def assumed_until(slots, n=96):
    """The first slots' prices are not known."""
    return np.arange(n) < slots


@pytest.mark.parametrize("options", [NEITHER, PlanOptions(), LATER], ids=["no wish", "sooner", "later"])
def test_nothing_is_bought_at_an_assumed_price_if_a_known_slot_is_as_good(options):
    """The price of the first known slot was taken for the eight before it: the car charges after them."""
    slots, plan = used(Site((a_car(40),), Tariff([70.0] * 96, assumed=assumed_until(8))), options)

    assert slots.min() >= 8
    assert slots.max() - slots.min() == 10
    assert plan.cost.total == pytest.approx(2.75 * 70.0)


def test_an_assumed_price_is_used_where_known_slots_are_not_enough():
    """Ten slots of eleven are known before the target: one of the assumed ones is used, and the target is met."""
    slots, plan = used(Site((a_car(18),), Tariff([70.0] * 96, assumed=assumed_until(8))), PlanOptions())

    assert not plan.missed
    assert np.count_nonzero(slots < 8) == 1


def test_batteries_and_loads_keep_away_from_assumed_prices_too():
    """A load runs in the first known slot; a battery neither buys nor sells for nothing."""
    store = StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 1.0, value_of_energy_left=50.0)
    site = Site((ShiftableLoad("wash", (1.0,)), store), Tariff([50.0] * 8, assumed=assumed_until(3, 8)))

    plan = plan_site(site, resolution_hours=1.0)

    assert np.flatnonzero(plan.devices["wash"].power_mw).tolist() == [3]
    assert plan.devices["b"].power_mw == pytest.approx(np.zeros(8))


def test_assumed_stretches_are_named_by_their_slots():
    """Each run of slots has its first, and the one after its last."""
    tariff = Tariff([1.0] * 6, assumed=[True, True, False, True, False, True])

    assert tariff.assumed_stretches == ((0, 2), (3, 4), (5, 6))
    assert Tariff([1.0] * 6).assumed_stretches == ()


@pytest.mark.parametrize(("least", "slots"), [(0, 4), (3, 4), (5, 5), (9, 6)])
def test_prices_go_as_far_as_they_are_known_or_needed(least, slots):
    """Known until the fourth slot; further only as far as something is wanted, never beyond the window."""
    series = fill_prices([0.0, 5.0, 0.0, 7.0, 0.0, 0.0], [False, True, False, True, False, False], least)

    assert series.price.tolist() == [5.0, 5.0, 5.0, 7.0, 7.0, 7.0][:slots]
    assert series.assumed.tolist() == [True, False, True, False, True, True][:slots]


def at(hour, day=2):
    """An hour in UTC of a day in January 2015."""
    return datetime(2015, 1, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "targets", "expected"),
    [
        (StorageModel(), {}, None),
        (StorageModel(), {at(6): 1.0, at(20): 1.0, at(9, 3): 1.0}, at(20)),
        (EvseModel(stays=(DailyStay(arrival=time(18), departure=time(7), soc_wanted_mwh=1.0),)), {}, at(7)),
        (
            EvseModel(stays=(DailyStay(arrival=time(18), departure=time(7), soc_wanted_mwh=1.0),)),
            {at(5): 1.0},
            at(5),
        ),
    ],
    ids=["nothing wanted", "the last target within", "the last departure within", "targets replace stays"],
)
def test_a_window_is_needed_until_its_last_target_or_departure(model, targets, expected):
    """A day from midnight; what is wanted after it does not count."""
    assert needed_until(model, targets, (at(0), at(0, 3)), "UTC") == expected

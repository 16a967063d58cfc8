"""One storage device at the lowest cost: the documented asset types and the reference expectations."""

import numpy as np
import pytest

from flexmeasures.domain.errors import BadFlexModel, BadValues, UnknownPrices
from flexmeasures.domain.scheduling import (
    Outcome,
    PlanOptions,
    StorageDevice,
    battery,
    charging_station,
    plan_storage,
    storage_of_asset_type,
)

QUARTER = 0.25
DAY_2 = np.repeat([100.0, 90.0, 100.0], 32)
"""Quarter-hours: 8 h at 100, 8 h at 90, 8 h at 100 currency/MWh."""
BATTERY = battery("battery", 2.0, min_soc_mwh=0.0, max_soc_mwh=5.0)


def random_day(seed: int) -> np.ndarray:
    """A day of quarter-hourly prices, a sine with noise."""
    noise = np.random.default_rng(seed).normal(0, 5, 96)
    return 40 + 30 * np.sin(np.arange(96) / 96 * 2 * np.pi) + noise


def station(two_way: bool, targets: dict[int, float], soc_at_start: float = 1.0) -> StorageDevice:
    """A 2 MW charging station without known limits of its car."""
    return charging_station("car", 2.0, two_way=two_way, soc_at_start_mwh=soc_at_start, targets=targets)


def test_the_battery_keeps_its_limits_on_a_day_of_random_prices():
    """Power stays within ±2 MW and the state of charge within 0 … 5 MWh, and each slot's energy arrives."""
    schedule = plan_storage(BATTERY, random_day(1), resolution_hours=QUARTER, soc_at_start=2.5)

    assert schedule.outcome is Outcome.OPTIMAL
    assert np.all(np.abs(schedule.power_mw) <= 2 + 1e-9)
    assert schedule.soc_mwh.min() >= -1e-9
    assert schedule.soc_mwh.max() <= 5 + 1e-9
    np.testing.assert_allclose(np.diff(schedule.soc_mwh), schedule.power_mw * QUARTER, atol=1e-9)


def test_the_battery_follows_the_documented_solution_of_day_2():
    """It empties just before +8 h, fills from +8 h on, holds, and empties at the end."""
    schedule = plan_storage(BATTERY, DAY_2, resolution_hours=QUARTER, soc_at_start=2.5)

    expected = np.zeros(96)
    # 5 · 0.25 h · 2 MW = 2.5 MWh: from 2.5 to 0 MWh, and not first up to 5 at the same price
    expected[27:32] = -2.0
    expected[32:42] = 2.0  # 10 · 0.5 MWh: full
    expected[86:96] = -2.0
    np.testing.assert_allclose(schedule.power_mw, expected, atol=1e-6)
    np.testing.assert_allclose(schedule.soc_mwh[[32, 64, 96]], [0, 5, 0], atol=1e-6)
    assert schedule.cost == pytest.approx(-100 * 2.5 + 90 * 5 - 100 * 5)


def test_no_cycle_is_run_at_equal_prices():
    """Within hours of one price a battery that has nothing to gain stays as it is."""
    hourly = np.repeat([50.0, 50.0, 50.0, 10.0, 10.0, 50.0], 4)
    empty = plan_storage(BATTERY, hourly, resolution_hours=QUARTER, soc_at_start=0.0)

    np.testing.assert_allclose(empty.power_mw[:12], 0, atol=1e-9)
    # 2 h at 10 let 4 MWh in, 1 h at 50 lets 2 MWh out: only those are bought, as early as they can be
    np.testing.assert_allclose(empty.power_mw[12:16], 2.0, atol=1e-6)
    np.testing.assert_allclose(empty.power_mw[16:20], 0, atol=1e-6)
    np.testing.assert_allclose(empty.power_mw[20:], -2.0, atol=1e-6)


def test_without_the_slope_the_cost_is_the_same():
    """The tiny slope chooses among equally cheap plans only, here: 2.5 MWh sold at 100 and 5 more earning 10 each."""
    plain = PlanOptions(prefer_charging_sooner=False)
    schedule = plan_storage(BATTERY, DAY_2, resolution_hours=QUARTER, soc_at_start=2.5, options=plain)

    assert schedule.cost == pytest.approx(-250 - 50)


@pytest.mark.parametrize("two_way", [False, True], ids=["one-way", "two-way"])
@pytest.mark.parametrize("target", [0.0, 5.0])
def test_a_station_gets_as_near_to_its_target_as_it_can(two_way, target):
    """From 1 MWh in 2 h at 2 MW: both reach 5, only the two-way station reaches 0; the one-way one stays at 1."""
    device = station(two_way, {8: target})
    schedule = plan_storage(
        device, random_day(2), resolution_hours=QUARTER, soc_at_start=1.0, targets={8: target}
    )

    reached = 1.0 if target == 0 and not two_way else target
    assert schedule.soc_mwh[8] == pytest.approx(reached, abs=1e-5)
    assert np.all(np.abs(schedule.power_mw) <= 2 + 1e-9)
    assert bool(schedule.missed) == (reached != target)


def test_a_station_that_must_charge_all_the_time_does_so():
    """5 MWh from 1 in 2 h is full power: the first eight values add up to exactly 4 MWh, and nothing follows."""
    schedule = plan_storage(
        station(False, {8: 5.0}), random_day(3), resolution_hours=QUARTER, soc_at_start=1.0, targets={8: 5.0}
    )

    assert schedule.power_mw[:8].sum() * QUARTER == pytest.approx(4.0, abs=1e-9)
    assert schedule.power_mw.size == 96
    assert not schedule.power_mw[8:].any()


def test_a_one_way_station_waits_for_the_first_cheap_slots():
    """A target at +20 h is charged at 2 MW in the first eight slots from +8 h."""
    schedule = plan_storage(
        station(False, {80: 5.0}), DAY_2, resolution_hours=QUARTER, soc_at_start=1.0, targets={80: 5.0}
    )

    assert np.flatnonzero(schedule.power_mw > 1e-9).tolist() == list(range(32, 40))
    np.testing.assert_allclose(schedule.power_mw[32:40], 2.0, atol=1e-9)


def test_a_two_way_station_stays_below_its_highest_target():
    """Without a known size of the car, it is never filled beyond the highest target."""
    schedule = plan_storage(
        station(True, {80: 5.0}), DAY_2, resolution_hours=QUARTER, soc_at_start=1.0, targets={80: 5.0}
    )

    assert schedule.soc_mwh.max() <= 5 + 1e-9


def test_a_one_way_station_without_target_does_nothing():
    """Nothing is wanted, so nothing is charged."""
    schedule = plan_storage(station(False, {}), DAY_2, resolution_hours=QUARTER, soc_at_start=1.0)

    assert not schedule.power_mw.any()
    assert schedule.outcome is Outcome.OPTIMAL


def test_a_partly_elapsed_first_slot_moves_less_energy():
    """With a third of the first slot left, full power stores 2 MW · 0.25 h / 3."""
    options = PlanOptions(first_slot_fraction=1 / 3)
    schedule = plan_storage(
        BATTERY, [1.0, 50.0], resolution_hours=QUARTER, soc_at_start=0.0, targets={1: 1 / 6}, options=options
    )

    assert schedule.power_mw[0] == pytest.approx(2.0)
    assert schedule.cost == pytest.approx(1 / 6 * 1.0 - 1 / 6 * 50.0)


@pytest.mark.parametrize(
    ("prices", "error"),
    [
        ([np.nan, np.nan], UnknownPrices),
        ([1.0, np.nan], UnknownPrices),
        ([1.0, np.inf], BadValues),
        ([], BadValues),
    ],
    ids=["none known", "one missing", "infinite", "empty"],
)
def test_prices_must_be_finite_numbers(prices, error):
    """What cannot be planned with is refused by name."""
    with pytest.raises(error):
        plan_storage(BATTERY, prices, resolution_hours=QUARTER, soc_at_start=0.0)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: battery("b", 2.0),
        lambda: battery("b", -2.0, max_soc_mwh=5.0),
        lambda: battery("b", 2.0, min_soc_mwh=6.0, max_soc_mwh=5.0),
        lambda: StorageDevice("b", 2.0, 2.0, charge_efficiency=0.0),
        lambda: StorageDevice("b", 2.0, 2.0, discharge_efficiency=1.1),
        lambda: StorageDevice("b", np.nan, 2.0),
        lambda: storage_of_asset_type("wind", "w", 2.0, soc_at_start_mwh=0.0, targets={}),
        lambda: plan_storage(BATTERY, DAY_2, resolution_hours=QUARTER, soc_at_start=0.0, targets={97: 1.0}),
        lambda: plan_storage(BATTERY, DAY_2, resolution_hours=QUARTER, soc_at_start=0.0, targets={4: np.nan}),
        lambda: plan_storage(BATTERY, DAY_2, resolution_hours=0.0, soc_at_start=0.0),
        lambda: plan_storage(StorageDevice("b", [1, 2], 2.0), DAY_2, resolution_hours=1.0, soc_at_start=0.0),
    ],
    ids=[
        "no size",
        "negative capacity",
        "minimum above maximum",
        "efficiency 0",
        "efficiency above 1",
        "nan power",
        "unknown type",
        "target outside the window",
        "nan target",
        "no resolution",
        "wrong number of limits",
    ],
)
def test_contradictions_are_refused(mistake):
    """A device or wish that contradicts itself is a BadFlexModel."""
    with pytest.raises(BadFlexModel):
        mistake()


def test_a_household_in_kilowatts_and_cents_gets_the_same_plan():
    """5 kW, 10 kWh and prices in currency/kWh: a thousand times smaller numbers give the same shape of plan."""
    prices = random_day(7)
    large = plan_storage(
        battery("b", 5.0, max_soc_mwh=10.0), prices, resolution_hours=QUARTER, soc_at_start=5.0
    )
    small = plan_storage(
        battery("b", 0.005, max_soc_mwh=0.01), prices / 1000, resolution_hours=QUARTER, soc_at_start=0.005
    )

    np.testing.assert_allclose(small.power_mw * 1000, large.power_mw, atol=1e-4)
    assert small.cost * 1e6 == pytest.approx(large.cost, abs=1e-3)

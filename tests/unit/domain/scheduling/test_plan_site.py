"""Several devices behind one connection: each kind of device, price and agreement does what it says."""

import json

import numpy as np
import pytest

from flexmeasures.domain.errors import BadFlexModel, BadValues
from flexmeasures.domain.scheduling import (
    ChargingSession,
    Commitment,
    Connection,
    Curtailable,
    Exclusion,
    HeatBuffer,
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
    heat_buffer,
    plan_futures,
    plan_site,
    session,
    stay_with,
)

PLAIN = PlanOptions(prefer_charging_sooner=False)


def plan(devices, prices, export_prices=None, options=PLAIN, **rest):
    """Plan hourly slots for a site."""
    tariff = Tariff(
        prices, export_prices, rest.pop("peaks", ()), rest.pop("co2", None), rest.pop("co2_price", 0.0)
    )
    return plan_site(Site(tuple(devices), tariff, **rest), resolution_hours=1.0, options=options)


def car(target: float, slots: int, power: float = 1.0) -> StorageUse:
    """A car of 4 MWh, empty, that can only charge."""
    return StorageUse(StorageDevice("car", power, 0.0, 0.0, 4.0), 0.0, {slots: target})


def test_an_import_limit_spreads_charging():
    """2 MWh beside a 1 MW load under a 1.5 MW limit take four hours at half power, cheap or not."""
    result = plan([car(2.0, 4), Profile("load", 1.0)], [1, 2, 3, 4], connection=Connection(1.5))

    np.testing.assert_allclose(result.devices["car"].power_mw, 0.5, atol=1e-8)
    assert result.cost.total == pytest.approx(1.5 * (1 + 2 + 3 + 4))


def test_a_high_quantile_keeps_a_margin_on_the_import_limit():
    """A forecast of 1 MW that may become 1.2 MW leaves 0.3 of 1.5 MW for the car."""
    load = Profile("load", 1.0, high_mw=1.2)
    result = plan([car(0.5, 2), load], [1, 2], connection=Connection(1.5))

    np.testing.assert_allclose(result.devices["car"].power_mw, [0.3, 0.2], atol=1e-8)


def test_a_low_quantile_keeps_a_margin_on_the_export_limit():
    """Sun of 1 MW that may become 1.4 MW leaves 0.1 of an export limit of 1.5 MW for the battery, though it pays."""
    sun = Profile("sun", -1.0, low_mw=-1.4)
    use = StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 2.0)
    result = plan([use, sun], [50.0, 50.0], connection=Connection(export_limit_mw=1.5))

    np.testing.assert_allclose(result.devices["b"].power_mw, -0.1, atol=1e-8)


def test_a_margin_wider_than_its_limit_is_kept_by_going_the_other_way():
    """A load of 0.1 MW that may become 1 MW, behind 0.5 MW: the battery gives 0.5 MW, so that 0.4 is exported."""
    load = Profile("load", 0.1, high_mw=1.0)
    result = plan(
        [StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 2.0), load], [-9.0], connection=Connection(0.5)
    )

    np.testing.assert_allclose(result.devices["b"].power_mw, -0.5, atol=1e-8)
    assert result.outcome is Outcome.OPTIMAL


def test_a_margin_that_cannot_be_kept_is_named():
    """A load of 1 MW that may become 1.8 MW behind 1.5 MW: the limit holds as expected, its margin does not."""
    result = plan([Profile("load", 1.0, high_mw=1.8)], [1.0], connection=Connection(1.5))

    missed = result.missed[0]
    assert (missed.limit, missed.wanted, missed.unit) == ("import limit with its margin", 1.5, "MW")
    assert missed.reached == pytest.approx(1.8)


def test_own_sun_is_stored_when_exporting_pays_little():
    """Sun that would earn 1 replaces import at 10 later: charge at noon, discharge in the evening."""
    devices = [StorageUse(battery("b", 1.0, max_soc_mwh=1.0)), Profile("house", [-1.0, 1.0])]
    result = plan(devices, [10, 10], [1, 1])

    np.testing.assert_allclose(result.devices["b"].power_mw, [1.0, -1.0], atol=1e-8)
    assert result.cost.total == pytest.approx(0.0, abs=1e-8)


def test_production_is_curtailed_when_its_price_is_negative():
    """At −5 only the minimum of 0.2 MW is produced; at +5 all of it. Curtailing 0.8 MWh costs 1 each."""
    result = plan([Curtailable("sun", [-1.0, -1.0], 0.2, price=1.0)], [-5.0, 5.0])

    np.testing.assert_allclose(result.devices["sun"].power_mw, [-0.2, -1.0], atol=1e-8)
    assert result.cost.curtailment == pytest.approx(0.8)
    assert result.cost.total == pytest.approx(0.2 * 5 - 5 + 0.8)


def test_consumption_can_be_curtailed():
    """A load worth 20 a MWh stops at a price of 30 and runs at 10."""
    result = plan([Curtailable("pump", [1.0, 1.0], price=20.0)], [30.0, 10.0])

    np.testing.assert_allclose(result.devices["pump"].power_mw, [0.0, 1.0], atol=1e-8)


def test_an_uninterrupted_load_runs_in_its_cheapest_window():
    """A run of 2 MW then 1 MW from slot 1: starts cost 2·9+1·1, 2·1+1·5 and 2·5+1·2, so it starts in slot 2."""
    result = plan([ShiftableLoad("dish", (2.0, 1.0), earliest=1)], [0, 9, 1, 5, 2])

    np.testing.assert_allclose(result.devices["dish"].power_mw, [0, 0, 2, 1, 0], atol=1e-8)


def test_an_interruptible_load_picks_the_cheapest_slots():
    """Two of the four slots before the deadline, apart if need be."""
    result = plan([ShiftableLoad("pool", (1.0, 1.0), latest=4, interruptible=True)], [5, 1, 5, 2, 0])

    np.testing.assert_allclose(result.devices["pool"].power_mw, [0, 1, 0, 1, 0], atol=1e-8)


def test_a_limited_connection_makes_loads_take_turns_whole():
    """Two loads of 1 MW under a limit of 1 MW: halves would share the cheap slot, whole runs take one slot each."""
    loads = [ShiftableLoad("a", (1.0,)), ShiftableLoad("b", (1.0,))]
    result = plan(loads, [1, 2, 9], connection=Connection(1.0))

    assert result.cost.total == pytest.approx(3.0)
    for name in "ab":
        assert sorted(result.devices[name].power_mw.round(9)) == [0, 0, 1]


def test_a_peak_price_flattens_import_down_to_the_months_floor():
    """3 MWh in three hours with a floor of 1 MW: even charging costs no peak."""
    result = plan([car(3.0, 3, power=3.0)], [1.0, 1.1, 1.2], peaks=(PeakPrice(50.0, floor_mw=1.0),))

    np.testing.assert_allclose(result.devices["car"].power_mw, 1.0, atol=1e-8)
    assert result.cost.peaks == pytest.approx(0.0, abs=1e-6)


def test_a_peak_price_counts_only_its_time_of_day():
    """A peak price on the first slot alone moves charging out of it."""
    peak = PeakPrice(50.0, weight=[1, 0, 0])
    result = plan([car(3.0, 3, power=3.0)], [1.0, 1.1, 1.2], peaks=(peak,))

    np.testing.assert_allclose(result.devices["car"].power_mw, [0, 3, 0], atol=1e-8)


def test_emissions_can_be_priced_or_be_the_goal():
    """Slot 0 is cheap and dirty: 100 a tonne moves charging (10 + 80 > 50 + 10), and so does the pure objective."""
    dirty = {"co2": [800.0, 100.0]}
    cheap = plan([car(1.0, 2)], [10, 50], **dirty)
    priced = plan([car(1.0, 2)], [10, 50], co2_price=100.0, **dirty)
    pure = PlanOptions(objective=Objective.CO2)
    clean = plan([car(1.0, 2)], [10, 50], options=pure, **dirty)

    np.testing.assert_allclose(cheap.devices["car"].power_mw, [1, 0], atol=1e-8)
    np.testing.assert_allclose(priced.devices["car"].power_mw, [0, 1], atol=1e-8)
    np.testing.assert_allclose(clean.devices["car"].power_mw, [0, 1], atol=1e-8)
    assert (cheap.cost.co2_kg, clean.cost.co2_kg) == (pytest.approx(800), pytest.approx(100))
    assert priced.cost.total == pytest.approx(50 + 10)


def test_a_commitment_is_kept_when_deviating_costs_more_than_it_saves():
    """Agreed: 1 MW in the dear slot. Moving it saves 8; at a price of 10 for deviating it stays, at 3 it moves."""
    for price, expected in ((10.0, [0, 1]), (3.0, [1, 0])):
        agreed = Commitment("ordered", [0.0, 1.0], price, price)
        result = plan([car(1.0, 2)], [2, 10], commitments=(agreed,))
        np.testing.assert_allclose(result.devices["car"].power_mw, expected, atol=1e-8)
        assert result.cost.commitments == pytest.approx(0.0 if price == 10 else 6.0, abs=1e-8)


def test_a_previous_plan_is_kept_unless_a_change_pays():
    """Two changed MWh at 0.1 each: a gain of 0.1 leaves the plan, a gain of 1 changes it; neither enters the cost."""
    for gain, expected in ((0.1, [0, 1]), (1.0, [1, 0])):
        kept = stay_with({"car": [0.0, 1.0]}, 0.1)
        result = plan([car(1.0, 2)], [10, 10 + gain], commitments=kept)
        np.testing.assert_allclose(result.devices["car"].power_mw, expected, atol=1e-8)
        assert result.cost.commitments == 0.0


def test_a_battery_never_feeds_the_car():
    """Without the rule the battery sells while the car charges in the dear slot; with it one of them waits."""
    devices = [StorageUse(battery("b", 1.0, max_soc_mwh=1.0), 1.0), car(1.0, 1)]
    free = plan(devices, [10.0, 9.0])
    ruled = plan(devices, [10.0, 9.0], exclusions=(Exclusion.never_feeds("b", "car"),))

    np.testing.assert_allclose(free.devices["b"].power_mw, [-1, 0], atol=1e-8)
    np.testing.assert_allclose(ruled.devices["b"].power_mw, [0, -1], atol=1e-8)
    np.testing.assert_allclose(ruled.devices["car"].power_mw, [1, 0], atol=1e-8)


def test_power_falls_with_the_state_of_charge():
    """From 2 MW at 1 MWh down to 0 at 3 MWh: from 1 MWh an hour ends where power = 2 − (soc − 1), at 2 MWh."""
    device = StorageDevice("b", 2.0, 2.0, 0.0, 3.0, charge_taper=((1.0, 2.0), (3.0, 0.0)))
    result = plan([StorageUse(device, 1.0, value_of_energy_left=100.0)], [1.0, 1.0])

    np.testing.assert_allclose(result.devices["b"].power_mw, [1.0, 0.5], atol=1e-8)


def test_energy_left_has_its_value_and_a_preferred_end_its_price():
    """Selling at 50 is right if energy left is worth 40, wrong at 60, and wrong if an empty end costs 20 more."""
    device = battery("b", 1.0, max_soc_mwh=1.0)
    for use, left in (
        (StorageUse(device, 1.0, value_of_energy_left=40.0), 0.0),
        (StorageUse(device, 1.0, value_of_energy_left=60.0), 1.0),
        (
            StorageUse(
                device, 1.0, value_of_energy_left=40.0, preferred_final_soc_mwh=1.0, final_soc_price=20.0
            ),
            1.0,
        ),
    ):
        assert plan([use], [50.0]).devices["b"].soc_mwh[-1] == pytest.approx(left)


def test_a_charging_session_uses_only_its_stay():
    """A car that arrives at +1 h and leaves at +3 h wants 1 MWh more: it charges in the cheaper of those hours."""
    point = StorageDevice("point", 1.0, 0.0)
    stay = ChargingSession(1, 3, soc_at_arrival_mwh=0.5, energy_wanted_mwh=1.0)
    result = plan([session(point, stay, 4)], [0.0, 7.0, 5.0, 0.0])

    np.testing.assert_allclose(result.devices["point"].power_mw, [0, 0, 1, 0], atol=1e-8)
    assert result.outcome is Outcome.OPTIMAL


def test_a_heat_buffer_is_warm_when_wished():
    """0.3 MW of heat an hour at a coefficient of 3 needs 0.1 MW an hour; bought in the cheap hour, 0.2."""
    buffer = HeatBuffer("boiler", 1.0, 3.0, 0.3, 1.0)
    result = plan([heat_buffer(buffer, 0.0)], [1.0, 9.0])
    comfortable = plan([heat_buffer(buffer, 0.0, {2: (0.3, 1.0)})], [1.0, 9.0])

    np.testing.assert_allclose(result.devices["boiler"].power_mw, [0.2, 0.0], atol=1e-8)
    np.testing.assert_allclose(comfortable.devices["boiler"].power_mw, [0.3, 0.0], atol=1e-8)


def test_two_futures_share_their_first_slot():
    """Price 20 now; then 0 or 30, even odds: half of the expected 15 is cheaper, so both wait; later they differ."""
    sites = [Site((car(1.0, 3),), Tariff([20.0, price, 25.0])) for price in (0.0, 30.0)]
    plans = plan_futures(sites, [0.5, 0.5], resolution_hours=1.0, options=PLAIN)

    np.testing.assert_allclose(plans[0].devices["car"].power_mw, [0, 1, 0], atol=1e-8)
    np.testing.assert_allclose(plans[1].devices["car"].power_mw, [0, 0, 1], atol=1e-8)


def test_futures_weigh_all_their_prices():
    """A MWh left is worth 40 in both futures, and selling brings 50 in one of two: waiting is not worth it twice."""
    use = StorageUse(battery("b", 1.0, max_soc_mwh=1.0), 1.0, value_of_energy_left=40.0)
    sites = [Site((use,), Tariff([price])) for price in (50.0, 20.0)]
    plans = plan_futures(sites, [0.8, 0.2], resolution_hours=1.0, options=PLAIN)

    for one in plans:  # 0.8 · 50 + 0.2 · 20 = 44 > 40
        np.testing.assert_allclose(one.devices["b"].power_mw, -1.0, atol=1e-8)


def test_the_sun_follows_its_future():
    """Brighter in one future, the sun is not curtailed there to be the same as in the other."""
    sites = [Site((Curtailable("sun", [power, -0.5]),), Tariff([10.0, 10.0])) for power in (-1.0, -0.2)]
    plans = plan_futures(sites, [0.5, 0.5], resolution_hours=1.0, options=PLAIN)

    assert [one.devices["sun"].power_mw[0] for one in plans] == [-1.0, -0.2]


def test_a_device_may_taper_both_ways():
    """Full at 2 MWh it gives 1 MW, at 1 MWh a half: from 2 MWh an hour ends where power = 0.5 · soc, at 4/3 MWh."""
    device = StorageDevice(
        "b",
        2.0,
        2.0,
        0.0,
        2.0,
        charge_taper=((1.0, 2.0), (2.0, 0.0)),
        discharge_taper=((0.0, 0.0), (2.0, 1.0)),
    )
    result = plan([StorageUse(device, 2.0)], [1.0])

    np.testing.assert_allclose(result.devices["b"].power_mw, -2 / 3, atol=1e-8)


def test_three_devices_take_turns_as_one_rule():
    """Three cars want two hours each of six, one at a time: all are served, without a whole number for each pair."""
    cars = tuple(StorageUse(StorageDevice(name, 1.0, 0.0, 0.0, 2.0), 0.0, {6: 2.0}) for name in "abc")
    rules = (Exclusion("a", "b"), Exclusion("b", "c"), Exclusion("c", "a"))
    result = plan(cars, [1, 2, 3, 4, 5, 6.0], exclusions=rules)

    powers = np.array([result.devices[name].power_mw for name in "abc"])
    assert result.outcome is Outcome.OPTIMAL
    np.testing.assert_allclose(powers.sum(axis=0), 1.0, atol=1e-8)
    assert np.all((powers > 1e-7).sum(axis=0) == 1)


def test_the_explanation_names_what_bound_and_what_energy_is_worth():
    """Under a 1.5 MW limit in the cheap hour, a MWh costs the dear hour's price; doing nothing misses the car."""
    devices = [car(1.0, 2), Profile("load", 1.0)]
    options = PlanOptions(prefer_charging_sooner=False, explain=True)
    result = plan(devices, [1.0, 4.0], connection=Connection(1.5), options=options)

    why = result.explanation
    np.testing.assert_allclose(result.devices["car"].power_mw, 0.5, atol=1e-8)
    np.testing.assert_allclose(why.marginal_price, [4.0, 4.0], atol=1e-6)
    np.testing.assert_allclose(why.stored_value["car"], [4.0, 4.0], atol=1e-6)
    assert why.binding["site"][0] == ("import limit",)
    nothing, at_once = why.baselines
    assert not nothing.keeps_wishes
    assert nothing.cost.total == pytest.approx(5.0)
    assert at_once.cost.total == pytest.approx(1 * 2 + 4 * 1)
    assert json.loads(json.dumps(why.as_data()))["marginal_price"] == pytest.approx([4.0, 4.0])


def test_the_explanation_tells_a_wish_from_a_limit_of_the_device():
    """A car charges in slot 0 at full power because of its target at +2 h, not because of its size."""
    options = PlanOptions(prefer_charging_sooner=False, explain=True)
    why = plan([car(1.5, 2)], [1.0, 4.0], options=options).explanation

    assert why.binding["car"] == (("maximum consumption",), ("soc target",))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Site((car(1, 2), car(1, 2)), Tariff([1, 2])),
        lambda: Site((car(1, 2),), Tariff([1, 2]), exclusions=(Exclusion("car", "bike"),)),
        lambda: ShiftableLoad("a", ()),
        lambda: ShiftableLoad("a", (1.0, 2.0), interruptible=True),
        lambda: plan([ShiftableLoad("a", (1.0, 1.0), earliest=1)], [1, 2]),
        lambda: ChargingSession(3, 2, energy_wanted_mwh=1.0),
        lambda: ChargingSession(1, 2),
        lambda: StorageDevice("b", 1.0, 1.0, charge_taper=((0.0, 0.0), (1.0, 0.0), (2.0, 1.0))),
        lambda: Commitment("c", [1.0], -2.0, 1.0),
        lambda: Connection(-1.0),
        lambda: PeakPrice(-1.0),
        lambda: plan_futures([Site((), Tariff([1]))] * 2, [0.5, 0.6], resolution_hours=1.0),
        lambda: plan_futures([], [], resolution_hours=1.0),
        lambda: plan_futures([Site((), Tariff([1]))], [1.0], resolution_hours=1.0, shared_slots=-1),
        lambda: Site((car(1, 2),), Tariff([1, 2]), exclusions=(Exclusion("car", "car"),)),
        lambda: ChargingSession(1, 2, energy_wanted_mwh=-1.0),
        lambda: Commitment("c", [1.0], np.inf, 1.0),
        lambda: PeakPrice(np.inf),
        lambda: Tariff([1.0], co2_price=np.nan),
        lambda: StorageDevice("b", 1.0, 1.0, 0.0, 3.0, charge_taper=((0.0, 1.0), (2.0, 0.0))),
        lambda: heat_buffer(HeatBuffer("h", 1.0, 0.0, 0.1, 1.0), 0.5),
        lambda: heat_buffer(HeatBuffer("h", 1.0, 3.0, 0.1, -1.0), 0.5),
        lambda: plan([StorageUse(battery("b", 1.0, max_soc_mwh=1.0), 0.5, {1.5: 1.0})], [1, 2]),
    ],
    ids=[
        "name twice",
        "unknown name",
        "no profile",
        "uneven pieces",
        "no time",
        "negative stay",
        "nothing wanted",
        "convex taper",
        "pays both ways",
        "negative limit",
        "negative peak price",
        "weights",
        "no future",
        "shared slots below 0",
        "excludes itself",
        "negative energy",
        "endless price",
        "endless peak price",
        "nan CO₂ price",
        "taper ends within the range",
        "heat pump without heat",
        "negative capacity",
        "target off the grid",
    ],
)
def test_contradicting_sites_are_refused(mistake):
    """What contradicts itself is a BadFlexModel."""
    with pytest.raises(BadFlexModel):
        mistake()


@pytest.mark.parametrize(
    "mistake",
    [
        {"connection": Connection([1.0, 1.0, 1.0])},
        {"commitments": (Commitment("c", [1.0, 1.0, 1.0], 1.0, 1.0, "car"),)},
        {"commitments": (Commitment("c", [1.0, np.inf], 1.0, 1.0),)},
        {"peaks": (PeakPrice(1.0, weight=[1.0, 0.0, 1.0]),)},
        {"export_prices": [1.0]},
        {"co2": [1.0, np.nan]},
        {"devices": (Profile("load", [1.0, np.nan]),)},
        {"devices": (Profile("load", 1.0, low_mw=1.2, high_mw=0.9),), "connection": Connection(2.0)},
        {"devices": (Curtailable("sun", [-1.0, -np.inf]),)},
    ],
    ids=[
        "limits of the connection",
        "agreed powers",
        "endless agreed power",
        "weights of a peak",
        "export prices",
        "CO₂ intensity",
        "unknown load",
        "crossing quantiles",
        "endless sun",
    ],
)
def test_series_that_cannot_be_planned_with_are_refused(mistake):
    """Series of another length than the window, and numbers that are none, are named as BadValues."""
    devices = mistake.pop("devices", (car(1.0, 2),))
    with pytest.raises(BadValues):
        plan(devices, [1.0, 2.0], mistake.pop("export_prices", None), **mistake)


def test_contradicting_comfort_is_a_named_relaxation():
    """At least 0.6 and at most 0.4 MWh at the same time: one of the wishes is missed, and both are named."""
    use = StorageUse(battery("b", 1.0, max_soc_mwh=1.0), 0.5, soc_minima={1: 0.6}, soc_maxima={1: 0.4})
    result = plan([use], [1.0])

    assert result.outcome is Outcome.RELAXED
    assert sum(one.amount for one in result.missed) == pytest.approx(0.2)
    assert any("soc m" in clash for clash in result.missed[0].clashes)

"""Flex models: what is refused, how an asset's fields lie over those of its type, and what becomes devices."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest

from flexmeasures.domain.errors import BadFlexModel, BadValues, NotEnoughData
from flexmeasures.domain.scheduling import Curtailable, StorageUse, Tariff, plan_site
from flexmeasures.domain.scheduling.asset_site import Situation, make_asset_site, soc_of_asset
from flexmeasures.domain.scheduling.flex_model import (
    DOCUMENTED_FLEX_MODELS,
    KINDS,
    merge_flex_models,
    read_flex_model,
)
from flexmeasures.domain.time import daily_periods

MIDNIGHT = datetime(2021, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STORAGE = {"kind": "storage", "soc_max_mwh": 4.0}
STAYS = {
    "kind": "evse",
    "max_production_mw": 0,
    "stays": [{"arrival": "18:00", "departure": "06:00", "energy_wanted_mwh": 2.0}],
}
LOAD = {"kind": "shiftable_load", "profile_mw": [0.5, 1.0], "earliest": "08:00", "latest": "17:00"}


def situation(slots=24, **known):
    """An asset of 1 MW in hours with rising prices, half a MWh in it."""
    given = {"soc_mwh": 0.5, "tariff": Tariff(np.arange(10.0, 10.0 + slots))} | known
    return Situation("thing", 1.0, given.pop("zone", "UTC"), given.pop("start", MIDNIGHT), HOUR, **given)


def plan(fields, at):
    """Plan an asset; its power and states of charge, its notes and its plan."""
    site = make_asset_site(read_flex_model(fields), at)
    planned = plan_site(site.site, resolution_hours=at.hours)
    return planned.net_mw, soc_of_asset(site, planned), site, planned


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({}, "kind must be one of storage, evse, heat_buffer", id="no kind"),
        pytest.param({"kind": "submarine"}, "kind must be one of", id="unknown kind"),
        pytest.param(
            {"kind": "storage", "colour": 1}, "colour is not a field of this kind", id="unknown field"
        ),
        pytest.param({"kind": "storage", "charge_efficiency": 0}, "greater than 0", id="efficiency 0"),
        pytest.param({"kind": "storage", "charge_efficiency": 1.1}, "less than or equal to 1", id="above 1"),
        pytest.param({"kind": "storage", "roundtrip_efficiency": "good"}, "'good'", id="a word"),
        pytest.param({"kind": "storage", "loss_per_hour": 1}, "less than 1", id="all lost"),
        pytest.param(
            {"kind": "storage", "max_consumption_mw": -1}, "max_consumption_mw is -1", id="negative"
        ),
        pytest.param({"kind": "storage", "usage_mw": float("nan")}, "usage_mw is nan", id="nan"),
        pytest.param({"kind": "storage", "soc_min_mwh": 3, "soc_max_mwh": 2}, "(3) is above", id="band"),
        pytest.param(
            {"kind": "storage", "roundtrip_efficiency": 0.9, "charge_efficiency": 0.9}, "either", id="twice"
        ),
        pytest.param({"kind": "storage", "objective": "co2"}, "co2_sensor_id", id="unknown emissions"),
        pytest.param({"kind": "storage", "replanning_price": -1}, "replanning_price", id="negative price"),
        pytest.param(
            {"kind": "storage", "soc_minima": [{"since": "25:00", "soc_mwh": 1}]},
            "soc_minima.0.since",
            id="hour",
        ),
        pytest.param(
            {"kind": "storage", "soc_minima": [{"since": "06:00+01:00", "soc_mwh": 1}]}, "zone", id="zone"
        ),
        pytest.param({"kind": "heat_buffer"}, "gain is missing", id="no coefficient of performance"),
        pytest.param({"kind": "heat_buffer", "gain": 0}, "gain is 0", id="no gain"),
        pytest.param({"kind": "shiftable_load", "profile_mw": []}, "at least 1", id="no run"),
        pytest.param(
            {"kind": "shiftable_load", "profile_mw": [1, 2], "interruptible": True}, "same power", id="pieces"
        ),
        pytest.param(
            {"kind": "evse", "stays": [{"arrival": "18:00", "departure": "07:00"}]},
            "either",
            id="wants nothing",
        ),
        pytest.param({"kind": "custom"}, "scheduler is missing", id="no scheduler"),
    ],
)
def test_wrong_fields_are_named(fields, told):
    """Each wrong field is named with its value, and what it must be."""
    with pytest.raises(BadFlexModel) as caught:
        read_flex_model(fields, "thing")
    assert told in str(caught.value)
    assert "thing" in str(caught.value)


def test_all_wrong_fields_are_named_at_once():
    """Who makes several mistakes learns of all of them."""
    with pytest.raises(BadFlexModel) as caught:
        read_flex_model({"kind": "storage", "loss_per_hour": 2, "gain": 3, "max_production_mw": -2})
    assert set(caught.value.details["fields"]) == {"loss_per_hour", "gain", "max_production_mw"}


def test_an_asset_changes_fields_of_its_type():
    """Fields of the asset win; if it is of another kind, nothing of the type is left."""
    of_type = {"kind": "storage", "loss_per_hour": 0.1, "usage_mw": 0.2}
    assert merge_flex_models(of_type, {"usage_mw": 0.3}) == of_type | {"usage_mw": 0.3}
    assert merge_flex_models(of_type, {"kind": "custom", "scheduler": "x"}) == {
        "kind": "custom",
        "scheduler": "x",
    }
    assert merge_flex_models(of_type, None) == of_type
    assert merge_flex_models(None, None) is None


@pytest.mark.parametrize("name", DOCUMENTED_FLEX_MODELS)
def test_documented_types_have_flex_models(name):
    """The documented asset types are flex models like others; only the one-way station cannot discharge."""
    model = read_flex_model(DOCUMENTED_FLEX_MODELS[name])
    device = make_asset_site(model, situation(soc_max_mwh=4.0)).site.devices[0]
    assert isinstance(device, StorageUse)
    assert device.device.max_production_mw == (0 if name == "one-way_evse" else 1)
    assert model.kind in KINDS


def test_a_battery_must_have_an_end():
    """A store of unknown size would buy without end; a charging point takes what is wanted at most."""
    with pytest.raises(BadFlexModel, match="no maximum state of charge"):
        make_asset_site(read_flex_model({"kind": "storage"}), situation())
    wanted = situation(targets={MIDNIGHT + 5 * HOUR: 3.0})
    assert (
        make_asset_site(read_flex_model({"kind": "evse"}), wanted).site.devices[0].device.soc_max_mwh == 3.0
    )


def test_a_store_needs_a_state_of_charge():
    """Nobody guesses what is in a battery; a charging point without a car begins empty."""
    with pytest.raises(BadValues, match="state of charge of thing"):
        make_asset_site(read_flex_model(STORAGE), situation(soc_mwh=None))
    assert (
        make_asset_site(read_flex_model({"kind": "evse"}), situation(soc_mwh=None))
        .site.devices[0]
        .soc_at_start_mwh
        == 0
    )


def test_efficiency_of_a_round_trip_is_split():
    """At a round-trip efficiency of 0.81, charging at 1 MW for an hour stores 0.9 MWh."""
    power, soc, *_ = plan(
        STORAGE | {"roundtrip_efficiency": 0.81, "max_production_mw": 0},
        situation(3, soc_mwh=0.0, targets={MIDNIGHT + HOUR: 0.9}),
    )
    assert power == pytest.approx([1, 0, 0])
    assert soc == pytest.approx([0, 0.9, 0.9, 0.9])


def test_daily_bands_hold_at_their_times():
    """A reserve from 18:00 to 20:00 local time is kept at all boundaries from 16:00 to 18:00 UTC in summer."""
    band = {"since": "18:00", "until": "20:00", "soc_mwh": 3.0}
    site = make_asset_site(
        read_flex_model(STORAGE | {"soc_minima": [band]}), situation(zone="Europe/Amsterdam")
    )
    assert site.site.devices[0].soc_minima == {16: 3.0, 17: 3.0, 18: 3.0}


def test_the_stricter_of_two_bands_counts():
    """Where bands overlap, the higher minimum and the lower maximum hold."""
    bands = [{"soc_mwh": 1.0}, {"since": "02:00", "until": "04:00", "soc_mwh": 2.0}]
    device = make_asset_site(
        read_flex_model(STORAGE | {"soc_minima": bands, "soc_maxima": bands}), situation(5)
    ).site.devices[0]
    assert device.soc_minima == {1: 1.0, 2: 2.0, 3: 2.0, 4: 2.0, 5: 1.0}
    assert set(device.soc_maxima.values()) == {1.0}


def test_a_target_after_the_window_stays_in_reach():
    """Two MWh wanted two hours after the last known price mean that nothing less than 0 is needed; 3 mean 1."""
    for wanted, needed in ((2.0, {}), (3.0, {4: 1.0})):
        at = situation(4, targets={MIDNIGHT + 6 * HOUR: wanted})
        assert make_asset_site(read_flex_model(STORAGE), at).site.devices[0].soc_minima == needed


class TestStays:
    """Cars that come each day."""

    def test_each_car_is_charged_while_it_is_there(self):
        """Prices rise, so each car is charged in the first two hours of its stay; by day there is no car."""
        at = situation(48, start=MIDNIGHT + 12 * HOUR, soc_mwh=None)
        power, soc, site, planned = plan(STAYS, at)
        assert np.flatnonzero(power > 1e-9).tolist() == [6, 7, 30, 31]
        assert not planned.missed
        assert list(site.stays.values()) == [(6, 18), (30, 42)]
        assert np.isnan(soc[:6]).all()
        assert np.isnan(soc[19:30]).all()
        assert soc[18] == pytest.approx(2.0)

    def test_a_car_that_is_there_has_its_state_of_charge(self):
        """At midnight half a MWh is in the car, so one and a half are to come."""
        power, *_ = plan(STAYS, situation(12))
        assert power.sum() == pytest.approx(1.5)

    def test_a_car_that_leaves_after_the_window_stays_in_reach(self):
        """With 4 known prices and 2 hours after them nothing must be charged yet: the price rises, and it may wait."""
        power, *_ = plan(STAYS, situation(4, soc_mwh=0.0, tariff=Tariff([40.0, 30.0, 20.0, 10.0])))
        assert power.sum() == pytest.approx(0.0)
        power, *_ = plan(STAYS, situation(5, soc_mwh=0.0, tariff=Tariff([50.0, 40, 30, 20, 10])))
        assert power.sum() == pytest.approx(1.0)

    def test_what_an_event_wants_comes_first(self):
        """Targets of a UDI event take the place of the daily stays."""
        site = make_asset_site(read_flex_model(STAYS), situation(targets={MIDNIGHT + 3 * HOUR: 1.0}))
        assert site.site.devices[0].targets == {3: 1.0}
        assert not site.stays


class TestLoads:
    """Loads that run once a day."""

    def test_it_runs_once_a_day(self):
        """In 48 hours it runs twice, at the cheapest hours of its window."""
        power, soc, *_ = plan(LOAD, situation(48))
        assert np.flatnonzero(power).tolist() == [8, 9, 32, 33]
        assert power[8:10] == pytest.approx([0.5, 1.0])
        assert soc is None

    def test_a_run_that_has_begun_goes_on(self):
        """What is left of a run follows at once; a finished run is not repeated."""
        executed = np.zeros(24)
        executed[-1] = 0.5
        power, *_ = plan(LOAD, situation(12, start=MIDNIGHT + 10 * HOUR, executed_mw=executed))
        assert np.flatnonzero(power).tolist() == [0]
        assert power[0] == pytest.approx(1.0)
        executed[-2:] = 0.5, 1.0
        site = make_asset_site(
            read_flex_model(LOAD), situation(12, start=MIDNIGHT + 10 * HOUR, executed_mw=executed)
        )
        assert site.site.devices == ()

    def test_a_run_without_time_left_is_told(self):
        """At half past four there is no time for a run of two hours before five: that is said, and tomorrow it runs."""
        power, _, site, _ = plan(LOAD, situation(26, start=MIDNIGHT + 16 * HOUR))
        assert "no time left" in site.notes[0]
        assert np.flatnonzero(power).tolist() == [16, 17]

    def test_pieces_of_an_interruptible_load(self):
        """It runs in the cheapest hours, also if they do not follow each other."""
        prices = np.full(24, 50.0)
        prices[[9, 12]] = 1.0
        fields = LOAD | {"profile_mw": [1.0, 1.0], "interruptible": True}
        power, *_ = plan(fields, situation(tariff=Tariff(prices)))
        assert np.flatnonzero(power > 1e-9).tolist() == [9, 12]


def test_curtailment_follows_the_forecast():
    """Production is curtailed where the price is negative, down to the minimum."""
    forecast = np.array([-1.0, -1.0, -1.0])
    at = situation(3, tariff=Tariff([10.0, -10.0, 10.0]), forecast_mw=forecast)
    power, *_ = plan({"kind": "curtailable", "minimum_mw": 0.2}, at)
    assert power == pytest.approx([-1.0, -0.2, -1.0])
    assert isinstance(
        make_asset_site(read_flex_model({"kind": "curtailable"}), at).site.devices[0], Curtailable
    )
    for unknown in (None, np.array([-1.0, np.nan, -1.0])):
        with pytest.raises(NotEnoughData, match="not forecast"):
            make_asset_site(read_flex_model({"kind": "curtailable"}), replace(at, forecast_mw=unknown))


def test_a_heat_buffer_is_heated_before_it_is_cold():
    """A demand of 0.6 MW empties half a MWh in an hour; at a gain of 3, 0.2 MW of electricity cover it."""
    fields = {"kind": "heat_buffer", "gain": 3.0, "usage_mw": 0.1, "capacity_mwh": 1.0}
    at = situation(4, usage_mw=np.full(4, 0.5))
    power, soc, *_ = plan(fields, at)
    assert power.sum() * 3.0 == pytest.approx(4 * 0.6 - 0.5)
    assert soc.min() >= -1e-9
    assert soc.max() <= 1.0 + 1e-9
    with pytest.raises(BadFlexModel, match="size of the buffer"):
        make_asset_site(read_flex_model({"kind": "heat_buffer", "gain": 3}), situation())


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(datetime(2021, 3, 28, tzinfo=UTC), 7, id="clocks go forward"),
        pytest.param(datetime(2021, 10, 31, tzinfo=UTC), 9, id="clocks go back"),
        pytest.param(datetime(2021, 6, 1, tzinfo=UTC), 8, id="an ordinary night"),
    ],
)
def test_nights_of_changed_clocks(day, hours):
    """From 22:00 to 06:00 are 7, 8 or 9 hours."""
    periods = daily_periods(day, day + HOUR, "Europe/Amsterdam", time(22), time(6))
    assert [end - start for start, end in periods] == [hours * HOUR]

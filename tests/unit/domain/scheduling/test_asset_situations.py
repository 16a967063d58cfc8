"""What is known of an asset beats what is usual: reports of cars, full cars, stores of unknown size."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.scheduling import Tariff, plan_site
from flexmeasures.domain.scheduling.asset_site import (
    Situation,
    make_asset_site,
    soc_of_asset,
    with_usual_size,
)
from flexmeasures.domain.scheduling.flex_model import read_flex_model

NOON = datetime(2021, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STAY = {"arrival": "18:00", "departure": "08:00", "soc_at_arrival_mwh": 10.0, "soc_wanted_mwh": 30.0}


def situation(**known):
    """A charging point of 4 MW in hours, from noon on, with rising prices."""
    given = {
        "tariff": Tariff(np.arange(10.0, 34.0)),
        "zone": "UTC",
        "start": NOON,
        "resolution": HOUR,
    } | known
    return Situation("point", 4.0, **given)


def plan(fields, at):
    """Plan an asset: power, states of charge and the plan."""
    site = make_asset_site(read_flex_model({"kind": "evse", "max_production_mw": 0} | fields), at)
    planned = plan_site(site.site, resolution_hours=1.0)
    return planned.net_mw, soc_of_asset(site, planned), planned


def test_a_reported_state_of_charge_beats_the_usual_one():
    """A car reported at noon with 2 MWh is there six hours early; by 08:00 it gets the 28 MWh to its 30, not 20."""
    power, soc, planned = plan({"stays": [STAY]}, situation(soc_mwh=2.0, reported=(NOON, 2.0)))
    assert planned.missed == ()
    assert power.sum() == pytest.approx(30 - 2)
    assert (soc[0], soc[20]) == (pytest.approx(2), pytest.approx(30))
    # prices rise, and the car is there: seven full hours at once
    assert power[:7] == pytest.approx([4.0] * 7)


def test_energy_comes_on_top_of_what_an_early_car_brings():
    """A car that wants 20 MWh more and was reported with 2 before its usual time leaves with 22."""
    stay = {**STAY, "energy_wanted_mwh": 20.0}
    del stay["soc_wanted_mwh"]
    _, soc, _ = plan({"stays": [stay]}, situation(soc_mwh=2.0, reported=(NOON, 2.0)))
    assert soc[20] == pytest.approx(22)


def test_an_early_car_planned_again_keeps_its_target():
    """Planned again at two o'clock, 8 MWh are in the car that brought 2 and wants 20 more: it still leaves with 22."""
    stay = {**STAY, "energy_wanted_mwh": 20.0}
    del stay["soc_wanted_mwh"]
    later = situation(start=NOON + 2 * HOUR, soc_mwh=10.0, reported=(NOON, 2.0))
    power, soc, _ = plan({"stays": [stay]}, later)
    assert soc[18] == pytest.approx(22)
    assert power.sum() == pytest.approx(12)


def test_a_report_of_an_earlier_stay_says_nothing_of_the_next():
    """A car reported yesterday evening has left this morning; the next one comes at 18:00 with the usual 10 MWh."""
    power, soc, _ = plan({"stays": [STAY]}, situation(soc_mwh=25.0, reported=(NOON - 17 * HOUR, 25.0)))
    assert power[:6] == pytest.approx([0.0] * 6)
    assert np.isnan(soc[5])
    assert soc[6] == pytest.approx(10)
    assert power.sum() == pytest.approx(20)


def test_a_report_within_a_stay_is_of_that_stay():
    """Reported at 19:00 with 12 MWh in the stay from 18:00 to 08:00, a car gets the 18 MWh that it lacks of 30."""
    evening = NOON + 7 * HOUR
    power, _, planned = plan(
        {"stays": [STAY]}, situation(start=evening, soc_mwh=12.0, reported=(evening, 12.0))
    )
    # of the stay that begins the day after only what must come before the end of the window is planned: nothing
    assert power[:13].sum() == pytest.approx(18)
    assert planned.missed == ()


def test_a_car_that_is_here_before_a_stay_beyond_the_window():
    """A car reported four hours early is here although its stay begins after a window of three hours."""
    at = situation(
        tariff=Tariff([10.0, 20.0, 30.0]), start=NOON + 2 * HOUR, soc_mwh=2.0, reported=(NOON, 2.0)
    )
    _, soc, _ = plan({"stays": [STAY]}, at)
    assert soc == pytest.approx([2.0] * 4)


FULL = 0.0372


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"targets": {NOON + 8 * HOUR: 0.036}}, id="a target of an event"),
        pytest.param({}, id="the target of a daily stay"),
    ],
)
def test_a_one_way_car_fuller_than_its_target_misses_nothing(known):
    """A car with 37.2 kWh that wants 36 has what it wants: nothing is charged, nothing is missed."""
    stay = {**STAY, "soc_at_arrival_mwh": 0.0, "soc_wanted_mwh": 0.036}
    at = situation(soc_mwh=FULL, reported=(NOON, FULL), **known)
    power, soc, planned = plan({"stays": [stay], "soc_max_mwh": 0.04}, at)
    assert planned.missed == ()
    assert planned.outcome.value == "optimal"
    assert power == pytest.approx(np.zeros(24))
    assert soc[8] == pytest.approx(FULL)


def test_a_fuller_car_is_not_filled_up_at_negative_prices():
    """More than what is in it anyway is not wanted: at −10 EUR/MWh a car above its target takes nothing before it."""
    at = situation(soc_mwh=3.0, targets={NOON + 4 * HOUR: 2.0}, tariff=Tariff([-10.0] * 4))
    power, _, planned = plan({"soc_max_mwh": 9.0}, at)
    assert power == pytest.approx(np.zeros(4))
    assert planned.missed == ()


def test_a_full_car_that_loses_energy_may_fall_to_its_target():
    """With a loss of 10 % an hour 3 MWh become 2.7 and 2.43: above a target of 2.6 at first, to be refilled then."""
    at = situation(soc_mwh=3.0, targets={NOON + HOUR: 2.6, NOON + 2 * HOUR: 2.6}, tariff=Tariff([10.0, 10.0]))
    power, soc, planned = plan({"soc_max_mwh": 9.0, "loss_per_hour": 0.1}, at)
    assert planned.missed == ()
    assert soc == pytest.approx([3.0, 2.7, 2.6])
    assert power == pytest.approx([0.0, 2.6 - 2.43])


def test_a_two_way_car_fuller_than_its_target_is_emptied_to_it():
    """What can be discharged is to meet its target exactly; where there is no time for that it is a miss."""
    at = situation(soc_mwh=10.0, targets={NOON + HOUR: 3.0}, tariff=Tariff([10.0, 10.0]))
    _, soc, planned = plan({"soc_max_mwh": 10.0, "max_production_mw": 4.0}, at)
    assert soc[1] == pytest.approx(6)
    assert [(one.wanted, one.reached) for one in planned.missed] == [(3.0, pytest.approx(6.0))]


def test_a_target_below_an_earlier_one_is_kept_by_it():
    """A one-way car that has got its 5 MWh for ten o'clock cannot have 3 at noon, and need not."""
    at = situation(
        soc_mwh=1.0, targets={NOON + 2 * HOUR: 5.0, NOON + 4 * HOUR: 3.0}, tariff=Tariff([10.0] * 4)
    )
    _, soc, planned = plan({"soc_max_mwh": 9.0}, at)
    assert planned.missed == ()
    assert soc == pytest.approx([1, 5, 5, 5, 5])


@pytest.mark.parametrize(
    ("fields", "known", "size"),
    [
        pytest.param({"kind": "storage"}, {"soc_mwh": 0.5}, 4.0, id="an hour at its capacity of 4 MW"),
        pytest.param({"kind": "storage"}, {"soc_mwh": 7.0}, 7.0, id="what is in it"),
        pytest.param(
            {"kind": "storage", "max_consumption_mw": 1}, {"soc_mwh": 0.5}, 1.0, id="at its highest power"
        ),
        pytest.param(
            {"kind": "storage"}, {"soc_mwh": 0.5, "targets": {NOON + HOUR: 4.5}}, 4.5, id="what is wanted"
        ),
        pytest.param({"kind": "heat_buffer", "gain": 3}, {"soc_mwh": 0.0}, 12.0, id="heat of an hour"),
    ],
)
def test_a_store_of_unknown_size_has_a_stated_one(fields, known, size):
    """Nobody has said how large it is: a stated size is taken, the note names it, and a plan is made."""
    model = read_flex_model(fields)
    at, notes = with_usual_size(model, situation(**known))
    assert at.soc_max_mwh == pytest.approx(size)
    assert f"{size:g} MWh was taken" in notes[0]
    assert make_asset_site(model, at).site.devices[0].device.soc_max_mwh == pytest.approx(size)


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"kind": "storage", "soc_max_mwh": 3}, {}),
        ({"kind": "storage"}, {"soc_max_mwh": 3.0}),
        ({"kind": "evse"}, {}),
        ({"kind": "curtailable"}, {}),
    ],
)
def test_what_is_known_is_not_guessed(fields, known):
    """A size that is known stays, and other kinds of devices need none."""
    at = situation(soc_mwh=1.0, **known)
    assert with_usual_size(read_flex_model(fields), at) == (at, ())

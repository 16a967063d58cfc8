"""What forecasts rest on: measurements that were known, cleaned values, lags, the sun."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from flexmeasures.domain.beliefs import Beliefs, ExPost
from flexmeasures.domain.errors import BadValues, InvalidInput, ResolutionMismatch
from flexmeasures.domain.forecasting import (
    Borrowed,
    Case,
    History,
    HorizonView,
    LookAhead,
    borrow_history,
    check_horizon,
    clean,
    known_measurements,
    shortest_lag,
)
from flexmeasures.domain.forecasting.box_cox import BoxCox, estimate_box_cox
from flexmeasures.domain.forecasting.features import recent_and_daily, same_time_lags
from flexmeasures.domain.forecasting.traits import sun_height

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
START = np.datetime64("2024-01-01", "us")


@pytest.mark.parametrize(
    ("resolution", "horizon", "short", "days"),
    [
        pytest.param(QUARTER, 1, range(4, 11), range(1, 8), id="15 min, 1 h"),
        pytest.param(QUARTER, 6, range(24, 31), range(1, 8), id="15 min, 6 h"),
        pytest.param(QUARTER, 24, range(96, 103), range(1, 8), id="15 min, 24 h"),
        pytest.param(QUARTER, 48, range(192, 199), range(2, 9), id="15 min, 48 h"),
        pytest.param(HOUR, 1, range(1, 8), range(1, 8), id="1 h, 1 h"),
    ],
)
def test_the_documented_lags(resolution, horizon, short, days):
    """The columns of the linear model are the seven last known values and those of seven days, as documented."""
    per_day = timedelta(days=1) // resolution
    history = History(START, np.arange(30.0 * per_day), resolution)
    names = recent_and_daily(HorizonView(history, timedelta(hours=horizon))).names
    lags = list(dict.fromkeys([*short, *(day * per_day for day in days)]))
    assert names == tuple(f"lag {lag}" for lag in lags)


def test_a_view_refuses_to_look_ahead():
    """A value that is not known at the horizon cannot be asked for, nor a target that is not known yet."""
    history = History(START, np.arange(100.0), HOUR)
    view = HorizonView(history, 6 * HOUR)
    assert view.shortest_lag == shortest_lag(6 * HOUR, HOUR) == 6
    assert view.lagged(6)[50] == 44
    for wrong in (5, 0, -1, np.full(100, 5)):
        with pytest.raises(LookAhead):
            view.lagged(wrong)
    case = Case(history, 6 * HOUR)
    known = case.known_before(50)
    assert np.flatnonzero(known).max() == 44
    with pytest.raises(LookAhead):
        case.values(np.array([45]), known)


def test_the_same_time_follows_clocks():
    """After clocks went forward in Amsterdam on 31 March 2024, breakfast of the day before is 23 hours back."""
    history = History(np.datetime64("2024-03-30", "us"), np.arange(72.0), HOUR, "Europe/Amsterdam")
    lags = next(same_time_lags(HorizonView(history, HOUR)))
    assert lags[24 + 6] == 23  # 31 March, 06:00 UTC = 08:00 local; the day before 08:00 local = 07:00 UTC
    assert lags[48 + 6] == 24


def test_a_resolution_divides_a_day():
    """Seven-minute events cannot be put on a daily grid."""
    with pytest.raises(ResolutionMismatch):
        History(START, np.zeros(3), timedelta(minutes=7))


def test_only_documented_horizons_are_forecast():
    """18 hours ahead is refused, with the horizons that there are."""
    with pytest.raises(InvalidInput, match="PT1H"):
        check_horizon(18 * HOUR)


def beliefs(rows):
    """Make beliefs of (hour, value, minutes after the end of the event)."""
    hours, values, late = zip(*rows, strict=True)
    return Beliefs(
        START + np.array(hours, "timedelta64[h]").astype("timedelta64[us]"),
        np.array(values, dtype=float),
        -np.array(late, "timedelta64[m]").astype("timedelta64[us]"),
        np.ones(len(rows), dtype=np.int32),
    )


def chosen(rows, hour):
    """Choose the measurements for forecasts from an hour on."""
    starts, values = known_measurements(
        beliefs(rows), ExPost(timedelta(0)), HOUR, START + np.timedelta64(hour, "h")
    )
    return dict(zip(((starts - START) // np.timedelta64(1, "h")).tolist(), values.tolist(), strict=True))


LIVE = [(hour, hour, 0) for hour in range(20)]


def test_corrections_count_once_they_are_recorded():
    """Hour 3 was corrected a day later: forecasts from hour 10 on rest on the first value, later ones on the second."""
    rows = [*LIVE, (3, 99, 24 * 60)]
    assert chosen(rows, 10)[3] == 3
    assert chosen(rows, 40)[3] == 99


def test_what_fills_a_gap_later_does_not_count_before():
    """A gap that was filled a day later was a gap for the forecasts before that."""
    rows = [row for row in LIVE if row[0] != 3] + [(3, 3, 24 * 60)]
    assert 3 not in chosen(rows, 10)
    assert chosen(rows, 40)[3] == 3


def test_imported_histories_count():
    """Measurements that were all imported a year later are a history, too."""
    rows = [(hour, hour, 365 * 24 * 60 - hour * 60) for hour in range(20)]
    assert len(chosen(rows, 10)) >= 18


def test_a_slow_meter_counts_as_if_in_time():
    """Where all measurements come two minutes late the last one is not missing."""
    assert len(chosen([(hour, hour, 2) for hour in range(20)], 10)) == 20


def household_load():
    """Draw a thousand positive values."""
    return np.random.default_rng(5).gamma(2.0, 0.3, 1000)


def test_spikes_are_left_out():
    """A spike of 10,000 % is taken out and noted; the rest stays."""
    values = household_load()
    values[500] = 100 * values[500] + 100
    found = clean(values, 1000)
    assert np.flatnonzero(np.isnan(found.values)).tolist() == [500]
    assert "1 values" in found.notes[0]
    assert clean(household_load(), 1000).notes == ()


def test_later_values_do_not_judge_earlier_ones():
    """The limit for outliers comes from what was known."""
    values = household_load()
    later = values.copy()
    later[600:] *= 1000
    np.testing.assert_array_equal(clean(values, 500).values[:500], clean(later, 500).values[:500])


def test_seldom_use_is_not_an_outlier():
    """A charger that is used once in three days keeps its power."""
    values = np.zeros(24 * 60)
    values[18::72] = 7.4
    assert clean(values, len(values)).notes == ()


@pytest.mark.parametrize("reset", [False, True])
def test_readings_of_a_counter_are_refused(reset):
    """Cumulative readings sent as power are named, also if the meter was reset on the way."""
    readings = 1e4 + np.cumsum(household_load())
    if reset:
        readings[500:] -= readings[500]
    with pytest.raises(BadValues, match="readings of a meter"):
        clean(readings, 1000)


def test_box_cox_inverts():
    """Values come back from the transformation; log-normal values choose a power near 0; negative ones are mirrored."""
    values = np.exp(np.random.default_rng(6).normal(size=2000))
    change = estimate_box_cox(values, 0.0)
    assert abs(change.power) <= 0.1
    np.testing.assert_allclose(change.backward(change.forward(values)), values)
    mirrored = estimate_box_cox(-values, 0.1)
    np.testing.assert_allclose(mirrored.backward(mirrored.forward(-values)), -values)
    assert BoxCox(0.5, 0.1).backward(np.array([-3.0]))[0] == 0  # 0.5 × −3 + 1 has no root


@pytest.mark.parametrize(
    ("instant", "place", "degrees"),
    [
        # Solar noon on an equinox: 90° − latitude; on the June solstice at 40° N: 90° − 40° + 23.44°.
        pytest.param("2024-03-20T12:07:30", (0.0, 0.0), 90, id="equator at the equinox"),
        pytest.param("2024-06-20T12:01:45", (40.0, 0.0), 73.4, id="solstice"),
        pytest.param("2024-12-21T00:00:00", (40.0, 0.0), -73.4, id="midnight in winter"),
    ],
)
def test_the_height_of_the_sun(instant, place, degrees):
    """The sun's elevation is right to a degree."""
    at = np.array([np.datetime64(datetime.fromisoformat(instant), "us")])
    assert np.degrees(np.arcsin(sun_height(at, place)[0])) == pytest.approx(degrees, abs=1)


def test_short_histories_are_borrowed_to_scale():
    """A sensor that is twice its peer in the hours that both know gets twice the peer's values before them."""
    peer = History(START, np.arange(1.0, 49.0), HOUR)
    own = History(
        START + 36 * np.timedelta64(1, "h"), np.append(2 * np.arange(37.0, 45.0), np.full(4, 500.0)), HOUR
    )
    # Of the own values, the last four are not known yet: they do not count for the scale.
    borrowed = borrow_history(own, [peer], known=8)
    assert borrowed.peers == 1
    assert borrowed.history.start == START
    np.testing.assert_allclose(borrowed.history.values[:36], 2 * np.arange(1.0, 37.0))
    np.testing.assert_array_equal(borrowed.history.values[36:], own.values)


@pytest.mark.parametrize("known", [0, 3])
def test_nothing_is_borrowed_without_a_scale(known):
    """If both have measured less than four hours, or one of them nothing but zero, the history stays as it is."""
    own = History(START + 36 * np.timedelta64(1, "h"), np.full(12, 2.0), HOUR)
    peer = History(START, np.full(48, 1.0), HOUR)
    assert borrow_history(own, [peer], known) == Borrowed(own, 0)
    zero = History(START, np.zeros(48), HOUR)
    assert borrow_history(own, [zero], 12).peers == 0

"""Models: what they learn, what they refuse, and that they see nothing that is not known yet."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from flexmeasures.domain.errors import BadValues, Conflict, NotEnoughData, NotFound
from flexmeasures.domain.forecasting import (
    Case,
    Facts,
    History,
    LookAhead,
    Model,
    Prediction,
    Regressor,
    Traits,
    clean,
    find_model,
    forecast_events,
    measure_accuracy,
    model_names,
    register_model,
)

HOUR = timedelta(hours=1)
MODELS = ["ensemble", "linear-OLS", "naive", "recent-days"]
DAY = 24


def forecast(history, model, first, last, horizon=HOUR, facts=None):
    """Forecast events of a history by the name of a model."""
    return forecast_events(Case(history, horizon, facts or Facts()), find_model(model), first, last)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("horizon", [1, 6, 24, 48])
def test_later_measurements_change_no_forecast(household, model, horizon):
    """Whatever is measured after a forecast is dated leaves that forecast as it is, to the last bit."""
    history = household(60)
    first = 50 * DAY
    before = forecast(history, model, first, first + 30, timedelta(hours=horizon))
    for event in (first, first + 17):
        changed = history.values.copy()
        # The last event that is known is the one whose end lies the horizon before the end of the forecast event.
        changed[event - horizon + 1 :] = 1e3
        after = forecast(replace(history, values=changed), model, first, first + 30, timedelta(hours=horizon))
        np.testing.assert_array_equal(after.values[: event - first + 1], before.values[: event - first + 1])


@pytest.mark.parametrize("model", ["ensemble", "recent-days"])
def test_quantiles_never_cross(household, model):
    """The 10, 50 and 90 % quantiles of each event ascend."""
    found = forecast(household(60), model, 50 * DAY, 55 * DAY)
    assert found.probabilities == (0.1, 0.5, 0.9)
    assert (np.diff(found.values, axis=1) >= 0).all()


def test_the_band_holds_what_it_promises(household):
    """Of three weeks that follow, 75 to 85 % lie in the band of 80 %."""
    history = household(120)
    found = forecast(history, "ensemble", 99 * DAY, 120 * DAY, 24 * HOUR)
    assert (
        0.75
        <= measure_accuracy(history.values[99 * DAY :], found.values, found.probabilities).coverage
        <= 0.85
    )


def test_the_better_default_beats_simple_rules(household):
    """On weekly patterns in noise the ensemble errs less than the last value and than the day before."""
    history = household(120)
    truth = history.values[99 * DAY :]
    error = np.abs(forecast(history, "ensemble", 99 * DAY, 120 * DAY, 6 * HOUR).medians - truth).mean()
    for lag in (6, 24):
        assert error < 0.9 * np.abs(history.values[99 * DAY - lag : -lag] - truth).mean()


def test_the_documented_model_is_least_squares_on_its_lags():
    """A series that repeats its value of 24 hours before is continued without error: that lag is a column."""
    values = np.tile(np.random.default_rng(2).normal(size=DAY), 50)
    history = History(np.datetime64("2024-01-01", "us"), values, HOUR)
    found = forecast(history, "linear", 48 * DAY, 50 * DAY)
    assert found.model.source == "Seita (linear-OLS model v2)"
    assert found.probabilities == (0.5,)
    np.testing.assert_allclose(found.medians, values[48 * DAY :], atol=1e-6)


def test_a_regressor_explains_what_lags_cannot():
    """Power that follows the wind of the same hour is forecast from it, if that is known in time."""
    wind = np.random.default_rng(3).gamma(2.0, 3.0, 60 * DAY)
    history = History(np.datetime64("2024-01-01", "us"), 0.2 * wind, HOUR)
    facts = Facts(regressors=(Regressor("wind_speed", wind, 48 * HOUR),))
    found = forecast(history, "linear", 50 * DAY, 60 * DAY, 24 * HOUR, facts)
    np.testing.assert_allclose(found.medians, 0.2 * wind[50 * DAY :], rtol=0.01, atol=0.01)
    with pytest.raises(LookAhead):
        Case(history, 48 * HOUR, Facts(regressors=(Regressor("wind_speed", wind, 24 * HOUR),)))


@pytest.mark.parametrize("model", ["linear-OLS", "ensemble"])
@pytest.mark.parametrize("missing_days", [1, 12])
def test_a_regressor_that_ends_early_is_done_without(household, model, missing_days):
    """Where the weather is not known any more, forecasts rest on what was measured: errors are at most twice as large.

    Counted as zero it would take its share of the power away, and as its mean it would tell nothing of the day.
    """
    history = household(60)
    wind = np.random.default_rng(3).gamma(2.0, 3.0, 60 * DAY)
    history = replace(history, values=history.values + 0.2 * wind)
    first = 55 * DAY
    ending = np.where(np.arange(60 * DAY) < first + 2 * DAY - missing_days * DAY, wind, np.nan)

    def error(*regressors):
        found = forecast(history, model, first, first + 2 * DAY, 24 * HOUR, Facts(regressors=regressors))
        assert np.ptp(found.medians) > 0.1
        return np.abs(found.medians - history.values[first : first + 2 * DAY]).mean()

    assert error(Regressor("wind_speed", ending, 48 * HOUR)) < 2 * error()


def test_absurd_spikes_do_not_spoil_what_is_learned(household):
    """After spikes of 10,000 % are left out, forecasts are those of a series with gaps there."""
    history = household(60)
    spikes, gaps = history.values.copy(), history.values.copy()
    spikes[[300, 700, 1100]] *= 100
    gaps[[300, 700, 1100]] = np.nan
    cleaned = clean(spikes, 50 * DAY)
    assert cleaned.notes[0].startswith("3 values beyond")
    first = forecast(replace(history, values=cleaned.values), "ensemble", 50 * DAY, 51 * DAY)
    second = forecast(replace(history, values=gaps), "ensemble", 50 * DAY, 51 * DAY)
    np.testing.assert_array_equal(first.values, second.values)


def test_the_naive_model_repeats_the_last_known_value():
    """Six hours ahead, the value of six hours before; over a gap the one before the gap."""
    values = np.arange(48.0)
    values[30:33] = np.nan
    history = History(np.datetime64("2024-01-01", "us"), values, HOUR)
    found = forecast(history, "naive", 35, 40, 6 * HOUR)
    assert found.medians.tolist() == [29, 29, 29, 29, 33]
    assert found.model.source == "Seita (naive model v1)"


@pytest.mark.parametrize(
    ("days", "asked", "used"),
    [
        pytest.param(60, "ensemble", "ensemble", id="two months"),
        pytest.param(10, "ensemble", "recent-days", id="days"),
        pytest.param(1, "ensemble", "naive", id="hours"),
        pytest.param(60, "linear-OLS", "linear-OLS", id="documented"),
        pytest.param(30, "linear-OLS", "naive", id="documented, too short"),
    ],
)
def test_short_histories_are_forecast_by_simpler_models(household, days, asked, used):
    """Where a model has too little data another one stands in, and the forecast says so."""
    history = household(days + 1)
    found = forecast(history, asked, days * DAY, (days + 1) * DAY)
    assert found.model.name == used
    assert bool(found.notes) == (asked != used)
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("model", MODELS)
def test_nothing_measured_is_an_error(model):
    """Without any measurement in time no forecast is made, and the error says so."""
    history = History(np.datetime64("2024-01-01", "us"), np.full(100 * DAY, np.nan), HOUR)
    with pytest.raises(NotEnoughData):
        forecast(history, model, 99 * DAY, 100 * DAY)


@pytest.mark.parametrize("model", MODELS)
def test_a_constant_series_is_continued(model):
    """What never changed is forecast to stay, with a band of almost no width."""
    history = History(np.datetime64("2024-01-01", "us"), np.full(60 * DAY, 0.3), HOUR)
    found = forecast(history, model, 58 * DAY, 60 * DAY)
    np.testing.assert_allclose(found.values, 0.3, atol=0.003)


@pytest.mark.parametrize("model", MODELS)
def test_gaps_of_weeks_are_survived(household, model):
    """Three weeks without measurements leave finite forecasts in the usual range."""
    history = household(80)
    values = history.values.copy()
    values[50 * DAY : 71 * DAY] = np.nan
    found = forecast(replace(history, values=values), model, 72 * DAY, 74 * DAY)
    assert np.isfinite(found.values).all()
    assert 0 <= found.values.min() <= found.values.max() < 10


def solar(days=60, sign=1.0):
    """Power of a PV system near Madrid on days of changing clearness; UTC."""
    hours = np.arange(days * DAY) % DAY
    clearness = np.random.default_rng(4).uniform(0.3, 1, days).repeat(DAY)
    values = sign * clearness * np.maximum(np.sin(np.pi * (hours - 6) / 12), 0)
    return History(np.datetime64("2024-03-01", "us"), np.where((hours > 6) & (hours < 18), values, 0), HOUR)


@pytest.mark.parametrize("place", [None, (40.4, -3.7)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_sun_does_not_shine_at_night(place, sign):
    """Forecasts of PV power are exactly zero at night and never of the wrong sign, the band included."""
    history = solar(sign=sign)
    found = forecast(
        history, "ensemble", 50 * DAY, 60 * DAY, 24 * HOUR, Facts(Traits(is_solar=True, place=place))
    )
    night = np.isin(np.arange(10 * DAY) % DAY, [22, 23, 0, 1, 2, 3])
    assert (found.values[night] == 0).all()
    assert (sign * found.values >= 0).all()
    assert (sign * found.medians[~night]).max() > 0.3


def test_what_was_learned_can_be_kept(household):
    """A model that is written down and read again forecasts the same."""
    history = household(60)
    case = Case(history, 6 * HOUR)
    events = np.arange(50 * DAY, 52 * DAY)
    for name in ("ensemble", "recent-days", "linear-OLS"):
        model = find_model(name)
        learned = model.fit(case, case.known_before(events[0]), int(events[0]))
        again = model.load(learned.dump())
        np.testing.assert_allclose(
            again.predict(case, events).middle, learned.predict(case, events).middle, rtol=1e-12
        )
        with pytest.raises(BadValues):
            model.load(b"something else")


def test_fits_are_used_until_they_are_old(household):
    """Within 28 days the ensemble is fitted once; a kept fit is used from then on, and not for times before."""
    history = household(100)
    case = Case(history, HOUR)
    model = find_model("ensemble")
    first = forecast_events(case, model, 70 * DAY, 71 * DAY)
    later = forecast_events(case, model, 75 * DAY, 76 * DAY, first.fits[0])
    assert later.fits == first.fits
    earlier = forecast_events(case, model, 65 * DAY, 66 * DAY, first.fits[0])
    assert earlier.fits[0] is not first.fits[0]
    assert len(forecast_events(case, model, 70 * DAY, 100 * DAY).fits) == 2


def test_unknown_models_are_named():
    """The name of a model that does not exist gives an error with those that do."""
    with pytest.raises(NotFound, match=r"No model found for search term.*linear-OLS"):
        find_model("crystal ball")
    assert find_model("LINEAR-ols") is find_model("linear")
    assert set(MODELS) <= set(model_names())


def test_plugins_add_models(household):
    """A model of a plugin is used by its name; a name that is taken is refused; a wrong shape is named."""

    class Yesterday:
        def __init__(self, surplus=0):
            self.surplus = surplus

        def predict(self, case, events):
            return Prediction(np.append(case.view.lagged(24)[events], [0.0] * self.surplus))

        def dump(self):
            return b""

    register_model(Model("yesterday", "1", "Plugin", lambda case, known, event: Yesterday()))
    history = household(10)
    found = forecast(history, "yesterday", 200, 210)
    np.testing.assert_array_equal(found.medians, history.values[176:186])
    register_model(Model("yesterday", "2", "Plugin", lambda case, known, event: Yesterday(1)))
    with pytest.raises(BadValues, match="one for each event"):
        forecast(history, "yesterday", 200, 210)
    with pytest.raises(Conflict, match="already"):
        register_model(Model("Naive", "9", "Plugin", lambda case, known, event: Yesterday()))


def test_heavy_libraries_are_loaded_by_those_who_use_them():
    """Importing the forecasts, and a simple one, does not load LightGBM or SciPy."""
    code = (
        "import sys, flexmeasures.domain.forecasting as f;"
        "f.find_model('ensemble'); sys.exit(bool({'lightgbm', 'scipy', 'holidays'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

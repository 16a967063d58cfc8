"""Measures of accuracy, by hand calculation."""

import numpy as np
import pytest

from flexmeasures.domain.forecasting import Scores, measure_accuracy
from flexmeasures.domain.forecasting.calibration import band
from flexmeasures.domain.forecasting.ensemble import choose_weights, select_members


def test_errors_of_points():
    """MAE = (1 + 0 + 2) / 3, WAPE = 3 / (1 + 2 + 5), bias = (1 + 0 − 2) / 3; what was not measured does not count."""
    found = measure_accuracy(np.array([1, 2, -5, np.nan]), np.array([[2.0], [2.0], [-7.0], [1.0]]), (0.5,))
    assert (found.count, found.mae, found.wape, found.accuracy) == (3, 1, 3 / 8, 5 / 8)
    assert found.bias == pytest.approx(-1 / 3)
    assert np.isnan(found.coverage)
    assert found.as_data()["coverage"] is None


def test_scores_of_bands():
    """Quantile losses by hand: measured 2 between 1 and 4, and 5 above 4; two of three values of 0, 10 are covered."""
    measured = np.array([2.0, 5.0, 0.0])
    forecasts = np.array([[1.0, 3.0, 4.0], [1.0, 3.0, 4.0], [0.0, 0.0, 0.0]])
    found = measure_accuracy(measured, forecasts, (0.1, 0.5, 0.9))
    # Losses: 0.1·1, 0.5·1, 0.1·2 → mean 0.8 / 3; 0.1·4, 0.5·2, 0.9·1 → mean 2.3 / 3; 0. Twice their means:
    scores = np.array([1.6 / 3, 4.6 / 3, 0])
    span = np.percentile(measured, 99) - np.percentile(measured, 1)
    assert found.coverage == pytest.approx(2 / 3)
    assert found.rcrps == pytest.approx(scores.mean() / span)
    assert found.peak_rcrps == pytest.approx((2 * scores[0] + 5 * scores[1]) / 7 / span)


def test_peaks_that_were_met():
    """Of 40 events the two largest count: one of them is among the two largest forecasts."""
    measured, forecasts = np.ones(40), np.ones((40, 1))
    measured[[3, 7]] = 5, 6
    forecasts[[3, 9]] = 5
    assert measure_accuracy(measured, forecasts, (0.5,)).peak_hit_rate == 0.5


def test_nothing_to_compare():
    """Without a single event both of a forecast and of a measurement, no measure is defined."""
    found = measure_accuracy(np.array([np.nan]), np.array([[1.0]]), (0.5,))
    assert found.count == 0
    assert all(value is None for name, value in found.as_data().items() if name != "count")


def test_bands_follow_the_errors_of_the_last_weeks():
    """Errors between −1 and 1 widths give a band from −0.8 to 0.8; errors that are not known yet do not count."""
    starts = np.datetime64("2024-01-01", "us") + np.arange(1000) * np.timedelta64(1, "h")
    ratios = np.random.default_rng(1).permutation(np.tile(np.linspace(-1, 1, 100), 10))
    late = Scores(starts, np.where(np.arange(1000) >= 900, 50.0, ratios))
    low, high = late.factors(starts[900])
    assert (low, high) == pytest.approx((-0.8, 0.8), abs=0.12)
    assert late.factors(starts[999])[1] >= 50
    rows = band(np.array([10.0]), np.array([2.0]), (low, high))
    np.testing.assert_allclose(rows[0], [10 + 2 * low, 10, 10 + 2 * high])


def test_the_side_that_was_missed_is_stretched():
    """After 60 days of errors between −1 and 1 widths, ten days of errors of 5 stretch the upper side, not the lower.

    In three days the upper end, 0.8 until 10 % of the last 28 days are larger, is missed by all: e^(0.36 + 0.36 + …),
    at most e^1. From then on it is 5 and never missed: seven times e^−0.04. The lower end is not missed in ten days.
    """
    starts = np.datetime64("2024-01-01", "us") + np.arange(70 * 24) * np.timedelta64(1, "h")
    usual = np.tile(np.linspace(-1, 1, 24), 60)
    low, high = Scores(starts, np.append(usual, np.full(240, 5.0))).factors(np.datetime64("2024-03-11", "us"))
    assert high == pytest.approx(5 * np.exp(1 - 7 * 0.04), rel=0.05)
    assert -0.8 < low < -0.8 * np.exp(-0.4) * 0.9
    calm_low, calm_high = Scores(starts[:1440], usual).factors(starts[1440])
    assert (calm_low, calm_high) == pytest.approx((-0.83, 0.83), abs=0.1)


def test_members_that_err_apart_are_selected():
    """Of two members with opposite errors and a bad third one, the average of the two is chosen."""
    truth = np.zeros(100)
    noise = np.random.default_rng(7).normal(size=100)
    weights = select_members(np.array([noise, -noise, noise + 9]), truth)
    np.testing.assert_allclose(weights, [0.5, 0.5, 0])


def test_half_of_the_weight_is_spread_by_error():
    """Errors of 1 and 1 + 1/12 share a half as 1 to 1/e; the selection gives its half to the better one."""
    forecasts = np.array([np.full(96, 1.0), np.full(96, 1 + 1 / 12), np.full(96, 30.0)])
    weights = choose_weights(forecasts, np.zeros(96))
    spread = np.array([1, 1 / np.e, 0]) / (1 + 1 / np.e) / 2
    np.testing.assert_allclose(weights, spread + np.array([0.5, 0, 0]), atol=1e-12)


def test_a_member_without_error_gets_all_weight():
    """Where one member was right each time, as on a constant series, no other counts."""
    weights = choose_weights(np.array([np.full(96, 2.0), np.full(96, 3.0)]), np.full(96, 2.0))
    np.testing.assert_allclose(weights, [1, 0])

"""Forecasts from a few days: the same time of the last days, and what was measured last."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.forecasting.calibration import Scores
from flexmeasures.domain.forecasting.case import Case, Truths
from flexmeasures.domain.forecasting.cleaning import check_enough, fill_forward
from flexmeasures.domain.forecasting.features import same_time_lags
from flexmeasures.domain.forecasting.history import Integers, Values
from flexmeasures.domain.forecasting.learned import Prediction, pack, unpack

__all__ = ["RecentDays", "fit_recent_days", "load_recent_days"]

_DAYS = 7
_FEWEST_DAYS = 2
_SHARES = np.linspace(0, 1, 11)
_SMALLEST = 1e-3


@dataclass(frozen=True)
class RecentDays:
    """A blend of the last known value and the median of the same time on the last days.

    Attributes:
        share: Of the last known value, 0 … 1.
        error: Usual error, by local hour: shape ``(24,)``.
        scores: Errors in training, which the band is calibrated with at first.
    """

    share: float
    error: Values
    scores: Scores

    def predict(self, case: Case, events: Integers) -> Prediction:
        """Forecast events."""
        last, same_time = _parts(case)
        middle = self.share * last + (1 - self.share) * same_time
        return Prediction(middle[events], self.error[case.hours[events]])

    def dump(self) -> bytes:
        """Write it down."""
        scores = self.scores
        return pack(
            {"share": self.share, "error": self.error, "starts": scores.starts, "ratios": scores.ratios}
        )


def load_recent_days(data: bytes) -> RecentDays:
    """Read what was dumped."""
    kept = unpack(data)
    return RecentDays(float(kept["share"]), kept["error"], Scores(kept["starts"], kept["ratios"]))


def _parts(case: Case) -> tuple[Values, Values]:
    """Find the last known value and the median of the same time: shape ``(n,)`` each."""
    lag = case.view.shortest_lag
    filled = fill_forward(case.history.values)
    last = np.concatenate([np.full(min(lag, len(filled)), np.nan), filled[: max(0, len(filled) - lag)]])
    lags = itertools.islice(same_time_lags(case.view), _DAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the median of nothing is not a number
        same_time = np.nanmedian([case.view.lagged(one) for one in lags], axis=0)
    same_time = np.where(np.isnan(same_time), last, same_time)
    return last, same_time


def fit_recent_days(case: Case, known: Truths, event: int) -> RecentDays:
    """Choose how much the last value counts.

    Raises:
        NotEnoughData: If less than two days were measured, or nothing can be compared.
    """
    del event
    check_enough(
        np.where(known, case.history.values, np.nan),
        _FEWEST_DAYS * case.view.per_day,
        "a forecast from days",
    )
    last, same_time = _parts(case)
    rows = np.flatnonzero(known & np.isfinite(last) & np.isfinite(same_time))
    check_enough(case.history.values[rows], case.view.per_day // 2 + 1, "a forecast from days")
    truth = case.values(rows, known)
    trials = [share * last[rows] + (1 - share) * same_time[rows] for share in _SHARES]
    best = int(np.argmin([np.mean(np.abs(trial - truth)) for trial in trials]))
    errors = np.abs(trials[best] - truth)
    smallest = max(_SMALLEST * float(errors.max()), 1e-9)
    by_hour = np.full(24, errors.mean())
    for hour in range(24):
        near = np.minimum((case.hours[rows] - hour) % 24, (hour - case.hours[rows]) % 24) <= 1
        if near.sum() > 5:
            by_hour[hour] = errors[near].mean()
    by_hour = np.maximum(by_hour, smallest)
    ratios = (truth - trials[best]) / by_hour[case.hours[rows]]
    return RecentDays(float(_SHARES[best]), by_hour, Scores(case.view.starts[rows], ratios))

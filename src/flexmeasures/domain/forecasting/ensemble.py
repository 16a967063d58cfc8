"""The better default: an average of models that err differently, with a band.

Members are robust linear models for each hour and for all hours, boosted trees of the level, boosted trees of the
difference to the mean of the same time in the last week, both also after few rounds, when they have learned what is
plain only, and simple forecasts. Their weights come from a validation on the latest part of the training data, and so
do the first errors that the band is calibrated with.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np

from flexmeasures.domain.forecasting.boosting import BinnedRows, dump_trees, load_trees, predict_trees
from flexmeasures.domain.forecasting.calibration import Scores
from flexmeasures.domain.forecasting.case import Case, Truths
from flexmeasures.domain.forecasting.cleaning import check_enough
from flexmeasures.domain.forecasting.features import Features
from flexmeasures.domain.forecasting.history import Integers, Values
from flexmeasures.domain.forecasting.learned import Prediction, pack, unpack
from flexmeasures.domain.forecasting.robust import HourlyLinear, fit_hourly_linear

__all__ = ["Ensemble", "choose_weights", "fit_ensemble", "load_ensemble", "select_members"]

_MOST_ROWS = 10_000
_MOST_TRIAL_ROWS = 8_000
_VALIDATION_DAYS = 56
_WARM_UP_DAYS = 8
_FEWEST_DAYS = 21
_WIDTH_ROUNDS = 60
_EARLY_ROUNDS = 40
_SELECTIONS = 12
_FOLDS = 4
_TRUST = 12.0
"""A member whose error is 1/12 larger than the best one's counts 1/e as much, where errors are all that is known."""
_SIMPLE = ("week median", "month mean", "last 1", "day 1")
_LEARNING = 9
"""So many of the members vary with what was learned or average over days: these share what is not chosen."""
_NOT_LINEAR = frozenset({"slot", "weekday"})
_SMALLEST_WIDTH = 1e-4
"""Beside the largest predicted width: errors where nothing happens, as at night, must not count as infinite."""


@dataclass(frozen=True)
class Members:
    """The fitted members, and the names of the columns that they know."""

    names: tuple[str, ...]
    linear: HourlyLinear
    level: lightgbm.Booster
    difference: lightgbm.Booster

    def predict(self, case: Case, rows: Integers) -> Values:
        """Forecast by each member: shape ``(11, m)``.

        The order is: linear by hour, linear, level after few rounds, level, difference likewise twice, median of 28
        days, the simple ones.
        """
        features = case.features.select(self.names)
        matrix = features.matrix[rows]
        mean = _same_time_mean(features)[rows]
        return np.array(
            [
                *self.linear.predict(_linear_columns(features)[rows], case.hours[rows]),
                *(predict_trees(self.level, matrix, rounds) for rounds in (_EARLY_ROUNDS, None)),
                *(predict_trees(self.difference, matrix, rounds) + mean for rounds in (_EARLY_ROUNDS, None)),
                _filled(case.month_median[rows], mean),
                *(_filled(features.column(name)[rows], mean) for name in _SIMPLE),
            ]
        )


def _linear_columns(features: Features) -> Values:
    kept = [number for number, name in enumerate(features.names) if name not in _NOT_LINEAR]
    columns: Values = features.matrix[:, kept]
    return columns


def _same_time_mean(features: Features) -> Values:
    """Return the mean of the same time in the last week; of the last 7 days where that is unknown."""
    return np.nan_to_num(_filled(features.column("week mean"), features.column("last 7 days")))


def _filled(column: Values, fallback: Values) -> Values:
    return np.where(np.isnan(column), fallback, column)


def _fit_members(case: Case, rows: Integers, known: Truths) -> tuple[Members, BinnedRows]:
    features = case.features
    targets, binned = case.values(rows, known), BinnedRows(features.matrix[rows])
    members = Members(
        names=features.names,
        linear=fit_hourly_linear(_linear_columns(features)[rows], targets, case.hours[rows]),
        level=binned.boost(targets),
        difference=binned.boost(targets - _same_time_mean(features)[rows]),
    )
    return members, binned


def _thinned(rows: Integers, most: int) -> Integers:
    """Keep every so-manieth row, so that a fit costs the same however long the history and fine its resolution."""
    stride = max(1, -(-len(rows) // most))
    if stride % 2 == 0:
        stride += 1  # an odd stride meets every quarter of an hour
    return rows[::-1][::stride][::-1]


def choose_weights(forecasts: Values, values: Values) -> Values:
    """Choose weights of members: half by selection, half by how small the error of each one is.

    What is chosen is what was best on one stretch of time. The other half spreads the risk that the next stretch is
    different, which counts most where little can be known, such as wind two days ahead.

    Args:
        forecasts: By member: shape ``(k, m)``; the members that are not simple rules come first.
        values: Measured, in the order of time: shape ``(m,)``.

    Returns:
        Shape ``(k,)``, adding up to 1.
    """
    # Each time without one part of the period: what is good in one month only is chosen less often.
    parts = np.arange(len(values)) * _FOLDS // len(values)
    chosen = [select_members(forecasts[:, parts != part], values[parts != part]) for part in range(_FOLDS)]
    errors = np.mean(np.abs(forecasts[:_LEARNING] - values), axis=1)
    shares = (
        np.exp(-_TRUST * (errors / max(float(errors.min()), 1e-300) - 1)) if errors.min() else errors == 0
    )
    spread = np.zeros(len(forecasts))
    spread[:_LEARNING] = shares / shares.sum()
    weights: Values = (np.mean(chosen, axis=0) + spread) / 2
    return weights


def select_members(forecasts: Values, values: Values) -> Values:
    """Choose weights by adding, again and again, the member that lowers the absolute error of the average most.

    Args:
        forecasts: By member: shape ``(k, m)``.
        values: Measured: shape ``(m,)``.

    Returns:
        Shape ``(k,)``, adding up to 1.

    Source: Caruana et al. (2004), ensemble selection from libraries of models.
    """
    count = np.zeros(len(forecasts))
    total = np.zeros_like(values)
    for size in range(1, _SELECTIONS + 1):
        errors = np.mean(np.abs((total + forecasts) / size - values), axis=1)
        best = int(np.argmin(errors))
        count[best] += 1
        total = total + forecasts[best]
    return count / _SELECTIONS


@dataclass(frozen=True)
class Ensemble:
    """A fitted ensemble.

    Attributes:
        members: Fitted to everything.
        weights: One a member.
        width: Trees of the usual size of errors.
        scores: Errors in the validation, which the band is calibrated with at first.
    """

    members: Members
    weights: Values
    width: lightgbm.Booster
    scores: Scores

    def predict(self, case: Case, events: Integers) -> Prediction:
        """Forecast events."""
        middle = self.weights @ self.members.predict(case, events)
        matrix = case.features.select(self.members.names).matrix
        return Prediction(middle, _width(self.width, matrix[events]))

    def dump(self) -> bytes:
        """Write it down."""
        linear = self.members.linear
        return pack(
            {
                "names": list(self.members.names),
                "centre": linear.centre,
                "scale": linear.scale,
                "coefficients": linear.coefficients,
                "overall": linear.overall,
                "level": dump_trees(self.members.level),
                "difference": dump_trees(self.members.difference),
                "width": dump_trees(self.width),
                "weights": self.weights,
                "starts": self.scores.starts,
                "ratios": self.scores.ratios,
            }
        )


def load_ensemble(data: bytes) -> Ensemble:
    """Read what was dumped."""
    kept = unpack(data)
    linear = HourlyLinear(kept["centre"], kept["scale"], kept["coefficients"], kept["overall"])
    trees = {name: load_trees(str(kept[name])) for name in ("level", "difference", "width")}
    return Ensemble(
        Members(tuple(str(name) for name in kept["names"]), linear, trees["level"], trees["difference"]),
        kept["weights"],
        trees["width"],
        Scores(kept["starts"], kept["ratios"]),
    )


def _width(trees: lightgbm.Booster, matrix: Values) -> Values:
    width = np.maximum(predict_trees(trees, matrix), 0)
    smallest = _SMALLEST_WIDTH * float(width.max(initial=0)) or 1e-9
    return np.maximum(width, smallest)


def fit_ensemble(case: Case, known: Truths, event: int) -> Ensemble:
    """Fit an ensemble: validate on the last eight weeks (at most a quarter), then fit to everything.

    Args:
        case: The sensor.
        known: Events that were measured in time; see `Case.known_before`.
        event: Position of the first event to forecast.

    Raises:
        NotEnoughData: If less than three weeks were measured.
    """
    del event
    per_day = case.view.per_day
    usable = known.copy()
    usable[: int(np.argmax(known)) + _WARM_UP_DAYS * per_day] = False
    check_enough(
        np.where(usable, case.history.values, np.nan), (_FEWEST_DAYS - _WARM_UP_DAYS) * per_day, "this model"
    )
    rows = np.flatnonzero(usable)
    held_out = rows[-min(_VALIDATION_DAYS * per_day, len(rows) // 4) :]
    # What the trial learns from was known when the first held-out event was forecast.
    early = _thinned(rows[rows <= held_out[0] - case.view.shortest_lag], _MOST_TRIAL_ROWS)
    trial, binned = _fit_members(case, early, known)
    judged = _thinned(held_out, _MOST_TRIAL_ROWS)
    forecasts, truth = trial.predict(case, judged), case.values(judged, known)
    weights = choose_weights(forecasts, truth)
    errors = np.abs(case.values(early, known) - weights @ trial.predict(case, early))
    width = binned.boost(errors, 0.8, _WIDTH_ROUNDS)
    ratios = (truth - weights @ forecasts) / _width(width, case.features.matrix[judged])
    scores = Scores(case.view.starts[judged], ratios).thinned()
    final, _ = _fit_members(case, _thinned(rows, _MOST_ROWS), known)
    return Ensemble(final, weights, width, scores)

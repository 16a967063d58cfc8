"""The documented default: ordinary least squares on the last values and those of the same time on earlier days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from flexmeasures.domain.errors import NotEnoughData
from flexmeasures.domain.forecasting.box_cox import BoxCox, estimate_box_cox
from flexmeasures.domain.forecasting.case import Case, Truths
from flexmeasures.domain.forecasting.cleaning import fill_forward
from flexmeasures.domain.forecasting.features import recent_and_daily
from flexmeasures.domain.forecasting.history import History, HorizonView, Integers, Values
from flexmeasures.domain.forecasting.learned import Prediction, pack, unpack

__all__ = ["Linear", "fit_linear", "load_linear"]

TRAINING = timedelta(days=30)
TESTING = timedelta(days=2)
"""The last part of the training period is held out, as documented."""


@dataclass(frozen=True)
class Linear:
    """Coefficients of lags, then of regressors; no constant, as documented.

    Attributes:
        coefficients: Shape ``(k,)``.
        transformation: Of values and lags; None: none.
        regressors: Names of those that were there.
        without: Coefficients of lags alone, for events of which a regressor is not known.
    """

    coefficients: Values
    transformation: BoxCox | None
    regressors: tuple[str, ...]
    without: Values

    def predict(self, case: Case, events: Integers) -> Prediction:
        """Forecast events, without a band."""
        columns = _columns(case, self.transformation, self.regressors)[events]
        lags = np.nan_to_num(columns[:, : len(self.without)])
        is_known = np.isfinite(columns[:, len(self.without) :]).all(axis=1)
        found = np.where(is_known, np.nan_to_num(columns) @ self.coefficients, lags @ self.without)
        return Prediction(found if self.transformation is None else self.transformation.backward(found))

    def dump(self) -> bytes:
        """Write it down."""
        change = self.transformation
        return pack(
            {
                "coefficients": self.coefficients,
                "without": self.without,
                "transformation": [] if change is None else [change.power, change.shift, change.sign],
                "regressors": list(self.regressors) or np.empty(0, "U1"),
            }
        )


def load_linear(data: bytes) -> Linear:
    """Read what was dumped."""
    kept = unpack(data)
    change = kept["transformation"]
    return Linear(
        kept["coefficients"],
        BoxCox(*(float(one) for one in change)) if len(change) else None,
        tuple(str(name) for name in kept["regressors"]),
        kept["without"],
    )


def _columns(case: Case, transformation: BoxCox | None, regressors: tuple[str, ...]) -> Values:
    """Build the columns from values without gaps: a gap counts as the value before it, which was known then."""
    history = case.history
    filled = fill_forward(history.values)
    if transformation is not None:
        filled = transformation.forward(filled)
    view = HorizonView(History(history.start, filled, history.resolution, history.zone), case.horizon)
    lags = recent_and_daily(view, daily=case.traits.daily, weekly=case.traits.weekly).matrix
    by_name = {regressor.name: regressor.values for regressor in case.facts.regressors}
    absent = np.full(len(history), np.nan)
    return np.column_stack([lags, *(by_name.get(name, absent) for name in regressors)])


def fit_linear(case: Case, known: Truths, event: int) -> Linear:
    """Fit to the 28 days that end two days before the first event.

    Args:
        case: The sensor.
        known: Events that were measured in time; see `Case.known_before`.
        event: Position of the first event to forecast.

    Raises:
        NotEnoughData: If nothing was measured, or less than the training period and the longest lag.
    """
    view = case.view
    first = event - int(TRAINING / view.resolution)
    until = max(event - int(TESTING / view.resolution), first + 1)
    rows = np.flatnonzero(known)
    rows = rows[(rows >= first) & (rows < until)]
    shift = case.traits.box_cox_shift
    columns = recent_and_daily(view, daily=case.traits.daily, weekly=case.traits.weekly).names
    longest = max(int(name.removeprefix("lag ")) for name in columns)
    earliest = int(np.argmax(known)) if known.any() else len(known)
    if not len(rows) or earliest > first - longest:
        raise NotEnoughData(
            f"The linear model needs {TRAINING.days} days and {longest * view.resolution} before them: measurements "
            f"have to begin at {view.starts[0] + (first - longest) * case.history.step}Z. Choose a later start date."
        )
    transformation = None if shift is None else estimate_box_cox(case.values(rows, known), shift)
    names = tuple(r.name for r in case.facts.regressors if np.isfinite(r.values[rows]).all())
    matrix = _columns(case, transformation, names)[rows]
    targets = case.values(rows, known)
    if transformation is not None:
        targets = transformation.forward(targets)
    complete = np.isfinite(matrix).all(axis=1)
    if not complete.any():
        raise NotEnoughData("No event was measured together with all values that its forecast rests on.")
    matrix, targets = matrix[complete], targets[complete]
    lags = matrix[:, : matrix.shape[1] - len(names)]
    return Linear(_least_squares(matrix, targets), transformation, names, _least_squares(lags, targets))


def _least_squares(columns: Values, values: Values) -> Values:
    return np.asarray(np.linalg.lstsq(columns, values, rcond=None)[0], dtype=float)

"""A forecaster: the mean of the same time of the last three days."""

from datetime import timedelta

import numpy as np

from flexmeasures.domain.errors import NotEnoughData
from flexmeasures.domain.forecasting import Case, Model, Prediction, register_model


class ThreeDays:
    """Has learned how large the errors usually are."""

    def __init__(self, error: float) -> None:
        self.error = error

    def predict(self, case: Case, events: np.ndarray) -> Prediction:
        """Forecast events, by their positions on the grid."""
        return Prediction(mean_of_days(case)[events], np.full(len(events), self.error))

    def dump(self) -> bytes:
        """Write it down."""
        return str(self.error).encode()


def mean_of_days(case: Case) -> np.ndarray:
    """Average the same time of the last three days that are known at the horizon."""
    first = -(-case.view.shortest_lag // case.view.per_day)
    days = [case.view.lagged(day * case.view.per_day) for day in range(first, first + 3)]
    return np.mean(days, axis=0)


def fit(case: Case, known: np.ndarray, event: int) -> ThreeDays:
    """Learn from the events that are known when an event is forecast."""
    rows = np.flatnonzero(known & np.isfinite(mean_of_days(case)))
    if not len(rows):
        raise NotEnoughData("The mean of three days needs four days of measurements.")
    errors = np.abs(mean_of_days(case)[rows] - case.values(rows, known))
    return ThreeDays(max(float(errors.mean()), 1e-9))


register_model(
    Model(
        name="three-days",
        version="1",
        source="Example",
        fit=fit,
        load=lambda kept: ThreeDays(float(kept.decode())),
        fallback="naive",
        look_back=timedelta(days=14),
        refit_after=timedelta(days=7),
    )
)

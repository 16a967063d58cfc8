"""The forecast that every other one must beat: it will be as it was when we last knew."""

from __future__ import annotations

from flexmeasures.domain.errors import NotEnoughData
from flexmeasures.domain.forecasting.case import Case, Truths
from flexmeasures.domain.forecasting.cleaning import fill_forward
from flexmeasures.domain.forecasting.history import Integers
from flexmeasures.domain.forecasting.learned import Prediction
from flexmeasures.domain.time import format_duration

__all__ = ["Naive", "fit_naive"]


class Naive:
    """Forecasts each event by the measurement that was the last one known at its horizon."""

    def predict(self, case: Case, events: Integers) -> Prediction:
        """Forecast events, without a band; a measurement that is missing is taken to be like the one before it."""
        return Prediction(fill_forward(case.history.values)[events - case.view.shortest_lag])

    def dump(self) -> bytes:
        """Write down nothing: nothing was learned."""
        return b""


def fit_naive(case: Case, known: Truths, event: int) -> Naive:
    """Make sure that there is a last known measurement.

    Raises:
        NotEnoughData: If nothing was measured before the first event.
    """
    if not known[: max(0, event - case.view.shortest_lag + 1)].any():
        raise NotEnoughData(
            "No data available to forecast from: "
            f"nothing was measured {format_duration(case.horizon)} before the first event."
        )
    return Naive()

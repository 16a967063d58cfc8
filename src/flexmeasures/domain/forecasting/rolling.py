"""Forecast a period as it would have been forecast event by event: nothing is known earlier than it was."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from flexmeasures.domain.errors import BadValues, NotEnoughData
from flexmeasures.domain.forecasting.calibration import QUANTILES, Scores, band
from flexmeasures.domain.forecasting.case import Case
from flexmeasures.domain.forecasting.history import Integers, Values
from flexmeasures.domain.forecasting.learned import Learned, Prediction
from flexmeasures.domain.forecasting.models import Model, find_model

__all__ = ["Fit", "Forecast", "fit_model", "forecast_events"]

_SCORED_DAYS = 28
_MOST_SCORED = 700
_FEWEST_DAYS_FOR_BOUNDS = 7


@dataclass(frozen=True)
class Fit:
    """A fitted model with all that is needed to use it.

    Attributes:
        model: Which model.
        learned: What it has learned.
        known_until: Start of the first event that it could not know.
        rows: From how many measurements.
        bounds: Lowest and highest value that it may forecast.
    """

    model: Model
    learned: Learned
    known_until: np.datetime64
    rows: int
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def is_usable(self, known_until: np.datetime64, rows: int) -> bool:
        """Tell whether it may be used for a forecast.

        It must not know more than was known then, must not be too old, and is renewed early while the history is short.

        Args:
            known_until: Start of the first event that is unknown when the forecast is made.
            rows: How many measurements are known then, at most.
        """
        age = known_until - self.known_until
        fresh = np.timedelta64(0, "us") <= age < np.timedelta64(self.model.refit_after)
        return bool(fresh and rows < 1.5 * self.rows)


@dataclass(frozen=True)
class Forecast:
    """Forecasts of m events.

    Attributes:
        values: Shape ``(m, k)``, ascending in each row.
        probabilities: Cumulative probabilities of the k columns.
        model: That made them.
        fits: That were made on the way or used, the last one last.
        notes: What was done, in sentences.
    """

    values: Values
    probabilities: tuple[float, ...]
    model: Model
    fits: tuple[Fit, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def medians(self) -> Values:
        """Shape ``(m,)``."""
        column: Values = self.values[:, self.probabilities.index(0.5)]
        return column


def fit_model(case: Case, model: Model, event: int) -> Fit:
    """Fit a model, or the one that stands in for it, with what was known when an event was forecast.

    Raises:
        NotEnoughData: If even the simplest model has not enough.
        NotFound: If a model names a stand-in that does not exist.
    """
    known = case.known_before(event)
    try:
        learned = model.fit(case, known, event)
    except NotEnoughData:
        if model.fallback is None:
            raise
        return fit_model(case, find_model(model.fallback), event)
    until = case.view.starts[min(event, len(known) - 1)] - (case.view.shortest_lag - 1) * case.history.step
    return Fit(model, learned, until, int(known.sum()), _bounds(case, known))


def _bounds(case: Case, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[float, float]:
    """Find what the sensor can measure: what is said of it, and zero where it has never gone beyond."""
    low = -math.inf if case.traits.lowest is None else case.traits.lowest
    high = math.inf if case.traits.highest is None else case.traits.highest
    rows = np.flatnonzero(known)
    if len(rows) >= _FEWEST_DAYS_FOR_BOUNDS * case.view.per_day:
        values = case.values(rows, known)
        if values.min() >= 0:
            low = max(low, 0.0)
        if values.max() <= 0:
            high = min(high, 0.0)
    return low, high


def forecast_events(case: Case, model: Model, first: int, last: int, kept: Fit | None = None) -> Forecast:
    """Forecast events, refitting by the model's rule.

    Args:
        case: The sensor.
        model: Which model.
        first: Position of the first event.
        last: Position after the last one.
        kept: A fit from before, which is used as long as it may be.

    Raises:
        NotEnoughData: If too little was measured before the first event.
        BadValues: If a model returns something other than one finite number an event.
    """
    fits: list[Fit] = []
    parts: list[Values] = []
    scores = Scores(np.empty(0, "datetime64[us]"), np.empty(0))
    begin = first
    while begin < last:
        known_until = case.view.starts[begin] - (case.view.shortest_lag - 1) * case.history.step
        rows = int(case.known_before(begin).sum())
        if kept is None or not kept.is_usable(known_until, rows):
            kept = fit_model(case, model, begin)
        fits.append(kept)
        room = kept.known_until + np.timedelta64(kept.model.refit_after) - known_until
        end = min(last, begin + max(1, int(room / case.history.step)))
        values, scores = _forecast_block(case, kept, (begin, end), scores)
        parts.append(values)
        begin = end
    narrow = min((part.shape[1] for part in parts), default=1)
    if narrow == 1:
        parts = [part[:, part.shape[1] // 2 :][:, :1] for part in parts]
    used = fits[-1].model if fits else model
    notes = () if used is model else (f"{used.name} stands in for {model.name}, which has too little data.",)
    values = np.concatenate(parts) if parts else np.empty((0, narrow))
    return Forecast(values, QUANTILES if narrow > 1 else (0.5,), used, tuple(fits), notes)


def _forecast_block(case: Case, fit: Fit, block: tuple[int, int], before: Scores) -> tuple[Values, Scores]:
    """Forecast a block of events with one fit, its band calibrated once a day."""
    events = np.arange(*block)
    predicted = _predict(case, fit, events)
    middle = case.bounded(predicted.middle, events, fit.bounds)
    if predicted.width is None:
        return middle[:, None], before
    scores = _first_scores(case, fit, block[0], before)
    scores = scores.joined(_scores(case, events, middle, predicted.width))
    per_day, late = case.view.per_day, (case.view.shortest_lag - 1) * case.history.step
    values = np.empty((len(events), len(QUANTILES)))
    for day in range(0, len(events), per_day):
        rows = slice(day, day + per_day)
        factors = scores.factors(case.view.starts[events[day]] - late, late)
        values[rows] = band(middle[rows], predicted.width[rows], factors)
    return case.bounded(values, events, fit.bounds), scores.thinned()


def _predict(case: Case, fit: Fit, events: Integers) -> Prediction:
    predicted = fit.learned.predict(case, events)
    middle = np.asarray(predicted.middle, dtype=float)
    if middle.shape != events.shape or not np.all(np.isfinite(middle)):
        raise BadValues(
            f"The model {fit.model.name} returned {int(np.isfinite(middle).sum())} finite numbers: it must return "
            f"{len(events)}, one for each event."
        )
    return Prediction(middle, predicted.width)


def _first_scores(case: Case, fit: Fit, begin: int, before: Scores) -> Scores:
    """Gather errors from before a block: of the block before, else of the validation and of events since the fit."""
    if len(before.starts):
        return before
    own = getattr(fit.learned, "scores", before)
    since = int(max(0, case.history.positions(np.array([fit.known_until]))[0]))
    since = max(since, begin - _SCORED_DAYS * case.view.per_day)
    events = np.arange(since, begin)
    events = events[:: max(1, -(-len(events) // _MOST_SCORED))]
    if not len(events):
        return own if isinstance(own, Scores) else before
    predicted = _predict(case, fit, events)
    if predicted.width is None:
        return before
    middle = case.bounded(predicted.middle, events, fit.bounds)
    return own.joined(_scores(case, events, middle, predicted.width))


def _scores(case: Case, events: Integers, middle: Values, width: Values) -> Scores:
    """Compare with what was measured; it is looked at by those forecasts only that come after it was known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = (case.history.values[events] - middle) / width
    return Scores(case.view.starts[events], ratios)

"""How good forecasts were: errors, coverage of the band, and how well peaks were met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexmeasures.domain.forecasting.history import Values

__all__ = ["Accuracy", "measure_accuracy"]

_PEAKS = 0.05


@dataclass(frozen=True)
class Accuracy:
    """Measures over n events; not a number where a measure is undefined.

    Attributes:
        count: Number of events of which both a forecast and a measurement are known.
        mae: Mean absolute error, in the sensor's unit.
        wape: Sum of absolute errors over the sum of absolute measurements.
        bias: Mean of forecast − measured, in the sensor's unit.
        coverage: Share of measurements within the band.
        rcrps: Continuous ranked probability score over the range P99 − P1 of what was measured.
        peak_rcrps: The same, events weighted by |measured| / P99 of |measured|.
        peak_hit_rate: Share of the 5 % largest measurements whose forecast is among the 5 % largest forecasts.
    """

    count: int
    mae: float
    wape: float
    bias: float
    coverage: float
    rcrps: float
    peak_rcrps: float
    peak_hit_rate: float

    @property
    def accuracy(self) -> float:
        """1 − WAPE."""
        return 1 - self.wape

    def as_data(self) -> dict[str, float | int | None]:
        """Give all measures by name; None where one is undefined."""
        found: dict[str, float] = {
            "mae": self.mae,
            "wape": self.wape,
            "accuracy": self.accuracy,
            "bias": self.bias,
            "coverage": self.coverage,
            "rcrps": self.rcrps,
            "peak_weighted_rcrps": self.peak_rcrps,
            "peak_hit_rate": self.peak_hit_rate,
        }
        return {"count": self.count} | {
            name: float(value) if np.isfinite(value) else None for name, value in found.items()
        }


def measure_accuracy(measured: Values, forecasts: Values, probabilities: Sequence[float]) -> Accuracy:
    """Compare forecasts with what was measured.

    Args:
        measured: Shape ``(n,)``; events that were not measured do not count.
        forecasts: Shape ``(n, k)``, ascending in each row.
        probabilities: Cumulative probabilities of the columns, 0.5 among them. The band is from the first to the last.

    >>> found = measure_accuracy(np.array([1.0, 3.0]), np.array([[2.0], [3.0]]), (0.5,))
    >>> found.mae, found.wape, found.bias
    (0.5, 0.25, 0.5)
    """
    both = np.isfinite(measured) & np.isfinite(forecasts).all(axis=1)
    truth, rows = measured[both], forecasts[both]
    middle = rows[:, list(probabilities).index(0.5)]
    if not len(truth):
        return Accuracy(0, *([np.nan] * 7))
    errors, size = middle - truth, float(np.abs(truth).sum())
    scores = _crps(truth, rows, np.asarray(probabilities))
    span = float(np.diff(np.percentile(truth, [1, 99]))[0])
    weights = np.abs(truth) / (np.percentile(np.abs(truth), 99) or np.nan)
    return Accuracy(
        count=len(truth),
        mae=float(np.abs(errors).mean()),
        wape=float(np.abs(errors).sum() / size) if size else np.nan,
        bias=float(errors.mean()),
        coverage=float(np.mean((truth >= rows[:, 0]) & (truth <= rows[:, -1])))
        if rows.shape[1] > 1
        else np.nan,
        rcrps=float(scores.mean() / span) if span else np.nan,
        peak_rcrps=float((weights * scores).sum() / weights.sum() / span) if span and size else np.nan,
        peak_hit_rate=_hit_rate(np.abs(truth), np.abs(middle)),
    )


def _crps(truth: Values, rows: Values, probabilities: np.ndarray[Any, Any]) -> Values:
    """Approximate the score by quantile losses, of a single value by its absolute error: shape ``(n,)``.

    Source: Gneiting and Ranjan (2011), the quantile form of the score.
    """
    below = truth[:, None] - rows
    losses = np.maximum(probabilities * below, (probabilities - 1) * below)
    scores: Values = 2 * losses.mean(axis=1)
    return scores


def _hit_rate(truth: Values, middle: Values) -> float:
    count = int(np.ceil(_PEAKS * len(truth)))
    peaks = np.argsort(-truth, kind="stable")[:count]
    expected = np.argsort(-middle, kind="stable")[:count]
    return len(np.intersect1d(peaks, expected)) / count

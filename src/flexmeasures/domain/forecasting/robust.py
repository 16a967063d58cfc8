"""A linear model for each time of day that is not led astray by outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from flexmeasures.domain.forecasting.history import Integers, Values

__all__ = ["HourlyLinear", "fit_hourly_linear"]

_ROUNDS = 6
_RIDGE = 0.01


@dataclass(frozen=True)
class HourlyLinear:
    """Coefficients by time of day.

    Attributes:
        centre: Mean of each column in training: shape ``(k,)``.
        scale: Standard deviation: shape ``(k,)``.
        coefficients: By hour, constant first: shape ``(24, k + 1)``.
        overall: Of all hours together: shape ``(k + 1,)``.
    """

    centre: Values
    scale: Values
    coefficients: Values
    overall: Values

    def predict(self, features: Values, hours: Integers) -> Values:
        """Forecast events by their hours and by all hours together: shape ``(2, m)``.

        Args:
            features: Shape ``(m, k)``.
            hours: Local hours 0 … 23: shape ``(m,)``.
        """
        scaled = np.nan_to_num((features - self.centre) / self.scale)
        chosen = self.coefficients[hours]
        by_hour = chosen[:, 0] + np.einsum("mk,mk->m", scaled, chosen[:, 1:])
        return np.array([by_hour, self.overall[0] + scaled @ self.overall[1:]])


def fit_hourly_linear(features: Values, values: Values, hours: Integers) -> HourlyLinear:
    """Fit least absolute deviations with a light ridge, for each hour from it and its two neighbours.

    Args:
        features: Shape ``(m, k)``; a missing value counts as the column's mean.
        values: Shape ``(m,)``, none missing.
        hours: Local hour of each, 0 … 23: shape ``(m,)``.

    Source: iteratively reweighted least squares (Schlossmacher 1973).
    """
    centre = np.nan_to_num(np.nanmean(features, axis=0))
    scale = np.nan_to_num(np.nanstd(features, axis=0))
    scale[scale < 1e-12] = 1.0
    columns = np.column_stack([np.ones(len(values)), np.nan_to_num((features - centre) / scale)])
    # Products of matrices of this size are slower on several cores than on one.
    with threadpool_limits(1, "blas"):
        everything = _least_absolute(columns, values)
        coefficients = np.tile(everything, (24, 1))
        for hour in range(24):
            near = np.minimum((hours - hour) % 24, (hour - hours) % 24) <= 1
            if near.sum() > 2 * columns.shape[1]:
                coefficients[hour] = _least_absolute(columns[near], values[near])
    return HourlyLinear(centre, scale, coefficients, everything)


def _least_absolute(columns: Values, values: Values) -> Values:
    """Minimise the sum of absolute errors: shape ``(k + 1,)``."""
    ridge = _RIDGE * len(values) * np.eye(columns.shape[1])
    ridge[0, 0] = 0
    weights = np.ones(len(values))
    coefficients = np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        weighted = columns * weights[:, None]
        coefficients = np.linalg.solve(weighted.T @ columns + ridge, weighted.T @ values)
        errors = np.abs(values - columns @ coefficients)
        weights = 1 / np.maximum(errors, max(0.1 * float(np.median(errors)), 1e-12))
        weights /= weights.mean()
    return coefficients

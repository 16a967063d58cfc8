"""What was expected beside what came: the figures of the analytics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Comparison", "compare"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Comparison:
    """Figures of a quantity over a window; not a number where one is not known.

    Attributes:
        realised: Sum or mean of what was measured.
        expected: Sum or mean of what was forecast.
        mae: Mean absolute error over the steps of which both are known.
        wape: Sum of absolute errors over the sum of absolute measurements, in percent.
    """

    realised: float
    expected: float
    mae: float
    wape: float


def compare(measured: Values, forecast: Values, add_up: bool) -> Comparison:
    """Compare forecasts with measurements, step by step.

    Args:
        measured: Shape ``(n,)``, NaN where nothing is known.
        forecast: Shape ``(n,)``, likewise.
        add_up: Whether the quantity is added up over time, like energy, or averaged, like prices.

    >>> compare(np.array([1.0, 3.0]), np.array([2.0, 3.0]), add_up=True)
    Comparison(realised=4.0, expected=5.0, mae=0.5, wape=25.0)
    """
    both = np.isfinite(measured) & np.isfinite(forecast)
    errors, weight = np.abs(measured[both] - forecast[both]), np.abs(measured[both]).sum()
    return Comparison(
        _total(measured, add_up),
        _total(forecast, add_up),
        float(errors.mean()) if errors.size else float("nan"),
        float(errors.sum() / weight * 100) if weight > 0 else float("nan"),
    )


def _total(values: Values, add_up: bool) -> float:
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan")
    return float(known.sum() if add_up else known.mean())

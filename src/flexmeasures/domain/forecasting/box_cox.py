"""The Box-Cox transformation, which makes skewed values look normal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.forecasting.history import Values

__all__ = ["BoxCox", "estimate_box_cox"]

_POWERS = np.linspace(-2, 2, 81)
_SMALLEST = 1e-9
_ALMOST_ZERO = 1e-9


@dataclass(frozen=True)
class BoxCox:
    """A power transformation of shifted values; negative-only values are mirrored first.

    Attributes:
        power: λ1; 0 is the logarithm.
        shift: λ2, added before.
        sign: 1, or −1 for values that are mirrored.
    """

    power: float
    shift: float
    sign: float = 1.0

    def forward(self, values: Values) -> Values:
        """Transform: shape ``(n,)``."""
        positive = np.maximum(self.sign * values + self.shift, _SMALLEST)
        if abs(self.power) < _ALMOST_ZERO:
            return np.log(positive)
        powered: Values = (positive**self.power - 1) / self.power
        return powered

    def backward(self, values: Values) -> Values:
        """Transform back; what has no original becomes the equivalent of 0: shape ``(n,)``."""
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            if abs(self.power) < _ALMOST_ZERO:
                positive = np.exp(values)
            else:
                base = self.power * values + 1
                positive = np.where(base > 0, np.power(base, 1 / self.power), np.nan)
        original = np.where(np.isfinite(positive), positive - self.shift, 0.0)
        return self.sign * original


def estimate_box_cox(values: Values, shift: float) -> BoxCox:
    """Choose the power under which values are most likely normal.

    Args:
        values: Shape ``(n,)``, none missing.
        shift: λ2; without effect on mirrored values' sign.

    Source: Box and Cox (1964), the profile likelihood.
    """
    sign = -1.0 if len(values) and values.max() <= 0 and values.min() < 0 else 1.0
    positive = np.maximum(sign * values + shift, _SMALLEST)
    log_sum = np.log(positive).sum()
    best, likelihood = 1.0, -np.inf
    for power in _POWERS:
        spread = float(np.var(BoxCox(float(power), shift, sign).forward(values)))
        found = (power - 1) * log_sum - len(values) / 2 * math.log(max(spread, 1e-300))
        if found > likelihood:
            best, likelihood = float(power), float(found)
    return BoxCox(best, shift, sign)

"""Bands that keep their promise: rolling conformal calibration on the errors of the last weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.forecasting.history import Values
from flexmeasures.domain.time import Instants

__all__ = ["QUANTILES", "Scores", "band"]

QUANTILES = (0.1, 0.5, 0.9)
"""Cumulative probabilities of forecasts with a band."""

_WINDOW = np.timedelta64(28, "D")
_FEWEST = 48
_MOST = 5_000


@dataclass(frozen=True)
class Scores:
    """Errors of forecasts that had not seen the measurement, as parts of the predicted width.

    Attributes:
        starts: Starts of the events, ascending: shape ``(n,)``.
        ratios: (measured − median) / width: shape ``(n,)``.
    """

    starts: Instants
    ratios: Values

    def joined(self, later: Scores) -> Scores:
        """Append later ones."""
        return Scores(
            np.concatenate([self.starts, later.starts]), np.concatenate([self.ratios, later.ratios])
        )

    def thinned(self) -> Scores:
        """Keep the last weeks, and no more of them than are needed."""
        if not len(self.starts):
            return self
        kept = np.flatnonzero(self.starts > self.starts[-1] - _WINDOW)
        kept = kept[:: -(-len(kept) // _MOST)]
        return Scores(self.starts[kept], self.ratios[kept])

    def factors(self, known_until: np.datetime64) -> tuple[float, float]:
        """Choose how many widths the band reaches below and above the median.

        Args:
            known_until: Events that start at this instant or later are not known yet.
        """
        recent = self.ratios[
            (self.starts < known_until) & (self.starts >= known_until - _WINDOW) & np.isfinite(self.ratios)
        ]
        if len(recent) < _FEWEST:
            recent = self.ratios[(self.starts < known_until) & np.isfinite(self.ratios)]
        if not len(recent):
            return -1.0, 1.0
        # One more than the number of errors: the next one is a draw like all of them.
        low, high = _quantiles(recent, [QUANTILES[0], QUANTILES[-1]])
        return min(low, 0.0), max(high, 0.0)


def _quantiles(ratios: Values, probabilities: Sequence[float]) -> tuple[float, float]:
    ordered = np.sort(ratios)
    count = len(ordered)
    low = ordered[max(0, int(np.floor((count + 1) * probabilities[0])) - 1)]
    high = ordered[min(count - 1, int(np.ceil((count + 1) * probabilities[1])) - 1)]
    return float(low), float(high)


def band(middle: Values, width: Values, factors: tuple[float, float]) -> Values:
    """Put a band around medians: shape ``(m, 3)``, ascending in each row."""
    return np.column_stack([middle + factors[0] * width, middle, middle + factors[1] * width])

"""Bands that keep their promise: rolling conformal calibration on the errors of the last weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.forecasting.history import Values
from flexmeasures.domain.time import Instants

__all__ = ["QUANTILES", "Scores", "band"]

QUANTILES = (0.1, 0.5, 0.9)
"""Cumulative probabilities of forecasts with a band."""

_DAY = np.timedelta64(1, "D")
_WINDOW = np.timedelta64(28, "D")
_STRETCHED_DAYS = 42
_PACE = 0.4
"""By so much the band grows, as a logarithm, in a day whose events it missed all."""
_STRETCH = (-0.4, 1.0)
_RECORD = np.timedelta64(72, "D")
"""Errors to keep: those of the calibration days, and of the weeks before the first of them."""
_NO_TIME = np.timedelta64(0, "us")
_LONG_AGO = np.datetime64("1900-01-01", "us")
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
        kept = np.flatnonzero(self.starts > self.starts[-1] - _RECORD)
        kept = kept[:: -(-len(kept) // _MOST)]
        return Scores(self.starts[kept], self.ratios[kept])

    def factors(self, known_until: np.datetime64, late: np.timedelta64 = _NO_TIME) -> tuple[float, float]:
        """Choose how many widths the band reaches below and above the median.

        The quantiles of the errors of the last weeks would do if errors were drawn from one urn. They come in spells,
        the more so the further ahead a forecast looks. So each side is stretched by how often it was missed in the last
        weeks, when the band was as it would have been then.

        Args:
            known_until: Events that start at this instant or later are not known yet.
            late: How long before the start of an event that instant lies.

        Source: Gibbs and Candès (2021), adaptive conformal inference, on the scale of the band rather than its level.
        """
        low, high = _quantiles(self._before(known_until))
        stretched = np.zeros(2)
        for day in range(_STRETCHED_DAYS, 0, -1):
            begin = known_until - day * _DAY
            today = self._between(begin, begin + _DAY)
            known = self._between(begin - late - _WINDOW, begin - late)
            if not len(today) or len(known) < _FEWEST:
                continue
            below, above = np.array(_quantiles(known)) * np.exp(stretched)
            missed = np.array([np.mean(today < below), np.mean(today > above)])
            stretched = np.clip(stretched + _PACE * (missed - QUANTILES[0]), *_STRETCH)
        factors = np.exp(stretched)
        return float(low * factors[0]), float(high * factors[1])

    def _between(self, first: np.datetime64, last: np.datetime64) -> Values:
        """Return the known ratios of events that start within a period."""
        begin, end = np.searchsorted(self.starts, [first, last])
        ratios = self.ratios[begin:end]
        return ratios[np.isfinite(ratios)]

    def _before(self, instant: np.datetime64) -> Values:
        """Return the ratios of the last weeks before an instant; of all time where those are few."""
        recent = self._between(instant - _WINDOW, instant)
        return recent if len(recent) >= _FEWEST else self._between(_LONG_AGO, instant)


def _quantiles(ratios: Values) -> tuple[float, float]:
    """Choose the ends of the band, on both sides of the median; one width where nothing is known."""
    if not len(ratios):
        return -1.0, 1.0
    ordered = np.sort(ratios)
    count = len(ordered)
    # One more than the number of errors: the next one is a draw like all of them.
    low = ordered[max(0, int(np.floor((count + 1) * QUANTILES[0])) - 1)]
    high = ordered[min(count - 1, int(np.ceil((count + 1) * QUANTILES[-1])) - 1)]
    return min(float(low), 0.0), max(float(high), 0.0)


def band(middle: Values, width: Values, factors: tuple[float, float]) -> Values:
    """Put a band around medians: shape ``(m, 3)``, ascending in each row."""
    return np.column_stack([middle + factors[0] * width, middle, middle + factors[1] * width])

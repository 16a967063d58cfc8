"""Series: one value an event, as it is read and computed with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.beliefs.frame import MEDIAN
from flexmeasures.domain.beliefs.resampling import mean_per_bin
from flexmeasures.domain.time import Instants
from flexmeasures.domain.units import conversion_factor

__all__ = ["Series"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Series:
    """One value about each of some events of a sensor, in the order of time.

    Attributes:
        starts: Starts of events, shape ``(n,)``, UTC; there may be gaps.
        values: Shape ``(n,)``, in `unit`.
        resolution: Length of the events; zero: the values are instantaneous.
        unit: Of the values.
        probability: How likely the values are not exceeded; 0.5: they are medians.
    """

    starts: Instants
    values: Values
    resolution: timedelta
    unit: str
    probability: float = MEDIAN

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def empty(cls, resolution: timedelta, unit: str, probability: float = MEDIAN) -> Series:
        """Make a series in which nothing is known."""
        return cls(np.empty(0, "datetime64[us]"), np.empty(0), resolution, unit, probability)

    def in_unit(self, unit: str) -> Series:
        """Give the same values in another unit of the same quantity.

        Raises:
            IncompatibleUnits: If it is one of another quantity.
        """
        return replace(self, values=self.values * conversion_factor(self.unit, unit), unit=unit)

    def mean_per_bin(self, edges: Instants) -> tuple[Values, Values]:
        """Average over consecutive bins, each event weighing as much as it covers.

        Args:
            edges: Starts of the bins and the end of the last one, shape ``(n_bins + 1,)``, UTC.

        Returns:
            Means, NaN where nothing is known, and which part of each bin is covered: shape ``(n_bins,)`` each.
        """
        return mean_per_bin(self.starts, self.values, self.resolution, edges)

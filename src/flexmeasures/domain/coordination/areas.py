"""Neighbourhoods of the grid: which places lie in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flexmeasures.domain.errors import BadValues

__all__ = ["Polygon", "Truths"]

Values = np.ndarray[Any, np.dtype[np.float64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Polygon:
    """An area on the map, bounded by straight lines between its corners.

    Attributes:
        corners: Shape ``(n, 2)``, n ≥ 3: longitude and latitude [degrees east and north]; the last corner is joined
            to the first.

    Raises:
        BadValues: It has fewer than three corners, or one that is not a place on earth.
    """

    corners: Values

    def __post_init__(self) -> None:
        shape = np.shape(self.corners)
        if len(shape) != 2 or shape[1] != 2 or len(np.unique(self.corners, axis=0)) < 3:
            raise BadValues(
                "A polygon needs three different corners or more, each with longitude and latitude."
            )
        if not (np.abs(self.corners) <= (180.0, 90.0)).all():
            raise BadValues(
                "A corner is not a place on earth: give longitude (−180 … 180), then latitude (−90 … 90)."
            )

    def contains(self, longitudes: Values, latitudes: Values) -> Truths:
        """Tell which places lie inside, by the even–odd rule; the border belongs to the area.

        Returns:
            Shape ``(m,)``, for places of shape ``(m,)`` [degrees].
        """
        x, y = np.asarray(longitudes, float)[:, None], np.asarray(latitudes, float)[:, None]
        x1, y1 = self.corners.T
        x2, y2 = np.roll(self.corners, -1, axis=0).T
        turn = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        within = (
            (np.minimum(x1, x2) <= x)
            & (x <= np.maximum(x1, x2))
            & (np.minimum(y1, y2) <= y)
            & (y <= np.maximum(y1, y2))
        )
        on_border = ((turn == 0) & within).any(axis=1)
        rises, falls = (y1 <= y) & (y < y2), (y2 <= y) & (y < y1)
        crossed = (rises & (turn > 0)) | (falls & (turn < 0))
        inside: Truths = on_border | (crossed.sum(axis=1) % 2 == 1)
        return inside

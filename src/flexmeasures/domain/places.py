"""Places on the earth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Coordinates", "nearest_first"]


class Coordinates(NamedTuple):
    """A place on the earth (WGS 84).

    Attributes:
        latitude: Positive in the north [degrees].
        longitude: Positive in the east [degrees].
    """

    latitude: float
    longitude: float


def nearest_first(places: Sequence[Coordinates], here: Coordinates) -> list[int]:
    """Order places by their distance along the great circle; of equal ones the first stays first.

    Args:
        places: Places to order.
        here: Place from which distances count.

    Returns:
        Indices of the places.

    Source:
        The haversine of the central angle, which rises with the distance and is exact for near places, too.

    >>> nearest_first([Coordinates(0, 0), Coordinates(52, 5), Coordinates(52, -179)], Coordinates(52, 179))
    [2, 1, 0]
    """
    if not places:
        return []
    there, (latitude, longitude) = np.radians(places), np.radians(here)
    haversine = (
        np.sin((there[:, 0] - latitude) / 2) ** 2
        + np.cos(there[:, 0]) * np.cos(latitude) * np.sin((there[:, 1] - longitude) / 2) ** 2
    )
    order: list[int] = np.argsort(haversine, kind="stable").tolist()
    return order

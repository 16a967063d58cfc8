"""Places on the earth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["nearest_first"]


def nearest_first(places: Sequence[tuple[float, float]], here: tuple[float, float]) -> list[int]:
    """Order places by their distance along the great circle; of equal ones the first stays first.

    Args:
        places: Latitude and longitude of each [degrees].
        here: Those of the place from which distances count.

    Returns:
        Indices of the places.

    Source:
        The haversine of the central angle, which rises with the distance and is exact for near places, too.

    >>> nearest_first([(0, 0), (52, 5), (52, -179)], (52, 179))
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

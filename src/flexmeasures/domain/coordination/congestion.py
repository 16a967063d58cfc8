"""Price curves from forecasts of the load of a part of the grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["CongestionRules", "find_differences"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CongestionRules:
    """Limits of a part of the grid, and the prices offered when they would be exceeded.

    Attributes:
        capacity_mw: More consumption than that is to be avoided [MW].
        feed_in_capacity_mw: More feed-in than that is to be used nearby [MW]; None: feed-in never congests.
        surcharge: Added to prices where there is too much consumption [currency/kWh].
        reward: Taken from prices where there is too much feed-in [currency/kWh].
    """

    capacity_mw: float
    feed_in_capacity_mw: float | None = None
    surcharge: float = 0.10
    reward: float = 0.10


def find_differences(load_mw: Values, rules: CongestionRules) -> Iterator[tuple[int, float]]:
    """Find the slots in which something is wanted, and the price difference of each.

    Args:
        load_mw: Forecast mean power of each slot [MW], consumption positive; NaN: unknown. Shape ``(n,)``.
        rules: When it is congested.

    Yields:
        Numbers of slots, ascending, with a price difference [currency/kWh]: positive where less is to be used.

    >>> rules = CongestionRules(capacity_mw=1, feed_in_capacity_mw=0.5)
    >>> list(find_differences(np.array([0.9, 1.2, float("nan"), -0.6, -0.5]), rules))
    [(1, 0.1), (3, -0.1)]
    """
    over = load_mw > rules.capacity_mw
    beneath = (
        np.zeros(len(load_mw), dtype=bool)
        if rules.feed_in_capacity_mw is None
        else load_mw < -rules.feed_in_capacity_mw
    )
    for number in np.flatnonzero(over | beneath):
        yield int(number), rules.surcharge if over[number] else -rules.reward

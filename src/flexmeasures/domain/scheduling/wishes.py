"""Wishes for states of charge, and the straight pieces of a taper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from flexmeasures.domain.scheduling.devices import StorageUse, TaperPoint

__all__ = ["SoftLimit", "soft_limits", "straight_pieces", "wishes_by_boundary"]


@dataclass(frozen=True)
class SoftLimit:
    """A wish for a state of charge that may be missed when not all wishes can be kept.

    Args:
        limit: Its name.
        rank: Place in the order of relaxation: the lowest is given up first.
        boundary: When, 1 … n.
        lower: State of charge to have at least [MWh].
        upper: State of charge to have at most [MWh].
    """

    limit: str
    rank: int
    boundary: int
    lower: float = -inf
    upper: float = inf


def soft_limits(use: StorageUse) -> Iterator[SoftLimit]:
    """List the wishes for a state of charge, with the order in which they are given up."""
    for boundary, soc in use.soc_minima.items():
        yield SoftLimit("soc minimum wished", 1, boundary, lower=soc)
    for boundary, soc in use.soc_maxima.items():
        yield SoftLimit("soc maximum wished", 1, boundary, upper=soc)
    for boundary, soc in use.targets.items():
        yield SoftLimit("soc target", 2, boundary, lower=soc, upper=soc)


def wishes_by_boundary(use: StorageUse) -> Mapping[int, list[SoftLimit]]:
    """Group the wishes by the boundary at which they hold, in time order."""
    grouped: dict[int, list[SoftLimit]] = {}
    for wish in sorted(soft_limits(use), key=lambda wish: wish.boundary):
        grouped.setdefault(wish.boundary, []).append(wish)
    return grouped


def straight_pieces(taper: tuple[TaperPoint, ...]) -> list[tuple[float, float]]:
    """Slope [MW/MWh] and offset [MW] of each straight piece of a taper.

    >>> straight_pieces(((4.0, 2.0), (5.0, 0.0)))
    [(-2.0, 10.0)]
    """
    pieces = []
    for (soc, power), (next_soc, next_power) in pairwise(taper):
        slope = (next_power - power) / (next_soc - soc)
        pieces.append((slope, power - slope * soc))
    return pieces

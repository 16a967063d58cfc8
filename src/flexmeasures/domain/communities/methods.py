"""Sharing methods by name: which rounds each of them is, and the pooled (virtual) form without members."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from flexmeasures.domain.communities.allocation import (
    WHOLE,
    Energies,
    GivenKeys,
    MatrixKeys,
    ProRata,
    Round,
)
from flexmeasures.domain.errors import InvalidInput

__all__ = ["Method", "SharingRule", "pooled_energy", "rounds_of"]


class Method(StrEnum):
    """Method by which a community shares its generation."""

    FIXED = "fixed"
    """Constant coefficients, one round; what a member leaves unused is exported."""
    HOURLY = "hourly"
    """The same with coefficients for each hour of the year."""
    DYNAMIC = "dynamic"
    """In proportion to consumption, after the fact."""
    EQUAL = "equal"
    """Equal parts, one round."""
    FIXED_ROUNDS = "fixed_rounds"
    """Constant coefficients; what is left is offered again to those still in need, by renormalised coefficients."""
    HYBRID = "hybrid"
    """Constant coefficients, then the rest in proportion to the remaining need."""
    PRIORITY = "priority"
    """Levels of members one after the other; within a level in proportion to consumption."""
    ONE_WAY = "one_way"
    """Constant coefficients; what is left passes to the members of a lower level, never back."""
    MATRIX = "matrix"
    """A coefficient for each producer and member."""
    POOLED = "pooled"
    """Shared energy is the lesser of generation and consumption of all together; members are not told apart."""


NEEDS_COEFFICIENTS = frozenset(
    {Method.FIXED, Method.HOURLY, Method.FIXED_ROUNDS, Method.HYBRID, Method.ONE_WAY, Method.MATRIX}
)
"""Methods that work by agreed coefficients."""


@dataclass(frozen=True)
class SharingRule:
    """A sharing method with its parameters.

    Attributes:
        method: Which method.
        rounds: For fixed_rounds: how many; None: until all is used or everybody is satisfied.
        levels: For priority and one_way: positions of members by level, the first level first. Members that no level
            names get nothing from priority, and no leftovers from one_way.
        key_parts: For dynamic: into how many parts of the whole the quotient is cut; None: exact.
    """

    method: Method
    rounds: int | None = None
    levels: tuple[tuple[int, ...], ...] = ()
    key_parts: int | None = None


def rounds_of(rule: SharingRule, n_members: int, keys: Energies | None = None) -> tuple[Round, ...]:
    """Write a sharing method as rounds.

    Args:
        rule: The method.
        n_members: How many members there are.
        keys: Coefficients in millionths, shape ``(n_members,)`` or ``(n_intervals, n_members)``; for a matrix
            ``(n_producers, n_members)`` or ``(n_intervals, n_producers, n_members)``.

    Raises:
        InvalidInput: If the method needs coefficients and there are none, or has no rounds.
    """
    method = rule.method
    if method is Method.EQUAL:
        return (Round(GivenKeys(np.ones(n_members, dtype=np.int64))),)
    if method is Method.DYNAMIC:
        return (Round(ProRata(rule.key_parts)),)
    if method is Method.PRIORITY:
        return tuple(Round(ProRata(rule.key_parts), members=_mask(level, n_members)) for level in rule.levels)
    if method is Method.POOLED:
        raise InvalidInput("Pooled energy is not divided among members. Choose another method to divide it.")
    if keys is None:
        raise InvalidInput(f"Sharing by the method {method} needs coefficients. Add a distribution table.")
    if method is Method.MATRIX:
        return (Round(MatrixKeys(keys)),)
    # Of the whole, so that the share of somebody who has left is not given to the others.
    first = Round(GivenKeys(keys, WHOLE))
    if method is Method.FIXED_ROUNDS:
        again = Round(
            GivenKeys(keys), renormalise=True, passes=None if rule.rounds is None else rule.rounds - 1
        )
        return (first, again) if rule.rounds != 1 else (first,)
    if method is Method.HYBRID:
        return first, Round(ProRata())
    if method is Method.ONE_WAY:
        return first, *(
            Round(GivenKeys(keys), members=_mask(level, n_members), renormalise=True) for level in rule.levels
        )
    return (first,)


def _mask(positions: tuple[int, ...], n_members: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    mask = np.zeros(n_members, dtype=np.bool_)
    mask[list(positions)] = True
    return mask


def pooled_energy(generation: Energies, consumption: Energies) -> Energies:
    """Find the energy that a community shares as a whole, in each interval.

    No sharing among members can use more.

    Args:
        generation: Shape ``(n_intervals, n_producers)``.
        consumption: Shape ``(n_intervals, n_members)``.

    Returns:
        Shape ``(n_intervals,)``.
    """
    shared: Energies = np.minimum(generation.sum(axis=1), consumption.sum(axis=1))
    return shared

"""Sharing of generation among members: one engine of ordered rounds.

A round offers a share of the energy that is still there to some members by some keys; each member takes what it needs.
What is left passes on to the next round, and after the last one to the grid. Fixed and hourly coefficients, shares in
proportion to use, several rounds, hybrids, priority cascades, leftovers that go one way and a matrix of producers and
members are all lists of such rounds (see `methods`).

Energies are whole numbers of one small unit, by default a micro-kWh, so that shares add up to the last digit: what a
division leaves over goes to the largest remainders, and of equal ones to the member that stands first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flexmeasures.domain.errors import BadValues

__all__ = [
    "UNITS_PER_KWH",
    "WHOLE",
    "Allocation",
    "Energies",
    "GivenKeys",
    "KeySource",
    "MatrixKeys",
    "ProRata",
    "Round",
    "allocate",
    "split",
    "to_units",
]

Energies = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

UNITS_PER_KWH = 1_000_000
"""Energies are settled in micro-kWh."""

WHOLE = 1_000_000
"""Keys are millionths, because coefficients have six decimals."""

LARGEST = 10**12
"""Largest energy of one interval in micro-kWh (a TWh per interval would be a mistake)."""


def to_units(energy_kwh: np.ndarray[Any, Any], units_per_kwh: int = UNITS_PER_KWH) -> Energies:
    """Express energies [kWh] in whole small units; halves go to the even number.

    Raises:
        BadValues: If one is negative, not finite, or larger than any meter can measure in an interval.
    """
    scaled = np.asarray(energy_kwh, dtype=np.float64) * units_per_kwh
    if scaled.size and not bool(
        (np.isfinite(scaled) & (scaled >= 0) & (scaled <= LARGEST * max(1, units_per_kwh // 10**6))).all()
    ):
        raise BadValues("Energies to share must be finite numbers from 0 to 1,000,000 kWh per interval.")
    return np.rint(scaled).astype(np.int64)


@dataclass(frozen=True)
class GivenKeys:
    """Keys that were agreed before: constant, or different in each interval.

    Attributes:
        parts: Whole numbers, shape ``(n_members,)`` or ``(n_intervals, n_members)``.
        whole: What they are parts of; None: of their own sum, so that all energy is offered.
        cut: Whether a share is cut down to whole units, leaving the rest of the division to the surplus.
    """

    parts: Energies
    whole: int | None = None
    cut: bool = False


@dataclass(frozen=True)
class ProRata:
    """Keys in proportion to what each member still needs in the interval.

    Attributes:
        whole: Precision of the quotient, cut down: a million for six decimals; None: exact.
    """

    whole: int | None = None


@dataclass(frozen=True)
class MatrixKeys:
    """One key for each producer and member.

    Attributes:
        parts: Whole numbers, shape ``(n_producers, n_members)`` or ``(n_intervals, n_producers, n_members)``.
        whole: What they are parts of.
    """

    parts: Energies
    whole: int = WHOLE


KeySource = GivenKeys | ProRata | MatrixKeys


@dataclass(frozen=True)
class Round:
    """A step of the sharing.

    Attributes:
        keys: By which keys energy is offered.
        share: Part of the remaining energy that this round may offer [millionths].
        members: Who takes part, shape ``(n_members,)``; None: all.
        cap: The most that a member takes in this round and interval, shape ``(n_members,)``; None: what it needs.
        renormalise: Whether the keys of members without need are spread over the others.
        passes: How often the round is repeated on what it left; None: until nothing is left or nobody is in need.
    """

    keys: KeySource
    share: int = WHOLE
    members: Mask | None = None
    cap: Energies | None = None
    renormalise: bool = False
    passes: int | None = 1


@dataclass(frozen=True)
class Allocation:
    """Outcome of sharing.

    Attributes:
        offered: Energy put at a member's disposal, used or not, shape ``(n_intervals, n_members)``. After several
            rounds only what was used: a share that passed on to others was not the member's.
        used: Energy that a member takes, at most its consumption, shape ``(n_intervals, n_members)``.
        taken: Energy used of each producer, at most its generation, shape ``(n_intervals, n_producers)``.

    Invariants:
        ``used <= consumption``, ``used <= offered``, ``used.sum(1) == taken.sum(1) <= generation.sum(1)``.
    """

    offered: Energies
    used: Energies
    taken: Energies


@dataclass
class _State:
    """Energy still there and still needed while rounds go on; rows are intervals."""

    rest: Energies
    need: Energies
    offered: Energies = field(init=False)

    def __post_init__(self) -> None:
        self.offered = np.zeros_like(self.need)


def allocate(generation: Energies, consumption: Energies, rounds: Sequence[Round]) -> Allocation:
    """Share generation among members.

    Args:
        generation: Energy to share of each producer, shape ``(n_intervals, n_producers)``.
        consumption: Energy that each member can use, shape ``(n_intervals, n_members)``.
        rounds: The rounds, in order.
    """
    state = _State(generation.copy(), consumption.copy())
    for one in rounds:
        if isinstance(one.keys, MatrixKeys):
            _run_matrix(state, one, one.keys)
        else:
            _run(state, one)
    used = consumption - state.need
    is_simple = len(rounds) == 1 and rounds[0].passes == 1
    return Allocation(state.offered if is_simple else used, used, generation - state.rest)


def _run(state: _State, one: Round) -> None:
    """Run a round on all producers' energy together."""
    left = _most(state.need, one)
    budget = _part(state.rest.sum(axis=1), one.share)
    passes = 0
    rows = np.flatnonzero(budget > 0)
    while len(rows) and (one.passes is None or passes < one.passes):
        offer = _offer(budget[rows], left[rows], one, rows)
        take = np.minimum(offer, left[rows])
        total = take.sum(axis=1)
        state.offered[rows] += offer
        state.need[rows] -= take
        left[rows] -= take
        budget[rows] -= total
        state.rest[rows] -= split(total, state.rest[rows])
        passes += 1
        # A pass that nobody took anything of changes nothing any more, however often it is repeated.
        rows = rows[(total > 0) & (budget[rows] > 0)]


def _most(need: Energies, one: Round) -> Energies:
    """Tell how much each member can take in a round."""
    left = need.copy()
    if one.members is not None:
        left[:, ~one.members] = 0
    if one.cap is not None:
        np.minimum(left, one.cap, out=left)
    return left


def _part(energy: Energies, share: int) -> Energies:
    return energy if share == WHOLE else _divide(energy, np.int64(share), np.int64(WHOLE))[0]


def _offer(budget: Energies, left: Energies, one: Round, rows: Energies) -> Energies:
    """Offer energy by the keys of a round.

    Args:
        budget: Energy to offer, shape ``(n_rows,)``.
        left: What members can still take, shape ``(n_rows, n_members)``.
        one: The round.
        rows: Which intervals these are.
    """
    keys = one.keys
    if isinstance(keys, ProRata):
        if keys.whole is None:
            return split(budget, left)
        total = left.sum(axis=1, keepdims=True)
        parts, _ = _divide(left, np.int64(keys.whole), total)
        return _divide(parts, budget[:, None], np.int64(keys.whole))[0]
    assert isinstance(keys, GivenKeys)  # noqa: S101 - matrices have a way of their own
    parts = keys.parts[rows] if keys.parts.ndim == 2 else np.broadcast_to(keys.parts, left.shape)
    if one.members is not None:
        parts = np.where(one.members, parts, 0)
    if one.renormalise:
        return split(budget, np.where(left > 0, parts, 0))
    if keys.cut:
        return _divide(parts, budget[:, None], np.int64(keys.whole or WHOLE))[0]
    return split(budget, parts, keys.whole)


def _run_matrix(state: _State, one: Round, keys: MatrixKeys) -> None:
    """Run a round in which each producer has keys of its own.

    Where the offers of several producers exceed a member's need, it takes of each in proportion to its offer.
    """
    left = _most(state.need, one)
    offers = np.empty((*state.rest.shape, left.shape[1]), dtype=np.int64)
    for producer in range(state.rest.shape[1]):
        parts = keys.parts[..., producer, :]
        weights = np.broadcast_to(parts, left.shape)
        if one.members is not None:
            weights = np.where(one.members, weights, 0)
        offers[:, producer] = split(_part(state.rest[:, producer], one.share), weights, keys.whole)
    total = offers.sum(axis=1)
    take = np.minimum(total, left)
    n_rows, n_producers, n_members = offers.shape
    by_member = offers.transpose(0, 2, 1).reshape(n_rows * n_members, n_producers)
    of_each = split(take.reshape(-1), by_member).reshape(n_rows, n_members, n_producers)
    state.offered += total
    state.need -= take
    state.rest -= of_each.sum(axis=1)


def split(amounts: Energies, weights: Energies, whole: int | None = None) -> Energies:
    """Split amounts by weights into whole parts, by the largest remainder.

    Args:
        amounts: Shape ``(n,)``, not negative.
        weights: Shape ``(n, m)``, not negative. A row of zeros gets nothing.
        whole: What the weights are parts of; None, or where they add up to more: their sum.

    Returns:
        Shape ``(n, m)``. Each part is the exact quota rounded down or up, and a row adds up to its amount (or, where
        the weights add up to less than the whole, to that share of it, rounded down).

    >>> split(np.array([100]), np.array([[1, 1, 1]])).tolist()
    [[34, 33, 33]]
    """
    if weights.shape[1] == 1 and whole is None:
        return np.where(weights > 0, amounts[:, None], 0)
    sums = weights.sum(axis=1)
    divisor = sums if whole is None else np.maximum(sums, whole)
    parts, remainders = _divide(weights, amounts[:, None], divisor[:, None])
    totals = amounts * (sums > 0) if whole is None else _divide(amounts, sums, divisor)[0]
    missing = totals - parts.sum(axis=1)
    rows = np.flatnonzero(missing > 0)
    if len(rows):
        _give_to_largest(parts, remainders, missing, rows)
    return parts


def _give_to_largest(parts: Energies, remainders: Energies, missing: Energies, rows: Energies) -> None:
    """Give the missing units of some rows to the members with the largest remainders."""
    order = np.argsort(-remainders[rows], axis=1, kind="stable")
    gets = np.arange(order.shape[1]) < missing[rows, None]
    lucky = np.nonzero(gets)
    parts[rows[lucky[0]], order[lucky]] += 1


def _divide(a: Energies, b: Any, divisor: Any) -> tuple[Energies, Energies]:
    """Work out ``a * b / divisor``, rounded down, and its remainder; exact although the product may exceed 64 bits.

    The quotient in floating point is at most one away from the true one (quotients stay far below 2**52). The
    remainder is small, so that it comes out right even if the two products it is the difference of wrap around.
    Where the divisor is zero both are zero.
    """
    divisor = np.maximum(divisor, 1) if np.ndim(divisor) else divisor
    quotient = np.floor(a.astype(np.float64) * b / divisor).astype(np.int64)
    remainder = a * b - quotient * divisor
    low, high = remainder < 0, remainder >= divisor
    quotient += high
    quotient -= low
    remainder += np.where(low, divisor, 0)
    remainder -= np.where(high, divisor, 0)
    return quotient, remainder

"""Coefficients that use more of the generation, proposed from the profiles of a past year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flexmeasures.domain.communities.allocation import WHOLE, Energies, GivenKeys, Round, allocate, split
from flexmeasures.domain.communities.methods import pooled_energy

__all__ = ["PROFILE_GROUPS", "Gain", "best_fixed", "best_grouped", "compare", "profile_groups"]


def best_fixed(generation: Energies, consumption: Energies) -> Energies:
    """Find the constant coefficients with which the most is self-consumed.

    The optimum of ``max Σ_t Σ_i min(β_i P_t, C_ti)`` with ``Σ β = 1``: each member's term is concave in β_i, made of
    straight pieces between the ratios ``C_ti / P_t``, so the steepest pieces of all members are taken until their
    lengths add up to one. That is the exact solution of the linear programme.

    Args:
        generation: Shape ``(n_intervals,)``.
        consumption: Shape ``(n_intervals, n_members)``.

    Returns:
        Millionths that add up to a million, shape ``(n_members,)``; equal parts where nothing is generated.
    """
    n_members = consumption.shape[1]
    sunny = generation > 0
    power = generation[sunny].astype(np.float64)
    equal = np.full(n_members, 1 / n_members)
    if not len(power):
        return _to_parts(equal)
    ratios = consumption[sunny] / power[:, None]
    order = np.argsort(ratios, axis=0)
    ascending = np.take_along_axis(ratios, order, axis=0)
    lengths = np.diff(ascending, axis=0, prepend=0.0)
    passed = np.cumsum(power[order], axis=0)
    # The slope before a ratio is the generation of all hours whose ratio is not passed yet.
    slopes = np.concatenate([np.full((1, n_members), power.sum()), power.sum() - passed[:-1]])
    steepest = np.argsort(-slopes, axis=None, kind="stable")
    total = np.cumsum(lengths.ravel()[steepest])
    whole = int(np.searchsorted(total, 1.0))
    kept = lengths.ravel()[steepest]
    if whole < len(kept):
        kept[whole] -= total[whole] - 1.0
        kept[whole + 1 :] = 0.0
    shares = np.bincount(steepest % n_members, weights=kept, minlength=n_members)
    # Where all members are satisfied before one is reached, what is left makes no difference.
    shares += (1.0 - shares.sum()) * equal
    return _to_parts(np.maximum(shares, 0.0))


def _to_parts(shares: np.ndarray[Any, Any]) -> Energies:
    """Round shares to millionths that add up to a million."""
    fine = np.rint(shares * 1e9).astype(np.int64)
    parts: Energies = split(np.array([WHOLE]), fine[None, :])[0]
    return parts


PROFILE_GROUPS = 12 * 24 * 2
"""Number of groups that `profile_groups` gives."""


def best_grouped(
    generation: Energies, consumption: Energies, groups: np.ndarray[Any, Any], count: int | None = None
) -> Energies:
    """Find the best coefficients for each group of alike hours, such as working-day noons in May.

    Groups are what makes last year's profiles worth something next year: coefficients for a single hour of last year
    would fit its accidents.

    Args:
        generation: Shape ``(n_intervals,)``.
        consumption: Shape ``(n_intervals, n_members)``.
        groups: Number of each interval's group from 0, shape ``(n_intervals,)``.
        count: How many groups there are; as many as occur if left out.

    Returns:
        Millionths, shape ``(n_groups, n_members)``; groups without generation get the best constant coefficients.
    """
    n_groups = count or int(groups.max()) + 1
    table = np.tile(best_fixed(generation, consumption), (n_groups, 1))
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(n_groups + 1))
    for group in range(n_groups):
        rows = order[edges[group] : edges[group + 1]]
        if len(rows) and generation[rows].any():
            table[group] = best_fixed(generation[rows], consumption[rows])
    return table


def profile_groups(months: Energies, clock_hours: Energies, is_free_day: np.ndarray[Any, Any]) -> Energies:
    """Number alike hours: same month, hour of the clock, and working day or not.

    Args:
        months: From 1 to 12, shape ``(n,)``.
        clock_hours: From 0 to 23, shape ``(n,)``.
        is_free_day: Whether it is a weekend or holiday, shape ``(n,)``.
    """
    groups: Energies = ((months - 1) * 24 + clock_hours) * 2 + is_free_day.astype(np.int64)
    return groups


@dataclass(frozen=True)
class Gain:
    """Self-consumption of the same time under several coefficients, in micro-kWh.

    Attributes:
        today: By today's coefficients.
        proposed: By those proposed.
        pooled: The most that any sharing reaches.
    """

    today: int
    proposed: int
    pooled: int

    @property
    def share_of_pooled(self) -> float:
        """Return the share of the optimum that the proposal reaches, 0 … 1."""
        return self.proposed / self.pooled if self.pooled else 1.0


def compare(generation: Energies, consumption: Energies, today: Energies, proposed: Energies) -> Gain:
    """Compare coefficients on profiles.

    Args:
        generation: Shape ``(n_intervals,)``.
        consumption: Shape ``(n_intervals, n_members)``.
        today: Millionths, shape ``(n_members,)`` or ``(n_intervals, n_members)``.
        proposed: Likewise.
    """
    used = [
        int(allocate(generation[:, None], consumption, (Round(GivenKeys(keys)),)).used.sum())
        for keys in (today, proposed)
    ]
    return Gain(used[0], used[1], int(pooled_energy(generation[:, None], consumption).sum()))

"""Germany: shares of building supply (§ 42b EnWG) by the formulas of the BDEW guide, as read by an implementation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flexmeasures.domain.communities.allocation import WHOLE, Energies, GivenKeys, ProRata, Round

__all__ = ["constant_rounds", "equal_rounds", "one_way_rounds", "pro_rata_rounds"]


def equal_rounds(n_members: int) -> tuple[Round, ...]:
    """Share in equal parts, as holds where nothing is agreed (§ 42b (5) EnWG, "im Zweifel")."""
    return (Round(GivenKeys(np.ones(n_members, dtype=np.int64))),)


def constant_rounds(parts: Energies) -> tuple[Round, ...]:
    """Share by constant keys (B1): ``M_i = max(0, V_i - f_i E)``.

    Args:
        parts: Keys in millionths, shape ``(n_members,)``.
    """
    return (Round(GivenKeys(parts, WHOLE)),)


def one_way_rounds(parts: Energies, receivers: Sequence[int]) -> tuple[Round, ...]:
    """Share by constant keys and pass what is left to some members, not back (B2).

    Args:
        parts: Keys in millionths, shape ``(n_members,)``.
        receivers: Positions of the members that get what others leave.
    """
    mask = np.zeros(len(parts), dtype=np.bool_)
    mask[list(receivers)] = True
    return Round(GivenKeys(parts, WHOLE)), Round(GivenKeys(parts), members=mask, renormalise=True)


def pro_rata_rounds() -> tuple[Round, ...]:
    """Share in proportion to consumption, the quotient cut to six decimals (B3)."""
    return (Round(ProRata(WHOLE)),)

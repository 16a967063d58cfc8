"""Simplified compensation of surplus (RD 244/2019, article 14): the credit, and the part of it that is lost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from flexmeasures.domain.communities.allocation import UNITS_PER_KWH, Energies

__all__ = ["LARGEST_PLANT_KW", "Compensation", "compensate", "to_cents"]

LARGEST_PLANT_KW = 100.0
"""Plants up to this inverter power may use simplified compensation."""


@dataclass(frozen=True)
class Compensation:
    """Money of one supply point and billing period, at most a month long, without power term and taxes.

    Attributes:
        energy_cost: Value of the energy from the grid.
        credit: Value of the surplus.
        credit_used: What is taken off the bill: at most the value of the energy from the grid.
        credit_lost: The rest; it is not carried over.
    """

    energy_cost: float
    credit: float
    credit_used: float
    credit_lost: float

    @property
    def to_pay(self) -> float:
        """Energy term after compensation; never negative."""
        return self.energy_cost - self.credit_used


def compensate(
    surplus: Energies,
    from_grid: Energies,
    surplus_price: float | np.ndarray[Any, Any],
    energy_price: float | np.ndarray[Any, Any],
) -> Compensation:
    """Compensate a billing period.

    Args:
        surplus: Energy of the supply point's share that it did not use [micro-kWh], shape ``(n_intervals,)``.
        from_grid: Energy from the grid [micro-kWh], shape ``(n_intervals,)``.
        surplus_price: What a kWh of surplus is worth, agreed with the retailer or, for regulated tariffs, published
            by hour: a number or shape ``(n_intervals,)``.
        energy_price: What a kWh from the grid costs, likewise. Where it is negative it counts as it is.
    """
    credit = float(np.sum(surplus / UNITS_PER_KWH * surplus_price))
    cost = float(np.sum(from_grid / UNITS_PER_KWH * energy_price))
    used = min(max(credit, 0.0), max(cost, 0.0))
    return Compensation(cost, credit, used, max(credit, 0.0) - used)


def to_cents(amount: float) -> Decimal:
    """Round an amount of money to two places, halves away from zero.

    >>> to_cents(16.555)
    Decimal('16.56')
    """
    return Decimal(repr(amount)).quantize(Decimal("0.01"), ROUND_HALF_UP)

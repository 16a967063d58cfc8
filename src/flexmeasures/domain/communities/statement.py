"""A member's statement: energy, what sharing saved, compensation of surplus and the part of it that is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from flexmeasures.domain.communities.allocation import UNITS_PER_KWH, Energies
from flexmeasures.domain.communities.compensation import Compensation, compensate

__all__ = ["Prices", "Statement", "make_statement"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Prices:
    """Prices of a kWh for a member: numbers, or one value for each interval.

    Attributes:
        energy: From the grid, by the member's supplier.
        surplus: Paid for surplus; None: surplus is the producer's, or not compensated.
        shared: Paid to the community for shared energy.
        grid_fee: Part of the energy price that is the grid's, and reduced for shared energy.
        grid_fee_reduction: By which share it is reduced, from 0 to 1.
        currency: ISO 4217 code.
    """

    energy: float | Values
    surplus: float | Values | None = None
    shared: float | Values = 0.0
    grid_fee: float = 0.0
    grid_fee_reduction: float = 0.0
    currency: str = "EUR"


@dataclass(frozen=True)
class Statement:
    """Energies in micro-kWh and money of one supply point and period; days are inclusive.

    Attributes:
        supply_point: Its id.
        first_day: Of the period.
        last_day: Of the period.
        consumed: From the community and the grid.
        allocated: Put at its disposal by the community.
        self_consumed: Of that, used.
        surplus: Of that, not used.
        from_grid: Rest of the consumption.
        saved: What shared energy cost less than energy from the grid.
        paid_to_community: For shared energy.
        compensation: Of the surplus, where there is any.
        coverage: Share of expected readings that were there, from 0 to 1.
        currency: Of the money.
    """

    supply_point: str
    first_day: date
    last_day: date
    consumed: int
    allocated: int
    self_consumed: int
    surplus: int
    from_grid: int
    saved: float
    paid_to_community: float
    compensation: Compensation
    coverage: float
    currency: str


def make_statement(
    supply_point: str,
    days: tuple[date, date],
    energies: tuple[Energies, Energies, Energies],
    prices: Prices,
    coverage: float,
) -> Statement:
    """Work out a statement.

    Args:
        supply_point: Its id.
        days: First and last day.
        energies: Consumed, offered and used, shape ``(n_intervals,)`` each [micro-kWh].
        prices: What energy costs; arrays have the same shape.
        coverage: Share of expected readings that were there.
    """
    consumed, offered, used = energies
    surplus, from_grid = offered - used, consumed - used
    shared_kwh = used / UNITS_PER_KWH
    paid = float(np.sum(shared_kwh * prices.shared))
    # Shared energy that runs through the grid pays the reduced part of the grid's price.
    grid_fee = prices.grid_fee * (1 - prices.grid_fee_reduction)
    saved = float(np.sum(shared_kwh * (prices.energy - grid_fee))) - paid
    if prices.surplus is None:
        cost = float(np.sum(from_grid / UNITS_PER_KWH * prices.energy))
        money = Compensation(cost, 0.0, 0.0, 0.0)
    else:
        money = compensate(surplus, from_grid, prices.surplus, prices.energy)
    return Statement(
        supply_point,
        days[0],
        days[1],
        int(consumed.sum()),
        int(offered.sum()),
        int(used.sum()),
        int(surplus.sum()),
        int(from_grid.sum()),
        saved,
        paid,
        money,
        coverage,
        prices.currency,
    )

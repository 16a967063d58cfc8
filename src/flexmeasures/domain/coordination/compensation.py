"""Money for following price curves: reported energy times the incentive of the same slot.

Amounts are decimals and are rounded once, at the end, half to even, to the currency's smallest unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from flexmeasures.domain.time import find_zone

__all__ = ["CompensatedSlot", "Compensation", "compensate", "is_in_time", "reward", "round_money"]

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class CompensatedSlot:
    """A slot of an event in which energy was reported.

    Attributes:
        price_delta: Added to the user's price [currency/kWh]; negative rewards consumption, positive saving.
        kilowatt_hours: Energy used [kWh].
        baseline: Energy that would have been used [kWh]; None: unknown.
        has_meter_point: Whether the location's meter point is known; without it the amount is blocked.
    """

    price_delta: Decimal
    kilowatt_hours: Decimal
    baseline: Decimal | None = None
    has_meter_point: bool = True


@dataclass(frozen=True, slots=True)
class Compensation:
    """Money of a user in a period [currency]: what is paid, and what waits for a meter point."""

    active: Decimal
    blocked: Decimal


def compensate(slots: Iterable[CompensatedSlot], *, reward_savings: bool = False) -> Compensation:
    """Add up the money for reported energy.

    Args:
        slots: All slots of the period.
        reward_savings: Whether using less than the baseline is rewarded in slots with a positive price difference.

    >>> compensate([CompensatedSlot(Decimal("-0.40"), Decimal("1.25")), CompensatedSlot(Decimal("0.30"), Decimal(2))])
    Compensation(active=Decimal('0.50'), blocked=Decimal('0.00'))
    """
    active = blocked = Decimal(0)
    for slot in slots:
        amount = reward(slot, reward_savings=reward_savings)
        if slot.has_meter_point:
            active += amount
        else:
            blocked += amount
    return Compensation(round_money(active), round_money(blocked))


def reward(slot: CompensatedSlot, *, reward_savings: bool = False) -> Decimal:
    """Return what a slot is paid, before rounding [currency].

    >>> saved = CompensatedSlot(Decimal("0.30"), Decimal(2), baseline=Decimal(5))
    >>> reward(saved), reward(saved, reward_savings=True)
    (Decimal('0'), Decimal('0.90'))
    """
    if slot.price_delta < 0:
        return -slot.price_delta * slot.kilowatt_hours
    if reward_savings and slot.baseline is not None:
        return max(Decimal(0), slot.baseline - slot.kilowatt_hours) * slot.price_delta
    return Decimal(0)


def round_money(amount: Decimal) -> Decimal:
    """Round to hundredths of the currency, half to even.

    >>> round_money(Decimal("0.125")), round_money(Decimal("0.135"))
    (Decimal('0.12'), Decimal('0.14'))
    """
    return amount.quantize(_CENT, rounding=ROUND_HALF_EVEN)


def is_in_time(delivered_at: datetime, reported_at: datetime, zone: str) -> bool:
    """Tell whether a report still counts: it came before the end of the local month of delivery."""
    tz = find_zone(zone)
    delivered, reported = delivered_at.astimezone(tz), reported_at.astimezone(tz)
    return (reported.year, reported.month) <= (delivered.year, delivered.month)

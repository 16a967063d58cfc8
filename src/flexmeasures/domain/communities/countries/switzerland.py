"""Switzerland: local electricity communities (LEG) and self-consumption communities (ZEV and vZEV)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from flexmeasures.domain.communities.countries.profile import CountryProfile
from flexmeasures.domain.errors import InvalidInput

__all__ = ["has_enough_power", "reduced_usage_tariff", "tenant_price_limit"]


def reduced_usage_tariff(
    tariff_rappen: Decimal, with_transformation: bool, profile: CountryProfile, day: date
) -> Decimal:
    """Reduce the usage tariff of the grid [Rp./kWh] for energy that a LEG shares; nothing else is reduced.

    Args:
        tariff_rappen: Usage tariff without the reduction.
        with_transformation: Whether the energy passes a change of voltage.
        profile: The LEG's.
        day: Whose figures hold.
    """
    rule = profile.figure("grid_fee_relief", day).value
    reduction = Decimal(str(rule["with_transformation" if with_transformation else "without_transformation"]))
    return tariff_rappen * (1 - reduction)


def has_enough_power(plant_kw: float, connection_kw: float, profile: CountryProfile, day: date) -> bool:
    """Tell whether plants are large enough for the members' connections; storage does not count."""
    if not connection_kw > 0:
        raise InvalidInput("The members' connection power must be above 0 kW.")
    return bool(plant_kw >= profile.figure("smallest_plant_share", day).value * connection_kw)


def tenant_price_limit(
    outside_price: Decimal, cost_price: Decimal, profile: CountryProfile, day: date
) -> Decimal:
    """Find the most that a tenant in a ZEV may be charged by cost: all cost, and half of what is saved.

    Args:
        outside_price: Of the product outside [per kWh].
        cost_price: What the energy costs in the ZEV.
        profile: The ZEV's.
        day: Whose figures hold.
    """
    rule = profile.figure("tenant_price", day).value
    saving = max(Decimal(0), outside_price - cost_price)
    return min(outside_price, cost_price + saving * Decimal(str(rule["share_of_saving"])))

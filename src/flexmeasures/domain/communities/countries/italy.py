"""Italy: the premium on shared energy (DM 414/2023) and the yearly excess rule; their figures are in the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.communities.countries.profile import CountryProfile
from flexmeasures.domain.errors import InvalidInput

Values = np.ndarray[Any, np.dtype[np.float64]]

__all__ = ["ExcessSet", "Plant", "excess_premium", "premium_per_mwh", "tariff_refund"]


@dataclass(frozen=True)
class Plant:
    """A plant whose shared energy earns a premium.

    Attributes:
        power_kw: Rated power [kW], at most 1,000.
        region: Such as "Lazio".
        is_photovoltaic: Whether the regional correction applies.
        grant_share: Part of its cost that a grant paid, from 0 to 0.4.
        grant_counts: Whether the shared energy bears the reduction for the grant; that of local bodies, religious and
            third-sector bodies and natural persons does not.
    """

    power_kw: float
    region: str
    is_photovoltaic: bool = True
    grant_share: float = 0.0
    grant_counts: bool = True


def premium_per_mwh(plant: Plant, zonal_price: ArrayLike, profile: CountryProfile, day: date) -> Values:
    """Work out the premium of hours [EUR/MWh].

    ``TIP = (min(cap; base + max(0; 180 - Pz)) + FC) · (1 - F)``, with F from 0 to 0.5 for a grant of 0 to 40 %.

    Args:
        plant: The plant.
        zonal_price: Of each hour [EUR/MWh], of any shape.
        profile: Italy's.
        day: Whose figures hold.

    Returns:
        Of the same shape; NaN where the price is unknown.

    Raises:
        InvalidInput: If the plant is too large, or its grant exceeds what is allowed.
    """
    rule: Mapping[str, Any] = profile.figure("incentive", day).value
    size = next((step for step in rule["sizes"] if plant.power_kw <= step["up_to_kw"]), None)
    if size is None or plant.power_kw <= 0:
        raise InvalidInput(f"A plant of {plant.power_kw} kW earns no premium: it must have at most 1,000 kW.")
    if not 0 <= plant.grant_share <= rule["largest_grant"]:
        raise InvalidInput(
            f"A grant of {plant.grant_share:.0%} is not allowed: at most {rule['largest_grant']:.0%}."
        )
    by_region = rule["regional_correction"].get(plant.region.lower(), 0.0)
    correction = by_region if plant.is_photovoltaic else 0.0
    reduction = plant.grant_share / rule["largest_grant"] * rule["largest_reduction"]
    above = np.maximum(0.0, rule["reference_price"] - np.asarray(zonal_price, dtype=np.float64))
    premium: Values = np.minimum(size["cap"], size["base"] + above) + correction
    return premium * (1 - (reduction if plant.grant_counts else 0.0))


@dataclass(frozen=True)
class ExcessSet:
    """Energy and premium of a year, of the plants without or with a grant.

    Attributes:
        shared: Shared energy of the year.
        injected: Energy that the plants injected, in the same unit.
        premium: Premium of the year [EUR].
        has_grant: Whether a grant helped to pay the plants.
    """

    shared: float
    injected: float
    premium: float
    has_grant: bool = False


def excess_premium(sets: Sequence[ExcessSet], profile: CountryProfile, day: date) -> float:
    """Work out which part of a year's premium [EUR] may only go to non-businesses or social purposes.

    The share above the threshold, in percentage points, of the whole premium; not the premium of the energy above it.
    """
    rule: Mapping[str, Any] = profile.figure("retention", day).value
    total = 0.0
    for one in sets:
        threshold = rule["with_grant"] if one.has_grant else rule["without_grant"]
        rate = one.shared / one.injected if one.injected else 0.0
        # Percentages are written with few digits: 0.6 - 0.55 is 0.05, not 0.04999….
        total += max(0.0, round(rate - threshold, 12)) * one.premium
    return total


def tariff_refund(shared_mwh: float, profile: CountryProfile, day: date) -> float | None:
    """Work out the refund of tariff components [EUR] for shared energy; None for years whose value is unknown."""
    rate = profile.value("tariff_refund", day)
    return None if rate is None else float(rate) * shared_mwh

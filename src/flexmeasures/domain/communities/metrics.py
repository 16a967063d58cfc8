"""Metrics of a service: energies, ratios and avoided emissions, each with its formula.

Per interval and service: ``P = S + X``, ``C = S + G``, ``0 <= S <= min(P, C)``, with production P, self-consumption S,
exports X, consumption C and energy from the grid G.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from flexmeasures.domain.communities.allocation import UNITS_PER_KWH

__all__ = [
    "DEFAULT_FACTORS",
    "FORMULAS",
    "EmissionFactor",
    "Totals",
    "avoided_emissions",
    "find_factor",
    "kwh",
    "ratio",
]

FORMULAS: Mapping[str, str] = MappingProxyType(
    {
        "energy_production": "ΣP: energy that the plants produced for sharing [kWh]",
        "energy_consumption": "ΣC: energy that the members consumed [kWh]",
        "selfproduction_ratio": "ΣS / ΣP, known elsewhere as self-consumption rate (a fraction from 0 to 1)",
        "surplus_ratio": "ΣX / ΣP, the exported share, with X = P - S (a fraction from 0 to 1)",
        "gridconsumption_ratio": "ΣG / ΣC, the share from the grid, with G = C - S (a fraction from 0 to 1)",
        "selfconsumption_ratio": "ΣS / ΣC, known elsewhere as self-sufficiency (a fraction from 0 to 1)",
        "environment_saves": "ΣP × emission factor, estimated avoided emissions [g CO2]",
    }
)
"""Formula of each metric; S is settled per settlement interval."""


@dataclass(frozen=True)
class Totals:
    """Energies of some time in whole micro-kWh."""

    produced: int
    consumed: int
    self_consumed: int

    @property
    def exported(self) -> int:
        """Return what was produced and not used in the community."""
        return self.produced - self.self_consumed

    @property
    def from_grid(self) -> int:
        """Return what was consumed and not produced by the community."""
        return self.consumed - self.self_consumed

    @property
    def surplus_ratio(self) -> float | None:
        """Exported over produced."""
        return ratio(self.exported, self.produced)

    @property
    def selfproduction_ratio(self) -> float | None:
        """Self-consumed over produced."""
        return ratio(self.self_consumed, self.produced)

    @property
    def gridconsumption_ratio(self) -> float | None:
        """From the grid over consumed."""
        return ratio(self.from_grid, self.consumed)

    @property
    def selfconsumption_ratio(self) -> float | None:
        """Self-consumed over consumed."""
        return ratio(self.self_consumed, self.consumed)


def ratio(part: int, whole: int) -> float | None:
    """Give a fraction of one to four places; None where the whole is zero, for then nobody can say.

    >>> ratio(94_702, 1_196_160), ratio(0, 0)
    (0.0792, None)
    """
    return round(part / whole, 4) if whole else None


def kwh(units: int) -> float:
    """Express whole micro-kWh in kWh to four places."""
    return round(units / UNITS_PER_KWH, 4)


@dataclass(frozen=True)
class EmissionFactor:
    """Emissions that a kWh avoids in a year.

    Attributes:
        zone: Where it holds, such as ES.
        year: For which year; None: any.
        grams_per_kwh: The factor [g/kWh].
        source: Who says so.
        basis: "location" or "market".
    """

    zone: str
    year: int | None
    grams_per_kwh: float
    source: str
    basis: str = "location"


DEFAULT_FACTORS = (
    EmissionFactor(
        "ES",
        None,
        162.0,
        "constant of existing community software, origin unverified; plausible as the peninsular mix of 2023",
    ),
)
"""Default where an operator has entered nothing."""


def find_factor(factors: tuple[EmissionFactor, ...], zone: str, day: date) -> EmissionFactor | None:
    """Find the factor of a zone and year: that of the latest year up to it, else one without a year."""
    of_zone = [factor for factor in factors if factor.zone == zone]
    dated = [factor for factor in of_zone if factor.year is not None and factor.year <= day.year]
    if dated:
        return max(dated, key=lambda factor: factor.year or 0)
    return next((factor for factor in of_zone if factor.year is None), None)


def avoided_emissions(units: int, factor: EmissionFactor | None) -> float | None:
    """Work out estimated avoided emissions [g] of energy in micro-kWh; None where no factor is known."""
    return None if factor is None else round(units * factor.grams_per_kwh / UNITS_PER_KWH, 2)

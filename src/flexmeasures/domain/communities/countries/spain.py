"""Spain: RD 244/2019 as consolidated, and RDL 7/2026."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.communities.allocation import Energies, split
from flexmeasures.domain.communities.countries.profile import CountryProfile
from flexmeasures.domain.errors import Conflict, InvalidInput

__all__ = [
    "Modality",
    "Proximity",
    "activation_day",
    "check_change",
    "check_double_membership",
    "earliest_change",
    "is_near",
    "net_generation_of_plants",
]


def activation_day(papers_complete: date) -> date:
    """Find the day from whose start a sharing agreement holds; never retroactive.

    Papers that are complete by the 10th take effect on the 1st of the next month, later ones a month later.

    >>> activation_day(date(2026, 3, 10)).isoformat(), activation_day(date(2026, 3, 11)).isoformat()
    ('2026-04-01', '2026-05-01')
    """
    months = 1 if papers_complete.day <= 10 else 2
    index = papers_complete.year * 12 + papers_complete.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def earliest_change(last_change: date, months: int = 4) -> date:
    """Find the first day on which coefficients may change again: a number of months after the last change."""
    index = last_change.year * 12 + last_change.month - 1 + months
    year, month = index // 12, index % 12 + 1
    last_of_month = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last_of_month.replace(day=min(last_change.day, last_of_month.day))


def check_change(last_change: date | None, new: date, months: int = 4) -> None:
    """Check that coefficients may change on a day.

    Raises:
        Conflict: If the last change is too recent; names the first day on which they may.
    """
    if last_change is not None and last_change < new < earliest_change(last_change, months):
        raise Conflict(
            f"Coefficients changed on {last_change} and may change at most every {months} months: "
            f"not on {new}, but from {earliest_change(last_change, months)} on."
        )


@dataclass(frozen=True)
class Modality:
    """Form in which a consumer takes part in self-consumption.

    Attributes:
        is_collective: Whether a group shares the plant.
        with_surplus: Whether surplus goes to the grid.
        through_grid: Whether the plant is near and connected through the public network.
    """

    is_collective: bool
    with_surplus: bool
    through_grid: bool


def check_double_membership(modalities: Sequence[Modality]) -> None:
    """Check that a consumer may take part in all of these at once (article 4.5).

    One is allowed; two only where one is individual without surplus and the other near through the network.

    Raises:
        Conflict: If not.
    """
    for one in modalities:
        if one.through_grid and not one.with_surplus:
            raise Conflict("Self-consumption through the network is always with surplus. Set with_surplus.")
    if len(modalities) <= 1:
        return
    individual = [m for m in modalities if not m.is_collective and not m.with_surplus]
    near = [m for m in modalities if m.through_grid]
    if len(modalities) != 2 or len(individual) != 1 or len(near) != 1:
        raise Conflict(
            "A consumer takes part in one form of self-consumption; the exception is an individual one without "
            "surplus beside one nearby through the network (RD 244/2019, article 4.5)."
        )


@dataclass(frozen=True)
class Proximity:
    """Proximity of a plant to a consumer through the public network.

    Attributes:
        distance_m: Between the meters, in orthogonal plan projection [m].
        same_transformer: Whether both hang on the low voltage of one transformer centre.
        cadastral_plant: Cadastral reference of the plant.
        cadastral_consumer: Of the consumer.
        technology: Of the plant, such as photovoltaic, wind.
        power_kw: Of the plant [kW].
        on_roof_or_industrial_land: Where the plant stands; counted before the distance was widened.
    """

    distance_m: float
    same_transformer: bool = False
    cadastral_plant: str = ""
    cadastral_consumer: str = ""
    technology: str = "photovoltaic"
    power_kw: float = 0.0
    on_roof_or_industrial_land: bool = False


def is_near(proximity: Proximity, profile: CountryProfile, day: date) -> bool:
    """Tell whether a plant counts as near (article 3.g); distances are figures of the profile.

    Raises:
        InvalidInput: If the distance is negative or not a number.
    """
    if not proximity.distance_m >= 0:
        raise InvalidInput(f"A distance of {proximity.distance_m} m does not exist. Give 0 m or more.")
    rule: dict[str, Any] = profile.value("area", day, {})
    digits = int(rule["cadastral_digits"])
    plant, consumer = proximity.cadastral_plant[:digits], proximity.cadastral_consumer[:digits]
    if proximity.same_transformer or (len(plant) == digits and plant == consumer):
        return True
    if proximity.distance_m < rule["distance_m"]:
        return True
    wide = rule["wide"]
    fits = proximity.technology in wide["technologies"] and proximity.power_kw <= wide.get(
        "largest_power_kw", np.inf
    )
    place = proximity.on_roof_or_industrial_land or not wide.get("needs_roof_or_industrial_land", False)
    return bool(fits and place and proximity.distance_m < wide["distance_m"])


def net_generation_of_plants(net: Energies, installed_kw: Sequence[float]) -> Energies:
    """Divide the net generation of one meter among its plants: by installed power, as holds by default (α_k).

    Args:
        net: Shape ``(n_intervals,)`` [micro-kWh].
        installed_kw: Shape ``(n_plants,)`` [kW].

    Returns:
        Shape ``(n_intervals, n_plants)``.
    """
    watts = np.rint(np.asarray(installed_kw, dtype=np.float64) * 1000).astype(np.int64)
    return split(net, np.broadcast_to(watts, (len(net), len(watts))))

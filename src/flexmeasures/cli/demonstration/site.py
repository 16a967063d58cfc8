"""The site of the demonstration: two real days in the German-Luxembourgish price zone.

Load and solar feed-in are those of Luxembourg, scaled to a home, or a building, and its roof; prices and times
are as they were.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import numpy as np

__all__ = ["Site", "Values", "load_site"]

Values = np.ndarray[Any, np.dtype[np.float64]]

ZONE = "Europe/Berlin"
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)

# Luxembourg's largest values of 2020 [MWh a quarter hour], which become the peaks of the building and the roof [MW].
PEAK_LOAD, BUILDING_PEAK_MW = 205.75, 0.08
PEAK_SOLAR, ROOF_PEAK_MW = 28.75, 0.05


@dataclass(frozen=True)
class Device:
    """A device that can be scheduled.

    Attributes:
        at: When its state of charge is known, and its schedule starts.
        soc_kwh: That state of charge.
        target: State of charge that it must have [kWh], and when.
    """

    name: str
    type_name: str
    capacity_mw: float
    max_soc_mwh: float
    at: str
    soc_kwh: float
    target: tuple[float, str] | None = None


@dataclass(frozen=True)
class Site:
    """Data that the demonstration posts.

    Attributes:
        start: Start of all series.
        prices: Hourly [EUR/MWh]: shape ``(48,)``.
        building: Quarter-hourly [MW]: shape ``(192,)``.
        solar: Quarter-hourly [MW], negative because it produces: shape ``(192,)``.
    """

    start: datetime
    prices: Values
    building: Values
    solar: Values

    @property
    def expected(self) -> tuple[Values, Values]:
        """Expected power of building and roof: the mean of both days, twice, shape (192,) each [MW]."""
        building, solar = (np.tile(one.reshape(2, -1).mean(axis=0), 2) for one in (self.building, self.solar))
        return np.round(building, 6), np.round(solar, 6)


HOUSE_PEAK_MW, HOME_ROOF_PEAK_MW, CONNECTION_MW = 0.004, 0.006, 0.013
SURCHARGE, FEED_IN = 180.0, 80.0
"""Grid fee and taxes on what is bought, and what is paid for what is sold [EUR/MWh]."""

BATTERY = Device("Battery", "battery", 0.005, 0.01, "2020-09-14T00:00:00+02:00", 2)
ROUNDTRIP_EFFICIENCY = 0.9
ONE_WAY = ROUNDTRIP_EFFICIENCY**0.5
"""Share of energy that the battery keeps, both ways and each way."""

STATION = Device(
    "Charging station",
    "one-way_evse",
    0.011,
    0.06,
    "2020-09-14T18:00:00+02:00",
    10,
    target=(30, "2020-09-15T07:00:00+02:00"),
)


def load_site(building_peak_mw: float = BUILDING_PEAK_MW, roof_peak_mw: float = ROOF_PEAK_MW) -> Site:
    """Read the excerpt that comes with the package and scale it to a site."""
    prices = _read("day_ahead_de_lu_2020-09-14_15.csv")
    measured = _read("luxembourg_2020-09-14_15.csv")
    load, solar = (np.array([float(row[name]) for row in measured]) for name in ("load_mwh", "solar_mwh"))
    return Site(
        start=datetime.fromisoformat(measured[0]["time_utc"]),
        prices=np.array([float(row["price_eur_per_mwh"]) for row in prices]),
        building=np.round(load / PEAK_LOAD * building_peak_mw, 6),
        solar=-np.round(solar / PEAK_SOLAR * roof_peak_mw, 6),
    )


def _read(name: str) -> list[dict[str, str]]:
    text = (files(__package__) / "data" / name).read_text()
    return list(csv.DictReader(text.splitlines()))

"""A home, or another small site, as values in kW and kWh."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from math import inf, isfinite, sqrt

import numpy as np

from flexmeasures.domain.errors import BadFlexModel, BadValues
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.time import find_zone
from flexmeasures.domain.units import KWH_PER_MWH
from flexmeasures.lab.series import Series

__all__ = ["Battery", "Car", "Connection", "Home"]


@dataclass(frozen=True)
class Battery:
    """A battery.

    Args:
        power_kw: Highest power each way, measured at its terminals.
        capacity_kwh: What it holds.
        roundtrip_efficiency: Share of what is charged that comes out again.
        start_kwh: What it holds at first.
        wear_per_kwh: What each kWh that it discharges wears it [currency/kWh].
    """

    power_kw: float
    capacity_kwh: float
    roundtrip_efficiency: float = 0.9
    start_kwh: float = 0.0
    wear_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        if not (self.power_kw > 0 and self.capacity_kwh > 0 and 0 < self.roundtrip_efficiency <= 1):
            raise BadFlexModel(
                "A battery needs a power and a capacity above 0, and an efficiency above 0 up to 1."
            )
        if not (0 <= self.start_kwh <= self.capacity_kwh and self.wear_per_kwh >= 0):
            raise BadFlexModel("A battery starts within its capacity, and its wear is a price from 0.")

    @property
    def one_way(self) -> float:
        """Share of energy that is kept each way."""
        return sqrt(self.roundtrip_efficiency)


@dataclass(frozen=True)
class Car:
    """A car that comes home each day, needs the same, and leaves before the next noon; it is never discharged.

    Args:
        power_kw: Highest charging power.
        needs_kwh: What it needs each time.
        arrival: Local time at which it comes, from noon on.
        departure: Local time at which it leaves on the next day, by noon.
        least_kw: Least charging power: it charges at this or more, or not at all.
    """

    power_kw: float
    needs_kwh: float
    arrival: time = time(18)
    departure: time = time(7)
    least_kw: float = 0.0

    def __post_init__(self) -> None:
        if not (self.arrival >= time(13) and self.departure <= time(12)):
            raise BadFlexModel("A car comes from 13:00 on, and leaves by 12:00 on the next day.")
        if not (self.power_kw > 0 and self.needs_kwh >= 0 and 0 <= self.least_kw <= self.power_kw):
            raise BadFlexModel("A car has a power above 0, a need from 0, and a least power up to its power.")


@dataclass(frozen=True)
class Connection:
    """Connection to the grid, and what is paid there beside the price of energy.

    Args:
        import_limit_kw: Highest consumption of the whole home.
        export_limit_kw: Highest production of the whole home.
        surcharge_per_kwh: Grid fee and taxes on each kWh that is bought [currency/kWh].
        feed_in_per_kwh: What each kWh that is sold earns [currency/kWh]; None: the price of energy.
    """

    import_limit_kw: float = inf
    export_limit_kw: float = inf
    surcharge_per_kwh: float = 0.0
    feed_in_per_kwh: float | None = None

    def __post_init__(self) -> None:
        paid = (self.surcharge_per_kwh, self.feed_in_per_kwh or 0.0)
        if not (self.import_limit_kw >= 0 and self.export_limit_kw >= 0 and all(map(isfinite, paid))):
            raise BadFlexModel("Limits of a connection are powers from 0, and its prices finite numbers.")


@dataclass(frozen=True)
class Home:
    """A home behind one connection. All series have the same steps.

    Args:
        prices: Of energy, in a unit such as EUR/MWh.
        load: What the house uses [kW].
        solar: What the roof produces, positive [kW].
        battery: The battery.
        car: The car.
        connection: The connection.
        zone: Time zone in which days begin, and cars come and go.

    Raises:
        BadValues: A series has another unit or other steps.
    """

    prices: Series
    load: Series | None = None
    solar: Series | None = None
    battery: Battery | None = None
    car: Car | None = None
    connection: Connection = field(default_factory=Connection)
    zone: str = "Europe/Berlin"

    def __post_init__(self) -> None:
        find_zone(self.zone)
        if not self.prices.unit.endswith("/MWh"):
            raise BadValues(f"The prices are in {self.prices.unit}: read them with a unit such as EUR/MWh.")
        for name, one in (("load", self.load), ("solar", self.solar)):
            if one is not None and (one.unit != "kW" or one.resolution != self.prices.resolution):
                raise BadValues(
                    f"The {name} is in {one.unit} and steps of {one.resolution}; it must be in kW and steps of "
                    f"{self.prices.resolution}, as the prices: use resampled()."
                )
            if one is not None and (one.start - self.prices.start) % self.prices.resolution:
                raise BadValues(
                    f"The steps of the {name} begin between those of the prices: shift one of them."
                )

    @property
    def currency(self) -> str:
        """Currency of its prices."""
        return self.prices.unit.partition("/")[0]

    def bought_and_sold(self, price: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Prices of what is bought and of what is sold (n,) each [currency/MWh], from those of energy."""
        earned = self.connection.feed_in_per_kwh
        sold = price if earned is None else np.full(price.size, earned * KWH_PER_MWH)
        return price + self.connection.surcharge_per_kwh * KWH_PER_MWH, sold

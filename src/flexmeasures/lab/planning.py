"""Plan a home for a day or so: all of its devices together, at the lowest cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.scheduling import (
    ChargingSession,
    Curtailable,
    PlanOptions,
    Profile,
    Site,
    SitePlan,
    StorageDevice,
    StorageUse,
    Tariff,
    charge_at_once,
    do_nothing,
    plan_site,
    session,
)
from flexmeasures.domain.scheduling import Connection as Limits
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.time import daily_periods
from flexmeasures.domain.units import KW_PER_MW, KWH_PER_MWH
from flexmeasures.lab.home import Battery, Car, Home
from flexmeasures.lab.series import Series, frame_of
from flexmeasures.lab.showing import draw_lines, write_table

__all__ = ["DayPlan", "plan_day", "plan_window"]


@dataclass(frozen=True)
class DayPlan:
    """Plan of a home; powers are means of steps [kW], consumption positive.

    Attributes:
        prices: Of energy, on the steps of the plan.
        powers_kw: Name of the part (load, solar, battery, car) → its power (n,) [kW].
        battery_kwh: What the battery holds at the start of each step and at the end (n+1,); None: there is none.
        cost: What it costs at the connection [currency].
        simple: What simple rules would cost [currency]: doing nothing, charging at once.
        notes: What cannot be kept, as sentences.
    """

    prices: Series
    powers_kw: Mapping[str, FloatArray]
    battery_kwh: FloatArray | None
    cost: float
    simple: Mapping[str, float]
    notes: tuple[str, ...] = ()

    @property
    def connection_kw(self) -> FloatArray:
        """Power at the connection (n,) [kW]."""
        return np.asarray(sum(self.powers_kw.values()))

    @property
    def currency(self) -> str:
        """Currency of the cost."""
        return self.prices.unit.partition("/")[0]

    def to_frame(self) -> Any:
        """Give a pandas DataFrame: prices, powers [kW] and what the battery holds at the start of each step [kWh]."""
        columns: dict[str, ArrayLike] = {f"price [{self.prices.unit}]": self.prices.values}
        columns |= {f"{name} [kW]": power for name, power in self.powers_kw.items()}
        columns["connection [kW]"] = self.connection_kw
        if self.battery_kwh is not None:
            columns["battery [kWh]"] = self.battery_kwh[:-1]
        return frame_of(self.prices, columns)

    def to_svg(self) -> str:
        """Draw prices above powers, as an SVG image."""
        panels = {
            self.prices.unit: {"price": self.prices.values},
            "kW": {**self.powers_kw, "connection": self.connection_kw},
        }
        if self.battery_kwh is not None:
            panels["kWh"] = {"battery": self.battery_kwh[:-1]}
        return draw_lines(panels, self.prices.start, self.prices.resolution)

    def _repr_html_(self) -> str:
        rows = [("This plan", f"{self.cost:.2f} {self.currency}")]
        rows += [(name.capitalize(), f"{cost:.2f} {self.currency}") for name, cost in self.simple.items()]
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return write_table(("", "Cost"), rows) + notes + self.to_svg()


def plan_day(home: Home, start: datetime, hours: float = 24.0) -> DayPlan:
    """Plan a home with all that its series say about the time from a start on, as if it were known.

    Args:
        home: The home.
        start: Start of a step.
        hours: How long.

    Raises:
        NotEnoughData: If a series does not cover that time.
        InvalidTime: If the start lies within a step.
    """
    start, steps = start.astimezone(UTC), round(hours / home.prices.hours)
    known = {name: one.at(start, steps) for name, one in (("load", home.load), ("solar", home.solar)) if one}
    held = home.battery.start_kwh if home.battery else 0.0
    site, plan = plan_window(home, start, home.prices.at(start, steps), known, held)
    powers = {name: KW_PER_MW * one.power_mw for name, one in plan.devices.items()}
    cars = [name for name in powers if name.startswith("car")]
    if cars:
        powers["car"] = np.asarray(sum(powers.pop(name) for name in cars))
    soc = plan.devices["battery"].soc_mwh if home.battery else None
    hours_of = np.full(steps, home.prices.hours)
    simple = {
        one.name: one.cost.total for one in (do_nothing(site, hours_of), charge_at_once(site, hours_of))
    }
    return DayPlan(
        Series(start, home.prices.resolution, home.prices.at(start, steps), home.prices.unit),
        powers,
        None if soc is None else KWH_PER_MWH * soc,
        plan.cost.total,
        simple,
        plan.notes,
    )


def plan_window(
    home: Home, start: datetime, price: FloatArray, expected: Mapping[str, FloatArray], held_kwh: float
) -> tuple[Site, SitePlan]:
    """Plan a home for some steps.

    Args:
        home: The home.
        start: Start of the first step.
        price: Of energy (n,) [currency/MWh].
        expected: What load and solar are expected to be (n,) [kW].
        held_kwh: What the battery holds at the start.
    """
    bought, sold = home.bought_and_sold(price)
    devices: list[Any] = []
    if "load" in expected:
        devices.append(Profile("load", expected["load"] / KW_PER_MW))
    if "solar" in expected:
        # What the connection does not take is not produced.
        devices.append(Curtailable("solar", -expected["solar"] / KW_PER_MW))
    if home.battery:
        devices.append(
            StorageUse(
                _store(home.battery), held_kwh / KWH_PER_MWH, value_of_energy_left=_worth(home, bought)
            )
        )
    if home.car:
        devices += _stays(home.car, home, start, price.size)
    limits = Limits(home.connection.import_limit_kw / KW_PER_MW, home.connection.export_limit_kw / KW_PER_MW)
    site = Site(tuple(devices), Tariff(bought, sold), limits, name="home")
    options = PlanOptions(prefer_charging_sooner=False)
    return site, plan_site(site, resolution_hours=home.prices.hours, options=options)


def _worth(home: Home, bought: FloatArray) -> float:
    """Value of energy left at the end [currency/MWh]: a little less than the cheapest price of the window.

    So what is held is neither sold below what it costs to buy again, nor bought only to be left.
    """
    return 0.0 if home.battery is None else 0.99 * float(bought.min()) * home.battery.one_way


def _store(battery: Battery) -> StorageDevice:
    return StorageDevice(
        "battery",
        battery.power_kw / KW_PER_MW,
        battery.power_kw / KW_PER_MW,
        0.0,
        battery.capacity_kwh / KWH_PER_MWH,
        charge_efficiency=battery.one_way,
        discharge_efficiency=battery.one_way,
        wear_price=battery.wear_per_kwh * KWH_PER_MWH,
    )


def _stays(car: Car, home: Home, start: datetime, steps: int) -> list[StorageUse]:
    """List the stays of a car that lie within a window of n steps, each as a store of its own."""
    resolution = home.prices.resolution
    end = start + steps * resolution
    point = StorageDevice(
        "car",
        car.power_kw / KW_PER_MW,
        0.0,
        0.0,
        car.needs_kwh / KWH_PER_MWH,
        min_consumption_mw=car.least_kw / KW_PER_MW,
    )
    stays: list[StorageUse] = []
    for comes, leaves in daily_periods(start, end, home.zone, car.arrival, car.departure):
        arrival, departure = -((start - comes) // resolution), (leaves - start) // resolution
        if comes >= start and leaves <= end and arrival < departure:
            stay = ChargingSession(arrival, departure, soc_wanted_mwh=car.needs_kwh / KWH_PER_MWH)
            named = StorageDevice(**{**vars(point), "name": f"car {len(stays) + 1}"})
            stays.append(session(named, stay, steps))
    return stays

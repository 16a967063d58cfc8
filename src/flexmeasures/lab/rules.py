"""Simple rules that need no plan: what a home does without one, beside which plans are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.time import event_grid, local_wall_clock
from flexmeasures.lab.home import Home

__all__ = ["RULES", "Rule"]

Rule = Callable[[Home, FloatArray, FloatArray], FloatArray]
"""Gives the power asked of the battery (n,) [kW], by prices [currency/MWh] and power of the rest of the home [kW]."""


def battery_rests(home: Home, price: FloatArray, rest_kw: FloatArray) -> FloatArray:
    """Leave the battery alone."""
    return np.zeros(price.size)


def own_use(home: Home, price: FloatArray, rest_kw: FloatArray) -> FloatArray:
    """Charge what would be sold, discharge what would be bought: as most batteries of homes do."""
    return -rest_kw


def by_the_clock(home: Home, price: FloatArray, rest_kw: FloatArray) -> FloatArray:
    """Charge in the cheapest hours of each day, as long as it takes, and discharge in as many of the dearest."""
    if home.battery is None:
        return np.zeros(price.size)
    power = np.zeros(price.size)
    steps = max(1, round(home.battery.capacity_kwh / home.battery.power_kw / home.prices.hours))
    starts = event_grid(home.prices.start, home.prices.resolution, price.size)
    days = local_wall_clock(starts, home.zone).astype("datetime64[D]")
    for day in np.unique(days):
        own = np.flatnonzero(days == day)
        order = own[np.argsort(price[own], kind="stable")]
        power[order[:steps]] = home.battery.power_kw
        power[order[max(steps, order.size - steps) :]] = -home.battery.power_kw
    return power


RULES: Mapping[str, Rule] = {"battery rests": battery_rests, "own use": own_use, "by the clock": by_the_clock}
"""Rules of the battery by name. In all of them a car charges at once."""

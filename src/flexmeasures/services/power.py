"""Power of assets between the store, where each sensor has its own unit, and those who compute in MW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow, read_latest_by_sensor
from flexmeasures.data.tables import Sensor
from flexmeasures.domain.time import Instants
from flexmeasures.domain.units import conversion_factor

__all__ = ["power_as_stored", "read_power"]

Values = np.ndarray[Any, np.dtype[np.float64]]


def read_power(
    session: Session, sensors: Sequence[Sensor], window: PortfolioWindow
) -> dict[int, tuple[Instants, Values]]:
    """Read the most recent power of each sensor that a window allows, in one query.

    Returns:
        Starts of events, UTC, and power [MW, consumption positive], shape ``(n,)`` each, by sensor; only of sensors
        with any.

    Raises:
        IncompatibleUnits: If a sensor does not measure power.
    """
    factors = {sensor.id: conversion_factor(sensor.unit, "MW") for sensor in sensors}
    found = read_latest_by_sensor(session, list(factors), window) if factors else {}
    return {number: (starts, values * factors[number]) for number, (starts, values) in found.items()}


def power_as_stored(power_mw: Values, sensor: Sensor) -> Values:
    """Write power [MW] in the unit in which a sensor keeps it.

    Raises:
        IncompatibleUnits: If the sensor does not measure power.
    """
    return power_mw * conversion_factor("MW", sensor.unit)

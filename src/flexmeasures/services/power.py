"""Power of assets between the store, where each sensor has its own unit, and those who compute in MW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow, read_series
from flexmeasures.data.tables import Sensor
from flexmeasures.domain.beliefs import Series
from flexmeasures.domain.units import conversion_factor

__all__ = ["power_as_stored", "read_power"]

Values = np.ndarray[Any, np.dtype[np.float64]]


def read_power(session: Session, sensors: Sequence[Sensor], window: PortfolioWindow) -> dict[int, Series]:
    """Read the most recent power of each sensor that a window allows, in one query.

    Returns:
        Power [MW, consumption positive] by sensor; empty where nothing is known.

    Raises:
        IncompatibleUnits: If a sensor does not measure power.
    """
    found = read_series(session, sensors, window)
    return {number: series.in_unit("MW") for number, series in found.items()}


def power_as_stored(power_mw: Values, sensor: Sensor) -> Values:
    """Write power [MW] in the unit in which a sensor keeps it.

    Raises:
        IncompatibleUnits: If the sensor does not measure power.
    """
    return power_mw * conversion_factor("MW", sensor.unit)

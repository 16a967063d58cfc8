"""Units of readings in files, which may be energies of slots where a sensor has power."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from flexmeasures.data.tables import Sensor
from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.time import Instants, to_microseconds
from flexmeasures.domain.units import conversion_factor, is_power_unit

__all__ = ["check_step", "factor_to_unit", "is_energy_for_power", "is_energy_unit"]


def is_energy_for_power(unit: str, sensor: Sensor) -> bool:
    """Tell whether values are energies of slots, and those of the sensor are powers."""
    return is_energy_unit(unit) and is_power_unit(sensor.unit) and sensor.event_resolution > timedelta(0)


def is_energy_unit(unit: str) -> bool:
    """Tell whether a unit is that of an energy, such as kWh.

    >>> is_energy_unit("kWh"), is_energy_unit("EUR/MWh"), is_energy_unit("kW")
    (True, False, False)
    """
    return unit.endswith("h") and is_power_unit(unit.removesuffix("h"))


def factor_to_unit(unit: str, sensor: Sensor) -> float:
    """Find the factor that converts values to the unit of a sensor; energy of a slot becomes its mean power.

    Raises:
        UnknownUnit: If the unit is not one.
        IncompatibleUnits: If it is of another quantity.
    """
    if is_energy_for_power(unit, sensor):
        hours = sensor.event_resolution / timedelta(hours=1)
        return conversion_factor(unit.removesuffix("h"), sensor.unit) / hours
    return conversion_factor(unit, sensor.unit)


def check_step(starts: Instants, sensor: Sensor) -> None:
    """Make sure that energies are those of the slots of a sensor.

    Raises:
        BadValues: If lines are usually further apart than an event lasts: their energy would count as that of one slot.
    """
    if len(starts) < 2:
        return
    steps, counts = np.unique(np.diff(starts).astype("timedelta64[us]").astype(np.int64), return_counts=True)
    usual = int(steps[counts.argmax()])
    if usual != to_microseconds(sensor.event_resolution):
        raise BadValues(
            f"The lines are {timedelta(microseconds=usual)} apart, and events of sensor {sensor.id} last "
            f"{sensor.event_resolution}: energies must be those of its events. Use a sensor with events of that length."
        )

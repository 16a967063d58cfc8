"""Readings of a service's meters, brought to its settlement intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_latest
from flexmeasures.data.stores.communities import MeterWindow, read_meters
from flexmeasures.data.tables import CommunityService, Generator, Inscription, Sensor
from flexmeasures.domain.communities.settlement import Readings
from flexmeasures.domain.errors import IncompatibleUnits, ResolutionMismatch
from flexmeasures.domain.time import Instants, format_duration, from_datetime64, to_microseconds
from flexmeasures.domain.units import conversion_factor

__all__ = ["Grid", "check_meter", "kwh_per_value", "read_at_intervals", "read_readings"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Grid:
    """Consecutive settlement intervals.

    Attributes:
        starts: Shape ``(n_intervals,)``, UTC.
        step: Length of each.
    """

    starts: Instants
    step: timedelta

    @property
    def step64(self) -> np.timedelta64:
        """The same length for arrays."""
        return np.timedelta64(to_microseconds(self.step), "us")


def check_meter(sensor: Sensor, step: timedelta) -> None:
    """Check that a sensor can be settled by.

    Raises:
        IncompatibleUnits: If its unit is neither an energy nor a power.
        ResolutionMismatch: If its events do not divide a settlement interval.
    """
    kwh_per_value(sensor)
    resolution = sensor.event_resolution
    if resolution <= timedelta(0) or step % resolution:
        raise ResolutionMismatch(
            f"Sensor {sensor.id} measures every {format_duration(resolution)}; settlement needs readings of "
            f"{format_duration(step)} or a whole fraction of it."
        )


def kwh_per_value(sensor: Sensor) -> float:
    """Tell how much energy a value of a sensor stands for [kWh]: an energy as it is, a power over its event.

    Raises:
        IncompatibleUnits: If its unit is neither.
    """
    try:
        return conversion_factor(sensor.unit, "kWh")
    except IncompatibleUnits:
        pass
    try:
        return conversion_factor(sensor.unit, "kW") * (sensor.event_resolution / timedelta(hours=1))
    except IncompatibleUnits:
        raise IncompatibleUnits(
            f"Sensor {sensor.id} measures in {sensor.unit}, which is neither an energy nor a power. "
            "Link a sensor in kWh or kW."
        ) from None


@dataclass(frozen=True)
class _Meter:
    """Conversion of a sensor's values to energy of a settlement interval [kWh]."""

    sensor_id: int
    factor: float
    per_interval: int


def read_readings(
    session: Session,
    service: CommunityService,
    inscriptions: Sequence[Inscription],
    plants: Sequence[Generator],
    grid: Grid,
) -> Readings:
    """Read what the meters of some members and plants measured, in one query.

    Args:
        session: For reading.
        service: Whose tolerance and intensity count.
        inscriptions: Members, in the order of the columns.
        plants: Likewise.
        grid: The settlement intervals.
    """
    points = [one.supply_point for one in inscriptions]
    ids = {p.consumption_sensor_id for p in points} | {g.sensor_id for g in plants}
    ids |= {one.operator_sensor_id for one in inscriptions}
    sensors = {
        sensor.id: sensor
        for sensor in session.scalars(select(Sensor).where(Sensor.id.in_(sorted(n for n in ids if n))))
    }
    window = MeterWindow(
        tuple(sensors), from_datetime64(grid.starts[0]), from_datetime64(grid.starts[-1] + grid.step64)
    )
    values = read_meters(session, window) if sensors else {}
    consumption = [
        _meter(sensors, p.consumption_sensor_id, p.is_inverted, one.participation_percent, grid)
        for p, one in zip(points, inscriptions, strict=True)
    ]
    generation = [_meter(sensors, g.sensor_id, g.is_inverted, g.participation_percent, grid) for g in plants]
    operator = [_meter(sensors, one.operator_sensor_id, False, 100, grid) for one in inscriptions]
    return Readings(
        _columns(generation, values, grid),
        _columns(consumption, values, grid),
        _columns(operator, values, grid) if any(operator) else None,
        _read_intensity(session, service, grid),
    )


def _meter(
    sensors: Mapping[int, Sensor], sensor_id: int | None, is_inverted: bool, percent: int, grid: Grid
) -> _Meter | None:
    """Find out how to use a sensor; None where there is none, or it no longer fits."""
    sensor = sensors.get(sensor_id or 0)
    if sensor is None or sensor.event_resolution <= timedelta(0) or grid.step % sensor.event_resolution:
        return None
    try:
        factor = kwh_per_value(sensor) * percent / 100
    except IncompatibleUnits:
        return None
    return _Meter(sensor.id, -factor if is_inverted else factor, grid.step // sensor.event_resolution)


def _columns(
    meters: Sequence[_Meter | None], values: Mapping[int, tuple[Instants, Values]], grid: Grid
) -> Values:
    """Lay readings out by interval and meter [kWh]; NaN where one is missing or incomplete."""
    count = len(grid.starts)
    # A column of one meter lies in one piece while it is filled.
    columns = np.full((len(meters), count), np.nan)
    for number, meter in enumerate(meters):
        starts, read = values.get(meter.sensor_id, (None, None)) if meter else (None, None)
        if meter is None or starts is None or read is None or not len(starts):
            continue
        where = ((starts - grid.starts[0]) // grid.step64).astype(np.int64)
        if meter.per_interval == 1:
            columns[number, where] = read * meter.factor
            continue
        present = np.bincount(where, minlength=count)
        total = np.bincount(where, weights=read, minlength=count)
        columns[number] = np.where(present == meter.per_interval, total * meter.factor, np.nan)
    return np.ascontiguousarray(columns.T)


def _read_intensity(session: Session, service: CommunityService, grid: Grid) -> Values | None:
    """Read hourly emissions [g/kWh]; None where the service has no sensor of them."""
    sensor = session.get(Sensor, service.intensity_sensor_id) if service.intensity_sensor_id else None
    if sensor is None or sensor.event_resolution <= timedelta(0):
        return None
    return read_at_intervals(session, sensor, grid, "g/kWh")


def read_at_intervals(session: Session, sensor: Sensor, grid: Grid, unit: str) -> Values:
    """Read the value in force at the start of each interval, forecasts where nothing newer is known.

    Args:
        session: For reading.
        sensor: Of events as long as an interval, or longer.
        grid: The settlement intervals.
        unit: Of the result.

    Returns:
        Shape ``(n_intervals,)``; NaN where nothing is known.

    Raises:
        IncompatibleUnits: If the sensor measures something else.
    """
    factor = conversion_factor(sensor.unit, unit)
    window = Window(
        sensor.id,
        sensor.event_resolution,
        start=from_datetime64(grid.starts[0]),
        end=from_datetime64(grid.starts[-1] + grid.step64),
    )
    starts, values = read_latest(session, window)
    found = np.full(len(grid.starts), np.nan)
    if len(starts):
        event = np.searchsorted(starts, grid.starts, side="right") - 1
        step = np.timedelta64(to_microseconds(sensor.event_resolution), "us")
        known = (event >= 0) & (grid.starts < starts[event] + step)
        found[known] = values[event[known]] * factor
    return found

"""Forecasts of the weather from elsewhere: at which places, and stored as beliefs of our weather sensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.domain.beliefs import InsertPolicy
from flexmeasures.domain.errors import InvalidInput, NotFound
from flexmeasures.domain.time import Instants, from_datetime64, to_datetime64
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.record_beliefs import Recording, Series, record_beliefs
from flexmeasures.services.weather import nearest_weather_sensors

__all__ = ["QUANTITIES", "HourlyForecast", "Quantity", "grid_of_places", "store_weather"]

Values = np.ndarray[Any, np.dtype[np.float64]]

_HOUR = np.timedelta64(3_600_000_000, "us")
_MOST_CELLS = 1000


@dataclass(frozen=True)
class Quantity:
    """A quantity of the weather.

    Attributes:
        sensor_type: Name of our type of weather sensors.
        name: Its name in the answer.
        unit: In which it is asked for.
        is_mean: Whether the value at an hour is the mean of the hour before it; else it holds at that instant.
    """

    sensor_type: str
    name: str
    unit: str
    is_mean: bool = False


QUANTITIES = (
    Quantity("temperature", "temperature_2m", "°C"),
    Quantity("wind_speed", "wind_speed_10m", "m/s"),
    Quantity("radiation", "shortwave_radiation", "W/m²", is_mean=True),
)
"""Quantities to ask for."""


@dataclass(frozen=True)
class HourlyForecast:
    """A forecast of a quantity at a place.

    Attributes:
        quantity: Which quantity.
        event_starts: Starts of hours, UTC: shape ``(n,)``, without gaps.
        values: Shape ``(n,)``, in the unit of the quantity.
    """

    quantity: Quantity
    event_starts: Instants
    values: Values


def grid_of_places(
    first: tuple[float, float], last: tuple[float, float], cells: int, *, centres: bool
) -> list[tuple[float, float]]:
    """List the corners of cells that cover a rectangle, degrees north and east.

    Args:
        first: Its top left corner.
        last: Its bottom right corner.
        cells: How many; more of them along the longer side.
        centres: Whether the centres of the cells are places, too.

    Raises:
        InvalidInput: If that is not a rectangle, or the number of cells is out of bounds.

    >>> len(grid_of_places((40, -90), (30, -80), 4, centres=False))
    9
    """
    if not 1 <= cells <= _MOST_CELLS:
        raise InvalidInput(f"{cells} cells are not possible. Use 1 to {_MOST_CELLS}.")
    if first[0] <= last[0] or first[1] >= last[1]:
        raise InvalidInput("The first corner must lie north and west of the second one.")
    few = next(number for number in range(math.isqrt(cells), 0, -1) if cells % number == 0)
    many = cells // few
    tall = first[0] - last[0] > last[1] - first[1]
    rows, columns = (many, few) if tall else (few, many)
    latitudes = np.linspace(first[0], last[0], rows + 1)
    longitudes = np.linspace(first[1], last[1], columns + 1)
    places = [(float(lat), float(lng)) for lat in latitudes for lng in longitudes]
    if centres:
        middle = ((latitudes[1:] + latitudes[:-1]) / 2, (longitudes[1:] + longitudes[:-1]) / 2)
        places += [(float(lat), float(lng)) for lat in middle[0] for lng in middle[1]]
    return places


def store_weather(
    session: Session,
    places: Sequence[tuple[float, float]],
    forecasts: Sequence[Sequence[HourlyForecast]],
    now: datetime,
) -> int:
    """Store forecasts as beliefs of the nearest weather sensor of each quantity, held now.

    Hours that have begun are left out, as well as what the service had said before.

    Args:
        session: Within its transaction; the caller commits.
        places: Degrees north and east.
        forecasts: By place.
        now: When they were received.

    Returns:
        How many beliefs were stored.

    Raises:
        NotFound: If there is no weather sensor of any quantity.
        IncompatibleUnits: If a sensor is in a unit of another quantity.
    """
    source = get_or_create_source(session, "Open-Meteo", "forecaster")
    found: dict[int, tuple[Any, HourlyForecast]] = {}
    for place, at_place in zip(places, forecasts, strict=True):
        for one in at_place:
            near = nearest_weather_sensors(session, one.quantity.sensor_type, *place)
            if near:
                found.setdefault(near[0].id, (near[0].sensor, one))
    if not found:
        names = ", ".join(quantity.sensor_type for quantity in QUANTITIES)
        raise NotFound(
            f"There is no weather sensor of {names}. Add one: flexmeasures add weather-sensor --help tells how."
        )
    return sum(_store(session, sensor, one, source.id, now) for sensor, one in found.values())


def _store(session: Session, sensor: Any, forecast: HourlyForecast, source_id: int, now: datetime) -> int:
    ahead = forecast.event_starts >= to_datetime64(now)
    starts = forecast.event_starts[ahead]
    if not len(starts):
        return 0
    values = forecast.values[ahead] * conversion_factor(forecast.quantity.unit, sensor.unit)
    recording = Recording(
        from_datetime64(starts[0]),
        from_datetime64(starts[-1] + _HOUR),
        recorded_by=now,
        horizon=None,
        source_id=source_id,
        policy=InsertPolicy.SKIP_EQUAL,
    )
    return record_beliefs(session, [Series([sensor], values)], recording).new

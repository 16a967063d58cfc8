"""Weather sensors by place."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import WeatherSensor
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.domain.errors import NotFound
from flexmeasures.services.assets import NewWeatherSensor, create_weather_sensor

__all__ = ["find_or_make_weather_sensor", "list_weather_types", "nearest_weather_sensors"]


def list_weather_types(session: Session) -> list[str]:
    """List the kinds of weather for which there are sensors, by name."""
    query = select(WeatherSensor.weather_sensor_type_name).distinct()
    return sorted(session.scalars(query))


def nearest_weather_sensors(
    session: Session, type_name: str, latitude: float, longitude: float, count: int = 1
) -> list[WeatherSensor]:
    """List the weather sensors of a type that are nearest to a place [degrees], by great-circle distance."""
    query = select(WeatherSensor).where(WeatherSensor.weather_sensor_type_name == type_name)
    sensors = list(session.scalars(query))
    if not sensors:
        return []
    places = np.radians([(sensor.latitude, sensor.longitude) for sensor in sensors])
    here = np.radians((latitude, longitude))
    haversine = (
        np.sin((places[:, 0] - here[0]) / 2) ** 2
        + np.cos(places[:, 0]) * np.cos(here[0]) * np.sin((places[:, 1] - here[1]) / 2) ** 2
    )
    return [sensors[n] for n in np.argsort(haversine, kind="stable")[:count]]


def find_or_make_weather_sensor(
    session: Session, address: WeatherSensorAddress, make_with: tuple[timedelta, str] | None = None
) -> WeatherSensor:
    """Find the weather sensor of a type at exactly a place.

    Args:
        session: Within its transaction.
        address: Type and place.
        make_with: Resolution and unit with which to make the sensor if there is none; None: not to make it.

    Raises:
        NotFound: If there is none; names the nearest one of its type.
    """
    sensor: WeatherSensor | None = session.scalar(
        select(WeatherSensor).filter_by(
            weather_sensor_type_name=address.type_name, latitude=address.latitude, longitude=address.longitude
        )
    )
    if sensor is not None:
        return sensor
    if make_with is not None:
        resolution, unit = make_with
        place = f"latitude {address.latitude} and longitude {address.longitude}"
        name = f"Weather sensor for {address.type_name} at {place}"
        new = NewWeatherSensor(name, address.type_name, unit, resolution, address.latitude, address.longitude)
        return create_weather_sensor(session, new)
    nearest = nearest_weather_sensors(session, address.type_name, address.latitude, address.longitude)
    hint = (
        f"The nearest one is at latitude {nearest[0].latitude} and longitude {nearest[0].longitude}."
        if nearest
        else "There are none of this type."
    )
    place = f"at latitude {address.latitude} and longitude {address.longitude}"
    raise NotFound(f"No {address.type_name} sensor is known {place}. {hint}")

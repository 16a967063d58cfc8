"""Weather sensors: making them, and finding them by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import Asset, WeatherSensor
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.names import machine_name
from flexmeasures.domain.places import Coordinates, nearest_first
from flexmeasures.domain.quoting import LONGEST_QUOTE
from flexmeasures.services.checks import Checks
from flexmeasures.services.numbered import add_public_asset, add_sensor_to

__all__ = [
    "NewWeatherSensor",
    "create_weather_sensor",
    "find_or_make_weather_sensor",
    "list_weather_types",
    "nearest_of",
    "nearest_weather_sensors",
    "weather_sensors_of",
]


def list_weather_types(session: Session) -> list[str]:
    """List the kinds of weather for which there are sensors, by name."""
    query = select(WeatherSensor.weather_sensor_type_name).distinct()
    return sorted(session.scalars(query))


def nearest_weather_sensors(
    session: Session, type_name: str, latitude: float, longitude: float, count: int = 1
) -> list[WeatherSensor]:
    """List the weather sensors of a type that are nearest to a place [degrees], by great-circle distance."""
    return nearest_of(weather_sensors_of(session, type_name), Coordinates(latitude, longitude), count)


def weather_sensors_of(session: Session, type_name: str) -> list[WeatherSensor]:
    """List all weather sensors of a type."""
    query = select(WeatherSensor).where(WeatherSensor.weather_sensor_type_name == type_name)
    return list(session.scalars(query))


def nearest_of(sensors: Sequence[WeatherSensor], place: Coordinates, count: int) -> list[WeatherSensor]:
    """Choose the weather sensors that are nearest to a place, by great-circle distance."""
    order = nearest_first([Coordinates(one.latitude, one.longitude) for one in sensors], place)
    return [sensors[n] for n in order[:count]]


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


@dataclass(frozen=True)
class NewWeatherSensor:
    """A new weather sensor; places in degrees."""

    name: str
    weather_sensor_type_name: str
    unit: str
    event_resolution: timedelta
    latitude: float
    longitude: float
    timezone: str = "UTC"


def create_weather_sensor(session: Session, new: NewWeatherSensor) -> WeatherSensor:
    """Make a weather sensor.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = machine_name(new.name)
    checks = Checks()
    checks.resolution(new.event_resolution)
    checks.place(new.latitude, new.longitude)
    checks.zone(new.timezone)
    checks.text("name", name, 120)
    checks.unit(new.unit)
    checks.that(
        store.find_weather_sensor_type(session, new.weather_sensor_type_name) is not None,
        "weather_sensor_type_name",
        f"Weather sensor type {new.weather_sensor_type_name[:LONGEST_QUOTE]} doesn't exist. Add structure first.",
    )
    same_name = select(WeatherSensor).where(WeatherSensor.name == name)
    checks.that(
        "name" in checks.errors or session.scalar(same_name) is None,
        "name",
        f"A weather sensor with the name {name[:LONGEST_QUOTE]} already exists.",
    )
    same_place = select(WeatherSensor).filter_by(
        weather_sensor_type_name=new.weather_sensor_type_name, latitude=new.latitude, longitude=new.longitude
    )
    checks.that(
        session.scalar(same_place) is None,
        "latitude",
        f"There is a {new.weather_sensor_type_name} sensor at this place already.",
    )
    checks.done()
    station = _find_station(session, new.latitude, new.longitude)
    sensor = add_sensor_to(session, station, name, new.unit, new.event_resolution, new.timezone)
    weather_sensor = WeatherSensor(
        id=sensor.id,
        sensor=sensor,
        name=name,
        display_name=new.name,
        weather_sensor_type_name=new.weather_sensor_type_name,
        latitude=new.latitude,
        longitude=new.longitude,
    )
    session.add(weather_sensor)
    session.flush()
    return weather_sensor


def _find_station(session: Session, latitude: float, longitude: float) -> Asset:
    """Find the weather station at a place, or make it."""
    here = select(Asset).where(
        Asset.asset_type_name == "weather station",
        Asset.account_id.is_(None),
        Asset.latitude == latitude,
        Asset.longitude == longitude,
    )
    station = session.scalars(here.order_by(Asset.id).limit(1)).first()
    name = f"weather station at {latitude:.15g}, {longitude:.15g}"
    return station or add_public_asset(session, name, "weather station", latitude, longitude)

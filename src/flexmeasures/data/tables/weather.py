"""Weather sensor types and weather sensors."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.sensors import Sensor

__all__ = ["WeatherSensor", "WeatherSensorType"]


class WeatherSensorType(db.Model):  # type: ignore[misc, name-defined]
    """A quantity of the weather: temperature, wind_speed, radiation."""

    __tablename__ = "weather_sensor_type"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(80), unique=True)


class WeatherSensor(db.Model):  # type: ignore[misc, name-defined]
    """A quantity at a place [degrees north and east]."""

    __tablename__ = "weather_sensor"
    __table_args__ = (UniqueConstraint("weather_sensor_type_name", "latitude", "longitude"),)

    id: Mapped[int] = mapped_column(
        ForeignKey("sensor.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(String(120), unique=True)
    display_name: Mapped[str] = mapped_column(String(120), default="")
    weather_sensor_type_name: Mapped[str] = mapped_column(ForeignKey("weather_sensor_type.name"))
    latitude: Mapped[float]
    longitude: Mapped[float]

    sensor: Mapped[Sensor] = relationship(lazy="joined", innerjoin=True)

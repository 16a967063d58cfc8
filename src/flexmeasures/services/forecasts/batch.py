"""Forecasts of many sensors over a period of the past or the future, as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, Market, Sensor, WeatherSensor
from flexmeasures.services.forecasts.orders import ForecastOrder

__all__ = ["KINDS", "Kind", "Wish", "batch_orders", "find_thing"]


@dataclass(frozen=True)
class Kind:
    """Things whose sensors are forecast.

    Attributes:
        name: As on the command line.
        table: As its forecasts are counted.
    """

    name: str
    table: str


KINDS = (Kind("WeatherSensor", "Weather"), Kind("Asset", "Power"), Kind("Market", "Price"))
"""In the order in which they are forecast: the weather explains assets."""


@dataclass(frozen=True)
class Wish:
    """Scope of a batch of forecasts.

    Attributes:
        start: Start of the first event.
        end: End of the last event.
        horizons: Between each forecast and the end of its event; those shorter than an event are left out.
        kind: Only sensors of this kind; None: of all.
        thing_id: Only this one; needs a kind.
        model: By which model; None: the one of the settings.
    """

    start: datetime
    end: datetime
    horizons: Sequence[timedelta]
    kind: str | None = None
    thing_id: int | None = None
    model: str | None = None


def batch_orders(session: Session, wish: Wish) -> list[tuple[Kind, ForecastOrder]]:
    """List the orders of a batch, those of weather sensors first."""
    found = []
    for kind in KINDS:
        if wish.kind not in (None, kind.name):
            continue
        for sensor in _sensors(session, kind.name, wish.thing_id):
            found += [
                (kind, ForecastOrder(sensor.id, wish.start, wish.end, horizon, wish.model))
                for horizon in wish.horizons
                if horizon >= sensor.event_resolution > timedelta(0)
            ]
    return found


def find_thing(session: Session, kind: str, named: str) -> int | None:
    """Find what is forecast by its id, its name or its shown name; None if there is none of that kind.

    Args:
        session: For reading.
        kind: Name of its kind, see `KINDS`.
        named: How somebody calls it.
    """
    table: Any = {"Asset": Asset, "Market": Market, "WeatherSensor": WeatherSensor}[kind]
    called = or_(table.name == named, table.display_name == named)
    if named.isascii() and named.isdigit() and len(named) < 10:
        called = or_(called, table.id == int(named))
    found: int | None = session.scalar(select(table.id).where(called).order_by(table.id).limit(1))
    return found


def _sensors(session: Session, kind: str, thing_id: int | None) -> list[Sensor]:
    """Find the sensors of a kind, or of one thing of that kind, by its id."""
    if kind == "Asset":
        query = select(Sensor).join(Asset, Asset.power_sensor_id == Sensor.id)
        chosen: ColumnElement[bool] | None = None
        if thing_id is not None:
            chosen = or_(Asset.id == thing_id, Sensor.id == thing_id)
    else:
        table = Market if kind == "Market" else WeatherSensor
        query = select(Sensor).join(table, table.id == Sensor.id)
        chosen = None if thing_id is None else table.id == thing_id
    if chosen is not None:
        query = query.where(chosen)
    return list(session.scalars(query.order_by(Sensor.id)))

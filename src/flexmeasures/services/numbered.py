"""Assets that share the number of their sensor: connections, markets and weather stations, as clients know them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import Asset, Sensor
from flexmeasures.services.built_in_types import ensure_asset_type

__all__ = ["add_public_asset", "add_sensor_to"]


def add_public_asset(
    session: Session, name: str, type_name: str, latitude: float | None = None, longitude: float | None = None
) -> Asset:
    """Add an asset that belongs to no account, so that everybody who is logged in may read it."""
    ensure_asset_type(session, type_name)
    asset = Asset(
        id=store.next_number(session),
        name=name,
        asset_type_name=type_name,
        latitude=latitude,
        longitude=longitude,
    )
    session.add(asset)
    session.flush()
    return asset


def add_sensor_to(
    session: Session,
    asset: Asset,
    name: str,
    unit: str,
    event_resolution: timedelta,
    timezone: str,
    knowledge_horizon: tuple[str, Mapping[str, Any]] = ("ex_post", {}),
) -> Sensor:
    """Add a sensor to an asset; the first one gets the number of its asset, if no sensor has it."""
    number = asset.id if session.get(Sensor, asset.id) is None else store.next_number(session)
    sensor = Sensor(
        id=number,
        asset_id=asset.id,
        name=name,
        unit=unit,
        event_resolution=event_resolution,
        timezone=timezone,
        knowledge_horizon_fnc=knowledge_horizon[0],
        knowledge_horizon_par=dict(knowledge_horizon[1]),
    )
    session.add(sensor)
    session.flush()
    return sensor

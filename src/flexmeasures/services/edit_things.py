"""Changing plain assets, sensors, and attributes of anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.beliefs import time_range
from flexmeasures.data.tables import Account, Asset, Sensor
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.names import clean_name
from flexmeasures.domain.quoting import quote
from flexmeasures.services.checks import Checks
from flexmeasures.services.sensors import set_attributes_of_sensor

__all__ = [
    "PlainChanges",
    "SensorChanges",
    "drop_attribute",
    "edit_plain_asset",
    "edit_sensor",
    "set_attribute",
]


@dataclass(frozen=True)
class PlainChanges:
    """Changes of an asset that has no owner; what is None stays. Places in degrees, capacity in MW."""

    name: str | None = None
    asset_type_name: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    capacity_in_mw: float | None = None
    description: str | None = None


@dataclass(frozen=True)
class SensorChanges:
    """Changes of a sensor; what is None stays."""

    name: str | None = None
    unit: str | None = None
    event_resolution: timedelta | None = None
    timezone: str | None = None


def edit_plain_asset(session: Session, asset: Asset, changes: PlainChanges) -> None:
    """Change an asset that has no owner; the caller commits.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    checks = Checks()
    changed = {field: value for field, value in vars(changes).items() if value is not None}
    if "name" in changed:
        changed["name"] = name = clean_name(changed["name"])
        checks.text("name", name, 80)
        taken = name != asset.name and store.sibling_name_is_taken(
            session, asset.account_id, asset.parent_id, name
        )
        checks.that(not taken, "name", f"An asset with the name {quote(name)} already exists beside it.")
    if "asset_type_name" in changed:
        known = store.find_asset_type(session, changed["asset_type_name"]) is not None
        checks.that(
            known, "asset_type_name", f"Asset type {quote(changed['asset_type_name'])} doesn't exist."
        )
    latitude, longitude = (changed.get(field, getattr(asset, field)) for field in ("latitude", "longitude"))
    if (latitude is None) != (longitude is None):
        checks.that(False, "latitude", "A place has a latitude and a longitude. Give both.")
    else:
        checks.place(latitude or 0.0, longitude or 0.0)
    capacity = changed.get("capacity_in_mw", 1.0)
    checks.that(math.isfinite(capacity) and capacity > 0, "capacity_in_mw", "Must be positive.")
    checks.done()
    for field, value in changed.items():
        setattr(asset, field, value)
    session.flush()


def edit_sensor(session: Session, sensor: Sensor, changes: SensorChanges) -> None:
    """Change a sensor; the caller commits.

    Raises:
        Conflict: If it is the power sensor of an asset, which says what it is called and in which unit it is; or if it
            has values, and its unit or its resolution would change, so that these would no longer be what they were.
        FieldErrors: If fields are wrong; names all of them.
    """
    changed = {field: value for field, value in vars(changes).items() if value is not None}
    owner = session.scalar(select(Asset.id).where(Asset.power_sensor_id == sensor.id))
    if owner is not None:
        raise Conflict(f"Sensor {sensor.id} is the power sensor of asset {owner}. Edit the asset instead.")
    checks = Checks()
    if "name" in changed:
        changed["name"] = clean_name(changed["name"])
        checks.text("name", changed["name"], 120)
        same = select(Sensor.id).where(
            Sensor.asset_id == sensor.asset_id, Sensor.name == changed["name"], Sensor.id != sensor.id
        )
        checks.that(session.scalar(same) is None, "name", "Its asset has a sensor with this name already.")
    if "unit" in changed:
        checks.text("unit", changed["unit"], 80)
    if "timezone" in changed:
        checks.zone(changed["timezone"])
    checks.done()
    alters = [
        field
        for field in ("unit", "event_resolution")
        if changed.get(field, getattr(sensor, field)) != getattr(sensor, field)
    ]
    if alters and time_range(session, sensor.id) is not None:
        raise Conflict(
            f"Sensor {sensor.id} has values, which would no longer be what they were: its {alters[0]} stays. Make a "
            "new sensor."
        )
    for field, value in changed.items():
        setattr(sensor, field, value)
    session.flush()


def set_attribute(session: Session, row: Account | Asset | Sensor, name: str, value: Any) -> None:
    """Set an attribute to a JSON value; the caller commits.

    Raises:
        FieldErrors: If the name is none.
        Conflict: If it says how values are to be read that are there already.
    """
    checks = Checks()
    checks.text("attribute", name, 80)
    checks.done()
    _write(session, row, {**row.attributes, name: value})


def drop_attribute(session: Session, row: Account | Asset | Sensor, name: str) -> None:
    """Take an attribute away; the caller commits.

    Raises:
        NotFound: If there is none of that name.
    """
    if name not in row.attributes:
        raise NotFound(
            f"There is no attribute {quote(name)}; there are: {', '.join(sorted(row.attributes)) or 'none'}."
        )
    _write(session, row, {key: value for key, value in row.attributes.items() if key != name})


def _write(session: Session, row: Account | Asset | Sensor, attributes: Mapping[str, Any]) -> None:
    if isinstance(row, Sensor):
        set_attributes_of_sensor(session, row, attributes)
    else:
        row.attributes = dict(attributes)
        session.flush()

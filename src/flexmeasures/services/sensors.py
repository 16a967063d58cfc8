"""Sensors of any asset: making them, changing what they say of their values, and removing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.beliefs import time_range
from flexmeasures.data.tables import Asset, AuditSubject, Sensor, note_change
from flexmeasures.domain.beliefs import parse_knowledge_rule
from flexmeasures.domain.errors import Conflict, FlexError
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import clean_name
from flexmeasures.domain.quoting import quote
from flexmeasures.services.asset_tree import check_not_named
from flexmeasures.services.checks import Checks
from flexmeasures.services.numbered import add_public_asset, add_sensor_to

__all__ = [
    "SIGN",
    "NewSensor",
    "create_sensor",
    "create_series_sensor",
    "delete_sensor",
    "set_attributes_of_sensor",
]

SIGN = "consumption_is_positive"
"""The attribute which says how the values of a sensor of power are to be read."""


@dataclass(frozen=True)
class NewSensor:
    """A new sensor.

    Attributes:
        asset_id: The asset that it belongs to.
        unit: In which its values are stored.
        event_resolution: Length of its events; zero: its values are instantaneous.
        knowledge_horizon: Name of the rule which says when its events are known, and the rule's parameters.
        attributes: What else is to be known of it.
    """

    asset_id: int
    name: str
    unit: str
    event_resolution: timedelta
    timezone: str = "UTC"
    knowledge_horizon: tuple[str, Mapping[str, Any]] = ("ex_post", {})
    attributes: Mapping[str, Any] = field(default_factory=dict)


def create_sensor(session: Session, new: NewSensor) -> Sensor:
    """Make a sensor; the caller commits.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = clean_name(new.name)
    checks = Checks()
    checks.text("name", name, 120)
    checks.text("unit", new.unit, 80)
    if "unit" not in checks.errors:
        checks.unit(new.unit)
    checks.zone(new.timezone)
    checks.that(
        new.event_resolution >= timedelta(0), "event_resolution", "Must be zero or longer, in whole minutes."
    )
    asset = session.get(Asset, new.asset_id) if is_id(new.asset_id) else None
    checks.that(asset is not None, "asset_id", f"There is no asset with id {new.asset_id}.")
    same = select(Sensor.id).where(Sensor.asset_id == new.asset_id, Sensor.name == name)
    checks.that(
        asset is None or session.scalar(same) is None,
        "name",
        f"Asset {new.asset_id} has a sensor with the name {name} already.",
    )
    try:
        parse_knowledge_rule(*new.knowledge_horizon)
    except FlexError as error:
        checks.that(False, "knowledge_horizon", str(error))
    checks.done()
    assert asset is not None  # noqa: S101 - checked above
    sensor = add_sensor_to(
        session, asset, name, new.unit, new.event_resolution, new.timezone, new.knowledge_horizon
    )
    sensor.attributes = dict(new.attributes)
    session.flush()
    return sensor


def create_series_sensor(
    session: Session, name: str, unit: str, event_resolution: timedelta, timezone: str
) -> Sensor:
    """Make a sensor that belongs to nothing: the asset around it is public and of the type "series".

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    checks = Checks()
    checks.text("name", clean_name(name), 80)
    checks.that(
        "name" in checks.errors or not store.sibling_name_is_taken(session, None, None, clean_name(name)),
        "name",
        f"A public asset with the name {quote(name)} already exists.",
    )
    checks.done()
    asset = add_public_asset(session, clean_name(name), "series")
    return create_sensor(session, NewSensor(asset.id, name, unit, event_resolution, timezone))


def set_attributes_of_sensor(session: Session, sensor: Sensor, attributes: Mapping[str, Any]) -> None:
    """Replace the attributes of a sensor; the caller commits.

    Raises:
        Conflict: If the sign convention would change while there are values, which would all be read with the wrong
            sign.
    """
    changes_sign = bool(attributes.get(SIGN, False)) != bool(sensor.attributes.get(SIGN, False))
    if changes_sign and time_range(session, sensor.id) is not None:
        raise Conflict(
            f"Sensor {sensor.id} has values, whose sign would no longer be what it was: {SIGN} stays "
            f"{bool(sensor.attributes.get(SIGN, False))}. Make a new sensor."
        )
    sensor.attributes = dict(attributes)
    session.flush()


def delete_sensor(session: Session, sensor: Sensor) -> None:
    """Remove a sensor and all beliefs about it; the caller commits.

    Raises:
        Conflict: If a flex model, a flex context or a graph names it, or it is the power sensor of its asset.
    """
    session.flush()
    owner = session.scalar(select(Asset.id).where(Asset.power_sensor_id == sensor.id))
    if owner is not None:
        raise Conflict(f"Sensor {sensor.id} is the power sensor of asset {owner}. Delete the asset instead.")
    check_not_named(session, [sensor.id])
    about = AuditSubject(asset_id=sensor.asset_id, sensor_id=sensor.id)
    note_change(session, f"Deleted sensor '{sensor.name}': {sensor.id}", about)
    session.execute(delete(Sensor).where(Sensor.id == sensor.id))  # its beliefs go with it, by a trigger
    session.expire_all()

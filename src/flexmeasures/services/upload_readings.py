"""Readings from a file of a user: opened, looked at, and stored all together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Added, SensorBeliefs, add_beliefs
from flexmeasures.data.stores.users import source_of_user
from flexmeasures.data.tables import Asset, Market, Sensor, User, WeatherSensor
from flexmeasures.domain.beliefs import Beliefs, belief_horizons
from flexmeasures.domain.errors import BadValues, NotAllowed, NotFound
from flexmeasures.domain.reading_tables import Mapping, Readings, parse_readings
from flexmeasures.domain.rights import UPLOAD_RULES, Action, Actor, Kind, Thing, may
from flexmeasures.domain.time import to_datetime64
from flexmeasures.services.assets import visible_assets
from flexmeasures.services.reading_files import Table, open_table
from flexmeasures.services.reading_units import check_step, factor_to_unit, is_energy_for_power
from flexmeasures.services.record_beliefs import check_signs
from flexmeasures.services.rights import actor_of
from flexmeasures.services.users import has_role

__all__ = [
    "Table",
    "UploadTarget",
    "find_target",
    "list_targets",
    "open_table",
    "read_table",
    "store_readings",
]


@dataclass(frozen=True)
class UploadTarget:
    """A sensor to which a user may upload.

    Attributes:
        asset: Whose power it measures; None: it is of a market or of the weather.
    """

    sensor: Sensor
    caption: str
    asset: Asset | None = None


_PRICES = Thing(Kind.SENSOR, posters=frozenset({"MDC", "Supplier", "Aggregator"}))
_WEATHER = Thing(Kind.SENSOR, posters=frozenset({"MDC"}))


def _may_upload(actor: Actor, sensor: Thing) -> bool:
    return may(actor, Action.CREATE_CHILDREN, sensor, UPLOAD_RULES)


def list_targets(session: Session, user: User) -> list[UploadTarget]:
    """List the sensors to which a user may upload: of their own assets, and by role of markets and weather."""
    actor = actor_of(user)
    targets = [
        UploadTarget(asset.sensor, f"{asset.display_name}: power", asset)
        for asset in visible_assets(session, user)
        if _may_upload(actor, Thing(Kind.SENSOR, asset.account_id, asset.owner_id))
    ]
    if _may_upload(actor, _PRICES):
        targets += [
            UploadTarget(one.sensor, f"{one.display_name}: prices") for one in session.scalars(select(Market))
        ]
    if _may_upload(actor, _WEATHER):
        targets += [
            UploadTarget(one.sensor, one.display_name or one.name)
            for one in session.scalars(select(WeatherSensor))
        ]
    return targets


def find_target(session: Session, user: User, sensor_id: int) -> UploadTarget:
    """Find a sensor to which a user may upload.

    Raises:
        NotFound: If there is none, or it is somebody else's: the user learns no difference.
        NotAllowed: If the user may not upload at all.
    """
    if has_role(user, "anonymous"):
        raise NotAllowed("An anonymous user may not upload data. Log in with an account of your own.")
    for target in list_targets(session, user):
        if target.sensor.id == sensor_id:
            return target
    raise NotFound(f"You have no sensor with id {sensor_id}. Choose one of the list.")


def read_table(target: UploadTarget, table: Table, mapping: Mapping) -> Readings:
    """Read a table for a sensor."""
    return parse_readings(table.rows, mapping, target.sensor.event_resolution, table.lines)


def store_readings(
    session: Session,
    user: User,
    target: UploadTarget,
    readings: Readings,
    unit: str,
    production_positive: bool,
    now: datetime,
) -> Added:
    """Store what was read, all of it or nothing.

    Args:
        session: Within its transaction; the caller commits.
        user: Who says so.
        target: The sensor.
        readings: Without faults.
        unit: Of the values; energies of slots, such as kWh, are taken as the mean power of their slots.
        production_positive: Whether production is positive in the file.
        now: When it is known.

    Raises:
        BadValues: If there is nothing, or its signs do not fit the asset.
        IncompatibleUnits: If the unit is of another quantity.
    """
    sensor = target.sensor
    if readings.faults or not len(readings.starts):
        raise BadValues("There is nothing to store: mend the file first.")
    if is_energy_for_power(unit, sensor):
        check_step(readings.starts, sensor)
    values = readings.values * factor_to_unit(unit, sensor)
    if target.asset is not None:
        values = -values if production_positive else values
        kind = target.asset.asset_type
        fault = check_signs(values, kind.is_consumer, kind.is_producer)
        if fault:
            raise BadValues(
                f"{target.asset.display_name} {fault}, but the file says otherwise: choose the other sign."
            )
    starts = readings.starts
    times = np.full(len(starts), to_datetime64(now))
    horizons = belief_horizons(sensor.knowledge_rule, starts, sensor.event_resolution, times)
    source = np.full(len(starts), source_of_user(session, user), dtype=np.int32)
    return add_beliefs(session, [SensorBeliefs(sensor.id, Beliefs(starts, values, horizons, source))])

"""Sensors by id, with what they belong to."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.assets import MAX_ID
from flexmeasures.data.tables import Asset, Market, Sensor

__all__ = ["find_power_sensors", "find_sensors"]


def find_power_sensors(session: Session, asset_ids: Iterable[int]) -> dict[int, Sensor]:
    """Find the sensors of the power of assets, by asset; only of those that have one."""
    query = (
        select(Asset.id, Sensor)
        .join(Sensor, Sensor.id == Asset.power_sensor_id)
        .where(Asset.id.in_(list(asset_ids)))
    )
    return {row.id: row.Sensor for row in session.execute(query)}


def find_sensors(session: Session, ids: Iterable[int]) -> dict[int, tuple[Sensor, int | None, bool]]:
    """Find sensors by id in one query.

    Returns:
        By id, the sensor, the owner of the asset whose power it is (None: it is that of no asset), and whether it is
        a market's.
    """
    wanted = [number for number in ids if 0 < number <= MAX_ID]
    if not wanted:
        return {}
    query = (
        select(Sensor, Asset.owner_id, Market.id.is_not(None))
        .outerjoin(Asset, Asset.id == Sensor.asset_id)
        .outerjoin(Market, Market.id == Sensor.id)
        .where(Sensor.id.in_(wanted))
    )
    return {
        sensor.id: (sensor, owner_id, is_market) for sensor, owner_id, is_market in session.execute(query)
    }

"""Sensors by id, with what they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, Market, Sensor
from flexmeasures.domain.ids import is_id

__all__ = ["FoundSensor", "find_power_sensors", "find_sensors"]


def find_power_sensors(session: Session, asset_ids: Iterable[int]) -> dict[int, Sensor]:
    """Find the sensors of the power of assets, by asset; only of those that have one."""
    query = (
        select(Asset.id, Sensor)
        .join(Sensor, Sensor.id == Asset.power_sensor_id)
        .where(Asset.id.in_(list(asset_ids)))
    )
    return {row.id: row.Sensor for row in session.execute(query)}


@dataclass(frozen=True)
class FoundSensor:
    """A sensor and whose it is.

    Attributes:
        account_id: The account of its asset; None: it is public.
        owner_id: The owner of its asset, if that is a connection.
        is_market: Whether it is a market's.
    """

    sensor: Sensor
    account_id: int | None
    owner_id: int | None
    is_market: bool


def find_sensors(session: Session, ids: Iterable[int]) -> dict[int, FoundSensor]:
    """Find sensors by id in one query."""
    wanted = [number for number in ids if is_id(number)]
    if not wanted:
        return {}
    query = (
        select(Sensor, Asset.account_id, Asset.owner_id, Market.id.is_not(None))
        .join(Asset, Asset.id == Sensor.asset_id)
        .outerjoin(Market, Market.id == Sensor.id)
        .where(Sensor.id.in_(wanted))
    )
    return {row[0].id: FoundSensor(*row) for row in session.execute(query)}

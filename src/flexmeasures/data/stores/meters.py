"""Connections as the messages of meter data need them: a value each, because rows cost more than all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.arrays import Int4Array
from flexmeasures.data.stores.driver import driver_of
from flexmeasures.domain.beliefs import KnowledgeRule, parse_knowledge_rule
from flexmeasures.domain.ids import MAX_ID
from flexmeasures.domain.rights import Kind, Thing

__all__ = ["Meter", "PowerSensor", "find_meters"]


@dataclass(frozen=True)
class PowerSensor:
    """The power sensor of a connection; see `domain.sensors`."""

    id: int
    name: str
    unit: str
    event_resolution: timedelta
    timezone: str
    knowledge_rule: KnowledgeRule


@dataclass(frozen=True)
class Meter:
    """A connection of API v2_0 with its power sensor.

    Attributes:
        thing: Whose it is, for rights.
        is_consumer: Whether it may consume; `is_producer`: whether it may produce.
    """

    id: int
    name: str
    display_name: str
    thing: Thing
    is_consumer: bool
    is_producer: bool
    sensor: PowerSensor


# As `Asset.is_connection`.
_CONNECTIONS = """
    select asset.id, asset.name, asset.display_name, asset.account_id, asset.owner_id,
        asset_type.is_consumer, asset_type.is_producer,
        sensor.id, sensor.name, sensor.unit, sensor.event_resolution, sensor.timezone,
        sensor.knowledge_horizon_fnc, sensor.knowledge_horizon_par
    from asset join asset_type on asset_type.name = asset.asset_type_name
        join sensor on sensor.id = asset.power_sensor_id
    where asset.owner_id is not null and asset.capacity_in_mw is not null and asset.latitude is not null
        and asset.longitude is not null and asset.display_name is not null
"""
_BY_ID = f"{_CONNECTIONS} and asset.id = any(%(ids)b)"
_BY_ID_OR_NAME = (
    f"{_CONNECTIONS} and (asset.id = any(%(ids)b)"
    " or asset.name = any(%(names)s) or asset.display_name = any(%(names)s))"
)


def find_meters(session: Session, ids: Sequence[int], names: Sequence[str] = ()) -> list[Meter]:
    """Find connections by id or name in one query."""
    parameters = {
        "ids": Int4Array(np.array([one for one in ids if one <= MAX_ID], dtype=np.int32)),
        "names": list(names),
    }
    found = driver_of(session).execute(_BY_ID_OR_NAME if names else _BY_ID, parameters)
    return [_as_meter(row) for row in found]


def _as_meter(row: tuple[Any, ...]) -> Meter:
    number, name, display_name, account_id, owner_id, consumes, produces, *sensor, rule, parameters = row
    return Meter(
        number,
        name,
        display_name,
        Thing(Kind.ASSET, account_id, owner_id),
        is_consumer=consumes,
        is_producer=produces,
        sensor=PowerSensor(*sensor, parse_knowledge_rule(rule, parameters)),  # type: ignore[call-arg]
    )

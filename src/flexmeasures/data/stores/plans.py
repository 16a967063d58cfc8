"""Plans: the latest of many devices at once, and bulk writes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Select, delete, exists, func, or_, select
from sqlalchemy.orm import Session, contains_eager, defer, joinedload, selectinload

from flexmeasures.data.stores.arrays import Float8Array, register_dumpers
from flexmeasures.data.stores.driver import driver_of
from flexmeasures.data.tables import Asset, AssetType, DeviceState, PlanDevice, PlanRecord

__all__ = [
    "find_device_plan",
    "find_device_plan_of_event",
    "find_plan",
    "insert_plans",
    "latest_device_plans",
    "latest_plans",
    "list_flexible_asset_ids",
    "load_flexible_assets",
    "worth_of_energy_left",
]

register_dumpers(psycopg.adapters)

_NEWEST_FIRST = (PlanRecord.recorded_at.desc(), PlanRecord.number.desc())

_LARGE = (
    defer(PlanDevice.missed),
    contains_eager(PlanDevice.plan).options(
        defer(PlanRecord.explanation), defer(PlanRecord.missed), defer(PlanRecord.net_mw)
    ),
)
"""Columns that are loaded only when they are read."""

_ARRAYS = ("power_mw", "soc_mwh", "net_mw")
_OBJECTS = ("targets", "missed", "notes", "explanation")


def _insertion(table: Any, left_out: tuple[str, ...] = ()) -> tuple[list[str], str]:
    columns = [column.name for column in table.__table__.columns if column.name not in left_out]
    marks = [f"%({name})b" if name in _ARRAYS else f"%({name})s" for name in columns]
    listed = ", ".join(f'"{name}"' for name in columns)
    return columns, f"insert into {table.__tablename__} ({listed}) values ({', '.join(marks)})"  # noqa: S608 - ours


_PLAN_COLUMNS, _INSERT_PLAN = _insertion(PlanRecord, ("number",))
_DEVICE_COLUMNS, _INSERT_DEVICE = _insertion(PlanDevice)


def latest_device_plans(session: Session, sensor_ids: Sequence[int]) -> dict[int, PlanDevice]:
    """Find what the newest plan of each of several devices says, without reasons (these are loaded when read).

    Args:
        session: For reading.
        sensor_ids: The sensors of their powers.

    Returns:
        By sensor; only of devices that have a plan.
    """
    age = func.row_number().over(partition_by=PlanDevice.sensor_id, order_by=_NEWEST_FIRST)
    ranked = (
        select(PlanDevice.plan_id, PlanDevice.sensor_id, age.label("age"))
        .join(PlanDevice.plan)
        .where(PlanDevice.sensor_id.in_(sensor_ids))
        .subquery()
    )
    newest = (
        (PlanDevice.plan_id == ranked.c.plan_id)
        & (PlanDevice.sensor_id == ranked.c.sensor_id)
        & (ranked.c.age == 1)
    )
    query = select(PlanDevice).join(ranked, newest).join(PlanDevice.plan).options(*_LARGE)
    return {device.sensor_id: device for device in session.scalars(query)}


def find_device_plan(session: Session, sensor_id: int, at: datetime | None = None) -> PlanDevice | None:
    """Find what the newest plan says about a device; of those that cover an instant, if one is given."""
    query = _plans_of(sensor_id)
    if at is not None:
        query = query.where(PlanRecord.start <= at, PlanRecord.end > at)
    found: PlanDevice | None = session.scalar(
        query.options(contains_eager(PlanDevice.plan).joinedload(PlanRecord.source))
    )
    return found


def find_device_plan_of_event(session: Session, sensor_id: int, event_id: int) -> PlanDevice | None:
    """Find what the plan says that was made for a UDI event of a device; the last one, if it was sent again."""
    query = _plans_of(sensor_id).where(PlanDevice.udi_event_id == event_id)
    found: PlanDevice | None = session.scalar(query.options(*_LARGE))
    return found


def find_plan(session: Session, asset_id: int, at: datetime | None = None) -> PlanRecord | None:
    """Find the newest plan of an asset with its parts; of those that cover an instant, if one is given."""
    query = select(PlanRecord).where(PlanRecord.asset_id == asset_id)
    if at is not None:
        query = query.where(PlanRecord.start <= at, PlanRecord.end > at)
    query = query.order_by(*_NEWEST_FIRST).limit(1)
    return session.scalar(query.options(joinedload(PlanRecord.source), selectinload(PlanRecord.devices)))


def latest_plans(session: Session, asset_ids: Sequence[int]) -> dict[int, PlanRecord]:
    """Find the newest plan of each of several assets with its parts, by asset; only of those that have one."""
    age = func.row_number().over(partition_by=PlanRecord.asset_id, order_by=_NEWEST_FIRST)
    ranked = select(PlanRecord.id, age.label("age")).where(PlanRecord.asset_id.in_(asset_ids)).subquery()
    query = select(PlanRecord).join(ranked, (PlanRecord.id == ranked.c.id) & (ranked.c.age == 1))
    found = session.scalars(query.options(selectinload(PlanRecord.devices)))
    return {one.asset_id: one for one in found if one.asset_id is not None}


def _plans_of(sensor_id: int) -> Select[Any]:
    query = select(PlanDevice).join(PlanDevice.plan).where(PlanDevice.sensor_id == sensor_id)
    return query.order_by(*_NEWEST_FIRST).limit(1)


def worth_of_energy_left(session: Session, plan_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, float]:
    """Read what the energy is worth that plans leave in stores beside their baselines [currency], by plan."""
    if not plan_ids:
        return {}
    worth = PlanRecord.explanation["energy_left"]["worth"].as_float()
    query = select(PlanRecord.id, worth).where(PlanRecord.id.in_(plan_ids), worth.is_not(None))
    return {number: value for number, value in session.execute(query)}  # noqa: C416 - rows are not pairs to mypy


def insert_plans(session: Session, plans: Sequence[PlanRecord], kept: int) -> None:
    """Store plans with their devices, and delete all but the newest ones of their assets.

    The plan of the latest event of a device stays in any case, because it may be asked for.

    Args:
        session: Within its transaction; the caller commits.
        plans: Not of the session, so that profiles may be arrays. One with the same id is replaced.
        kept: How many plans an asset keeps, ≥ 1.
    """
    if not plans:
        return
    session.execute(delete(PlanRecord).where(PlanRecord.id.in_([plan.id for plan in plans])))
    with driver_of(session).cursor() as cursor:
        cursor.executemany(_INSERT_PLAN, [_as_parameters(plan, _PLAN_COLUMNS) for plan in plans])
        devices = [
            {**_as_parameters(device, _DEVICE_COLUMNS), "plan_id": plan.id}
            for plan in plans
            for device in plan.devices
        ]
        cursor.executemany(_INSERT_DEVICE, devices)
    _delete_old(session, sorted({plan.asset_id for plan in plans}), kept)


def _as_parameters(row: PlanRecord | PlanDevice, columns: Sequence[str]) -> Mapping[str, Any]:
    """Write arrays in the driver's binary format and reasons as JSON, without a Python object a value."""
    values = {name: getattr(row, name) for name in columns}
    for name in _ARRAYS:
        if values.get(name) is not None:
            values[name] = Float8Array(values[name])
    for name in _OBJECTS:
        if name in values:
            values[name] = Jsonb(values[name], dumps=orjson.dumps)
    return values


def _delete_old(session: Session, asset_ids: Sequence[int], kept: int) -> None:
    age = func.row_number().over(partition_by=PlanRecord.asset_id, order_by=_NEWEST_FIRST)
    ranked = select(PlanRecord.id, age.label("age")).where(PlanRecord.asset_id.in_(asset_ids)).subquery()
    may_be_asked_for = exists().where(
        PlanDevice.plan_id == PlanRecord.id,
        Asset.power_sensor_id == PlanDevice.sensor_id,
        DeviceState.asset_id == Asset.id,
        DeviceState.soc_udi_event_id == PlanDevice.udi_event_id,
    )
    old = PlanRecord.id.in_(select(ranked.c.id).where(ranked.c.age > kept))
    session.execute(
        delete(PlanRecord).where(old, ~may_be_asked_for), execution_options={"synchronize_session": False}
    )


def list_flexible_asset_ids(
    session: Session, type_names: Sequence[str], owner_id: int | None = None
) -> list[int]:
    """List the assets that have a flex model, themselves or by their type, in the order of their ids.

    Args:
        session: For reading.
        type_names: Types whose assets are flexible in any case.
        owner_id: Only those of this owner; None: all.
    """
    flexible = or_(
        Asset.flex_model.is_not(None), AssetType.flex_model.is_not(None), AssetType.name.in_(type_names)
    )
    query = select(Asset.id).join(Asset.asset_type).where(flexible, Asset.is_connection).order_by(Asset.id)
    if owner_id is not None:
        query = query.where(Asset.owner_id == owner_id)
    return list(session.scalars(query))


def load_flexible_assets(session: Session, asset_ids: Sequence[int]) -> list[Asset]:
    """Load assets with their flex models, in the order of their ids."""
    query = (
        select(Asset)
        .where(Asset.id.in_(asset_ids))
        .order_by(Asset.id)
        .options(joinedload(Asset.asset_type).undefer(AssetType.flex_model))
    )
    return list(session.scalars(query))

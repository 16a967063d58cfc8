"""Records of schedules: the latest of many assets at once, and bulk writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Subquery, delete, func, or_, select, tuple_
from sqlalchemy.orm import Session, defer, joinedload

from flexmeasures.data.stores.arrays import Float8Array, register_dumpers
from flexmeasures.data.tables import Asset, AssetType, ScheduleRecord

__all__ = [
    "find_schedule",
    "find_schedule_of_event",
    "insert_schedules",
    "latest_schedules",
    "list_flexible_asset_ids",
    "load_flexible_assets",
]

register_dumpers(psycopg.adapters)

_NO_EVENT = -1
"""Stands for no event where numbers of events, which are never negative, are compared."""

_COLUMNS = [column.name for column in ScheduleRecord.__table__.columns if column.name != "id"]
_MARKS = [f"%({name})b" if name in ("power_mw", "soc_mwh") else f"%({name})s" for name in _COLUMNS]
_INSERT = f"insert into schedule ({', '.join(_COLUMNS)}) values ({', '.join(_MARKS)})"  # noqa: S608 - ours


def latest_schedules(session: Session, asset_ids: Sequence[int]) -> dict[int, ScheduleRecord]:
    """Find the newest schedule of each of several assets, without its reasons (these are loaded when read)."""
    ranked = _ranked(asset_ids)
    query = (
        select(ScheduleRecord)
        .join(ranked, (ScheduleRecord.id == ranked.c.id) & (ranked.c.age == 1))
        .options(*(defer(column) for column in (ScheduleRecord.explanation, ScheduleRecord.missed)))
    )
    return {record.asset_id: record for record in session.scalars(query)}


def find_schedule(session: Session, asset_id: int, at: datetime | None = None) -> ScheduleRecord | None:
    """Find the newest schedule of an asset; of those that cover an instant, if one is given."""
    query = select(ScheduleRecord).where(ScheduleRecord.asset_id == asset_id)
    if at is not None:
        end = ScheduleRecord.start + func.cardinality(ScheduleRecord.power_mw) * ScheduleRecord.resolution
        query = query.where(ScheduleRecord.start <= at, end > at)
    query = query.order_by(ScheduleRecord.recorded_at.desc(), ScheduleRecord.id.desc()).limit(1)
    return session.scalar(query.options(joinedload(ScheduleRecord.source)))


def find_schedule_of_event(session: Session, asset_id: int, event_id: int) -> ScheduleRecord | None:
    """Find the schedule that was made for a UDI event of an asset; the last one, where an event was sent again."""
    query = (
        select(ScheduleRecord)
        .where(ScheduleRecord.asset_id == asset_id, ScheduleRecord.udi_event_id == event_id)
        .order_by(ScheduleRecord.id.desc())
        .limit(1)
        .options(*(defer(column) for column in (ScheduleRecord.explanation, ScheduleRecord.missed)))
    )
    return session.scalar(query)


def insert_schedules(session: Session, rows: Sequence[dict[str, Any]], kept: int) -> None:
    """Store records of schedules, and delete all but the newest ones of their assets.

    Args:
        session: Within its transaction; the caller commits.
        rows: The columns of each record, profiles as arrays. One that was recorded at the same instant for the same
            asset and event is replaced.
        kept: How many records an asset keeps, ≥ 1.
    """
    if not rows:
        return
    same = tuple_(
        ScheduleRecord.asset_id,
        ScheduleRecord.recorded_at,
        func.coalesce(ScheduleRecord.udi_event_id, _NO_EVENT),
    )
    keys = [
        (r["asset_id"], r["recorded_at"], _NO_EVENT if r["udi_event_id"] is None else r["udi_event_id"])
        for r in rows
    ]
    session.execute(delete(ScheduleRecord).where(same.in_(keys)))
    session.flush()
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor:
        cursor.executemany(_INSERT, [_as_parameters(row) for row in rows])
    ranked = _ranked([row["asset_id"] for row in rows])
    old = select(ranked.c.id).where(ranked.c.age > kept)
    session.execute(
        delete(ScheduleRecord).where(ScheduleRecord.id.in_(old)),
        execution_options={"synchronize_session": False},
    )


def _as_parameters(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write arrays in the driver's binary format and reasons as JSON, without a Python object a value."""
    soc = row["soc_mwh"]
    return {
        **row,
        "power_mw": Float8Array(row["power_mw"]),
        "soc_mwh": None if soc is None else Float8Array(soc),
        **{
            name: Jsonb(row[name], dumps=orjson.dumps)
            for name in ("targets", "missed", "notes", "explanation")
        },
    }


def _ranked(asset_ids: Sequence[int]) -> Subquery:
    """Number the schedules of each asset, the newest one as 1: columns ``id`` and ``age``."""
    newest_first = (ScheduleRecord.recorded_at.desc(), ScheduleRecord.id.desc())
    age = func.row_number().over(partition_by=ScheduleRecord.asset_id, order_by=newest_first)
    query = select(ScheduleRecord.id, age.label("age")).where(ScheduleRecord.asset_id.in_(asset_ids))
    return query.subquery()


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

"""Queries about alerts, and about the sensors that are watched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from flexmeasures.data.tables import Alert, Asset, Sensor

__all__ = ["count_waiting", "find_alert", "lock_current_alerts", "read_alerts", "watched_sensors"]


def watched_sensors(session: Session, attribute: str) -> list[tuple[Sensor, Asset]]:
    """List the power sensors of connections, and sensors that have rules of their own in an attribute."""
    query = (
        select(Sensor, Asset)
        .join(Asset, Asset.id == Sensor.asset_id)
        .where(or_(Asset.power_sensor_id == Sensor.id, Sensor.attributes.has_key(attribute)))
        .order_by(Sensor.id)
    )
    return [(sensor, asset) for sensor, asset in session.execute(query)]


def lock_current_alerts(session: Session, since: datetime) -> list[Alert]:
    """Lock the alerts that go on, and those that ended after an instant, by id."""
    query = (
        select(Alert).where(or_(Alert.ended_at.is_(None), Alert.ended_at > since)).order_by(Alert.id)
    ).with_for_update()
    return list(session.scalars(query))


def _query(owner_id: int | None, *conditions: ColumnElement[bool]) -> Any:
    """Write the query for alerts with their assets, the newest first; None: of all owners."""
    query: Any = (
        select(Alert, Asset)
        .join(Alert.sensor)
        .join(Asset, Asset.id == Sensor.asset_id)
        .options(contains_eager(Alert.sensor), joinedload(Asset.owner))
        .where(*conditions)
        .order_by(Alert.acknowledged_at.is_not(None), Alert.ended_at.is_not(None), Alert.started_at.desc())
    )
    return query if owner_id is None else query.where(Asset.owner_id == owner_id)


def read_alerts(
    session: Session,
    owner_id: int | None,
    *conditions: ColumnElement[bool],
    most: int | None = None,
    lock: bool = False,
) -> list[tuple[Alert, Asset]]:
    """Read alerts with their assets, the newest first; with `lock`, for changing them."""
    query = _query(owner_id, *conditions).limit(most)
    rows = session.execute(query.with_for_update(of=Alert) if lock else query)
    return [(row[0], row[1]) for row in rows]


def count_waiting(session: Session, owner_id: int | None) -> int:
    """Count alerts that nobody has taken note of."""
    waiting = _query(owner_id, Alert.acknowledged_at.is_(None)).order_by(None)
    return (
        session.scalar(select(func.count()).select_from(waiting.with_only_columns(Alert.id).subquery())) or 0
    )


def find_alert(session: Session, alert_id: int, owner_id: int | None) -> tuple[Alert, Asset] | None:
    """Find an alert by its number, if it is of this owner."""
    return next(iter(read_alerts(session, owner_id, Alert.id == alert_id)), None)

"""Watching over the platform: when tasks last ran, when users were last seen, and how old the latest data are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.latest_data import latest_measured
from flexmeasures.data.tables import AccountRole, LatestTaskRun, Role, Sensor, User
from flexmeasures.data.tables.accounts import account_roles_accounts
from flexmeasures.domain.errors import NotFound

__all__ = ["LatestData", "SeenUser", "TaskState", "find_latest_data", "find_silent_users", "find_task_states"]


@dataclass(frozen=True)
class TaskState:
    """The last run of a task.

    Attributes:
        at: When; None: it never ran.
        fault: What is wrong with it; empty if all is well.
    """

    name: str
    at: datetime | None
    succeeded: bool
    fault: str


@dataclass(frozen=True)
class LatestData:
    """The last event of a sensor of which a measured value is known.

    Attributes:
        event_end: When it ended; None: there is none.
        age: How long ago that is.
        is_stale: Whether it is longer ago than it may be.
    """

    sensor_id: int
    sensor: str
    asset_id: int
    event_end: datetime | None
    age: timedelta | None
    is_stale: bool


@dataclass(frozen=True)
class SeenUser:
    """A user who was not seen for longer than allowed."""

    user_id: int
    username: str
    last_seen_at: datetime | None


def find_task_states(
    session: Session, now: datetime, names: Sequence[str] = (), longest: timedelta | None = None
) -> list[TaskState]:
    """Judge the last runs of tasks: a task is well if it succeeded and ran lately.

    Args:
        session: For reading.
        now: The present.
        names: Of tasks that should run; all that ever ran if empty.
        longest: How long ago a run may be; None: any time.
    """
    rows = {row.name: row for row in session.scalars(select(LatestTaskRun).order_by(LatestTaskRun.name))}
    states = []
    for name in names or rows:
        row = rows.get(name)
        if row is None:
            states.append(TaskState(name, None, False, "It has never run."))
            continue
        age = now - row.datetime
        fault = "" if row.status else "Its last run failed."
        if longest is not None and age > longest:
            fault = f"{fault} It last ran {_in_words(age)} ago.".strip()
        states.append(TaskState(name, row.datetime, row.status, fault))
    return states


def find_latest_data(
    session: Session,
    now: datetime,
    longest: timedelta | None = None,
    sensor_ids: Sequence[int] = (),
    asset_ids: Sequence[int] = (),
) -> list[LatestData]:
    """Find how old the latest measurements are, by sensor.

    Args:
        session: For reading.
        now: The present.
        longest: How long ago the last event may have ended; None: data never count as stale.
        sensor_ids: Only these sensors ...
        asset_ids: ... and those of these assets; all that have data if both are empty.

    Raises:
        NotFound: If there is no such sensor.
    """
    query = select(Sensor).order_by(Sensor.id)
    if sensor_ids or asset_ids:
        query = query.where(Sensor.id.in_(list(sensor_ids)) | Sensor.asset_id.in_(list(asset_ids)))
    sensors = list(session.scalars(query))
    missing = set(sensor_ids) - {sensor.id for sensor in sensors}
    if missing:
        raise NotFound(f"There is no sensor with id {min(missing)}. See: show sensors.")
    latest = latest_measured(session, [sensor.id for sensor in sensors], now)
    found = []
    for sensor in sensors:
        start = latest.get(sensor.id)
        if start is None and not (sensor_ids or asset_ids):
            continue
        end = None if start is None else start + sensor.event_resolution
        age = None if end is None else max(now - end, timedelta(0))
        stale = longest is not None and (age is None or age > longest)
        found.append(
            LatestData(
                sensor.id,
                sensor.name,
                sensor.asset_id,
                None if end is None else end.astimezone(UTC),
                age,
                stale,
            )
        )
    return found


def find_silent_users(
    session: Session,
    now: datetime,
    longest: timedelta,
    account_role: str | None = None,
    user_role: str | None = None,
) -> list[SeenUser]:
    """List active users who were not seen for longer than allowed, or never.

    Args:
        session: For reading.
        now: The present.
        longest: How long ago they may have been seen.
        account_role: Only users of accounts with this role.
        user_role: Only users with this role.
    """
    query = select(User).where(User.active, User.last_seen_at.is_(None) | (User.last_seen_at < now - longest))
    if account_role is not None:
        accounts = (
            select(account_roles_accounts.c.account_id)
            .join(AccountRole, AccountRole.id == account_roles_accounts.c.account_role_id)
            .where(AccountRole.name == account_role)
        )
        query = query.where(User.account_id.in_(accounts))
    if user_role is not None:
        query = query.where(User.roles.any(Role.name == user_role))
    return [
        SeenUser(user.id, user.username, user.last_seen_at)
        for user in session.scalars(query.order_by(User.id))
    ]


def _in_words(age: timedelta) -> str:
    """Write an age as people say it.

    >>> _in_words(timedelta(minutes=95)), _in_words(timedelta(days=3, hours=2))
    ('1 h 35 min', '3 d 2 h')
    """
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"

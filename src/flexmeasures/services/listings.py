"""Listings for people and programs: accounts, users, assets, sensors, markets, sources, beliefs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_beliefs, read_latest
from flexmeasures.data.tables import Account, Asset, DataSource, Market, Sensor, User
from flexmeasures.domain.beliefs import MEDIAN
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.rights import Action, Kind, Thing, may
from flexmeasures.domain.time import format_duration, format_instant, from_datetime64
from flexmeasures.services.rights import actor_of

__all__ = [
    "BeliefQuestion",
    "Row",
    "list_account_rows",
    "list_asset_rows",
    "list_belief_rows",
    "list_market_rows",
    "list_readable_account_rows",
    "list_sensor_rows",
    "list_source_rows",
    "list_user_rows",
]

MAX_ID = 2**31 - 1

Row = dict[str, Any]
"""Values by the name of their column, ready for JSON."""


@dataclass(frozen=True)
class BeliefQuestion:
    """Selection of beliefs.

    Attributes:
        sensor_id: About this sensor ...
        start: ... and events that end after this instant; None: all.
        end: They start before this instant; None: all.
        held_by: As believed at this instant; None: now.
        everything: Whether all beliefs are listed, superseded ones and quantiles included, instead of one an event.
    """

    sensor_id: int
    start: datetime | None = None
    end: datetime | None = None
    held_by: datetime | None = None
    everything: bool = False


def list_account_rows(session: Session) -> list[Row]:
    """List accounts by id, with their roles and how many users and assets they have."""
    users = select(func.count()).where(User.account_id == Account.id).scalar_subquery()
    assets = select(func.count()).where(Asset.account_id == Account.id).scalar_subquery()
    query = select(Account, users.label("users"), assets.label("assets")).order_by(Account.id)
    return [
        {
            "id": account.id,
            "name": account.name,
            "roles": [role.name for role in account.roles],
            "consultancy_account_id": account.consultancy_account_id,
            "users": user_count,
            "assets": asset_count,
        }
        for account, user_count, asset_count in session.execute(query)
    ]


def list_readable_account_rows(session: Session, user: User) -> list[Row]:
    """List the accounts that a user may read, as `list_account_rows` does."""
    actor = actor_of(user)
    return [
        row
        for row in list_account_rows(session)
        if may(actor, Action.READ, Thing(Kind.ACCOUNT, account_id=row["id"]))
    ]


def list_user_rows(session: Session, account_id: int | None = None) -> list[Row]:
    """List users by id, those of one account or all; never their passwords."""
    query = select(User).order_by(User.id)
    if account_id is not None:
        query = query.where(User.account_id == account_id)
    return [
        {
            "id": user.id,
            "username": user.username,
            "email": user.email,
            "account_id": user.account_id,
            "roles": [role.name for role in user.roles],
            "active": user.active,
            "timezone": user.timezone,
            "last_login_at": _written(user.last_login_at),
        }
        for user in session.scalars(query)
    ]


def list_asset_rows(session: Session, account_id: int | None = None) -> list[Row]:
    """List assets by id, those of one account or all, public ones included."""
    query = select(Asset).order_by(Asset.id)
    if account_id is not None:
        query = query.where(Asset.account_id == account_id)
    return [
        {
            "id": asset.id,
            "name": asset.name,
            "asset_type": asset.asset_type_name,
            "account_id": asset.account_id,
            "parent_id": asset.parent_id,
            "owner_id": asset.owner_id,
            "latitude": asset.latitude,
            "longitude": asset.longitude,
            "capacity_in_mw": asset.capacity_in_mw,
        }
        for asset in session.scalars(query)
    ]


def list_sensor_rows(session: Session, asset_id: int | None = None) -> list[Row]:
    """List sensors by id, those of one asset or all."""
    query = select(Sensor).order_by(Sensor.id)
    if asset_id is not None:
        query = query.where(Sensor.asset_id == asset_id)
    return [
        {
            "id": sensor.id,
            "name": sensor.name,
            "asset_id": sensor.asset_id,
            "unit": sensor.unit,
            "event_resolution": format_duration(sensor.event_resolution),
            "timezone": sensor.timezone,
            "knowledge_horizon": sensor.knowledge_horizon_fnc,
            "attributes": sensor.attributes,
        }
        for sensor in session.scalars(query)
    ]


def list_market_rows(session: Session) -> list[Row]:
    """List markets by id."""
    return [
        {
            "id": market.id,
            "name": market.name,
            "display_name": market.display_name,
            "market_type": market.market_type_name,
            "unit": market.sensor.unit,
            "event_resolution": format_duration(market.sensor.event_resolution),
            "timezone": market.sensor.timezone,
        }
        for market in session.scalars(select(Market).order_by(Market.id))
    ]


def list_source_rows(session: Session) -> list[Row]:
    """List data sources by id."""
    columns = ("id", "name", "type", "model", "version", "user_id")
    sources = session.scalars(select(DataSource).order_by(DataSource.id))
    return [{name: getattr(source, name) for name in columns} for source in sources]


def list_belief_rows(session: Session, question: BeliefQuestion, limit: int) -> list[Row]:
    """List what is believed about a sensor, by event; at most so many rows, the earliest events first.

    Raises:
        NotFound: If there is no such sensor.
    """
    known = 0 < question.sensor_id <= MAX_ID
    sensor = session.get(Sensor, question.sensor_id) if known else None
    if sensor is None:
        raise NotFound(f"There is no sensor with id {question.sensor_id}. See: show sensors.")
    window = Window(
        sensor.id,
        sensor.event_resolution,
        question.start,
        question.end,
        held_by=question.held_by,
        rule=sensor.knowledge_rule,
        probability=None if question.everything else MEDIAN,
    )
    if not question.everything:
        starts, values = read_latest(session, window)
        pairs = zip(starts[:limit], values[:limit].tolist(), strict=True)
        return [
            {"event_start": _instant(start), "event_value": value, "unit": sensor.unit}
            for start, value in pairs
        ]
    beliefs = read_beliefs(session, window)
    held = (
        sensor.knowledge_rule.knowledge_times(beliefs.event_starts, sensor.event_resolution)
        - beliefs.horizons
    )
    likely = beliefs.probabilities if beliefs.probabilities is not None else beliefs.values * 0 + 0.5
    names = {row.id: row.name for row in session.scalars(select(DataSource))}
    return [
        {
            "event_start": _instant(beliefs.event_starts[n]),
            "belief_time": _instant(held[n]),
            "source": names.get(int(beliefs.source_ids[n])),
            "cumulative_probability": float(likely[n]),
            "event_value": float(beliefs.values[n]),
            "unit": sensor.unit,
        }
        for n in range(min(len(beliefs), limit))
    ]


def _instant(value: Any) -> str:
    return format_instant(from_datetime64(value))


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)

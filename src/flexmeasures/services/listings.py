"""Listings for people and programs: accounts, users, assets, sensors, markets, sources, beliefs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import Window, read_beliefs, read_latest
from flexmeasures.data.tables import Account, Asset, DataSource, Market, Sensor, User
from flexmeasures.domain.beliefs import MEDIAN
from flexmeasures.domain.rights import Action, Kind, Thing, may
from flexmeasures.domain.time import Instants, format_duration, format_instant, from_datetime64
from flexmeasures.services.find import find_sensor_row
from flexmeasures.services.rights import actor_of

__all__ = [
    "BeliefColumns",
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
    "read_belief_columns",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

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


@dataclass(frozen=True)
class BeliefColumns:
    """Beliefs about a sensor, by event.

    Attributes:
        event_starts: Shape (n,), UTC.
        values: Shape (n,), in `unit`.
        belief_times: Shape (n,), UTC; like the following None if there is one belief an event.
        sources: Names (n).
        probabilities: Cumulative probabilities (n,).
    """

    event_starts: Instants
    values: Values
    unit: str
    belief_times: Instants | None = None
    sources: list[str | None] | None = None
    probabilities: Values | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def by_name(self) -> dict[str, list[Any]]:
        """The columns by their names, instants as ISO 8601 in UTC."""
        columns: dict[str, list[Any]] = {"event_start": _instants(self.event_starts)}
        if self.belief_times is not None and self.sources is not None and self.probabilities is not None:
            columns["belief_time"] = _instants(self.belief_times)
            columns["source"] = self.sources
            columns["cumulative_probability"] = self.probabilities.tolist()
        columns["event_value"] = self.values.tolist()
        columns["unit"] = [self.unit] * len(self)
        return columns

    def as_rows(self) -> list[Row]:
        """The rows, ready for JSON."""
        columns = self.by_name
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


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
    return read_belief_columns(session, question, limit).as_rows()


def read_belief_columns(
    session: Session, question: BeliefQuestion, limit: int | None = None
) -> BeliefColumns:
    """Read what is believed about a sensor, see `list_belief_rows`; all of it if there is no limit.

    Raises:
        NotFound: If there is no such sensor.
    """
    sensor = find_sensor_row(session, question.sensor_id)
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
        return BeliefColumns(starts[:limit], values[:limit], sensor.unit)
    beliefs = read_beliefs(session, window)
    known = sensor.knowledge_rule.knowledge_times(beliefs.event_starts, sensor.event_resolution)
    likely = beliefs.probabilities if beliefs.probabilities is not None else beliefs.values * 0 + MEDIAN
    names = {row.id: row.name for row in session.scalars(select(DataSource))}
    return BeliefColumns(
        beliefs.event_starts[:limit],
        beliefs.values[:limit],
        sensor.unit,
        (known - beliefs.horizons)[:limit],
        [names.get(number) for number in beliefs.source_ids[:limit].tolist()],
        likely[:limit],
    )


def _instants(instants: Instants) -> list[str]:
    return [format_instant(from_datetime64(one)) for one in instants]


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)

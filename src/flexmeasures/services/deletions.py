"""Deleting what operators want gone: users, accounts, all structure, and beliefs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from flexmeasures.data.stores.deletions import (
    BeliefSelection,
    count_beliefs,
    delete_beliefs,
    delete_unchanged_beliefs,
)
from flexmeasures.data.tables import (
    Account,
    Annotation,
    Asset,
    AssetType,
    AuditSubject,
    Community,
    DataSource,
    DrClient,
    Market,
    MarketType,
    Role,
    Sensor,
    User,
    WeatherSensor,
    WeatherSensorType,
    note_change,
)
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.services.asset_tree import check_not_named, ids_of_subtree, sensors_of

__all__ = [
    "KINDS_OF_SENSORS",
    "BeliefSelection",
    "count_selected",
    "delete_account",
    "delete_structure",
    "delete_user",
    "remove_beliefs",
    "remove_unchanged_beliefs",
    "sensors_by_kind",
]

Progress = Callable[[], None]
"""Called after each sensor."""

KINDS_OF_SENSORS = ("Market", "Asset", "WeatherSensor")
"""Kinds of things that have beliefs, as the documentation names them."""


def delete_user(session: Session, user: User) -> None:
    """Delete a user with their assets and all beliefs about these; the caller commits.

    What the user has said about sensors of others stays, and so does its source. An account that was opened for this
    user alone goes as well, once nothing else is in it.

    Raises:
        Conflict: If an asset of somebody else names a sensor of theirs.
    """
    session.flush()
    owned = list(session.scalars(select(Asset.id).where(Asset.owner_id == user.id)))
    going = sorted({part for asset_id in owned for part in ids_of_subtree(session, asset_id)})
    check_not_named(session, sensors_of(session, going), going)
    number, name, account_id = user.id, user.username, user.account_id
    assets = f" with {len(going)} assets" if going else ""
    note_change(session, f"Deleted user '{name}': {number}{assets}", AuditSubject(account_id, number))
    session.execute(delete(User).where(User.id == number))  # assets, roles and their rows go with it
    session.expire_all()
    account = session.get_one(Account, account_id)
    if account.name == name and _is_empty(session, account_id):
        session.delete(account)
        session.flush()


def _is_empty(session: Session, account_id: int) -> bool:
    """Tell whether an account has nothing in it."""
    inside = (User.account_id, Asset.account_id, Community.account_id, DrClient.account_id)
    return not any(session.scalar(select(exists().where(column == account_id))) for column in inside)


def delete_account(session: Session, account: Account) -> None:
    """Delete an account with its users and assets, and all beliefs about these; the caller commits.

    Raises:
        Conflict: If an asset of another account names a sensor of its assets.
    """
    session.flush()
    going = list(session.scalars(select(Asset.id).where(Asset.account_id == account.id)))
    check_not_named(session, sensors_of(session, going), going)
    for user in session.scalars(select(User).where(User.account_id == account.id)).all():
        text = f"Deleted user '{user.username}': {user.id}"
        note_change(session, text, AuditSubject(account.id, user.id))
    session.execute(delete(Asset).where(Asset.account_id == account.id))
    session.execute(delete(User).where(User.account_id == account.id))
    session.expire_all()
    session.delete(account)
    session.flush()


def delete_structure(session: Session) -> dict[str, int]:
    """Delete all types, markets, sensors, assets, sources, roles and users, and all beliefs; the caller commits.

    Returns:
        How many rows went, by what they are called.

    Raises:
        Conflict: If energy communities have sensors.
    """
    if session.scalar(select(exists().where(Community.id.is_not(None)))):
        raise Conflict(
            "There are energy communities, which settle by these sensors. Delete them first, or reset all."
        )
    kinds = {
        "MarketTypes": MarketType,
        "Markets": Market,
        "WeatherSensorTypes": WeatherSensorType,
        "WeatherSensors": WeatherSensor,
        "AssetTypes": AssetType,
        "Assets": Asset,
        "DataSources": DataSource,
        "Roles": Role,
        "Users": User,
    }
    counts = {
        name: session.scalar(select(func.count()).select_from(kind)) or 0 for name, kind in kinds.items()
    }
    # Markets and weather stations are assets too, with their sensors; users are told apart from these.
    counts["Assets"] = session.scalar(select(func.count()).where(Asset.owner_id.is_not(None))) or 0
    session.execute(update(Asset).values(market_id=None, power_sensor_id=None))
    for table in (
        *(Annotation, Market, WeatherSensor, Asset, AssetType, MarketType, WeatherSensorType),
        *(DataSource, User, Role, Account),
    ):
        session.execute(delete(table))
    session.expire_all()
    note_change(session, "Deleted all structure", AuditSubject())
    return counts


def sensors_by_kind(
    session: Session, kind: str | None = None, thing_id: int | None = None
) -> dict[str, list[int]]:
    """List the ids of sensors by kind; whatever is neither a market's nor of the weather is an asset's.

    Args:
        session: For reading.
        kind: Only these; None: all.
        thing_id: Only those of this market, asset or weather sensor; needs a kind.

    Raises:
        NotFound: If there is no such thing.
    """
    of_market, of_weather = select(Market.id), select(WeatherSensor.id)
    of_asset = select(Sensor.id).where(Sensor.id.not_in(of_market), Sensor.id.not_in(of_weather))
    if thing_id is not None:
        of_market, of_weather = (
            of_market.where(Market.id == thing_id),
            of_weather.where(WeatherSensor.id == thing_id),
        )
        of_asset = of_asset.where((Sensor.asset_id == thing_id) | (Sensor.id == thing_id))
    queries = dict(zip(KINDS_OF_SENSORS, (of_market, of_asset, of_weather), strict=True))
    found = {
        name: sorted(session.scalars(query)) if kind in (None, name) else []
        for name, query in queries.items()
    }
    if thing_id is not None and kind is not None and not found[kind]:
        raise NotFound(f"There is no {kind} with id {thing_id}.")
    return found


def count_selected(session: Session, sensor_ids: Sequence[int], selection: BeliefSelection) -> int:
    """Count the beliefs that `remove_beliefs` would delete."""
    return count_beliefs(session, sensor_ids, selection)


def remove_beliefs(
    session: Session, sensor_ids: Sequence[int], selection: BeliefSelection, progress: Progress = lambda: None
) -> int:
    """Delete selected beliefs about sensors, and count them; the caller commits."""
    return _of_each(session, sensor_ids, selection, delete_beliefs, progress)


def remove_unchanged_beliefs(
    session: Session, sensor_ids: Sequence[int], selection: BeliefSelection, progress: Progress = lambda: None
) -> int:
    """Delete selected beliefs that repeat what their source had said before, and count them; the caller commits."""
    return _of_each(session, sensor_ids, selection, delete_unchanged_beliefs, progress)


def _of_each(
    session: Session,
    sensor_ids: Sequence[int],
    selection: BeliefSelection,
    remove: Callable[[Session, int, BeliefSelection], int],
    progress: Progress,
) -> int:
    count = 0
    for sensor_id in sensor_ids:
        count += remove(session, sensor_id, selection)
        progress()
    return count

"""Assets, markets and their types by owner, id or name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, String, any_, bindparam, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, AssetType, DeviceState, Market, MarketType, WeatherSensorType
from flexmeasures.data.tables.sensors import NUMBERS
from flexmeasures.domain.ids import MAX_ID

__all__ = [
    "asset_name_is_taken",
    "find_asset_type",
    "find_assets",
    "find_market",
    "find_market_type",
    "find_markets",
    "find_weather_sensor_type",
    "list_asset_types",
    "list_assets",
    "lock_asset",
    "lock_device_state",
    "next_number",
    "sibling_name_is_taken",
]

FEW = 100
"""So many values at most are sent as a list, of which each is a parameter; a statement has 65,535 of them."""

# Asked with every message: building such a statement costs more than running it, so it is built once. With a list
# instead of an array PostgreSQL, too, plans it once.
_NAMES = bindparam("names", type_=ARRAY(String))
_HAS_ID = Asset.id.in_(bindparam("ids", expanding=True))
_ASSETS_BY_ID = select(Asset).where(_HAS_ID, Asset.is_connection)
_IS_AMONG = Asset.id == any_(bindparam("ids", type_=ARRAY(Integer)))
_ASSETS_BY_IDS = select(Asset).where(_IS_AMONG, Asset.is_connection)
_ASSETS_BY_ID_OR_NAME = select(Asset).where(
    Asset.is_connection,
    or_(_IS_AMONG, Asset.name == any_(_NAMES), Asset.display_name == any_(_NAMES)),
)

_MARKETS_BY_NAME = select(Market).where(Market.name == any_(_NAMES))


def list_assets(
    session: Session, owner_id: int | None = None, type_names: Iterable[str] | None = None
) -> list[Asset]:
    """List connections, the newest first; those of one owner and of some types, or all."""
    query = select(Asset).where(Asset.is_connection).order_by(Asset.id.desc())
    if owner_id is not None:
        query = query.where(Asset.owner_id == owner_id)
    if type_names is not None:
        query = query.where(Asset.asset_type_name.in_(list(type_names)))
    return list(session.scalars(query))


def list_asset_types(session: Session) -> list[AssetType]:
    """List all asset types by name."""
    return list(session.scalars(select(AssetType).order_by(AssetType.name)))


def find_assets(
    session: Session, ids: Iterable[int], names: Iterable[str] = (), owner_id: int | None = None
) -> list[Asset]:
    """Find connections by id or name in one query; only those of one owner, if one is given."""
    parameters: dict[str, list[Any]] = {"ids": [i for i in ids if i <= MAX_ID], "names": list(names)}
    # By a few ids alone, which is the usual way, the primary key finds them.
    by_ids = _ASSETS_BY_ID if len(parameters["ids"]) <= FEW else _ASSETS_BY_IDS
    query = _ASSETS_BY_ID_OR_NAME if parameters["names"] else by_ids
    found = session.scalars(query, parameters)
    return [asset for asset in found if owner_id is None or asset.owner_id == owner_id]


def asset_name_is_taken(session: Session, name: str | None = None, display_name: str | None = None) -> bool:
    """Tell whether there is a connection of that name, or an asset with that shown name."""
    same: list[ColumnElement[bool]] = [] if name is None else [(Asset.name == name) & Asset.is_connection]
    same += [] if display_name is None else [Asset.display_name == display_name]
    return session.scalar(select(Asset.id).where(or_(*same)).limit(1)) is not None


def sibling_name_is_taken(session: Session, account_id: int | None, parent_id: int | None, name: str) -> bool:
    """Tell whether an asset has that name among the parts of another, or among the assets of an account."""
    query = select(Asset.id).where(
        Asset.account_id.is_not_distinct_from(account_id),
        Asset.parent_id.is_not_distinct_from(parent_id),
        Asset.name == name,
    )
    return session.scalar(query.limit(1)) is not None


def next_number(session: Session) -> int:
    """Draw the number of a new asset or sensor."""
    number: int = session.scalar(NUMBERS)
    return number


def lock_asset(session: Session, asset_id: int) -> Asset | None:
    """Get an asset as it is now, and keep others from changing it until the transaction ends."""
    return session.get(Asset, asset_id, populate_existing=True, with_for_update={"of": Asset})


def lock_device_state(session: Session, asset_id: int) -> None:
    """Keep others from changing what is known of a device until the transaction ends."""
    lock = select(DeviceState.asset_id).where(DeviceState.asset_id == asset_id).with_for_update()
    if session.scalar(lock) is None:
        asset = select(Asset.id).where(Asset.id == asset_id)
        session.execute(insert(DeviceState).from_select(["asset_id"], asset).on_conflict_do_nothing())
        session.scalar(lock)


def find_asset_type(session: Session, name: str) -> AssetType | None:
    """Find an asset type by name."""
    return session.get(AssetType, name)


def find_markets(session: Session, names: Iterable[str]) -> list[Market]:
    """Find markets by name, whether it is written with dashes or underscores."""
    spellings = {s for name in names for s in (name, name.replace("-", "_"), name.replace("_", "-"))}
    return list(session.scalars(_MARKETS_BY_NAME, {"names": list(spellings)}))


def find_market(session: Session, name: str) -> Market | None:
    """Find a market by its exact name."""
    return session.scalar(select(Market).where(Market.name == name))


def find_market_type(session: Session, name: str) -> MarketType | None:
    """Find a market type by name."""
    return session.get(MarketType, name)


def find_weather_sensor_type(session: Session, name: str) -> WeatherSensorType | None:
    """Find a weather sensor type by name."""
    return session.get(WeatherSensorType, name)

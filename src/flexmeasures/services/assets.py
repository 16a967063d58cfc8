"""Assets, markets and weather sensors: making them, and finding those that a user may see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import Asset, Market, Sensor, User, WeatherSensor
from flexmeasures.domain.addresses import ConnectionAddress
from flexmeasures.domain.beliefs import ExAnte, parse_knowledge_rule
from flexmeasures.domain.errors import BadAddress, FlexError, InvalidInput, NotFound
from flexmeasures.domain.time import find_zone
from flexmeasures.services.structure import DUMMY_MARKET
from flexmeasures.services.users import has_role, is_admin

__all__ = [
    "FieldErrors",
    "NewAsset",
    "NewMarket",
    "NewWeatherSensor",
    "create_asset",
    "create_market",
    "create_weather_sensor",
    "resolve_connections",
    "visible_assets",
]

SMALLEST_CAPACITY_IN_MW = 0.0001

OWNER_ROLES = ("Prosumer", "admin")
"""Who may own assets. Researchers own the assets of their simulations as admins."""


class FieldErrors(InvalidInput):
    """Some fields of a form are wrong.

    Args:
        errors: What is wrong, by field.
    """

    code = "bad-fields"

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items()), errors)
        self.errors = errors


@dataclass(frozen=True)
class NewAsset:
    """What is needed to make an asset: power in MW, energy in MWh, places in degrees.

    Attributes:
        event_resolution: Length of the events of its power sensor.
        market_id: The market whose prices it pays; the dummy market if left out.
    """

    name: str
    asset_type_name: str
    capacity_in_mw: float
    event_resolution: timedelta
    latitude: float
    longitude: float
    owner_id: int
    market_id: int | None = None
    display_name: str | None = None
    unit: str = "MW"
    timezone: str = "UTC"
    min_soc_in_mwh: float | None = None
    max_soc_in_mwh: float | None = None
    soc_in_mwh: float | None = None


@dataclass(frozen=True)
class NewWeatherSensor:
    """What is needed to make a weather sensor; places in degrees."""

    name: str
    weather_sensor_type_name: str
    unit: str
    event_resolution: timedelta
    latitude: float
    longitude: float
    timezone: str = "UTC"


@dataclass(frozen=True)
class NewMarket:
    """What is needed to make a market.

    Attributes:
        knowledge_horizon: Name of the rule which says when its prices are known, and the rule's parameters.
    """

    name: str
    display_name: str
    market_type_name: str
    unit: str
    event_resolution: timedelta
    timezone: str = "UTC"
    knowledge_horizon: tuple[str, dict[str, Any]] = (ExAnte.name, {})


class _Checks:
    """Collects what is wrong with the fields of a form, so that all of it can be told at once."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def that(self, holds: bool, field: str, text: str) -> None:
        if not holds:
            self.errors.setdefault(field, []).append(text)

    def zone(self, name: str) -> None:
        try:
            find_zone(name)
        except InvalidInput as error:
            self.errors.setdefault("timezone", []).append(str(error))

    def place(self, latitude: float, longitude: float) -> None:
        self.that(-90 <= latitude <= 90, "latitude", "Latitude must be between -90 and 90 degrees.")
        self.that(-180 <= longitude <= 180, "longitude", "Longitude must be between -180 and 180 degrees.")

    def resolution(self, resolution: timedelta) -> None:
        self.that(resolution > timedelta(0), "event_resolution", "Event resolution must be longer than zero.")

    def done(self) -> None:
        if self.errors:
            raise FieldErrors(self.errors)


def create_asset(session: Session, new: NewAsset) -> Asset:
    """Make an asset and its power sensor.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = new.name.removesuffix(" (MW)").strip()
    display_name = new.display_name or _humanise(name)
    checks = _Checks()
    _check_asset_fields(checks, new, name, display_name)
    market_id = new.market_id
    owner = session.get(User, new.owner_id) if new.owner_id <= store.MAX_ID else None
    checks.that(owner is not None, "owner_id", f"No owner found with id {new.owner_id}.")
    checks.that(
        owner is None or has_role(owner, *OWNER_ROLES),
        "owner_id",
        "Asset owner must have role 'Prosumer' (or 'admin').",
    )
    asset_type = store.find_asset_type(session, new.asset_type_name)
    checks.that(
        asset_type is not None,
        "asset_type_name",
        f"Asset type {new.asset_type_name} doesn't exist. Add structure first.",
    )
    if market_id is None:
        dummy = store.find_market(session, DUMMY_MARKET)
        market_id = dummy.id if dummy else None
        checks.that(
            market_id is not None, "market_id", "There is no dummy market. Maybe add structure first."
        )
    else:
        known = market_id <= store.MAX_ID and session.get(Market, market_id) is not None
        checks.that(known, "market_id", f"No market found with id {market_id}.")
    taken = select(Asset).where((Asset.name == name) | (Asset.display_name == display_name))
    checks.that(session.scalar(taken) is None, "name", f"An asset with the name {name} already exists.")
    checks.done()
    sensor = _add_sensor(session, name, new.unit, new.event_resolution, new.timezone)
    asset = Asset(
        id=sensor.id,
        sensor=sensor,
        name=name,
        display_name=display_name,
        asset_type=asset_type,
        capacity_in_mw=new.capacity_in_mw,
        min_soc_in_mwh=new.min_soc_in_mwh,
        max_soc_in_mwh=new.max_soc_in_mwh,
        soc_in_mwh=new.soc_in_mwh,
        latitude=new.latitude,
        longitude=new.longitude,
        owner_id=new.owner_id,
        market_id=market_id,
    )
    session.add(asset)
    session.flush()
    return asset


def _check_asset_fields(checks: _Checks, new: NewAsset, name: str, display_name: str) -> None:
    checks.that(0 < len(name) <= 80, "name", "Name must have 1 to 80 characters.")
    checks.that(len(display_name) <= 80, "display_name", "Display name must have at most 80 characters.")
    checks.that(
        new.display_name is None or len(new.display_name) >= 4,
        "display_name",
        "Display name must have at least 4 characters.",
    )
    checks.that(
        math.isfinite(new.capacity_in_mw) and new.capacity_in_mw >= SMALLEST_CAPACITY_IN_MW,
        "capacity_in_mw",
        f"Must be greater than or equal to {SMALLEST_CAPACITY_IN_MW}.",
    )
    low, high = new.min_soc_in_mwh, new.max_soc_in_mwh
    for field, soc in (("min_soc_in_mwh", low), ("max_soc_in_mwh", high), ("soc_in_mwh", new.soc_in_mwh)):
        checks.that(
            soc is None or (math.isfinite(soc) and soc >= 0), field, "Must be greater than or equal to 0."
        )
    checks.that(
        low is None or high is None or high >= low,
        "max_soc_in_mwh",
        "This value must be equal or higher than the minimum soc.",
    )
    checks.resolution(new.event_resolution)
    checks.place(new.latitude, new.longitude)
    checks.zone(new.timezone)


def create_weather_sensor(session: Session, new: NewWeatherSensor) -> WeatherSensor:
    """Make a weather sensor.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = _normalise(new.name)
    checks = _Checks()
    checks.resolution(new.event_resolution)
    checks.place(new.latitude, new.longitude)
    checks.zone(new.timezone)
    checks.that(
        store.find_weather_sensor_type(session, new.weather_sensor_type_name) is not None,
        "weather_sensor_type_name",
        f"Weather sensor type {new.weather_sensor_type_name} doesn't exist. Add structure first.",
    )
    same_name = select(WeatherSensor).where(WeatherSensor.name == name)
    checks.that(
        session.scalar(same_name) is None, "name", f"A weather sensor with the name {name} already exists."
    )
    same_place = select(WeatherSensor).filter_by(
        weather_sensor_type_name=new.weather_sensor_type_name, latitude=new.latitude, longitude=new.longitude
    )
    checks.that(
        session.scalar(same_place) is None,
        "latitude",
        f"There is a {new.weather_sensor_type_name} sensor at this place already.",
    )
    checks.done()
    sensor = _add_sensor(session, name, new.unit, new.event_resolution, new.timezone)
    weather_sensor = WeatherSensor(
        id=sensor.id,
        sensor=sensor,
        name=name,
        display_name=new.name,
        weather_sensor_type_name=new.weather_sensor_type_name,
        latitude=new.latitude,
        longitude=new.longitude,
    )
    session.add(weather_sensor)
    session.flush()
    return weather_sensor


def create_market(session: Session, new: NewMarket) -> Market:
    """Make a market and its price sensor.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = _normalise(new.name)
    checks = _Checks()
    checks.resolution(new.event_resolution)
    checks.zone(new.timezone)
    checks.that(
        store.find_market_type(session, new.market_type_name) is not None,
        "market_type_name",
        f"Market type {new.market_type_name} doesn't exist. Add structure first.",
    )
    taken = select(Market).where((Market.name == name) | (Market.display_name == new.display_name))
    checks.that(session.scalar(taken) is None, "name", f"A market with the name {name} already exists.")
    try:
        parse_knowledge_rule(*new.knowledge_horizon)
    except FlexError as error:
        checks.that(False, "knowledge_horizon", str(error))
    checks.done()
    sensor = _add_sensor(
        session, name, new.unit, new.event_resolution, new.timezone, knowledge_horizon=new.knowledge_horizon
    )
    market = Market(
        id=sensor.id,
        sensor=sensor,
        name=name,
        display_name=new.display_name,
        market_type_name=new.market_type_name,
    )
    session.add(market)
    session.flush()
    return market


def _add_sensor(
    session: Session,
    name: str,
    unit: str,
    event_resolution: timedelta,
    timezone: str,
    knowledge_horizon: tuple[str, dict[str, Any]] = ("ex_post", {}),
) -> Sensor:
    sensor = Sensor(
        name=name,
        unit=unit,
        event_resolution=event_resolution,
        timezone=timezone,
        knowledge_horizon_fnc=knowledge_horizon[0],
        knowledge_horizon_par=knowledge_horizon[1],
    )
    session.add(sensor)
    session.flush()
    return sensor


def _normalise(name: str) -> str:
    """Write a name as markets and weather sensors have it: lower case, underscores for spaces."""
    return name.strip().lower().replace(" ", "_")


def _humanise(name: str) -> str:
    """Make a shown name of a name: only its first letter becomes a capital, so that EVSE stays EVSE."""
    spaced = name.replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def visible_assets(session: Session, user: User) -> list[Asset]:
    """List the assets that a user may see, the newest first: all for an admin, their own for others."""
    return store.list_assets(session, None if is_admin(user) else user.id)


def resolve_connections(session: Session, user: User, addresses: Sequence[ConnectionAddress]) -> list[Asset]:
    """Find the assets behind addresses.

    Returns:
        An asset for each address, in their order.

    Raises:
        NotFound: If there is no such asset, or it belongs to somebody else: the user learns no difference.
        BadAddress: If a name, given instead of an address, is the name of none of the user's assets.
    """
    found = store.find_assets(
        session,
        ids=[a.asset_id for a in addresses if a.asset_id is not None],
        names=[a.name for a in addresses if a.name is not None],
        owner_id=None if is_admin(user) else user.id,
    )
    by_id = {asset.id: asset for asset in found}
    by_name = {asset.display_name: asset for asset in found} | {asset.name: asset for asset in found}
    assets = []
    for address in addresses:
        asset = (
            by_id.get(address.asset_id) if address.asset_id is not None else by_name.get(address.name or "")
        )
        if asset is None and address.name is not None:
            raise BadAddress(
                f"{address.name!r} is neither an entity address nor the name of one of your assets."
            )
        if asset is None:
            raise NotFound(f"You have no asset with id {address.asset_id}.")
        assets.append(asset)
    return assets

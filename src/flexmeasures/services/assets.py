"""Assets: making them, and finding those that a user may see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.meters import Meter, find_meters
from flexmeasures.data.tables import Asset, AssetType, DeviceState, Market, User
from flexmeasures.domain.addresses import ConnectionAddress
from flexmeasures.domain.errors import BadAddress, Conflict, NotAllowed, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import clean_name
from flexmeasures.domain.quoting import LONGEST_QUOTE, quote
from flexmeasures.domain.rights import OWNER_RULES, Action, may
from flexmeasures.domain.units import is_power_unit
from flexmeasures.services.asset_tree import check_parent
from flexmeasures.services.checks import Checks, FieldErrors
from flexmeasures.services.flex_contexts import Holder, check_flex_context, note_context_references
from flexmeasures.services.flex_models import check_flex_model, check_references, note_references
from flexmeasures.services.numbered import add_sensor_to
from flexmeasures.services.rights import actor_of, may_by_owner, owner_scope
from flexmeasures.services.structure import DUMMY_MARKET
from flexmeasures.services.users import has_role

__all__ = [
    "SMALLEST_CAPACITY_IN_MW",
    "SOC_ORDER",
    "FieldErrors",
    "NewAsset",
    "UnknownAsset",
    "check_asset_fields",
    "check_asset_relations",
    "check_display_name",
    "clean_asset_name",
    "create_asset",
    "find_visible_asset",
    "list_all_assets",
    "list_asset_types",
    "list_assets_of",
    "resolve_connections",
    "unit_of_power",
    "visible_assets",
]

SMALLEST_CAPACITY_IN_MW = 0.0001

SOC_ORDER = "This value must be equal or higher than the minimum soc."

POWER_UNIT = "MW"
"""In which power of an asset is stored that is shown with a unit of something else."""

OWNER_ROLES = ("Prosumer", "admin")
"""Roles that may own assets. Researchers own the assets of their simulations as admins."""


class UnknownAsset(NotFound):
    """An asset that was named by nothing but its id is none of the user's."""

    code = "unknown-asset"


@dataclass(frozen=True)
class NewAsset:
    """A new asset: power in MW, energy in MWh, places in degrees.

    Attributes:
        event_resolution: Length of the events of its power sensor.
        market_id: The market whose prices it pays; the dummy market if left out.
        flex_model: What differs from the flex model of its type.
        parent_id: The asset that it is a part of, of the same account.
        flex_context: What concerns the connection of a site.
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
    soc_datetime: datetime | None = None
    soc_udi_event_id: int | None = None
    flex_model: Mapping[str, Any] | None = None
    parent_id: int | None = None
    flex_context: Mapping[str, Any] | None = None


def create_asset(session: Session, new: NewAsset, actor: User | None = None) -> Asset:
    """Make an asset and its power sensor.

    Args:
        session: Within its transaction; the caller commits.
        new: What it is.
        actor: Who makes it; None: an operator.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
        Conflict: If the shown name is taken.
    """
    name = clean_asset_name(new.name)
    display_name = clean_name(new.display_name) if new.display_name else _humanise(name)
    checks = Checks()
    check_asset_fields(checks, new, name, display_name)
    market_id = new.market_id
    if market_id is None:
        dummy = store.find_market(session, DUMMY_MARKET)
        market_id = dummy.id if dummy else None
        checks.that(
            market_id is not None, "market_id", "There is no dummy market. Maybe add structure first."
        )
    check_asset_relations(session, checks, new.owner_id, new.asset_type_name, market_id)
    asset_type = store.find_asset_type(session, new.asset_type_name)
    if new.flex_model is not None:
        check_flex_model(checks, asset_type, new.flex_model, name)
        check_references(session, checks, (asset_type, new.flex_model), (new.owner_id, name), actor)
    owner = session.get(User, new.owner_id) if is_id(new.owner_id) else None
    account_id = None if owner is None else owner.account_id
    if new.parent_id is not None and owner is not None:
        check_parent(session, checks, (None, account_id), new.parent_id, actor)
    if new.flex_context is not None:
        check_flex_context(session, checks, new.flex_context, Holder(account_id, new.owner_id, name), actor)
    checks.that(
        {"name", "parent_id"} & checks.errors.keys()
        or not _is_taken(session, account_id, new.parent_id, name),
        "name",
        f"An asset with the name {name[:LONGEST_QUOTE]} already exists.",
    )
    checks.done()
    check_display_name(session, display_name)
    number = store.next_number(session)
    asset = Asset(
        id=number,
        account_id=account_id,
        parent_id=new.parent_id,
        power_sensor_id=number,
        unit=new.unit,
        name=name,
        display_name=display_name,
        asset_type=asset_type,
        capacity_in_mw=new.capacity_in_mw,
        min_soc_in_mwh=new.min_soc_in_mwh,
        max_soc_in_mwh=new.max_soc_in_mwh,
        latitude=new.latitude,
        longitude=new.longitude,
        owner_id=new.owner_id,
        market_id=market_id,
        flex_model=None if new.flex_model is None else dict(new.flex_model),
        flex_context=None if new.flex_context is None else dict(new.flex_context),
        state=DeviceState(
            soc_in_mwh=new.soc_in_mwh, soc_datetime=new.soc_datetime, soc_udi_event_id=new.soc_udi_event_id
        ),
    )
    session.add(asset)
    session.flush()
    add_sensor_to(session, asset, name, unit_of_power(new.unit), new.event_resolution, new.timezone)
    note_references(session, asset)
    note_context_references(session, asset)
    return asset


def unit_of_power(shown: str) -> str:
    """Choose the unit in which the power of an asset is stored that is shown with a unit."""
    return shown if is_power_unit(shown) else POWER_UNIT


def find_visible_asset(session: Session, user: User, asset_id: int, action: Action = Action.READ) -> Asset:
    """Get a connection with which a user may do something: any for an admin, their own for others.

    Args:
        session: Within its transaction.
        user: Who asks.
        asset_id: Of the asset.
        action: What for. To be changed or deleted, others are kept from it until the transaction ends.

    Raises:
        NotFound: If there is no such asset, or it belongs to somebody else: the user learns no difference.
    """
    asset = None
    if is_id(asset_id):
        # A stranger must not be able to lock an asset, so whose it is comes first.
        asset = session.get(Asset, asset_id)
        if asset is not None and not may_by_owner(user, action, asset):
            asset = None
        if asset is not None and action is not Action.READ:
            asset = store.lock_asset(session, asset_id)
    if asset is None:
        raise NotFound(f"Asset {asset_id} not found")
    return asset


def _is_taken(session: Session, account_id: int | None, parent_id: int | None, name: str) -> bool:
    """Tell whether a connection, or an asset beside the new one, has a name."""
    return store.asset_name_is_taken(session, name) or store.sibling_name_is_taken(
        session, account_id, parent_id, name
    )


def clean_asset_name(name: str) -> str:
    """Write the name of an asset as it is kept: its unit does not belong there."""
    return clean_name(clean_name(name).removesuffix(" (MW)"))


def check_asset_relations(
    session: Session, checks: Checks, owner_id: int | None, asset_type_name: str | None, market_id: int | None
) -> None:
    """Check what an asset points at; what is None is not looked at."""
    if owner_id is not None:
        owner = session.get(User, owner_id) if is_id(owner_id) else None
        # One text for both cases, because an owner who hands an asset on must not learn which accounts there are.
        checks.that(
            owner is not None and has_role(owner, *OWNER_ROLES),
            "owner_id",
            f"No owner found with id {owner_id}: it must be the id of a user with the role 'Prosumer'.",
        )
    if asset_type_name is not None:
        checks.that(
            store.find_asset_type(session, asset_type_name) is not None,
            "asset_type_name",
            f"Asset type {asset_type_name[:LONGEST_QUOTE]} doesn't exist. Add structure first.",
        )
    if market_id is not None:
        known = is_id(market_id) and session.get(Market, market_id) is not None
        checks.that(known, "market_id", f"No market found with id {market_id}.")


def check_display_name(session: Session, display_name: str) -> None:
    """Make sure that a shown name is free.

    Raises:
        Conflict: If it is taken.
    """
    if store.asset_name_is_taken(session, display_name=display_name):
        raise Conflict(
            f"An asset with the display name {quote(display_name)} already exists. Choose another display_name."
        )


def check_asset_fields(checks: Checks, new: NewAsset, name: str, display_name: str) -> None:
    """Check the fields of an asset, each on its own and beside each other."""
    checks.text("name", name, 80)
    if "name" not in checks.errors:  # of which it is made where it is not given
        checks.text("display_name", display_name, 80)
    checks.unit(new.unit)
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
        SOC_ORDER,
    )
    checks.resolution(new.event_resolution)
    checks.place(new.latitude, new.longitude)
    checks.zone(new.timezone)


def _humanise(name: str) -> str:
    """Make a shown name of a name: only its first letter becomes a capital, so that EVSE stays EVSE."""
    spaced = name.replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def visible_assets(session: Session, user: User) -> list[Asset]:
    """List the assets that a user may see, the newest first: all for an admin, their own for others."""
    return store.list_assets(session, owner_scope(user))


def list_all_assets(session: Session) -> list[Asset]:
    """List the assets of all owners, the newest first; for admins, and for demonstrations."""
    return store.list_assets(session)


def list_asset_types(session: Session) -> list[AssetType]:
    """List all asset types by name."""
    return store.list_asset_types(session)


def list_assets_of(session: Session, user: User, owner_id: int | None) -> list[Asset]:
    """List the assets of one owner, the newest first; all that a user may see if no owner is given.

    Raises:
        NotAllowed: If the user is neither the owner nor an admin.
    """
    if owner_id is None:
        return visible_assets(session, user)
    if owner_scope(user) not in (None, owner_id):
        raise NotAllowed("You may only list your own assets.")
    return store.list_assets(session, owner_id) if is_id(owner_id) else []


def resolve_connections(
    session: Session, user: User, addresses: Sequence[ConnectionAddress], action: Action = Action.READ
) -> list[Meter]:
    """Find the connections behind addresses with which a user may do something.

    Returns:
        A connection for each address, in their order.

    Raises:
        NotFound: If there is no such asset, or it belongs to somebody else: the user learns no difference.
        UnknownAsset: The same, if it was named by its id instead of an address.
        BadAddress: If a name, given instead of an address, is the name of none of the user's assets.
    """
    found = find_meters(
        session,
        ids=[a.asset_id for a in addresses if a.asset_id is not None],
        names=[a.name for a in addresses if a.name is not None],
    )
    actor = actor_of(user)
    found = [meter for meter in found if may(actor, action, meter.thing, OWNER_RULES)]
    by_id = {meter.id: meter for meter in found}
    by_name = {meter.display_name: meter for meter in found} | {meter.name: meter for meter in found}
    meters = []
    for address in addresses:
        meter = (
            by_id.get(address.asset_id) if address.asset_id is not None else by_name.get(address.name or "")
        )
        if meter is None and address.name is not None:
            raise BadAddress(
                f"{quote(address.name)} is neither an entity address nor the name of one of your assets."
            )
        if meter is None:
            unknown = UnknownAsset if address.is_short else NotFound
            raise unknown(f"You have no asset with id {address.asset_id}. Choose one of your own.")
        meters.append(meter)
    return meters

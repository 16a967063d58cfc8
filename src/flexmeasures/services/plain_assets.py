"""Assets that are not connections of API v2_0: sites, communities, devices without an owner; and moves in the tree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.tables import Account, Asset
from flexmeasures.domain.errors import Conflict
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import clean_name
from flexmeasures.domain.quoting import quote
from flexmeasures.services.asset_tree import ids_of_subtree, lock_tree
from flexmeasures.services.checks import Checks

__all__ = ["NewPlainAsset", "create_plain_asset", "move_asset"]


@dataclass(frozen=True)
class NewPlainAsset:
    """A new asset; a place in degrees.

    Attributes:
        account_id: Whose it is; None: that of its parent, or nobody's, so that it is public.
        parent_id: The asset that it is a part of.
        capacity_in_mw: Largest power [MW].
        attributes: What else is to be known of it.
    """

    name: str
    asset_type_name: str
    account_id: int | None = None
    parent_id: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    capacity_in_mw: float | None = None
    description: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def create_plain_asset(session: Session, new: NewPlainAsset) -> Asset:
    """Make an asset without an owner; the caller commits.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = clean_name(new.name)
    checks = Checks()
    checks.text("name", name, 80)
    if (new.latitude is None) == (new.longitude is None):
        checks.place(new.latitude or 0.0, new.longitude or 0.0)
    else:
        checks.that(False, "latitude", "A place has a latitude and a longitude. Give both, or none.")
    capacity = new.capacity_in_mw
    checks.that(
        capacity is None or (math.isfinite(capacity) and capacity > 0), "capacity_in_mw", "Must be positive."
    )
    checks.that(
        store.find_asset_type(session, new.asset_type_name) is not None,
        "asset_type_name",
        f"Asset type {quote(new.asset_type_name)} doesn't exist. Add structure first.",
    )
    account_id = _account_of_new(session, checks, new)
    checks.that(
        "parent_id" in checks.errors
        or not store.sibling_name_is_taken(session, account_id, new.parent_id, name),
        "name",
        f"An asset with the name {name} already exists beside it.",
    )
    checks.done()
    asset = Asset(
        name=name,
        asset_type_name=new.asset_type_name,
        account_id=account_id,
        parent_id=new.parent_id,
        latitude=new.latitude,
        longitude=new.longitude,
        capacity_in_mw=capacity,
        description=new.description,
        attributes=dict(new.attributes),
    )
    session.add(asset)
    session.flush()
    return asset


def _account_of_new(session: Session, checks: Checks, new: NewPlainAsset) -> int | None:
    """Find the account of a new asset: the one that is given, or that of the whole; both are the same."""
    if new.account_id is not None:
        known = is_id(new.account_id) and session.get(Account, new.account_id) is not None
        checks.that(known, "account_id", f"There is no account with id {new.account_id}.")
    if new.parent_id is None:
        return new.account_id
    parent = session.get(Asset, new.parent_id) if is_id(new.parent_id) else None
    if parent is None:
        checks.that(False, "parent_id", f"There is no asset with id {new.parent_id}.")
        return new.account_id
    checks.that(
        new.account_id in (None, parent.account_id),
        "account_id",
        f"Asset {parent.id} belongs to another account: a part belongs to the account of the whole.",
    )
    return parent.account_id


def move_asset(session: Session, asset: Asset, parent_id: int | None) -> None:
    """Make an asset a part of another, or of none; the caller commits.

    Raises:
        Conflict: If the asset would be a part of itself, or of an asset of another account, or one beside it has its
            name.
    """
    lock_tree(session)
    if parent_id is not None:
        if parent_id in ids_of_subtree(session, asset.id):
            raise Conflict(
                f"Asset {asset.id} cannot be a part of asset {parent_id}, which is the same or a part of it. Choose "
                "another one."
            )
        parent = session.get(Asset, parent_id) if is_id(parent_id) else None
        if parent is None or parent.account_id != asset.account_id:
            raise Conflict(
                f"There is no asset {parent_id} in the account of asset {asset.id}: a part belongs to the account of "
                "the whole."
            )
    if asset.parent_id != parent_id and store.sibling_name_is_taken(
        session, asset.account_id, parent_id, asset.name
    ):
        raise Conflict(
            f"There is an asset called {quote(asset.name)} there already. Rename one of them first."
        )
    asset.parent_id = parent_id
    session.flush()

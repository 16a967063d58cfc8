"""Changing and removing assets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.beliefs import time_range
from flexmeasures.data.tables import Asset, AuditSubject, User, note_change
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import clean_name
from flexmeasures.services.asset_tree import (
    check_not_named,
    check_parent,
    hand_over,
    ids_of_subtree,
    sensors_of,
)
from flexmeasures.services.assets import (
    NewAsset,
    check_asset_fields,
    check_asset_relations,
    check_display_name,
    clean_asset_name,
    unit_of_power,
)
from flexmeasures.services.checks import Checks
from flexmeasures.services.flex_contexts import Holder, check_flex_context, note_context_references
from flexmeasures.services.flex_models import check_flex_model, check_references, note_references

__all__ = ["UNCHANGED", "AssetChanges", "Unchanged", "delete_asset", "edit_asset"]

_OF_SENSOR = ("event_resolution", "timezone")
"""Fields of an asset that are kept with its power sensor."""


class Unchanged(Enum):
    """Marker of a field that a change does not mention."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True)
class AssetChanges:
    """Changes of an asset; see `NewAsset` for the fields."""

    name: str | Unchanged = UNCHANGED
    asset_type_name: str | Unchanged = UNCHANGED
    capacity_in_mw: float | Unchanged = UNCHANGED
    event_resolution: timedelta | Unchanged = UNCHANGED
    latitude: float | Unchanged = UNCHANGED
    longitude: float | Unchanged = UNCHANGED
    owner_id: int | Unchanged = UNCHANGED
    market_id: int | Unchanged = UNCHANGED
    display_name: str | Unchanged = UNCHANGED
    unit: str | Unchanged = UNCHANGED
    timezone: str | Unchanged = UNCHANGED
    min_soc_in_mwh: float | Unchanged | None = UNCHANGED
    max_soc_in_mwh: float | Unchanged | None = UNCHANGED
    soc_in_mwh: float | Unchanged | None = UNCHANGED
    soc_datetime: datetime | Unchanged | None = UNCHANGED
    soc_udi_event_id: int | Unchanged | None = UNCHANGED
    flex_model: Mapping[str, Any] | Unchanged | None = UNCHANGED
    parent_id: int | Unchanged | None = UNCHANGED
    flex_context: Mapping[str, Any] | Unchanged | None = UNCHANGED

    @property
    def mentioned(self) -> dict[str, Any]:
        """The fields that change, by name."""
        return {name: value for name, value in vars(self).items() if value is not UNCHANGED}


def edit_asset(session: Session, asset: Asset, changes: AssetChanges, actor: User | None = None) -> None:
    """Change an asset.

    Args:
        session: Within its transaction; the caller commits.
        asset: The asset.
        changes: What is to become of it.
        actor: Who changes it; None: an operator.

    Raises:
        FieldErrors: If changed fields are wrong, also beside those that stay as they are; names all of them.
        Conflict: If the shown name is taken.
    """
    changed = changes.mentioned
    if "name" in changed:
        changed["name"] = clean_asset_name(changed["name"])
    if "display_name" in changed:
        changed["display_name"] = clean_name(changed["display_name"])
    outcome = replace(_describe(asset), **changed)
    checks = Checks()
    check_asset_fields(checks, outcome, outcome.name, outcome.display_name or "")
    told = changed.keys() | ({"max_soc_in_mwh"} if "min_soc_in_mwh" in changed else set())
    checks.errors = {field: texts for field, texts in checks.errors.items() if field in told}
    check_asset_relations(
        session, checks, changed.get("owner_id"), changed.get("asset_type_name"), changed.get("market_id")
    )
    if outcome.flex_model is not None and {"flex_model", "asset_type_name", "owner_id"} & changed.keys():
        asset_type = store.find_asset_type(session, outcome.asset_type_name)
        check_flex_model(checks, asset_type, outcome.flex_model, outcome.name)
        whose = (outcome.owner_id, outcome.name)
        check_references(session, checks, (asset_type, outcome.flex_model), whose, actor)
    if outcome.flex_context is not None and {"flex_context", "owner_id"} & changed.keys():
        holder = Holder(asset.account_id, outcome.owner_id, outcome.name)
        check_flex_context(session, checks, outcome.flex_context, holder, actor)
    _check_place_in_tree(session, checks, asset, outcome, actor)
    if outcome.event_resolution != asset.sensor.event_resolution:
        checks.that(
            time_range(session, asset.sensor.id) is None,
            "event_resolution",
            "There are data of this asset, whose events would no longer be what they were. Make a new asset.",
        )
    checks.done()
    if outcome.display_name != asset.display_name:
        check_display_name(session, outcome.display_name or "")
    _apply(session, asset, changed)


def _check_place_in_tree(
    session: Session, checks: Checks, asset: Asset, outcome: NewAsset, actor: User | None
) -> None:
    """Check that an asset may have a name and an owner where it is to stand in the tree."""
    owner = session.get(User, outcome.owner_id) if is_id(outcome.owner_id) else None
    account_id = asset.account_id if owner is None else owner.account_id
    moves = account_id != asset.account_id
    checks.that(
        not moves or outcome.parent_id is None or outcome.parent_id != asset.parent_id,
        "owner_id",
        f"Asset {asset.id} is a part of asset {asset.parent_id}, so it stays in the account of the whole.",
    )
    if outcome.parent_id is not None and outcome.parent_id != asset.parent_id:
        check_parent(session, checks, (asset.id, account_id), outcome.parent_id, actor)
    stays = outcome.name == asset.name and not moves and outcome.parent_id == asset.parent_id
    if not stays and "parent_id" not in checks.errors:
        taken = outcome.name != asset.name and store.asset_name_is_taken(session, outcome.name)
        taken = taken or store.sibling_name_is_taken(session, account_id, outcome.parent_id, outcome.name)
        checks.that(not taken, "name", f"An asset with the name {outcome.name} already exists.")


def _apply(session: Session, asset: Asset, changed: dict[str, Any]) -> None:
    """Write changes that were checked."""
    if "owner_id" in changed:
        hand_over(session, asset, session.get_one(User, changed["owner_id"]))
    if "unit" in changed and time_range(session, asset.sensor.id) is None:
        # What is stored stays in the unit in which it is stored, with whatever unit the asset is shown.
        asset.sensor.unit = unit_of_power(changed["unit"])
    for field, value in changed.items():
        setattr(asset.sensor if field in _OF_SENSOR else asset, field, value)
    asset.sensor.name = asset.name
    if {"flex_model", "asset_type_name"} & changed.keys():
        note_references(session, asset)
    if "flex_context" in changed:
        note_context_references(session, asset)
    session.flush()
    session.refresh(asset)


def _describe(asset: Asset) -> NewAsset:
    """Say what would make an asset as it is."""
    kept = {
        f.name: getattr(asset.sensor if f.name in _OF_SENSOR else asset, f.name) for f in fields(NewAsset)
    }
    return NewAsset(**kept)


def delete_asset(session: Session, asset: Asset) -> None:
    """Remove an asset with its parts, their sensors and all beliefs about these.

    Raises:
        Conflict: If an asset that stays names one of the sensors.
    """
    session.flush()
    going = ids_of_subtree(session, asset.id)
    check_not_named(session, sensors_of(session, going), going)
    parts = f" with {len(going) - 1} parts" if len(going) > 1 else ""
    about = AuditSubject(account_id=asset.account_id, asset_id=asset.id)
    note_change(session, f"Deleted asset '{asset.name}': {asset.id}{parts}", about)
    session.execute(delete(Asset).where(Asset.id == asset.id))  # the rest goes with it, by the database
    session.expire_all()

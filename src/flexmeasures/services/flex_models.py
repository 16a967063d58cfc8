"""Asset types that users add, and flex models of assets and types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.sensors import find_sensors
from flexmeasures.data.tables import Asset, AssetType, SensorReference, User
from flexmeasures.domain.errors import BadFlexModel, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.scheduling.flex_model import (
    DOCUMENTED_FLEX_MODELS,
    merge_flex_models,
    read_flex_model,
)
from flexmeasures.domain.scheduling.references import NamedSensor, may_read, sensor_references
from flexmeasures.services.checks import Checks
from flexmeasures.services.rights import actor_of
from flexmeasures.services.schedules.gather import unreadable

__all__ = [
    "NewAssetType",
    "check_flex_model",
    "check_references",
    "create_asset_type",
    "note_references",
    "set_flex_model_of_asset",
    "set_flex_model_of_type",
]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")

FlexModelFields = Mapping[str, Any]


@dataclass(frozen=True)
class NewAssetType:
    """A new asset type.

    Attributes:
        is_consumer: Whether its assets may consume.
        is_producer: Whether its assets may produce.
        can_curtail: Whether their power can be lowered.
        can_shift: Whether it can be moved in time.
        seasonality: Of day, week and year: whether their power follows it.
        flex_model: How its assets are scheduled; None: not at all.
    """

    name: str
    display_name: str
    hover_label: str | None = None
    is_consumer: bool = False
    is_producer: bool = False
    can_curtail: bool = False
    can_shift: bool = False
    seasonality: tuple[bool, bool, bool] = (True, True, True)
    flex_model: FlexModelFields | None = None


def create_asset_type(session: Session, new: NewAssetType) -> AssetType:
    """Make an asset type.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    checks = Checks()
    checks.that(
        len(new.name) <= 80 and _NAME.fullmatch(new.name),
        "name",
        "Use 1 to 80 small letters, digits, _ and -, and begin with a letter.",
    )
    checks.text("display_name", new.display_name, 80)
    checks.that(
        new.hover_label is None or len(new.hover_label) <= 120, "hover_label", "At most 120 characters."
    )
    checks.that(
        new.is_consumer or new.is_producer,
        "is_consumer",
        "An asset consumes, produces, or does both: say which.",
    )
    taken = (AssetType.name == new.name) | (AssetType.display_name == new.display_name)
    checks.that(
        session.scalar(select(AssetType.name).where(taken).limit(1)) is None,
        "name",
        f"An asset type with the name {new.name} or the display name {new.display_name} already exists.",
    )
    if new.flex_model is not None:
        check_flex_model(checks, None, new.flex_model, new.name)
    checks.done()
    day, week, year = new.seasonality
    made = AssetType(
        name=new.name,
        display_name=new.display_name,
        hover_label=new.hover_label,
        is_consumer=new.is_consumer,
        is_producer=new.is_producer,
        can_curtail=new.can_curtail,
        can_shift=new.can_shift,
        daily_seasonality=day,
        weekly_seasonality=week,
        yearly_seasonality=year,
        flex_model=None if new.flex_model is None else dict(new.flex_model),
    )
    session.add(made)
    session.flush()
    return made


def check_flex_model(
    checks: Checks, asset_type: AssetType | None, own: FlexModelFields | None, name: str
) -> None:
    """Check the flex model that an asset of a type has together with its own fields.

    Args:
        checks: Notes what is wrong.
        asset_type: The type; None: the fields stand alone.
        own: The asset's own fields.
        name: Whose they are, for the message.
    """
    of_type = None
    if asset_type is not None:
        of_type = asset_type.flex_model or DOCUMENTED_FLEX_MODELS.get(asset_type.name)
    fields = merge_flex_models(of_type, own)
    try:
        if fields is not None:
            read_flex_model(fields, name)
    except BadFlexModel as error:
        checks.that(False, "flex_model", str(error))


def check_references(
    session: Session,
    checks: Checks,
    fields: tuple[AssetType | None, FlexModelFields | None],
    whose: tuple[int, str],
    actor: User | None = None,
) -> None:
    """Check that plans of an asset may read the sensors which its flex model names, and that the actor may as well.

    Args:
        session: For looking up sensors and roles.
        checks: Notes what is wrong.
        fields: The asset's type and its own fields.
        whose: The asset's owner and its name.
        actor: Who writes them; None: an operator, whose references to what does not exist yet are told when used.
    """
    asset_type, own = fields
    of_type = None
    if asset_type is not None:
        of_type = asset_type.flex_model or DOCUMENTED_FLEX_MODELS.get(asset_type.name)
    merged = merge_flex_models(of_type, own)
    if merged is None or "flex_model" in checks.errors:
        return
    references = sensor_references(read_flex_model(merged, whose[1]))
    if not references:
        return
    found = find_sensors(session, [one.sensor_id for one in references])
    owner = session.get(User, whose[0])
    readers = [actor_of(user) for user in (owner, actor) if user is not None]
    for one in references:
        there = found.get(one.sensor_id)
        thing = None if there is None else NamedSensor(there.account_id, there.owner_id, there.is_market)
        allowed = all(may_read(one, thing, reader) for reader in readers)
        checks.that(
            allowed or (actor is None and thing is None), "flex_model", str(unreadable(one, whose[1]))
        )


def note_references(session: Session, asset: Asset) -> None:
    """Keep a row for each sensor that the flex model of an asset names, so that it is not deleted; checked before."""
    session.flush()
    old = SensorReference.asset_id == asset.id, SensorReference.field.startswith("flex_model.")
    session.execute(delete(SensorReference).where(*old))
    if not asset.flex_model:
        return
    of_type = asset.asset_type.flex_model or DOCUMENTED_FLEX_MODELS.get(asset.asset_type_name)
    merged = merge_flex_models(of_type, asset.flex_model)
    named = [] if merged is None else sensor_references(read_flex_model(merged, asset.name))
    there = find_sensors(session, [one.sensor_id for one in named])
    for one in named:
        if one.sensor_id in there and one.field in asset.flex_model:
            session.add(
                SensorReference(asset_id=asset.id, field=f"flex_model.{one.field}", sensor_id=one.sensor_id)
            )
    session.flush()


def set_flex_model_of_asset(session: Session, own: FlexModelFields | None, asset_id: int) -> Asset:
    """Set what differs in the flex model of an asset from that of its type; None: nothing.

    Raises:
        NotFound: If there is no such asset.
        FieldErrors: If the flex model is wrong.
    """
    asset = store.lock_asset(session, asset_id) if is_id(asset_id) else None
    if asset is None:
        raise NotFound(f"There is no asset with id {asset_id}.")
    checks = Checks()
    check_flex_model(checks, asset.asset_type, own, asset.name)
    check_references(session, checks, (asset.asset_type, own), (asset.owner_id, asset.name))
    checks.done()
    asset.flex_model = None if own is None else dict(own)
    note_references(session, asset)
    return asset


def set_flex_model_of_type(session: Session, fields: FlexModelFields | None, name: str) -> AssetType:
    """Set the flex model of an asset type; None: its assets are not scheduled.

    Raises:
        NotFound: If there is no such type.
        FieldErrors: If the flex model is wrong, by itself or with the fields of one of its assets.
    """
    asset_type = store.find_asset_type(session, name)
    if asset_type is None:
        raise NotFound(f"There is no asset type {quote(name)}.")
    asset_type.flex_model = None if fields is None else dict(fields)
    checks = Checks()
    check_flex_model(checks, asset_type, None, name)
    own = select(Asset.name, Asset.flex_model).where(
        Asset.asset_type_name == name, Asset.flex_model.is_not(None)
    )
    for asset_name, asset_fields in session.execute(own):
        check_flex_model(checks, asset_type, asset_fields, asset_name)
    checks.done()
    session.flush()
    return asset_type

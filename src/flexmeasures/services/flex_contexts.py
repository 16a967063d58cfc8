"""Flex contexts of sites: checked, kept, and the sensors that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.sensors import find_sensors
from flexmeasures.data.tables import Asset, SensorReference, User
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.rights import Actor
from flexmeasures.domain.scheduling.flex_context import context_references, misfit_of_unit, read_flex_context
from flexmeasures.domain.scheduling.references import NamedSensor, may_read
from flexmeasures.services.checks import Checks
from flexmeasures.services.rights import actor_of
from flexmeasures.services.schedules.gather import unreadable_context

__all__ = ["Holder", "check_flex_context", "note_context_references", "set_flex_context"]

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Holder:
    """Asset that has a flex context, or is to have one.

    Attributes:
        account_id: The account of its parts.
        owner_id: Its owner, who is told what plans say; None: it has none.
        name: How messages call it.
    """

    account_id: int | None
    owner_id: int | None
    name: str


def check_flex_context(
    session: Session, checks: Checks, fields: Fields, holder: Holder, actor: User | None = None
) -> None:
    """Check a flex context, that plans of the site may read what it names, and that the actor may as well.

    Args:
        session: For looking up sensors and assets.
        checks: Notes what is wrong.
        fields: The flex context.
        holder: Whose it is.
        actor: Who writes it; None: an operator.
    """
    try:
        context = read_flex_context(fields, holder.name)
    except FlexError as error:
        checks.that(False, "flex_context", str(error))
        return
    references = context_references(context)
    found = find_sensors(session, [one.sensor_id for one in references])
    owner = None if holder.owner_id is None else session.get(User, holder.owner_id)
    readers = [Actor(0, holder.account_id or 0) if owner is None else actor_of(owner)]
    readers += [] if actor is None else [actor_of(actor)]
    for one in references:
        there = found.get(one.sensor_id)
        thing = None if there is None else NamedSensor(there.account_id, there.owner_id, there.is_market)
        allowed = all(may_read(one, thing, reader) for reader in readers)
        checks.that(allowed, "flex_context", str(unreadable_context(one, holder.name)))
        if allowed and there is not None:
            misfit = misfit_of_unit(one.field, there.sensor.unit)
            text = f"The flex context of {holder.name} names sensor {one.sensor_id} as {one.field}: {misfit}."
            checks.that(not misfit, "flex_context", text)
    named = {number for rule in context.exclusions for number in (rule.first, rule.second)}
    query = select(Asset.id).where(
        Asset.id.in_(named), Asset.account_id.is_not_distinct_from(holder.account_id)
    )
    unknown = sorted(named - set(session.scalars(query)) if named else ())
    checks.that(
        not unknown,
        "flex_context",
        f"The exclusions of {holder.name} name {', '.join(map(str, unknown))}, but its account has no such asset: "
        "name parts of the site.",
    )


def note_context_references(session: Session, asset: Asset) -> None:
    """Keep a row for each sensor that the flex context of an asset names, so that it is not deleted; checked before."""
    session.flush()
    old = SensorReference.asset_id == asset.id, SensorReference.field.startswith("flex_context.")
    session.execute(delete(SensorReference).where(*old))
    if asset.flex_context is not None:
        for one in context_references(read_flex_context(asset.flex_context, asset.name)):
            field = f"flex_context.{one.field}"
            session.add(SensorReference(asset_id=asset.id, field=field, sensor_id=one.sensor_id))
    session.flush()


def set_flex_context(session: Session, fields: Fields | None, asset_id: int) -> Asset:
    """Make an asset a site: set what concerns its connection; None: it is a site no longer.

    Args:
        session: Within its transaction; the caller commits.
        fields: The flex context.
        asset_id: The asset with the devices below it.

    Raises:
        NotFound: If there is no such asset.
        FieldErrors: If the flex context is wrong, or names a sensor that the plans of the site may not read.
    """
    asset = store.lock_asset(session, asset_id) if is_id(asset_id) else None
    if asset is None:
        raise NotFound(f"There is no asset with id {asset_id}.")
    checks = Checks()
    if fields is not None:
        check_flex_context(session, checks, fields, Holder(asset.account_id, asset.owner_id, asset.name))
    checks.done()
    asset.flex_context = None if fields is None else dict(fields)
    note_context_references(session, asset)
    return asset

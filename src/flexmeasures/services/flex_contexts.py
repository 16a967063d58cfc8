"""Flex contexts of sites: checked, kept, and the sensors that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from flexmeasures.data.stores import assets as store
from flexmeasures.data.stores.sensors import find_sensors
from flexmeasures.data.tables import Asset, SensorReference, User
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.rights import Actor
from flexmeasures.domain.scheduling.flex_context import context_references, read_flex_context
from flexmeasures.domain.scheduling.references import NamedSensor, may_read
from flexmeasures.domain.scheduling.references import SensorReference as Named
from flexmeasures.services.checks import Checks
from flexmeasures.services.rights import actor_of
from flexmeasures.services.schedules.gather import unreadable_context

__all__ = ["set_flex_context"]


def set_flex_context(session: Session, fields: Mapping[str, Any] | None, asset_id: int) -> Asset:
    """Make an asset a site: set what concerns its connection; None: it is a site no longer.

    Args:
        session: Within its transaction; the caller commits.
        fields: The flex context.
        asset_id: The asset with the devices below it.

    Raises:
        NotFound: If there is no such asset.
        FieldErrors: If the flex context is wrong, or names a sensor that the plans of the site may not read.
    """
    asset = store.lock_asset(session, asset_id) if 0 < asset_id <= store.MAX_ID else None
    if asset is None:
        raise NotFound(f"There is no asset with id {asset_id}.")
    checks = Checks()
    references: tuple[Named, ...] = ()
    try:
        references = () if fields is None else context_references(read_flex_context(fields, asset.name))
    except FlexError as error:
        checks.that(False, "flex_context", str(error))
    found = find_sensors(session, [one.sensor_id for one in references])
    owner = None if asset.owner_id is None else session.get(User, asset.owner_id)
    reader = Actor(0, asset.account_id or 0) if owner is None else actor_of(owner)
    for one in references:
        there = found.get(one.sensor_id)
        thing = None if there is None else NamedSensor(there.account_id, there.owner_id, there.is_market)
        checks.that(may_read(one, thing, reader), "flex_context", str(unreadable_context(one, asset.name)))
    checks.done()
    asset.flex_context = None if fields is None else dict(fields)
    old = SensorReference.asset_id == asset.id, SensorReference.field.startswith("flex_context.")
    session.execute(delete(SensorReference).where(*old))
    for one in references:
        field = f"flex_context.{one.field}"
        session.add(SensorReference(asset_id=asset.id, field=field, sensor_id=one.sensor_id))
    session.flush()
    return asset

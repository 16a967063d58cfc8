"""Finding rows for operators, who may see all of them; what comes from outside is found by `find_visible_...`."""

from __future__ import annotations

from sqlalchemy.orm import Session

from flexmeasures.data.stores.users import find_user
from flexmeasures.data.tables import Asset, Sensor, User
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.quoting import quote

__all__ = ["find_asset_row", "find_sensor_row", "find_user_row"]

MAX_ID = 2**31 - 1
"""Larger numbers fit no id column."""


def find_asset_row(session: Session, asset_id: int) -> Asset:
    """Find an asset by id.

    Raises:
        NotFound: If there is none.
    """
    asset = session.get(Asset, asset_id) if 0 < asset_id <= MAX_ID else None
    if asset is None:
        raise NotFound(f"There is no asset with id {asset_id}. See: show assets.")
    return asset


def find_sensor_row(session: Session, sensor_id: int) -> Sensor:
    """Find a sensor by id.

    Raises:
        NotFound: If there is none.
    """
    sensor = session.get(Sensor, sensor_id) if 0 < sensor_id <= MAX_ID else None
    if sensor is None:
        raise NotFound(f"There is no sensor with id {sensor_id}. See: show sensors.")
    return sensor


def find_user_row(session: Session, email: str) -> User:
    """Find a user by address.

    Raises:
        NotFound: If there is none.
    """
    user = find_user(session, email=email)
    if user is None:
        raise NotFound(f"Could not find user with email address {quote(email)} ... See: show users.")
    return user

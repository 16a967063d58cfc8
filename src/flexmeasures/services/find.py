"""Finding rows for operators, who may see all of them; what comes from outside is found by `find_visible_...`."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.orm import Session

from flexmeasures.data.stores.users import find_user
from flexmeasures.data.tables import Asset, Sensor, User
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.quoting import quote

__all__ = ["find_asset_row", "find_sensor_row", "find_user_row", "get_row"]

Row = TypeVar("Row")


def get_row(session: Session, kind: type[Row], number: int, what: str, remedy: str = "") -> Row:
    """Get a row by its id.

    Args:
        session: For reading.
        kind: Its table.
        number: Its id, as sent.
        what: Word for such a row.
        remedy: Added to the message if there is none.

    Raises:
        NotFound: If there is none.
    """
    row = session.get(kind, number) if is_id(number) else None
    if row is None:
        raise NotFound(f"There is no {what} {number}.{remedy}")
    return row


def find_asset_row(session: Session, asset_id: int) -> Asset:
    """Find an asset by id.

    Raises:
        NotFound: If there is none.
    """
    return get_row(session, Asset, asset_id, "asset with id", " See: show assets.")


def find_sensor_row(session: Session, sensor_id: int) -> Sensor:
    """Find a sensor by id.

    Raises:
        NotFound: If there is none.
    """
    return get_row(session, Sensor, sensor_id, "sensor with id", " See: show sensors.")


def find_user_row(session: Session, email: str) -> User:
    """Find a user by address.

    Raises:
        NotFound: If there is none.
    """
    user = find_user(session, email=email)
    if user is None:
        raise NotFound(f"Could not find user with email address {quote(email)} ... See: show users.")
    return user

"""Accounts: who may use the platform."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from flexmeasures.data.stores.users import find_user, get_or_create_role, source_of_user
from flexmeasures.data.tables import User
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.domain.time import find_zone

__all__ = ["create_user", "has_role", "is_admin"]


def create_user(
    session: Session,
    *,
    email: str,
    password_hash: str,
    username: str | None = None,
    roles: Sequence[str] = (),
    timezone: str = "Europe/Amsterdam",
) -> User:
    """Open an account, and the data source for what its user will post.

    Args:
        session: Within its transaction; the caller commits.
        email: Address for mail and login.
        password_hash: The password, already hashed.
        username: Shown name; the local part of the address if left out.
        roles: Names of roles; those that do not exist are made.
        timezone: IANA name.

    Raises:
        InvalidInput: If the address or the time zone is none.
        Conflict: If the address or the name is taken.
    """
    if not email:
        raise InvalidInput("No email address was given. A user needs one.")
    try:
        address = validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise InvalidInput(f"{email!r} is not a valid email address: {error}") from None
    find_zone(timezone)
    username = username or address.split("@")[0]
    if find_user(session, email=address):
        raise Conflict(f"User with email {address} already exists. Choose another address.")
    if find_user(session, username=username):
        raise Conflict(f"User with username {username} already exists. Choose another name.")
    user = User(
        email=address,
        username=username,
        password=password_hash,
        active=True,
        fs_uniquifier=uuid.uuid4().hex,
        timezone=timezone,
        roles=[get_or_create_role(session, name) for name in dict.fromkeys(roles)],
    )
    session.add(user)
    session.flush()
    source_of_user(session, user)
    return user


def has_role(user: User, *names: str) -> bool:
    """Tell whether a user has one of these roles."""
    return any(role.name in names for role in user.roles)


def is_admin(user: User) -> bool:
    """Tell whether a user may see and do everything."""
    return has_role(user, "admin")

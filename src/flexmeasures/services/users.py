"""Accounts: who may use the platform."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ARRAY, Integer, any_, literal, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.users import find_user, get_or_create_role, source_of_user
from flexmeasures.data.tables import Role, User
from flexmeasures.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import clean_name, require_name
from flexmeasures.domain.quoting import LONGEST_QUOTE, quote
from flexmeasures.domain.rights import OWNER_RULES, PLATFORM_ROLES, Action, Kind, Thing, may
from flexmeasures.domain.time import find_zone
from flexmeasures.services.checks import Checks
from flexmeasures.services.rights import actor_of

__all__ = [
    "UserChanges",
    "check_new_user",
    "create_user",
    "edit_user",
    "find_visible_user",
    "has_role",
    "list_roles",
    "list_users",
    "log_out_everywhere",
    "reset_password",
]


@dataclass(frozen=True)
class UserChanges:
    """Changes of a user; what is None stays as it is.

    Attributes:
        active: Whether its user may log in.
        role_ids: All roles that the user is to have.
    """

    email: str | None = None
    username: str | None = None
    timezone: str | None = None
    active: bool | None = None
    role_ids: tuple[int, ...] | None = None


class NewNames(NamedTuple):
    """Under which address and name an account is opened."""

    email: str
    username: str


def create_user(
    session: Session,
    *,
    email: str,
    password_hash: str,
    username: str | None = None,
    roles: Sequence[str] = (),
    timezone: str = "Europe/Amsterdam",
    account_id: int | None = None,
) -> User:
    """Open an account, and the data source for what its user will post.

    Args:
        session: Within its transaction; the caller commits.
        email: Address for mail and login.
        password_hash: The password, already hashed.
        username: Shown name; the local part of the address if left out.
        roles: Names of roles; those that do not exist are made.
        timezone: IANA name.
        account_id: The account that the user belongs to; None: one of its own.

    Raises:
        InvalidInput: If the address or the time zone is none.
        Conflict: If the address or the name is taken.
    """
    address, username = check_new_user(
        session, email=email, username=username, roles=roles, timezone=timezone
    )
    user = User(
        email=address,
        username=username,
        password=password_hash,
        active=True,
        fs_uniquifier=uuid.uuid4().hex,
        timezone=timezone,
        account_id=account_id,
        roles=[get_or_create_role(session, name) for name in dict.fromkeys(map(clean_name, roles))],
    )
    session.add(user)
    session.flush()
    source_of_user(session, user)
    return user


def check_new_user(
    session: Session,
    *,
    email: str,
    username: str | None = None,
    roles: Sequence[str] = (),
    timezone: str = "Europe/Amsterdam",
) -> NewNames:
    """Check all that a new account needs but its password, so that nobody is asked for one in vain.

    Returns:
        The address and the name as they are kept.

    Raises:
        InvalidInput: If the address, the name, a role or the time zone is not one.
        Conflict: If the address or the name is taken.
    """
    if not email:
        raise InvalidInput("No email address was given. A user needs one.")
    address = _normalise_email(email)
    find_zone(timezone)
    name = require_name(username or address.split("@")[0], "username", 255)
    for role in roles:
        require_name(role, "name of a role", 80)
    _check_free(session, email=address)
    _check_free(session, username=name)
    return NewNames(address, name)


def _normalise_email(email: str) -> str:
    try:
        return validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise InvalidInput(f"{quote(email)} is not a valid email address: {str(error)[:200]}") from None


def _check_free(
    session: Session, email: str | None = None, username: str | None = None, but: User | None = None
) -> None:
    """Make sure that nobody, but for one, has an address or a name.

    Raises:
        Conflict: If somebody has.
    """
    if email is not None and find_user(session, email=email) not in (None, but):
        raise Conflict(f"User with email {email[:LONGEST_QUOTE]} already exists. Choose another address.")
    if username is not None and find_user(session, username=username) not in (None, but):
        raise Conflict(f"User with username {username[:LONGEST_QUOTE]} already exists. Choose another name.")


def list_users(session: Session, include_inactive: bool = False) -> list[User]:
    """List users by id, with their roles: those who may log in, or all."""
    query = select(User).order_by(User.id)
    return list(session.scalars(query if include_inactive else query.where(User.active)))


def list_roles(session: Session) -> list[Role]:
    """List all roles by name."""
    return list(session.scalars(select(Role).order_by(Role.name)))


def log_out_everywhere(session: Session, user: User) -> None:
    """End all sessions and tokens of a user."""
    _log_out_everywhere(user)
    session.flush()


def find_visible_user(session: Session, asker: User, user_id: int, action: Action = Action.READ) -> User:
    """Get a user with whom somebody may do something: oneself, or anybody for an admin.

    Raises:
        NotAllowed: If the asker is neither; whether there is such a user, they do not learn.
        NotFound: If there is no such user.
    """
    if not may(actor_of(asker), action, Thing(Kind.USER, owner_id=user_id), OWNER_RULES):
        raise NotAllowed("You may only see and change your own account.")
    user = session.get(User, user_id) if is_id(user_id) else None
    if user is None:
        raise NotFound(f"User {user_id} not found")
    return user


def edit_user(session: Session, editor: User, user: User, changes: UserChanges) -> None:
    """Change an account.

    Whoever is deactivated is logged out everywhere.

    Raises:
        NotAllowed: If editors change what they may do themselves, admins included: nobody shall lock themselves out,
            nor let themselves in.
        FieldErrors: If fields are wrong; names all of them.
        Conflict: If the address or the name is taken.
    """
    if editor.id == user.id and (changes.active is not None or changes.role_ids is not None):
        raise NotAllowed("Nobody may change their own roles, nor activate or deactivate themselves.")
    username = None if changes.username is None else clean_name(changes.username)
    email, roles = _check_changes(session, user, replace(changes, username=username))
    for field, value in (("email", email), ("username", username), ("timezone", changes.timezone)):
        if value is not None:
            setattr(user, field, value)
    if changes.role_ids is not None:
        user.roles = roles
    if changes.active is not None:
        user.active = changes.active
        if not changes.active:
            _log_out_everywhere(user)
    session.flush()


def _check_changes(session: Session, user: User, changes: UserChanges) -> tuple[str | None, list[Role]]:
    """Check the fields of a change; give the address as it is kept, and the roles."""
    checks = Checks()
    email = changes.email
    if email is not None:
        try:
            email = _normalise_email(email)
        except InvalidInput as error:
            checks.that(False, "email", str(error))
    if changes.timezone is not None:
        checks.zone(changes.timezone)
    if changes.username is not None:
        checks.text("username", changes.username, 255)
    role_ids = {i for i in changes.role_ids or () if is_id(i)}
    roles = list(
        session.scalars(
            select(Role).where(Role.id == any_(literal(sorted(role_ids), ARRAY(Integer)))).order_by(Role.id)
        )
    )
    for unknown in sorted(set(changes.role_ids or ()) - {role.id for role in roles}):
        checks.that(False, "flexmeasures_roles", f"No role found with id {unknown}.")
    checks.done()
    _check_free(session, email, changes.username, but=user)
    return email, roles


def reset_password(session: Session, user: User, password_hash: str) -> None:
    """Replace a password, and end all sessions and tokens that were opened with the old one.

    Args:
        session: Within its transaction.
        user: Whose password it is.
        password_hash: The new password, already hashed.
    """
    user.password = password_hash
    _log_out_everywhere(user)
    session.flush()


def _log_out_everywhere(user: User) -> None:
    """Make all cookies and tokens of a user invalid: they hold what is replaced here."""
    user.fs_uniquifier = uuid.uuid4().hex


def has_role(user: User, *names: str) -> bool:
    """Tell whether a user has one of these roles, or the user's account has one of the field."""
    if any(role.name in names for role in user.roles):
        return True
    return any(name in names and name not in PLATFORM_ROLES for name in user.account_role_names or ())

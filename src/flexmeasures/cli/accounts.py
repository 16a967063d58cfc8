"""``flexmeasures users`` and ``flexmeasures roles``: accounts, as Flask-Security's commands of the same names.

Creating an account and changing a password are our own: they make the data source of a user's data, check everything
else before they ask for a password, and never show one or its hash.
"""

from __future__ import annotations

from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from flask_security import cli as theirs
from flask_security.changeable import admin_change_password

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.data.database import db
from flexmeasures.data.stores.users import find_user
from flexmeasures.data.tables import Role, User
from flexmeasures.data.transactional import as_transaction
from flexmeasures.services.users import check_new_user, create_user

__all__ = ["roles", "users"]

users = AppGroup("users", help="Create, activate, deactivate and reset users. USER is an email address.")
roles = AppGroup("roles", help="Create roles, give them to users, or take them away.")

for _name in ("activate", "deactivate", "reset_access"):
    users.add_command(theirs.users.commands[_name])
for _name in ("add", "remove", "add_permissions", "remove_permissions"):
    roles.add_command(theirs.roles.commands[_name])

_ATTRIBUTES = ("email", "username", "timezone")

password_option = click.option("--password", help="The password; asked for if left out.")


@users.command("create")
@click.argument("attributes", nargs=-1)
@password_option
@click.option("-a", "--active", is_flag=True, help="Let the new user log in at once.")
@click.option("-u", "--username", help="Shown name; the part of the address before the @ if left out.")
def create(attributes: tuple[str, ...], password: str | None, active: bool, username: str | None) -> None:
    """Create a user.

    ATTRIBUTES are written as name:value, with the names email, username and timezone; without a name it is the email
    address. Unless --active is given, the user cannot log in until activated.
    """
    given = _read_attributes(attributes)
    if username:
        given["username"] = username
    if "email" not in given:
        raise click.UsageError(
            "Give an email address, such as: flexmeasures users create me@example.com --active"
        )
    check_new_user(db.session, **given)
    db.session.rollback()  # no transaction stays open while somebody types
    password_hash = hash_new_password(_choose_password(password, None))

    @as_transaction
    def in_transaction(session: Any) -> dict[str, Any]:
        user = create_user(session, password_hash=password_hash, **given)
        user.active = active
        return {"email": user.email, "username": user.username, "password": "****", "active": active}

    shown = in_transaction(db.session)
    click.secho("User created successfully.", fg="green")
    click.echo(shown)


@users.command("change_password")
@click.argument("user")
@password_option
def change_password(user: str, password: str | None) -> None:
    """Change the password of a user, and end all logins and tokens; tell the user in another way."""
    if find_user(db.session, email=user) is None:
        raise click.UsageError("User not found.")
    db.session.rollback()
    chosen = _choose_password(password, user)

    @as_transaction
    def in_transaction(session: Any) -> None:
        admin_change_password(_find(session, user), chosen, notify=False)

    in_transaction(db.session)
    click.secho(f'The password of user "{user}" has been changed.', fg="green")


@roles.command("create")
@click.argument("name")
@click.option("-d", "--description", help="What it is for.")
@click.option(
    "-p", "--permissions", help="A comma separated list; for plugins, the platform itself asks for roles."
)
def create_role(name: str, description: str | None, permissions: str | None) -> None:
    """Create a role."""
    if not name.isprintable() or not name.strip() or len(name) > 80:
        raise click.UsageError(f"{name[:90]!r} is not a name of a role: use up to 80 printable characters.")

    @as_transaction
    def in_transaction(session: Any) -> None:
        if session.query(Role).filter_by(name=name).first() is not None:
            raise click.UsageError(f"There is a role {name!r} already.")
        listed = [text.strip() for text in permissions.split(",")] if permissions else None
        session.add(Role(name=name, description=description, permissions=listed))

    in_transaction(db.session)
    click.secho(f'Role "{name}" created successfully.', fg="green")


def _read_attributes(attributes: tuple[str, ...]) -> dict[str, Any]:
    """Read attributes of a user as Flask-Security writes them."""
    given: dict[str, Any] = {}
    for attribute in attributes:
        name, colon, value = attribute.partition(":")
        name, value = (name, value) if colon else ("email", name)
        if name not in _ATTRIBUTES:
            raise click.UsageError(
                f"{name!r} is not an attribute that can be set here; there are {', '.join(_ATTRIBUTES)}."
            )
        given[name] = value
    return given


def _choose_password(given: str | None, user: str | None) -> str:
    """Take the password that was given, or ask for one, twice; then check that it may be used."""
    password = given or click.prompt("Password", hide_input=True, confirmation_prompt=True)
    util = current_app.extensions["security"]._password_util
    found = None if user is None else find_user(db.session, email=user)
    errors, normal = util.validate(password, found is None, **({} if found is None else {"user": found}))
    if errors:
        raise click.UsageError(" ".join(map(str, errors)))
    return str(normal)


def _find(session: Any, email: str) -> User:
    user = find_user(session, email=email)
    if user is None:
        raise click.UsageError("User not found.")
    return user

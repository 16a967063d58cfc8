"""Accounts and their roles: who the platform works for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Account, AccountRole, User
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.names import clean_name
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.rights import ACCOUNT_RULES, Action
from flexmeasures.services.checks import Checks
from flexmeasures.services.rights import may_with

__all__ = [
    "NewAccount",
    "create_account",
    "create_account_role",
    "find_account",
    "find_readable_account",
    "get_or_create_account_role",
]


@dataclass(frozen=True)
class NewAccount:
    """A new account.

    Attributes:
        roles: Names of its roles; those that do not exist are made.
        consultancy_id: The account whose consultants may act for it.
    """

    name: str
    roles: Sequence[str] = ()
    consultancy_id: int | None = None


def create_account(session: Session, new: NewAccount) -> Account:
    """Open an account; the caller commits.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = clean_name(new.name)
    checks = Checks()
    checks.text("name", name, 255)
    taken = session.scalar(select(Account.id).where(Account.name == name))
    checks.that(taken is None, "name", f"An account with the name {quote(name)} already exists.")
    for role in new.roles:
        checks.text("roles", clean_name(role), 80)
    if new.consultancy_id is not None:
        known = is_id(new.consultancy_id) and session.get(Account, new.consultancy_id) is not None
        checks.that(known, "consultancy_id", f"There is no account with id {new.consultancy_id}.")
    checks.done()
    account = Account(
        name=name,
        consultancy_account_id=new.consultancy_id,
        roles=[
            get_or_create_account_role(session, role) for role in dict.fromkeys(map(clean_name, new.roles))
        ],
    )
    session.add(account)
    session.flush()
    return account


def create_account_role(session: Session, name: str, description: str | None = None) -> AccountRole:
    """Make a role of accounts; the caller commits.

    Raises:
        FieldErrors: If fields are wrong; names all of them.
    """
    name = clean_name(name)
    checks = Checks()
    checks.text("name", name, 80)
    if description is not None:
        checks.text("description", description, 255)
    taken = session.scalar(select(AccountRole.id).where(AccountRole.name == name))
    checks.that(taken is None, "name", f"An account role with the name {quote(name)} already exists.")
    checks.done()
    role = AccountRole(name=name, description=description)
    session.add(role)
    session.flush()
    return role


def get_or_create_account_role(session: Session, name: str) -> AccountRole:
    """Find a role of accounts by name, or make it."""
    role = session.scalar(select(AccountRole).where(AccountRole.name == name))
    if role is None:
        role = AccountRole(name=name)
        session.add(role)
        session.flush()
    return role


def find_account(session: Session, named: str) -> Account:
    """Find an account by id or by name.

    Raises:
        NotFound: If there is none.
    """
    account = None
    if named.isascii() and named.isdigit() and is_id(int(named)):
        account = session.get(Account, int(named))
    account = account or session.scalar(select(Account).where(Account.name == named))
    if account is None:
        raise NotFound(f"There is no account {quote(named)}. Give the id or the name of one: show accounts.")
    return account


def find_readable_account(session: Session, user: User, account_id: int) -> Account:
    """Find an account that a user may read: one's own, a client's, or any for those who look after the platform.

    Raises:
        NotFound: If there is none; also if the user may not, so that nobody learns which there are.
    """
    account = session.get(Account, account_id) if is_id(account_id) else None
    if account is None or not may_with(user, Action.READ, account, ACCOUNT_RULES):
        raise NotFound(f"There is no account {account_id}.")
    return account

"""Actors and things, read from rows for the rules of the domain."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import object_session

from flexmeasures.data.tables import Account, Asset, User
from flexmeasures.domain.rights import OWNER_RULES, Action, Actor, Kind, Rules, Thing, may

__all__ = ["actor_of", "may_by_owner", "may_everywhere", "may_with", "owner_scope", "thing_of"]


def actor_of(user: User) -> Actor:
    """Tell who a user is; the clients of a consultant cost one query, all others none."""
    roles = frozenset(role.name for role in user.roles)
    clients: frozenset[int] = frozenset()
    if "consultant" in roles:
        session = object_session(user)
        query = select(Account.id).where(Account.consultancy_account_id == user.account_id)
        clients = frozenset() if session is None else frozenset(session.scalars(query))
    return Actor(user.id, user.account_id, roles, frozenset(user.account_role_names or ()), clients)


def thing_of(row: Account | User | Asset) -> Thing:
    """Tell what a row is; its sensors are what their asset is."""
    if isinstance(row, Account):
        return Thing(Kind.ACCOUNT, row.id)
    if isinstance(row, User):
        return Thing(Kind.USER, row.account_id, row.id)
    return Thing(Kind.ASSET, row.account_id, row.owner_id)


def may_with(user: User, action: Action, row: Account | User | Asset, rules: Rules) -> bool:
    """Tell whether a user may do something with a row."""
    return may(actor_of(user), action, thing_of(row), rules)


def may_by_owner(user: User, action: Action, asset: Asset) -> bool:
    """Tell whether a user may do something with a connection of API v2_0, which knows owners only."""
    return asset.is_connection and may_with(user, action, asset, OWNER_RULES)


def may_everywhere(user: User, action: Action) -> bool:
    """Tell whether a user may do something with what is everybody's: see all, or make things for others."""
    return may(actor_of(user), action, Thing(Kind.PLATFORM), OWNER_RULES)


def owner_scope(user: User) -> int | None:
    """Tell whose connections a user may list: the user's own, or (None) everybody's."""
    return None if may_everywhere(user, Action.READ) else user.id

"""Rights: one question, and one table for each way of owning.

Since accounts there are, things belong to accounts, and their members act for them (`ACCOUNT_RULES`). API v2_0 knows
owners only: what it shows belongs to a user (`OWNER_RULES`). Whoever may nothing about a thing cannot tell it from one
that does not exist; doors see to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "ACCOUNT_RULES",
    "OWNER_RULES",
    "PLATFORM_ROLES",
    "UPLOAD_RULES",
    "Action",
    "Actor",
    "Kind",
    "Relation",
    "Rules",
    "Thing",
    "may",
    "relations",
]

PLATFORM_ROLES = frozenset(
    {"admin", "admin-reader", "account-admin", "consultant", "task-runner", "anonymous"}
)
"""Roles that only a user can have: an account of such a name gives its users no rights by it."""

CONSULTANCY = "Consultancy"
"""The role of accounts that may open accounts for their clients."""


class Action(Enum):
    """Action on a thing."""

    READ = "read"
    CREATE_CHILDREN = "create-children"
    UPDATE = "update"
    DELETE = "delete"


class Kind(Enum):
    """Kind of a thing. Children of the platform are accounts, of an account top-level assets and users, of an asset its
    parts and sensors, of a sensor its beliefs, schedules, forecasts and annotations.
    """

    PLATFORM = "platform"
    ACCOUNT = "account"
    USER = "user"
    ASSET = "asset"
    SENSOR = "sensor"
    LOG = "audit log"


class Relation(Enum):
    """Relation of an actor to a thing."""

    ADMIN = "admin"
    ADMIN_READER = "admin-reader"
    OWNER = "its owner, or the user itself"
    MEMBER = "member of its account"
    ACCOUNT_ADMIN = "admin of its account"
    CONSULTANT = "consultant of its account"
    PUBLIC = "it is public"
    POSTER = "it is public, and data of it come from somebody with such a role"


@dataclass(frozen=True)
class Actor:
    """Somebody who acts.

    Attributes:
        user_id: The user.
        account_id: The user's account.
        roles: Names of the user's own roles.
        account_roles: Names of the roles of the account; they count for the field only, not for the platform.
        client_ids: Accounts of which the user's account is the consultancy.
    """

    user_id: int
    account_id: int
    roles: frozenset[str] = frozenset()
    account_roles: frozenset[str] = frozenset()
    client_ids: frozenset[int] = frozenset()

    @property
    def roles_of_the_field(self) -> frozenset[str]:
        """Roles such as Prosumer: one's own and those of the account."""
        return (self.roles | self.account_roles) - PLATFORM_ROLES


@dataclass(frozen=True)
class Thing:
    """With what somebody acts.

    Attributes:
        kind: What it is.
        account_id: Whose it is; None: nobody's, so an asset or a sensor is public.
        owner_id: The user who owns it, or who it is.
        posters: Roles of the field from which data of a public thing come.
    """

    kind: Kind
    account_id: int | None = None
    owner_id: int | None = None
    posters: frozenset[str] = frozenset()


Rules = Mapping[tuple[Kind, Action], frozenset[Relation]]
"""Rights by kind and action; what is not listed is denied."""

_MEMBERS = {Relation.ADMIN, Relation.MEMBER, Relation.CONSULTANT}
_LEADERS = {Relation.ADMIN, Relation.ACCOUNT_ADMIN, Relation.CONSULTANT}
_READERS = {*_MEMBERS, Relation.ADMIN_READER}


def _rules(rows: Mapping[Kind, Mapping[Action, set[Relation]]]) -> Rules:
    return {(kind, action): frozenset(who) for kind, row in rows.items() for action, who in row.items()}


ACCOUNT_RULES = _rules(
    {
        Kind.PLATFORM: {
            Action.READ: {Relation.ADMIN, Relation.ADMIN_READER},
            Action.CREATE_CHILDREN: {Relation.ADMIN, Relation.CONSULTANT},
        },
        Kind.ACCOUNT: {
            Action.READ: _READERS,
            Action.CREATE_CHILDREN: _MEMBERS,
            Action.UPDATE: _MEMBERS,
        },
        Kind.USER: {
            Action.READ: {*_READERS, Relation.OWNER},
            Action.UPDATE: {*_LEADERS, Relation.OWNER},
        },
        Kind.ASSET: {
            Action.READ: {*_READERS, Relation.PUBLIC},
            Action.CREATE_CHILDREN: _MEMBERS,
            Action.UPDATE: _MEMBERS,
            Action.DELETE: _LEADERS,
        },
        Kind.SENSOR: {
            Action.READ: {*_READERS, Relation.PUBLIC},
            Action.CREATE_CHILDREN: _MEMBERS,
            Action.UPDATE: _LEADERS,
            Action.DELETE: _LEADERS,
        },
        Kind.LOG: {Action.READ: {*_LEADERS, Relation.ADMIN_READER, Relation.OWNER}},
    }
)
"""Things belong to accounts: API v3_0, communities, and what plans may read."""

_OWNERS = {Relation.ADMIN, Relation.OWNER}
_THEIR_READERS = {*_OWNERS, Relation.ADMIN_READER}

OWNER_RULES = _rules(
    {
        Kind.PLATFORM: {
            Action.READ: {Relation.ADMIN, Relation.ADMIN_READER},
            Action.CREATE_CHILDREN: {Relation.ADMIN},
        },
        Kind.ACCOUNT: {Action.CREATE_CHILDREN: {Relation.ADMIN}},
        Kind.USER: {Action.READ: _THEIR_READERS, Action.UPDATE: _OWNERS},
        Kind.ASSET: {
            Action.READ: {*_THEIR_READERS, Relation.PUBLIC},
            Action.CREATE_CHILDREN: _OWNERS,
            Action.UPDATE: _OWNERS,
            Action.DELETE: _OWNERS,
        },
        Kind.SENSOR: {
            Action.READ: {*_THEIR_READERS, Relation.PUBLIC},
            # Prices and weather are posted by everybody with a role; whose count is a matter of trust.
            Action.CREATE_CHILDREN: {*_OWNERS, Relation.PUBLIC},
        },
    }
)
"""Things belong to users: API v2_0 and before."""

UPLOAD_RULES = _rules({Kind.SENSOR: {Action.CREATE_CHILDREN: {*_OWNERS, Relation.POSTER}}})
"""Files are uploaded for one's own things, and for public ones by whom their data come from."""


def may(actor: Actor, action: Action, thing: Thing, rules: Rules = ACCOUNT_RULES) -> bool:
    """Tell whether somebody may do something with a thing.

    >>> somebody, house = Actor(1, account_id=7), Thing(Kind.ASSET, account_id=7)
    >>> may(somebody, Action.UPDATE, house), may(somebody, Action.DELETE, house)
    (True, False)
    """
    return not rules.get((thing.kind, action), frozenset()).isdisjoint(relations(actor, thing))


def relations(actor: Actor, thing: Thing) -> frozenset[Relation]:
    """List what somebody is to a thing; an anonymous user is nothing to anything."""
    if "anonymous" in actor.roles:
        return frozenset()
    public = thing.account_id is None and thing.kind in (Kind.ASSET, Kind.SENSOR)
    ours = thing.account_id is not None and thing.account_id == actor.account_id
    if thing.kind is Kind.PLATFORM:
        consulted = CONSULTANCY in actor.account_roles
    else:
        consulted = thing.account_id is not None and thing.account_id in actor.client_ids
    holds = {
        Relation.ADMIN: "admin" in actor.roles,
        Relation.ADMIN_READER: "admin-reader" in actor.roles,
        Relation.OWNER: thing.owner_id is not None and thing.owner_id == actor.user_id,
        Relation.MEMBER: ours,
        Relation.ACCOUNT_ADMIN: ours and "account-admin" in actor.roles,
        Relation.CONSULTANT: consulted and "consultant" in actor.roles,
        Relation.PUBLIC: public,
        Relation.POSTER: public and not thing.posters.isdisjoint(actor.roles_of_the_field),
    }
    return frozenset(relation for relation, holding in holds.items() if holding)

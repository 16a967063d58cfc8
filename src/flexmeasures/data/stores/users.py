"""Users, roles and data sources."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ARRAY, String, any_, bindparam, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from flexmeasures.data.tables import DataSource, EndedSession, Role, User
from flexmeasures.domain.beliefs import Speaker

__all__ = [
    "end_session",
    "find_speakers",
    "find_user",
    "find_user_by_uniquifier",
    "get_or_create_role",
    "get_or_create_source",
    "session_has_ended",
    "source_of_user",
    "user_ids_with_role",
]

# Asked with every request: building such a statement costs more than running it, so it is built once.
_USER_BY_UNIQUIFIER = (
    select(User).where(User.fs_uniquifier == bindparam("uniquifier")).options(joinedload(User.roles))
)
_HAS_ENDED = select(exists().where(EndedSession.id == bindparam("session_id")))
_USERS_BY_ROLE = (
    select(Role.name, User.id)
    .select_from(Role)
    .join(User.roles)
    .where(Role.name == any_(bindparam("names", type_=ARRAY(String))), User.active)
    .order_by(User.id)
)
_SOURCE_OF_USER = select(DataSource.id).where(DataSource.user_id == bindparam("user_id"))


def find_user_by_uniquifier(session: Session, uniquifier: str) -> User | None:
    """Find the user to whom a token or a cookie belongs."""
    return session.scalars(_USER_BY_UNIQUIFIER, {"uniquifier": uniquifier}).unique().one_or_none()


def session_has_ended(session: Session, session_id: str) -> bool:
    """Tell whether the user of a browser's session has logged out."""
    return bool(session.scalar(_HAS_ENDED, {"session_id": session_id}))


def end_session(session: Session, session_id: str, kept_until: datetime, now: datetime) -> None:
    """Note that a browser's session has ended, and forget those whose cookies have become too old."""
    session.execute(delete(EndedSession).where(EndedSession.kept_until < now))
    session.execute(
        insert(EndedSession).values(id=session_id, kept_until=kept_until).on_conflict_do_nothing()
    )


def find_user(session: Session, *, email: str | None = None, username: str | None = None) -> User | None:
    """Find a user by e-mail address (in any case) or by username."""
    query = select(User)
    if email is not None:
        query = query.where(
            User.email.ilike(email.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_"))
        )
    if username is not None:
        query = query.where(User.username == username)
    return session.scalar(query)


def get_or_create_role(session: Session, name: str, description: str = "") -> Role:
    """Find a role by name, or make it."""
    role = session.scalar(select(Role).where(Role.name == name))
    if role is None:
        role = Role(name=name, description=description)
        session.add(role)
        session.flush()
    return role


def user_ids_with_role(session: Session, names: Iterable[str]) -> dict[str, list[int]]:
    """List the ids of the active users that have a role, for each of these roles that exists."""
    by_role: dict[str, list[int]] = {}
    for name, user_id in session.execute(_USERS_BY_ROLE, {"names": list(names)}):
        by_role.setdefault(name, []).append(user_id)
    return by_role


def find_speakers(session: Session, source_ids: Iterable[int]) -> list[Speaker]:
    """Tell who is behind sources, with their roles."""
    query = (
        select(DataSource.id, DataSource.type, DataSource.user_id, func.array_agg(Role.name))
        .outerjoin(User, User.id == DataSource.user_id)
        .outerjoin(User.roles)
        .where(DataSource.id.in_(list(source_ids)))
        .group_by(DataSource.id)
    )
    return [
        Speaker(source_id, type_name != "user", user_id, frozenset(filter(None, names)))
        for source_id, type_name, user_id, names in session.execute(query)
    ]


def source_of_user(session: Session, user: User) -> int:
    """Get the id of the source of a user's own data, made at first need."""
    # A user that was loaded before its source was made does not know it.
    source_id = user.source_id or session.scalar(_SOURCE_OF_USER, {"user_id": user.id})
    if source_id is None:
        source = DataSource(name=user.username, type="user", user_id=user.id)
        session.add(source)
        session.flush()
        source_id = source.id
    return source_id


def get_or_create_source(
    session: Session, name: str, type_name: str, model: str | None = None, version: str | None = None
) -> DataSource:
    """Get the source of a program's data, made at first need.

    Args:
        session: Within its transaction.
        name: Name of the program.
        type_name: What it does: forecaster, scheduler, crawler, demo or script; never "user".
        model: Which of its models computes the data.
        version: Version of the model.
    """
    if type_name == "user":
        raise ValueError("A source of type user belongs to a user: use source_of_user.")
    wanted = {"name": name, "type": type_name, "model": model, "version": version, "user_id": None}
    query = select(DataSource).filter_by(**wanted)
    source = session.scalar(query)
    if source is None:
        # Another transaction may be making it right now: then this waits for it, and finds what it made.
        session.execute(insert(DataSource).values(**wanted).on_conflict_do_nothing())
        source = session.scalars(query).one()
    return source

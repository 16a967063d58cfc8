"""Users and their roles."""

from __future__ import annotations

import itertools
from datetime import datetime

from flask_security import AsaList
from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    String,
    Table,
    event,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, Mapper, column_property, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.accounts import Account, AccountRole, account_roles_accounts
from flexmeasures.data.tables.sources import DataSource

__all__ = ["EndedSession", "Role", "User"]

roles_users = Table(
    "roles_users",
    db.metadata,
    Column("user_id", ForeignKey("fm_user.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
)


class Role(db.Model, RoleMixin):  # type: ignore[misc, name-defined]
    """A role after USEF (Prosumer, Aggregator, ...) or one of the platform (admin, anonymous, task-runner)."""

    __tablename__ = "role"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    # For plugins: the platform itself decides by roles alone.
    permissions: Mapped[list[str] | None] = mapped_column(MutableList.as_mutable(AsaList()))


class User(db.Model, UserMixin):  # type: ignore[misc, name-defined]
    """A person or program who may log in; each belongs to one account.

    Attributes:
        last_seen_at: When the user last sent a request.
        account_role_names: Names of the roles of the account, which are the user's as well.

    The table is not called ``user``: in PostgreSQL ``select * from user`` silently means something else.
    """

    __tablename__ = "fm_user"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    username: Mapped[str] = mapped_column(String(255), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    # Tokens and cookies hold this instead of the id: a new one makes them all invalid.
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    timezone: Mapped[str] = mapped_column(String(255), default="Europe/Amsterdam")
    last_login_at: Mapped[datetime | None] = mapped_column(  # type: ignore[assignment]  # none yet
        DateTime(timezone=True)
    )
    login_count: Mapped[int] = mapped_column(BigInteger, default=0)
    last_seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    account: Mapped[Account] = relationship(lazy="select")
    roles: Mapped[list[Role]] = relationship(  # type: ignore[assignment]
        secondary=roles_users, lazy="selectin", order_by=Role.id
    )

    # The source of what the user posts, known with the user: posts need it.
    source_id: Mapped[int | None] = column_property(
        select(DataSource.id).where(DataSource.user_id == id).correlate_except(DataSource).scalar_subquery()  # noqa: A003
    )

    # Known with the user as well: each request asks for them.
    account_role_names: Mapped[list[str]] = column_property(
        func.array(
            select(AccountRole.name)
            .join(account_roles_accounts, account_roles_accounts.c.account_role_id == AccountRole.id)
            .where(account_roles_accounts.c.account_id == account_id)
            .correlate_except(AccountRole, account_roles_accounts)
            .scalar_subquery(),
            type_=ARRAY(String),
        )
    )

    def __repr__(self) -> str:
        return f"<User {self.username} (ID:{self.id})>"


class EndedSession(db.Model):  # type: ignore[misc, name-defined]
    """A login whose cookies are void because its user has logged out."""

    __tablename__ = "ended_session"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    # After this its cookies are too old anyway, and the row can go.
    kept_until: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


@event.listens_for(User, "before_insert")
def _give_an_account(_: Mapper[User], connection: Connection, user: User) -> None:
    """Open an account of their own for a user who was given none."""
    if user.account_id is not None:
        return
    for number in itertools.count(1):
        name = user.username if number == 1 else f"{user.username[:245]} ({number})"
        made = insert(Account).values(name=name).on_conflict_do_nothing().returning(Account.id)
        user.account_id = connection.scalar(made)
        if user.account_id is not None:
            return

"""Who uses the platform: users and their roles."""

from __future__ import annotations

from datetime import datetime

from flask_security import AsaList
from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Integer, String, Table, select
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from flexmeasures.data.database import db
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
    """A person or program with an account.

    The table is not called ``user``: in PostgreSQL ``select * from user`` silently means something else.
    """

    __tablename__ = "fm_user"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    username: Mapped[str] = mapped_column(String(255), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    # Tokens and cookies hold this instead of the id: a new one makes them all invalid.
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    timezone: Mapped[str] = mapped_column(String(255), default="Europe/Amsterdam")
    last_login_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    login_count: Mapped[int] = mapped_column(BigInteger, default=0)
    roles: Mapped[list[Role]] = relationship(secondary=roles_users, lazy="selectin", order_by=Role.id)

    # The source of what the user posts, known with the user: posts need it.
    source_id: Mapped[int | None] = column_property(
        select(DataSource.id).where(DataSource.user_id == id).correlate_except(DataSource).scalar_subquery()  # noqa: A003
    )

    def __repr__(self) -> str:
        return f"<User {self.username} (ID:{self.id})>"


class EndedSession(db.Model):  # type: ignore[misc, name-defined]
    """A login whose cookies are void because its user has logged out."""

    __tablename__ = "ended_session"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    # After this its cookies are too old anyway, and the row can go.
    kept_until: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)

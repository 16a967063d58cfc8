"""Sources of beliefs: users, and programs with their model and version."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db

__all__ = ["DataSource"]


class DataSource(db.Model):  # type: ignore[misc, name-defined]
    """The source of beliefs. Its type is one of user, forecaster, scheduler, crawler, demo, script."""

    __tablename__ = "data_source"
    __table_args__ = (
        # Users are told apart by their number alone: a name may be used again when its user has gone.
        Index(
            "data_source_name_key",
            "name",
            "type",
            "model",
            "version",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("type <> 'user'"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    type: Mapped[str] = mapped_column(String(80))
    model: Mapped[str | None] = mapped_column(String(120))
    version: Mapped[str | None] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("fm_user.id", ondelete="SET NULL"), unique=True)

"""Latest runs of recurring tasks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, String
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db

__all__ = ["LatestTaskRun"]


class LatestTaskRun(db.Model):  # type: ignore[misc, name-defined]
    """The last run of a recurring task and whether it went well."""

    __tablename__ = "latest_task_run"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    datetime: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    status: Mapped[bool] = mapped_column(default=True)

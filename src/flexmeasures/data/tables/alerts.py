"""Alerts about measurements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.sensors import Sensor

__all__ = ["ALERT_KINDS", "Alert"]

ALERT_KINDS = ("gap", "idle", "leak", "outlier", "threshold")


class Alert(db.Model):  # type: ignore[misc, name-defined]
    """That the measurements of a sensor need attention.

    Attributes:
        started_at: Since when.
        ended_at: Until when (exclusive); None: it goes on.
        value: The value furthest off [unit of the sensor]; None for gaps.
        limit: What it should keep.
        found_at: When it was first seen.
        acknowledged_at: When somebody took note of it, and `acknowledged_by`, who.
        note: What that person wrote.
        mailed_at: When the owner of the asset was told.
    """

    __tablename__ = "alert"
    __table_args__ = (
        CheckConstraint(f"kind in {ALERT_KINDS}", name="alert_kind_check"),
        CheckConstraint("ended_at >= started_at", name="alert_ended_at_check"),
        Index("alert_sensor_id_idx", "sensor_id", "started_at"),
        Index("alert_waiting_idx", "found_at", postgresql_where=text("acknowledged_at is null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    sensor_id: Mapped[int] = mapped_column(ForeignKey("sensor.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    value: Mapped[float | None]
    limit: Mapped[float | None]
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    acknowledged_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("fm_user.id", ondelete="SET NULL"))
    note: Mapped[str | None] = mapped_column(String(500))
    mailed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    sensor: Mapped[Sensor] = relationship(lazy="select")

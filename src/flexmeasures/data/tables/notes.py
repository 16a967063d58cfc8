"""Annotations, and the audit log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db

__all__ = ["ANNOTATION_TYPES", "Annotation", "AuditLog"]

ANNOTATION_TYPES = ("alert", "holiday", "label", "feedback", "warning", "error")


class Annotation(db.Model):  # type: ignore[misc, name-defined]
    """A remark about a period of an account, an asset or a sensor (one of them): a holiday, an outage, a label.

    Attributes:
        start: From this instant ...
        end: ... up to this one (exclusive).
        type: One of `ANNOTATION_TYPES`.
        belief_time: When it was noted.
    """

    __tablename__ = "annotation"
    __table_args__ = (
        CheckConstraint("num_nonnulls(account_id, asset_id, sensor_id) = 1", name="annotation_subject_check"),
        CheckConstraint('"end" > start', name="annotation_end_check"),
        CheckConstraint(f"type in {ANNOTATION_TYPES}", name="annotation_type_check"),
        Index("annotation_account_id_idx", "account_id", "start"),
        Index("annotation_asset_id_idx", "asset_id", "start"),
        Index("annotation_sensor_id_idx", "sensor_id", "start"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content: Mapped[str] = mapped_column(String(1024))
    start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    end: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    type: Mapped[str] = mapped_column(String(20))
    belief_time: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    source_id: Mapped[int] = mapped_column(ForeignKey("data_source.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    asset_id: Mapped[int | None] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"))
    sensor_id: Mapped[int | None] = mapped_column(ForeignKey("sensor.id", ondelete="CASCADE"))


class AuditLog(db.Model):  # type: ignore[misc, name-defined]
    """That somebody did something to an account, a user, an asset or a sensor.

    Without foreign keys: the log outlives what it is about.

    Attributes:
        event: What was done, as a sentence.
        active_user_id: Who did it; None: a command or a program.
        account_id: Whose account it concerns; likewise `user_id`, `asset_id` and `sensor_id`.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("audit_log_account_id_idx", "account_id", "event_datetime"),
        Index("audit_log_asset_id_idx", "asset_id", "event_datetime"),
        Index("audit_log_user_id_idx", "user_id", "event_datetime"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_datetime: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    event: Mapped[str] = mapped_column(String(500))
    active_user_id: Mapped[int | None] = mapped_column(Integer)
    active_user_name: Mapped[str | None] = mapped_column(String(255))
    account_id: Mapped[int | None] = mapped_column(Integer)
    user_id: Mapped[int | None] = mapped_column(Integer)
    asset_id: Mapped[int | None] = mapped_column(Integer)
    sensor_id: Mapped[int | None] = mapped_column(Integer)

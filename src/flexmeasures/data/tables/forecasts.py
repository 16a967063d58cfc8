"""Orders of forecasts that wait until the job store has them."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    Table,
    text,
)

from flexmeasures.data.database import db

__all__ = ["forecast_order"]

# Written with what was measured, in the same transaction, and deleted when the job store has taken the order. Rows
# are only ever added, never merged by the posts that write them: no post waits for another one's order.
forecast_order = Table(
    "forecast_order",
    db.metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("sensor_id", Integer, ForeignKey("sensor.id", ondelete="CASCADE"), nullable=False),
    Column("measured_from", DateTime(timezone=True), nullable=False),
    Column("measured_until", DateTime(timezone=True), nullable=False),
    Column("horizons", ARRAY(Interval), nullable=False),
    Column("ordered_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
)

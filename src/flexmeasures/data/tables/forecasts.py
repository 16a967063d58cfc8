"""Orders of forecasts that wait until the job store has them, and fitted models."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    LargeBinary,
    String,
    Table,
    text,
)

from flexmeasures.data.database import db

__all__ = ["fitted_model", "forecast_order"]

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

# One fit of each model for a sensor and horizon: the latest one. It holds numbers and texts only, never code.
fitted_model = Table(
    "fitted_model",
    db.metadata,
    Column("sensor_id", Integer, ForeignKey("sensor.id", ondelete="CASCADE"), primary_key=True),
    Column("belief_horizon", Interval, primary_key=True),
    Column("model", String(120), primary_key=True),
    Column("version", String(40), nullable=False),
    Column("known_until", DateTime(timezone=True), nullable=False),
    Column("measurements", Integer, nullable=False),
    Column("lowest", Double),
    Column("highest", Double),
    Column("learned", LargeBinary, nullable=False),
)

"""The one table of time series.

No class is mapped to it: beliefs travel as arrays, see ``stores.beliefs``.
"""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Double, Integer, Interval, Table

from flexmeasures.data.database import db

__all__ = ["belief"]

# No foreign keys: PostgreSQL checks those row by row, which makes a bulk insert five times slower. Triggers of the
# first migration keep the same promises a statement at a time: every belief has its sensor and its source, and goes
# with its sensor.
#
# The order of the key makes "the latest belief about each event" one walk along the index: within an event the
# smallest horizon, which is the latest belief, comes first.
belief = Table(
    "belief",
    db.metadata,
    Column("sensor_id", Integer, primary_key=True, autoincrement=False),
    Column("event_start", DateTime(timezone=True), primary_key=True),
    Column("belief_horizon", Interval, primary_key=True),
    Column("source_id", Integer, primary_key=True, autoincrement=False),
    Column("event_value", Double, nullable=False),
)

"""The one table of time series.

No class is mapped to it: beliefs travel as arrays, see ``stores.beliefs``.
"""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Double, Integer, Interval, Table, text

from flexmeasures.data.database import db

__all__ = ["belief"]

# No foreign keys: PostgreSQL checks those row by row, which makes a bulk insert five times slower; and no triggers: the
# table can then be distributed over servers. Whoever writes beliefs makes sure that their sensors and sources exist,
# and triggers of those tables see to it that beliefs go with their sensor, and no source goes that has beliefs.
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
    Column(
        "cumulative_probability", Double, primary_key=True, autoincrement=False, server_default=text("0.5")
    ),
    Column("event_value", Double, nullable=False),
)

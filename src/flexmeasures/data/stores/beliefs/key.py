"""The key of the table of beliefs."""

__all__ = ["KEY"]

KEY = "sensor_id, event_start, belief_horizon, source_id, cumulative_probability"
"""Its columns, in the order that makes the latest belief an event a scan of the index."""

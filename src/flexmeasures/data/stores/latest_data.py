"""The last event of each of many sensors of which something was measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from flexmeasures.data.stores.driver import driver_of

__all__ = ["latest_measured"]

# For each sensor one walk along the index from its end; sensor ids stand inside, too, so that it runs where beliefs are
# distributed.
_LATEST = """
select wanted.id, latest.event_start from unnest(%(ids)s::int[]) wanted(id) cross join lateral (
    select event_start from belief
    where sensor_id = wanted.id and sensor_id = any(%(ids)s) and event_start <= %(now)s and belief_horizon <= '0'
    order by sensor_id desc, event_start desc limit 1
) latest
"""


def latest_measured(session: Session, sensor_ids: Sequence[int], now: datetime) -> dict[int, datetime]:
    """Find the start of the last event that has started and was measured, of each sensor that has one."""
    found = driver_of(session).execute(_LATEST, {"ids": list(sensor_ids), "now": now})
    return dict(found.fetchall())

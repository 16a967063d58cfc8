"""As-of selection as a condition of a query: by the knowledge rules of the domain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flexmeasures.data.stores.arrays import TimestamptzArray
from flexmeasures.domain.beliefs import AtDate, DaysAgo, ExAnte, ExPost, KnowledgeRule
from flexmeasures.domain.time import to_datetime64

__all__ = ["held_by_condition", "start_held_by"]

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def start_held_by(rule: KnowledgeRule, resolution: timedelta, held_by: datetime) -> datetime | None:
    """Find the instant that an event's start less the belief horizon must not exceed; None: it is not one instant.

    With ``knowledge_time = event_start + offset``, a belief was held at ``event_start + offset - belief_horizon``.
    """
    match rule:
        case ExPost(delay):
            offset = resolution + delay
        case ExAnte(ahead):
            offset = -ahead
        case _:
            return None
    try:
        return held_by.astimezone(UTC) - offset
    except OverflowError:
        return _FIRST if offset > timedelta(0) else _LAST


def held_by_condition(
    rule: KnowledgeRule, resolution: timedelta, held_by: datetime, events: tuple[datetime, datetime]
) -> tuple[str, dict[str, Any]]:
    """Write the condition that a belief was held at an instant or before it.

    Args:
        rule: From when on the events of the sensor are known.
        resolution: Length of the events.
        held_by: The instant.
        events: Starts of the first and the last event that may be looked at.

    Returns:
        Text and parameters.
    """
    start = start_held_by(rule, resolution, held_by)
    if start is not None:
        return "event_start - belief_horizon <= %(start_held_by)s", {"start_held_by": start}
    match rule:
        case AtDate(instant):
            return "belief_horizon >= %(least_horizon)s", {"least_horizon": instant - held_by}
        case DaysAgo():
            # The domain works out when each local day is known, so that clock changes are its business alone; the
            # database only looks up in which day an event lies.
            midnights, known = rule.days_between(*(to_datetime64(one) for one in events))
            day = "width_bucket(event_start, %(midnights)b::timestamptz[])"
            return f"(%(known)b::timestamptz[])[{day}] - belief_horizon <= %(held_by)s", {
                "known": TimestamptzArray(known),
                "midnights": TimestamptzArray(midnights),
                "held_by": held_by,
            }
    raise NotImplementedError(rule)

"""The slots of a market within a planning window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flexmeasures.domain.errors import InvalidDuration, InvalidTime
from flexmeasures.domain.time import format_duration, format_instant, next_event_start

__all__ = ["AskedTime", "MarketSlots", "make_market_slots"]


@dataclass(frozen=True)
class AskedTime:
    """Time for which flexibility is asked.

    Attributes:
        start: Start of the first market slot ...
        end: ... and end of the last one; None: one slot is asked for.
        slot: Length of a market slot; None: the longest event of the assets.
        horizon: How far ahead plans are made.
    """

    start: datetime
    end: datetime | None
    slot: timedelta | None
    horizon: timedelta


@dataclass(frozen=True)
class MarketSlots:
    """The market slots of a planning window.

    Attributes:
        origin: Start of the first one.
        slot: Their length.
        slots: How many there are: m.
        asked: Which of them are asked for.
    """

    origin: datetime
    slot: timedelta
    slots: int
    asked: range

    def start_of(self, slot: int) -> datetime:
        """Start of a slot; of slot m, the end of the window."""
        return self.origin + slot * self.slot

    def touched_by(self, start: datetime, end: datetime) -> range:
        """Slots that a period touches; some may lie outside the window."""
        return range((start - self.origin) // self.slot, -((self.origin - end) // self.slot))


def make_market_slots(asked: AskedTime, now: datetime, resolutions: Sequence[timedelta]) -> MarketSlots:
    """Lay the slots of a market over the time in which plans can change.

    Args:
        asked: What is asked for.
        now: From when on assets can do otherwise.
        resolutions: Lengths of the events of the assets; at least one.

    Raises:
        InvalidDuration: If a market slot has no length.
        InvalidTime: If the window is empty, lies in the past or beyond the planning horizon, or off the market slots.
    """
    slot = max(resolutions) if asked.slot is None else asked.slot
    if slot <= timedelta(0):
        raise InvalidDuration(f"A market slot is {format_duration(slot)} long: give it a length above 0.")
    start, end = asked.start, asked.end or asked.start + slot
    if end <= start:
        raise InvalidTime(
            f"The window from {format_instant(start)} to {format_instant(end)} is empty: let it end after its start."
        )
    if start < now:
        raise InvalidTime(
            f"The window starts at {format_instant(start)}, which is past: take slots from {format_instant(now)} on."
        )
    for name, instant in (("starts", start), ("ends", end)):
        following = next_event_start(instant, slot)
        if following != instant:
            raise InvalidTime(
                f"The window {name} at {format_instant(instant)}, which is off the slots of {format_duration(slot)}: "
                f"take {format_instant(following - slot)} or {format_instant(following)}."
            )
    origin = next_event_start(now, slot)
    slots = asked.horizon // slot
    if end > origin + slots * slot:
        raise InvalidTime(
            f"The window ends at {format_instant(end)}, but plans reach until {format_instant(origin + slots * slot)}: "
            "take earlier slots, or plan further ahead (FLEXMEASURES_PLANNING_HORIZON)."
        )
    return MarketSlots(origin, slot, slots, range((start - origin) // slot, (end - origin) // slot))

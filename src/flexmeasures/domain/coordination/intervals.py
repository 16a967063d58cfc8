"""Events of coordination as their sender writes them, and the spans of time that they mean.

Source: OpenADR 3.1.0 definition, sections on intervals, interval periods and event timing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import isodate

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import add_duration, format_duration

__all__ = ["DrEvent", "Duration", "Interval", "IntervalPeriod", "Span", "place", "start_offset", "unfold"]

Duration: TypeAlias = timedelta | isodate.Duration
"""A length of time; months and years follow the calendar."""

_MOST_SPANS = 100_000
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class IntervalPeriod:
    """When an interval starts and how long it lasts.

    Attributes:
        start: Start (inclusive). None: when the event is received, or where the interval before it ends.
        duration: None: without end.
        randomize_start: The start is shifted by up to this much, earlier or later.
    """

    start: datetime | None = None
    duration: Duration | None = None
    randomize_start: timedelta = _NOTHING


@dataclass(frozen=True, slots=True)
class Interval:
    """Values for a part of an event.

    Attributes:
        id: Number that reports refer to.
        values: By type of payload, in the units that the event's payload descriptors name. Several values of one type
            share the interval evenly.
        period: None: it follows the interval before it and lasts as long as the event's own period says.
    """

    id: int
    values: Mapping[str, tuple[float, ...]]
    period: IntervalPeriod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrEvent:
    """A request of the grid: price curve, power limit or set point.

    Attributes:
        id: Identity that reports refer to.
        version: Instant of the last change; of two versions the later one holds.
        received_at: When "now" is, for an event that starts at once.
        intervals: In their order.
        period: Default for all intervals.
        duration: Length of the whole event: longer than its intervals repeats them, shorter cuts them, zero cancels it.
        priority: 0 is the highest; None is below every number.
    """

    id: str
    version: datetime
    received_at: datetime
    intervals: tuple[Interval, ...] = ()
    period: IntervalPeriod = field(default_factory=IntervalPeriod)
    duration: Duration | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """One value that holds for a while.

    Attributes:
        start: Inclusive.
        end: Exclusive; None: without end.
    """

    start: datetime
    end: datetime | None
    value: float
    interval_id: int


def start_offset(event_id: str, version: datetime, receiver: str, bound: timedelta) -> timedelta:
    """Draw the shift of a randomised start, uniformly from −bound to +bound.

    The same receiver draws the same shift for the same version of an event, so nothing has to be remembered over
    a restart, and two receivers draw independently.

    >>> event = "e-1", datetime(2026, 1, 1), "ven-1", timedelta(minutes=5)
    >>> abs(start_offset(*event)) <= timedelta(minutes=5), start_offset(*event) == start_offset(*event)
    (True, True)
    """
    digest = hashlib.blake2b(
        f"{event_id}\n{version.isoformat()}\n{receiver}".encode(), digest_size=8
    ).digest()
    return bound * (2 * int.from_bytes(digest) / (2**64 - 1) - 1)


def unfold(event: DrEvent, payload_type: str, *, shift: timedelta = _NOTHING) -> tuple[Span, ...]:
    """Work out when each value of an event holds.

    Args:
        event: As it was sent.
        payload_type: Whose values.
        shift: Moves the event as a whole (see `start_offset`).

    Returns:
        Spans in the order of the intervals, without overlap among the values of one interval.

    Raises:
        InvalidInput: An interval without end is followed by one that has no start of its own, is to be repeated, or
            holds several values.
    """
    spans = [
        span for interval, start, end in place(event) for span in _values(interval, start, end, payload_type)
    ]
    return tuple(
        replace(span, start=span.start + shift, end=None if span.end is None else span.end + shift)
        for span in spans
    )


_Placed = tuple[Interval, datetime, datetime | None]


def place(event: DrEvent) -> list[_Placed]:
    """Work out when each interval of an event holds, repeated or cut as its duration says.

    Returns:
        Interval, start (inclusive) and end (exclusive; None: without end).

    Raises:
        InvalidInput: An interval without end is followed by one that has no start of its own.
    """
    placed = list(_placed(event))
    return placed if event.duration is None else list(_fitted(placed, event.duration))


def _placed(event: DrEvent) -> Iterator[_Placed]:
    """Give each interval its start and end."""
    previous_end: datetime | None = event.period.start or event.received_at
    for interval in event.intervals:
        period = interval.period or IntervalPeriod(duration=event.period.duration)
        start = period.start or previous_end
        if start is None:
            raise InvalidInput(
                f"Interval {interval.id} of event {event.id} follows one without end. Give it a start of its own."
            )
        duration = period.duration if interval.period else event.period.duration
        previous_end = None if duration is None else add_duration(start, duration)
        yield interval, start, previous_end


def _fitted(placed: list[_Placed], duration: Duration) -> Iterator[_Placed]:
    """Repeat or cut intervals so that they last as long as the event."""
    if not placed:
        return
    first = min(start for _, start, _ in placed)
    end = add_duration(first, duration)
    if any(until is None for *_, until in placed):
        yield from _cut(placed, end)
        return
    last = max(until for *_, until in placed if until is not None)
    length = last - first
    if length <= _NOTHING or end <= first:
        return
    rounds = -(-(end - first) // length)
    if rounds * len(placed) > _MOST_SPANS:
        raise InvalidInput(
            f"A duration of {format_duration(duration)} repeats the intervals {rounds} times; "
            f"more than {_MOST_SPANS} intervals are not taken. Shorten the event or lengthen its intervals."
        )
    for number in range(rounds):
        moved = [(i, s + number * length, e + number * length) for i, s, e in placed if e is not None]
        yield from _cut(moved, end)


def _cut(
    placed: list[_Placed] | list[tuple[Interval, datetime, datetime]], end: datetime
) -> Iterator[_Placed]:
    for interval, start, until in placed:
        if start < end:
            yield interval, start, end if until is None else min(until, end)


def _values(interval: Interval, start: datetime, end: datetime | None, payload_type: str) -> Iterator[Span]:
    """Split an interval evenly among its values."""
    values = interval.values.get(payload_type, ())
    if end is None:
        if len(values) > 1:
            raise InvalidInput(
                f"Interval {interval.id} has {len(values)} values and no end, so they cannot share it evenly. "
                "Give it a duration."
            )
        yield from (Span(start, None, value, interval.id) for value in values)
        return
    if end <= start:
        return
    for number, value in enumerate(values):
        opens = start + (end - start) * number / len(values)
        closes = start + (end - start) * (number + 1) / len(values)
        yield Span(opens, closes, value, interval.id)

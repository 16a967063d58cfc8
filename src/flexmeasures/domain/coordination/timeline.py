"""The timeline of a receiver: of everything that was asked for, what holds at each instant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import numpy as np

from flexmeasures.domain.coordination.intervals import Span
from flexmeasures.domain.time import to_datetime64, to_microseconds

__all__ = ["Claim", "Rule", "Segment", "Timeline", "overlay"]

Values = np.ndarray[Any, np.dtype[np.float64]]

_LOWEST_PRIORITY = float("inf")


class Rule(Enum):
    """Rule for several events at the same time and of the same priority."""

    STRICTEST = "strictest"
    """The smallest value: for power limits."""
    NEWEST = "newest"
    """That of the event changed last: for prices and set points."""
    SUM = "sum"
    """All of them together, whatever their priority: for price differences."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that one event asks for.

    Attributes:
        span: From when until when, and which value.
        event_id: The event.
        version: When that event was changed last.
        priority: 0 is the highest; None is below every number.
    """

    span: Span
    event_id: str
    version: datetime
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A value that holds from a start (inclusive) to an end (exclusive; None: without end), and who asked for it."""

    start: datetime
    end: datetime | None
    value: float
    event_ids: tuple[str, ...]


@dataclass(frozen=True)
class Timeline:
    """Segments in time order, without overlap; between them nothing is asked for."""

    segments: tuple[Segment, ...]

    def at(self, instant: datetime) -> Segment | None:
        """Find what holds at an instant."""
        return next(
            (s for s in self.segments if s.start <= instant and (s.end is None or instant < s.end)), None
        )

    def smallest(self, start: datetime, resolution: timedelta, count: int) -> Values:
        """Find the smallest value that holds at any instant of each slot, as a power limit has to be kept.

        Returns:
            Shape ``(count,)``; infinite where nothing is asked for.
        """
        limits = np.full(count, np.inf)
        for segment in self.segments:
            first, last = _slots(segment, start, resolution, count)
            limits[first:last] = np.minimum(limits[first:last], segment.value)
        return limits

    def averages(self, start: datetime, resolution: timedelta, count: int) -> Values:
        """Average the value over each slot, by time.

        Returns:
            Shape ``(count,)``; not a number in slots that no segment touches. Time without a value does not count.
        """
        weighted, covered = self._weights(start, resolution, count)
        with np.errstate(invalid="ignore", divide="ignore"):
            return weighted / covered

    def coverage(self, start: datetime, resolution: timedelta, count: int) -> Values:
        """Find how much of each slot the segments cover: shape ``(count,)``, 0 … 1."""
        _, covered = self._weights(start, resolution, count)
        return covered / to_microseconds(resolution)

    def _weights(self, start: datetime, resolution: timedelta, count: int) -> tuple[Values, Values]:
        """Add up value times time, and time, in each slot [µs]."""
        edges = to_datetime64(start) + np.arange(count + 1) * np.timedelta64(
            to_microseconds(resolution), "us"
        )
        weighted, covered = np.zeros(count), np.zeros(count)
        for segment in self.segments:
            first, last = _slots(segment, start, resolution, count)
            opens = np.maximum(edges[first:last], to_datetime64(segment.start))
            end = edges[-1] if segment.end is None else to_datetime64(segment.end)
            lasts = (np.minimum(edges[first + 1 : last + 1], end) - opens).astype(np.float64)
            weighted[first:last] += lasts * segment.value
            covered[first:last] += lasts
        return weighted, covered


def _slots(segment: Segment, start: datetime, resolution: timedelta, count: int) -> tuple[int, int]:
    """Find the first slot that a segment touches and the one after the last."""
    first = max(0, (segment.start - start) // resolution)
    last = count if segment.end is None else min(count, -((start - segment.end) // resolution))
    return min(first, count), max(min(first, count), last)


def overlay(claims: Iterable[Claim], rule: Rule) -> Timeline:
    """Work out what holds when several events overlap.

    A lower priority never overwrites a higher one, whichever was sent first; among equals the rule decides.

    Invariants:
        The answer does not depend on the order of the claims.
    """
    ordered = sorted(claims, key=lambda c: (c.span.start, c.event_id, c.span.interval_id))
    edges = sorted({c.span.start for c in ordered} | {c.span.end for c in ordered if c.span.end is not None})
    segments: list[Segment] = []
    active: list[Claim] = []
    upcoming = iter(ordered)
    waiting = next(upcoming, None)
    for number, edge in enumerate(edges):
        while waiting is not None and waiting.span.start <= edge:
            active.append(waiting)
            waiting = next(upcoming, None)
        active = [c for c in active if c.span.end is None or c.span.end > edge]
        if active:
            end = edges[number + 1] if number + 1 < len(edges) else None
            _append(segments, _held(active, rule, edge, end))
    return Timeline(tuple(segments))


def _held(active: Sequence[Claim], rule: Rule, start: datetime, end: datetime | None) -> Segment:
    """Choose among the claims of one moment."""
    if rule is Rule.SUM:
        return Segment(
            start, end, sum(c.span.value for c in active), tuple(sorted({c.event_id for c in active}))
        )
    highest = min(_rank(c) for c in active)
    equals = [c for c in active if _rank(c) == highest]
    if rule is Rule.STRICTEST:
        chosen = min(equals, key=lambda c: (c.span.value, c.event_id))
    else:
        chosen = max(equals, key=lambda c: (c.version, c.event_id, c.span.interval_id))
    return Segment(start, end, chosen.span.value, (chosen.event_id,))


def _rank(claim: Claim) -> float:
    return _LOWEST_PRIORITY if claim.priority is None else claim.priority


def _append(segments: list[Segment], segment: Segment) -> None:
    """Add a segment, as one with its neighbour where nothing changes."""
    before = segments[-1] if segments else None
    if (
        before
        and before.end == segment.start
        and (before.value, before.event_ids) == (segment.value, segment.event_ids)
    ):
        segments[-1] = Segment(before.start, segment.end, segment.value, segment.event_ids)
    else:
        segments.append(segment)

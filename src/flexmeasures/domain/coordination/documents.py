"""Events as documents of OpenADR 3.1.0, read into what they mean.

Source: OpenADR 3.1.0 definition, sections on events, intervals and payload descriptors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flexmeasures.domain.coordination.intervals import DrEvent, Duration, Interval, IntervalPeriod, place
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import parse_duration, parse_instant

__all__ = ["FOREVER", "NOW", "find_bounds", "read_event", "units_of"]

NOW = "0001-01-01T00:00:00Z"
"""A start that means: when the event is received, or where the interval before ends."""

FOREVER = "P9999Y"
"""A duration that means: without end."""


def read_event(document: Mapping[str, Any], received_at: datetime) -> DrEvent:
    """Read an event.

    Args:
        document: The event, with its id and modificationDateTime.
        received_at: When "now" is.

    Raises:
        InvalidInput: If a time or duration cannot be read.
    """
    period = _read_period(document.get("intervalPeriod")) or IntervalPeriod()
    duration = _read_duration(document.get("duration"))
    return DrEvent(
        id=str(document.get("id", "")),
        version=parse_instant(document.get("modificationDateTime", received_at.isoformat())),
        received_at=received_at,
        intervals=tuple(_read_interval(interval) for interval in document.get("intervals") or ()),
        period=period,
        duration=duration,
        priority=document.get("priority"),
    )


def _read_interval(interval: Mapping[str, Any]) -> Interval:
    values: dict[str, tuple[float, ...]] = {}
    for payload in interval.get("payloads") or ():
        values[payload["type"]] = tuple(float(v) for v in payload["values"] if _is_number(v))
    return Interval(interval["id"], values, _read_period(interval.get("intervalPeriod")))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_period(period: Mapping[str, Any] | None) -> IntervalPeriod | None:
    if period is None:
        return None
    random = _read_duration(period.get("randomizeStart"))
    return IntervalPeriod(
        _read_start(period.get("start")),
        _read_duration(period.get("duration")),
        random if isinstance(random, timedelta) else timedelta(0),
    )


def _read_start(text: str | None) -> datetime | None:
    if text is None or text.startswith(("0000", "0001")):
        return None
    return parse_instant(text).astimezone(UTC)


def _read_duration(text: str | None) -> Duration | None:
    """Read a duration; None: without end, or not said."""
    if text is None or text == FOREVER:
        return None
    return parse_duration(text)


def find_bounds(
    document: Mapping[str, Any], received_at: datetime
) -> tuple[datetime | None, datetime | None]:
    """Find the start and the end of an event.

    Returns:
        None as start: it has no intervals. None as end: it has no intervals, or no end, or does not say when it is.
    """
    if not document.get("intervals"):
        return None, None
    if _read_duration(document.get("duration")) == timedelta(0):
        return received_at, received_at  # cancelled
    try:
        placed = place(read_event(document, received_at))
    except (InvalidInput, OverflowError):
        return received_at, None
    if not placed:
        return received_at, received_at
    ends = [end for *_, end in placed]
    last = None if any(end is None for end in ends) else max(end for end in ends if end is not None)
    return min(start for _, start, _ in placed), last


def units_of(
    descriptors: Iterable[Mapping[str, Any]] | None, payload_type: str
) -> tuple[str | None, str | None]:
    """Find the units and the currency of a type of payload among descriptors of an event or programme."""
    for descriptor in descriptors or ():
        if descriptor.get("payloadType") == payload_type:
            return descriptor.get("units"), descriptor.get("currency")
    return None, None

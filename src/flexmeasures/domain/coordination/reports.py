"""Reports as documents of OpenADR 3.1.0, read into energy of the slots of an event.

Source: OpenADR 3.1.0 definition, sections on reports, reading types and data quality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flexmeasures.domain.coordination.documents import units_of
from flexmeasures.domain.coordination.intervals import Span
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import parse_duration, parse_instant

__all__ = ["BASELINE", "USAGE", "ReportedEnergy", "read_acknowledgements", "read_energy"]

USAGE, BASELINE = "USAGE", "BASELINE"
_PER_KWH = {"WH": Decimal("0.001"), "KWH": Decimal(1), "MWH": Decimal(1000)}
_MOST = 1e9
"""No resource uses more in a slot, in whatever units."""

_NOT_COUNTED = ("MISSING", "BAD")
"""Data qualities of values that count for nothing."""

_YES, _NO = (True, "ACKNOWLEDGED", "true"), (False, "DECLINED", "false")


@dataclass(frozen=True, slots=True)
class ReportedEnergy:
    """Energy of a resource in a slot of the event [kWh, consumption positive]."""

    resource_name: str
    slot_start: datetime
    kilowatt_hours: Decimal


def read_energy(
    report: Mapping[str, Any], spans: Sequence[Span], payload_type: str = USAGE
) -> Iterator[ReportedEnergy]:
    """Read what a report says about the slots of its event.

    An interval is about the slot that begins when it does or, if it has no time, about that of the event's interval
    with the same id. What fits no slot, is of another length, is said to be missing or bad, or has other units than
    those of energy, is left out.

    Args:
        report: The document.
        spans: When the values of the event hold.
        payload_type: USAGE or BASELINE.
    """
    units, _ = units_of(report.get("payloadDescriptors"), payload_type)
    factor = _PER_KWH.get((units or "KWH").upper())
    if factor is None:
        return
    slots = {span.start: span for span in spans if span.end is not None}
    by_id: dict[int, list[Span]] = {}
    for span in slots.values():
        by_id.setdefault(span.interval_id, []).append(span)
    for resource in report.get("resources") or ():
        for position, interval in enumerate(resource["intervals"]):
            energy = _value(interval, payload_type)
            slot = _slot_of(interval, resource, position, slots, by_id)
            if energy is not None and slot is not None:
                yield ReportedEnergy(resource["resourceName"], slot.start, energy * factor)


def _value(interval: Mapping[str, Any], payload_type: str) -> Decimal | None:
    values = {payload["type"]: payload["values"] for payload in interval["payloads"]}
    if set(map(str, values.get("DATA_QUALITY", ()))) & set(_NOT_COUNTED):
        return None
    found: list[Any] = list(values.get(payload_type) or ())
    value = found[0] if len(found) == 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MOST:
        return None
    return Decimal(str(value))


def _slot_of(
    interval: Mapping[str, Any],
    resource: Mapping[str, Any],
    position: int,
    slots: Mapping[datetime, Span],
    by_id: Mapping[int, Sequence[Span]],
) -> Span | None:
    own, common = interval.get("intervalPeriod") or {}, resource.get("intervalPeriod") or {}
    lasts = _duration(own.get("duration") or common.get("duration"))
    if own.get("start"):
        start = _instant(own["start"])
    elif common.get("start") and lasts is not None:
        start = _later(_instant(common["start"]), position, lasts)
    else:
        same = by_id.get(interval["id"], ())
        return same[0] if len(same) == 1 else None
    slot = None if start is None else slots.get(start)
    fits = slot is not None and slot.end is not None and lasts in (None, slot.end - slot.start)
    return slot if fits else None


def _later(first: datetime | None, count: int, lasts: timedelta) -> datetime | None:
    try:
        return None if first is None else first + count * lasts
    except OverflowError:
        return None


def _duration(text: str | None) -> timedelta | None:
    try:
        found = None if text is None else parse_duration(text)
    except InvalidInput:
        return None
    return found if isinstance(found, timedelta) else None


def _instant(text: str) -> datetime | None:
    try:
        return parse_instant(text)
    except InvalidInput:
        return None


def read_acknowledgements(report: Mapping[str, Any]) -> dict[str, bool]:
    """Read which resources a report says can follow a power limit (the private payload ``ACK``), and which cannot.

    >>> read_acknowledgements({"resources": [
    ...     {"resourceName": "car", "intervals": [{"id": 0, "payloads": [{"type": "ACK", "values": [True]}]}]}]})
    {'car': True}
    """
    found: dict[str, bool] = {}
    for resource in report.get("resources") or ():
        for interval in resource["intervals"]:
            for payload in interval["payloads"]:
                said = payload["values"][0] if payload["type"] == "ACK" and payload["values"] else None
                if said in _YES or said in _NO:
                    found[resource["resourceName"]] = said in _YES
    return found

"""Events and notifications in the words of the partner API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flexmeasures.domain.coordination.documents import read_event, units_of
from flexmeasures.domain.coordination.intervals import Span, unfold

__all__ = [
    "NOTIFICATION_TYPES",
    "PartnerTarget",
    "read_resolution",
    "write_eligibility",
    "write_notification",
    "write_payload",
    "write_resolution",
    "write_timestamp",
]

NOTIFICATION_TYPES: dict[str, tuple[str, ...]] = {
    "PriceCurve": ("PriceCurveCreated",),
    "UserEligibility": ("UserEligibilityUpdated",),
    "ResourceLPC": ("ResourceLPCRequested", "ResourceLPCCreated"),
    "LocationLPC": ("LocationLPCRequested", "LocationLPCCreated"),
}
"""Names of the notification of an event, by its type; the first is sent, older names are understood."""

_PRICES = ("PRICE_DELTA", "PRICE")
_LIMIT = "IMPORT_CAPACITY_LIMIT"
_USUAL = timedelta(hours=1)
_KILO = {"W": 0.001, "KW": 1.0, "MW": 1000.0}
_PER_KWH = {"KWH": 1.0, "MWH": 0.001, "WH": 1000.0}


@dataclass(frozen=True, slots=True)
class PartnerTarget:
    """Part of a partner's portfolio that an event is about; ids as the partner chose them."""

    location_id: str | None = None
    resource_id: str | None = None
    meter_point_id: str | None = None

    def write(self) -> dict[str, str]:
        """Write it as partners read it."""
        fields = {
            "resourceId": self.resource_id,
            "locationId": self.location_id,
            "meterPointId": self.meter_point_id,
        }
        return {name: value for name, value in fields.items() if value is not None}


def write_timestamp(instant: datetime) -> str:
    """Write an instant as partners read it: UTC, with milliseconds.

    >>> write_timestamp(datetime(2026, 3, 1, 11, tzinfo=UTC))
    '2026-03-01T11:00:00.000Z'
    """
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_resolution(resolution: timedelta) -> str:
    """Write the length of slots as hours, minutes and seconds.

    >>> write_resolution(timedelta(minutes=15))
    '00:15:00'
    """
    seconds = round(resolution.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def read_resolution(document: Mapping[str, Any], received_at: datetime) -> timedelta:
    """Find the length of the slots of an event; an hour if it has none."""
    spans = _spans(document, received_at)
    lengths = [span.end - span.start for span in spans if span.end is not None]
    return min(lengths, default=_USUAL)


def _spans(document: Mapping[str, Any], received_at: datetime) -> tuple[Span, ...]:
    event = read_event(document, received_at)
    for kind in (*_PRICES, _LIMIT):
        spans = unfold(event, kind)
        if spans:
            return spans
    return ()


def write_payload(
    document: Mapping[str, Any],
    payload_type: str,
    targets: Iterable[PartnerTarget],
    *,
    descriptors: Iterable[Mapping[str, Any]] | None,
    received_at: datetime,
) -> dict[str, Any]:
    """Write an event as the payload that a partner gets.

    Args:
        document: In the words of OpenADR 3.1.0.
        payload_type: PriceCurve, ResourceLPC or LocationLPC.
        targets: What of the partner it is about.
        descriptors: Of its programme, where it has none of its own.
        received_at: When an event without a start begins.
    """
    payload: dict[str, Any] = {"payloadType": payload_type}
    shown = [target.write() for target in targets]
    spans = _spans(document, received_at)
    resolution = write_resolution(read_resolution(document, received_at))
    kinds = {p["type"] for i in document.get("intervals") or () for p in i["payloads"]}
    kind = next((one for one in (*_PRICES, _LIMIT) if one in kinds), _LIMIT)
    own = list(document.get("payloadDescriptors") or ()) or list(descriptors or ())
    units, currency = units_of(own, kind)
    if payload_type == "PriceCurve":
        factor = _PER_KWH.get((units or "KWH").upper(), 1.0)
        curve = {
            "energyUnit": "KWh",
            "currency": currency or "EUR",
            "resolution": resolution,
            "points": [
                {"price": _rounded(span.value * factor), "timestamp": write_timestamp(span.start)}
                for span in spans
            ],
        }
        area = _attribute(document, "PRICE_AREA")
        return payload | ({"priceArea": area} if area else {}) | {"targets": shown, "priceCurveDelta": curve}
    factor = _KILO.get((units or "KW").upper(), 1.0)
    points = [
        {"timestamp": write_timestamp(span.start), "maxPowerInKiloWatts": _rounded(span.value * factor)}
        for span in spans
    ]
    return payload | {"targets": shown, "resolution": resolution, "points": points}


def _rounded(value: float) -> float:
    return round(value, 9)


def _attribute(document: Mapping[str, Any], name: str) -> str | None:
    """Find an attribute that stands as a payload of the first interval."""
    for interval in document.get("intervals") or ():
        for payload in interval["payloads"]:
            if payload["type"] == name and payload["values"]:
                return str(payload["values"][0])
    return None


def write_eligibility(document: Mapping[str, Any], changed_at: datetime) -> dict[str, Any]:
    """Write an event about users who became eligible, or are not any more, as the payload that a partner gets."""
    users: dict[str, list[str]] = {"ADDED_USERS": [], "REMOVED_USERS": []}
    for interval in document.get("intervals") or ():
        for payload in interval["payloads"]:
            if payload["type"] in users:
                users[payload["type"]] += [str(value) for value in payload["values"]]
    return {
        "payloadType": "UserEligibility",
        "lastUpdated": write_timestamp(changed_at),
        "addedUsers": users["ADDED_USERS"],
        "removedUsers": users["REMOVED_USERS"],
    }


def write_notification(
    number: int, event_id: str, payload: Mapping[str, Any], *, created_at: datetime, now: datetime
) -> dict[str, Any]:
    """Write the notification of an event for a partner.

    Args:
        number: Of the delivery: it stays the same when it is sent again.
        event_id: Of the event.
        payload: Of the event, as `write_payload` wrote it.
        created_at: When the event was made.
        now: When it is sent.
    """
    kinds = NOTIFICATION_TYPES[payload["payloadType"]]
    return {
        "notificationId": str(number),
        "eventId": event_id,
        "eventCreatedAtUtc": write_timestamp(created_at),
        "notificationSentUtc": write_timestamp(now),
        "notificationType": kinds[0],
        "payload": payload,
    }

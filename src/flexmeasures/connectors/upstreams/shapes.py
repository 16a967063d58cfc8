"""Shapes of messages of upstreams: their events read into what they ask, our reports written as they want them.

Sources: OpenADR 3.0.1 and 3.1.0 definitions; the partner API as our own server speaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flexmeasures.data.tables import UpstreamTarget
from flexmeasures.domain.coordination import DrEvent, Interval, IntervalPeriod, SignalKind, Span
from flexmeasures.domain.coordination.documents import read_event
from flexmeasures.domain.coordination.former import typed_target
from flexmeasures.domain.coordination.intervals import start_offset, unfold
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import parse_duration, parse_instant
from flexmeasures.services.upstreams.received import PRICE, ReceivedEvent
from flexmeasures.services.upstreams.reports import USAGE

__all__ = ["Sender", "read_openadr_event", "read_partner_event", "write_report"]

_KINDS: Mapping[str, str] = {
    "IMPORT_CAPACITY_LIMIT": SignalKind.IMPORT_LIMIT,
    "EXPORT_CAPACITY_LIMIT": SignalKind.EXPORT_LIMIT,
    "PRICE_DELTA": SignalKind.PRICE_DELTA,
    "PRICE": PRICE,
}

# What a value in these units is multiplied by, to be in MW or currency/MWh.
_FACTORS = {"W": 1e-6, "KW": 1e-3, "MW": 1.0, "KWH": 1e3, "MWH": 1.0}
_USUAL_UNITS = {SignalKind.IMPORT_LIMIT: "KW", SignalKind.EXPORT_LIMIT: "KW"}
_USUAL_ENERGY = "KWH"

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Sender:
    """Who reports: the kind of the upstream, and our name there."""

    kind: str
    name: str


def _safely(read: Callable[..., ReceivedEvent]) -> Callable[..., ReceivedEvent]:
    """Let an event that cannot be read ask nothing, and say why; the others must not suffer from it."""

    def attempt(document: Mapping[str, Any], received_at: datetime, receiver: str) -> ReceivedEvent:
        event_id = str(document.get("id", ""))[:128]
        try:
            return read(document, received_at, receiver)
        except (InvalidInput, KeyError, TypeError, ValueError, AttributeError) as error:
            why = (
                str(error)
                if isinstance(error, InvalidInput)
                else f"It is not shaped as it should be: {error}"
            )
            version = _version(document) or received_at
            return ReceivedEvent(id=event_id, version=version, content=document, problem=why[:500])

    return attempt


def _version(document: Mapping[str, Any]) -> datetime | None:
    for name in ("modificationDateTime", "modifiedAt", "createdDateTime", "createdAt"):
        try:
            return parse_instant(document[name])
        except (InvalidInput, KeyError):
            continue
    return None


@_safely
def read_openadr_event(document: Mapping[str, Any], received_at: datetime, receiver: str) -> ReceivedEvent:
    """Read an event of an OpenADR 3 server.

    Args:
        document: As it is listed.
        received_at: When this version was received first: "now" of an event that starts at once.
        receiver: Who we are, for the draw of a randomised start.

    Raises:
        InvalidInput: If it cannot be read.
    """
    event = read_event(document, received_at)
    version = _version(document) or received_at
    bound = event.period.randomize_start
    shift = start_offset(event.id, version, receiver, bound) if bound else timedelta(0)
    units = {one["payloadType"]: one.get("units") for one in document.get("payloadDescriptors") or ()}
    spans = {}
    for payload_type, kind in _KINDS.items():
        usual = _USUAL_UNITS.get(SignalKind(kind), _USUAL_ENERGY) if kind != PRICE else _USUAL_ENERGY
        found = unfold(event, payload_type, shift=shift)
        if found:
            spans[kind] = tuple(_scaled(found, units.get(payload_type) or usual))
    return ReceivedEvent(
        id=event.id,
        version=version,
        content=document,
        targets=_openadr_targets(document.get("targets")),
        spans=spans,
        priority=event.priority,
    )


def _openadr_targets(targets: Any) -> frozenset[str] | None:
    """Read targets: texts in 3.1.0, maps of a type and values in 3.0.1."""
    if not targets:
        return None
    return frozenset(
        word
        for one in targets
        for word in (
            map(str, one.get("values", ())) if isinstance(one, dict) else [typed_target(str(one))[1]]
        )
    )


def _scaled(spans: Iterable[Span], unit: str) -> Iterable[Span]:
    factor = _FACTORS.get(str(unit).upper())
    if factor is None:
        raise InvalidInput(f"Its values are in {unit!r}. Values in {', '.join(_FACTORS)} are understood.")
    for span in spans:
        yield Span(span.start, span.end, span.value * factor, span.interval_id)


@_safely
def read_partner_event(document: Mapping[str, Any], received_at: datetime, _receiver: str) -> ReceivedEvent:
    """Read an event of a partner API: a price curve or a power limit.

    Raises:
        InvalidInput: If it cannot be read.
    """
    payload = document["payload"]
    kind_name = payload["payloadType"]
    version = _version(document) or received_at
    if kind_name == "PriceCurve":
        curve = payload["priceCurveDelta"]
        kind, name, unit = SignalKind.PRICE_DELTA, "price", curve.get("energyUnit") or "KWh"
    elif kind_name in {"ResourceLPC", "LocationLPC", "LPC"}:
        curve, kind, name, unit = payload, SignalKind.IMPORT_LIMIT, "maxPowerInKiloWatts", "KW"
    else:
        return ReceivedEvent(id=str(document["id"]), version=version, content=document)
    points = curve.get("points") or curve.get("curvePoints") or curve.get("limits") or ()
    resolution = _resolution(curve.get("resolution"))
    intervals = tuple(
        Interval(
            number, {kind: (float(one[name]),)}, IntervalPeriod(parse_instant(one["timestamp"]), resolution)
        )
        for number, one in enumerate(points)
    )
    event = DrEvent(id=str(document["id"]), version=version, received_at=received_at, intervals=intervals)
    return ReceivedEvent(
        id=event.id,
        version=version,
        content=document,
        targets=_partner_targets(payload.get("targets")),
        spans={kind: tuple(_scaled(unfold(event, kind), unit))},
    )


def _partner_targets(targets: Any) -> frozenset[str] | None:
    """Take the narrowest name of each target."""
    if not targets:
        return None
    names = ("resourceId", "locationId", "meterPointId")
    return frozenset(str(next(one[name] for name in names if one.get(name))) for one in targets)


def _resolution(text: str | None) -> timedelta:
    """Read a length as partner APIs write it (hh:mm:ss), or in ISO 8601."""
    if text is None:
        return _HOUR
    if ":" in text:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    duration = parse_duration(text)
    if not isinstance(duration, timedelta):
        raise InvalidInput(f"The resolution {text!r} has no fixed length.")
    return duration


def _partner_instant(instant: datetime) -> str:
    """Write an instant as partner APIs want it: UTC with milliseconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def write_report(
    kind: str,
    event: Mapping[str, Any],
    content: Mapping[str, Any],
    targets: Iterable[UpstreamTarget],
    who: Sender,
) -> tuple[str, dict[str, Any]]:
    """Write a report as an upstream wants it: its path, and its body."""
    by_name = {target.resource_name: target for target in targets}
    if who.kind == "partner":
        write = _partner_usage if kind == USAGE else _partner_acknowledgement
        return "/reports", {"eventId": event["id"], "payloads": write(event, content, by_name)}
    payload_type, units = ("USAGE", "KWH") if kind == USAGE else ("ACK", None)
    if kind == USAGE:
        values = {name: [(n, energy) for n, _, energy in rows] for name, rows in content["resources"].items()}
    else:
        values = {name: [(0, promised)] for name, promised in content["promised"].items()}
    descriptor = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": payload_type}
    if units:
        descriptor |= {"units": units, "readingType": "DIRECT_READ"}
    body: dict[str, Any] = {
        "eventID": event["id"],
        "clientName": who.name,
        "reportName": f"{kind} {event['id']}"[:128],
        "payloadDescriptors": [descriptor],
        "resources": [
            {
                "resourceName": name,
                "intervals": [
                    {"id": number, "payloads": [{"type": payload_type, "values": [value]}]}
                    for number, value in rows
                ],
            }
            for name, rows in values.items()
        ],
    }
    if who.kind == "openadr-3.0.1":
        body["programID"] = event.get("programID")
    return "/reports", body


def _names_of(target: UpstreamTarget) -> dict[str, str]:
    names = {
        "resourceId": target.resource_name,
        "locationId": target.location_id,
        "meterPointId": target.meter_point_id,
    }
    return {name: value for name, value in names.items() if value}


def _partner_usage(
    _event: Mapping[str, Any], content: Mapping[str, Any], by_name: Mapping[str, UpstreamTarget]
) -> list[dict[str, Any]]:
    lasts = timedelta(seconds=content["seconds"])
    hours, rest = divmod(lasts, _HOUR)
    resolution = f"{hours:02d}:{rest // timedelta(minutes=1):02d}:00"
    return [
        {
            "payloadType": "EnergyUsage",
            **_names_of(by_name[name]),
            "resolution": resolution,
            "curvePoints": [
                {"kiloWattHours": energy, "timestamp": _partner_instant(parse_instant(start))}
                for _, start, energy in rows
            ],
        }
        for name, rows in content["resources"].items()
        if name in by_name
    ]


def _partner_acknowledgement(
    event: Mapping[str, Any], content: Mapping[str, Any], by_name: Mapping[str, UpstreamTarget]
) -> list[dict[str, Any]]:
    word = "Location" if event["payload"]["payloadType"] == "LocationLPC" else "Resource"
    sides: dict[bool, list[dict[str, str]]] = {True: [], False: []}
    for name, promised in content["promised"].items():
        if name in by_name:
            sides[bool(promised)].append(_names_of(by_name[name]))
    return [
        {
            "payloadType": f"{word}LPCAcknowledged",
            "acknowledgedTargets": sides[True],
            "declinedTargets": sides[False],
        }
    ]

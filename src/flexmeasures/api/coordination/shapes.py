"""What partners may send, and how reports are read: every fault is named with its path.

Source: the public guides of the Energy Coordination API, as described in docs/reference/coordination-partner-api.md.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flexmeasures.domain.coordination.faults import Fault, raise_faults
from flexmeasures.domain.coordination.usage import UsagePoint
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import parse_duration, parse_instant
from flexmeasures.services.coordination.partner_reports import (
    Acknowledgement,
    PartnerReport,
    TargetName,
    Usage,
)
from flexmeasures.services.coordination.partners import Place

__all__ = ["read_place", "read_report", "read_resolution", "read_text"]

_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_LONGEST_TEXT = 128
_LONGEST_TIMESTAMP = 40
_MOST_PAYLOADS = 10_000
_MOST_POINTS = 500_000

_USAGE = {"EnergyUsage": "curvePoints", "LocationEnergyUsage": "points"}
_ACKNOWLEDGEMENTS = ("LocationLPCAcknowledged", "ResourceLPCAcknowledged")


def read_text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Read a text of 1 to 128 characters.

    Raises:
        InvalidReport: If it is missing, empty, too long or not a text.
    """
    faults: list[Fault] = []
    text = _text(body, name, name, faults, required=default is None)
    raise_faults(faults)
    return text or default or ""


def _text(
    body: Mapping[str, Any], name: str, path: str, faults: list[Fault], *, required: bool = True
) -> str | None:
    value = body.get(name)
    if value is None:
        if required:
            faults.append(Fault(path, f"{name} is missing."))
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_TEXT:
        faults.append(
            Fault(path, f"{name} is {quote(value)}; use a text of 1 to {_LONGEST_TEXT} characters.")
        )
        return None
    return value


def read_place(body: Mapping[str, Any]) -> Place:
    """Read where a location is.

    Raises:
        InvalidReport: With every fault.
    """
    faults: list[Fault] = []
    kind = _text(body, "locationType", "locationType", faults, required=False)
    meters = body.get("meterPointIds")
    if meters is None and body.get("meterPointId") is not None:
        meters = [body["meterPointId"]]
    if meters is not None and not (
        isinstance(meters, list) and all(isinstance(m, str) and 1 <= len(m) <= _LONGEST_TEXT for m in meters)
    ):
        faults.append(Fault("meterPointIds", "meterPointIds is not a list of texts of 1 to 128 characters."))
    latitude = longitude = None
    place = body.get("coordinates")
    if place is not None:
        if not isinstance(place, Mapping):
            faults.append(Fault("coordinates", "coordinates is not an object with latitude and longitude."))
        else:
            latitude = _degrees(place, "latitude", 90, faults)
            longitude = _degrees(place, "longitude", 180, faults)
    raise_faults(faults)
    return Place(kind, None if meters is None else tuple(meters), latitude, longitude)


def _degrees(place: Mapping[str, Any], name: str, most: float, faults: list[Fault]) -> float | None:
    value = place.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
        faults.append(Fault(f"coordinates.{name}", f"{name} is {quote(value)}; use −{most:g} … {most:g}."))
        return None
    return float(value)


def read_resolution(text: object, path: str, faults: list[Fault]) -> timedelta | None:
    """Read the length of slots: hours, minutes and seconds as in 01:00:00, or an ISO 8601 duration."""
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if found:
        length: Any = timedelta(hours=int(found[1]), minutes=int(found[2]), seconds=int(found[3] or 0))
    else:
        try:
            length = parse_duration(text, "resolution")
        except InvalidInput:
            length = None
    if not isinstance(length, timedelta) or length <= timedelta(0):
        faults.append(Fault(path, f"resolution is {quote(text)}; write it like 01:00:00."))
        return None
    return length


def read_report(body: Mapping[str, Any], idempotency_key: str | None) -> PartnerReport:
    """Read a report.

    Raises:
        InvalidReport: With every fault of its shape.
    """
    faults: list[Fault] = []
    event_id = _text(body, "eventId", "eventId", faults)
    payloads = body.get("payloads")
    read: list[Usage | Acknowledgement] = []
    if not isinstance(payloads, list) or not payloads:
        faults.append(Fault("payloads", "payloads is not a list of at least one payload."))
    elif len(payloads) > _MOST_PAYLOADS:
        faults.append(
            Fault("payloads", f"There are {len(payloads)} payloads; send at most {_MOST_PAYLOADS}.")
        )
    else:
        for number, payload in enumerate(payloads):
            one = _read_payload(payload, f"payloads[{number}]", faults)
            if one is not None:
                read.append(one)
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= 255:
        faults.append(Fault("Idempotency-Key", "The header Idempotency-Key has 1 to 255 characters."))
    raise_faults(faults)
    return PartnerReport(event_id or "", read, body, idempotency_key)


def _read_payload(payload: Any, path: str, faults: list[Fault]) -> Usage | Acknowledgement | None:
    if not isinstance(payload, Mapping):
        faults.append(Fault(path, "A payload is a JSON object."))
        return None
    kind = payload.get("payloadType")
    if kind in _USAGE:
        return _read_usage(payload, str(kind), path, faults)
    if kind in _ACKNOWLEDGEMENTS:
        return _read_acknowledgement(payload, str(kind), path, faults)
    known = ", ".join((*_USAGE, *_ACKNOWLEDGEMENTS))
    reason = "payloadType is missing" if kind is None else f"payloadType is {quote(kind)}"
    faults.append(Fault(f"{path}.payloadType", f"{reason}; there are {known}."))
    return None


def _read_usage(payload: Mapping[str, Any], kind: str, path: str, faults: list[Fault]) -> Usage | None:
    before = len(faults)
    needs_resource = kind == "EnergyUsage"
    about = TargetName(
        location_id=_text(payload, "locationId", f"{path}.locationId", faults, required=not needs_resource),
        resource_id=_text(payload, "resourceId", f"{path}.resourceId", faults) if needs_resource else None,
        meter_point_id=_text(payload, "meterPointId", f"{path}.meterPointId", faults, required=False),
    )
    resolution = read_resolution(payload.get("resolution"), f"{path}.resolution", faults)
    name = _USAGE[kind]
    points = _read_points(payload.get(name), f"{path}.{name}", faults)
    if len(faults) > before or resolution is None:
        return None
    return Usage(kind, path, f"{path}.{name}", about, resolution, points)


def _read_points(points: Any, path: str, faults: list[Fault]) -> list[UsagePoint]:
    if not isinstance(points, list) or not points:
        faults.append(Fault(path, f"{path.rpartition('.')[2]} is not a list of at least one point."))
        return []
    if len(points) > _MOST_POINTS:
        faults.append(Fault(path, f"There are {len(points)} points; send at most {_MOST_POINTS}."))
        return []
    read = (_read_point(point, f"{path}[{number}]", faults) for number, point in enumerate(points))
    return [point for point in read if point is not None]


def _read_instant(text: object) -> datetime:
    """Read a timestamp; those of one report are few, and stand there once for each resource."""
    is_usual = isinstance(text, str) and len(text) <= _LONGEST_TIMESTAMP
    return _read_known(text) if is_usual else parse_instant(text, "timestamp")


@functools.lru_cache(maxsize=1024)
def _read_known(text: str) -> datetime:
    return parse_instant(text, "timestamp")


def _read_point(point: Any, path: str, faults: list[Fault]) -> UsagePoint | None:
    if not isinstance(point, Mapping):
        faults.append(Fault(path, "A point is a JSON object with kiloWattHours and timestamp."))
        return None
    energy = point.get("kiloWattHours")
    if isinstance(energy, bool) or not isinstance(energy, int | float) or not abs(energy) <= 1e9:
        reason = f"kiloWattHours is {quote(energy)}; use a number, and leave out slots without a reading."
        faults.append(Fault(f"{path}.kiloWattHours", reason))
        return None
    try:
        return UsagePoint(_read_instant(point.get("timestamp")), Decimal(str(energy)))
    except InvalidInput as error:
        faults.append(Fault(f"{path}.timestamp", str(error)))
        return None


def _read_acknowledgement(
    payload: Mapping[str, Any], kind: str, path: str, faults: list[Fault]
) -> Acknowledgement | None:
    accepted = _read_targets(payload, "acknowledgedTargets", path, faults)
    declined = _read_targets(payload, "declinedTargets", path, faults)
    if not accepted and not declined:
        faults.append(
            Fault(path, "acknowledgedTargets and declinedTargets are both empty. Name each target in one.")
        )
    return Acknowledgement(kind, path, accepted, declined)


def _read_targets(payload: Mapping[str, Any], name: str, path: str, faults: list[Fault]) -> list[TargetName]:
    targets = payload.get(name)
    if targets is None:
        return []
    if not isinstance(targets, list) or not all(isinstance(target, Mapping) for target in targets):
        faults.append(Fault(f"{path}.{name}", f"{name} is not a list of objects."))
        return []
    read = []
    for number, target in enumerate(targets):
        at = f"{path}.{name}[{number}]"
        read.append(
            TargetName(
                *(
                    _text(target, key, f"{at}.{key}", faults, required=False)
                    for key in ("locationId", "resourceId", "meterPointId")
                )
            )
        )
    return read

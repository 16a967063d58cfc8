"""Reports of partners: energy used, and whether power limits can be followed. All of a report is stored, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from flexmeasures.data.stores.coordination.usage import insert_usage
from flexmeasures.data.tables import DrAcknowledgement, DrEvent, DrEventTarget, DrReport
from flexmeasures.domain.coordination.faults import Fault, InvalidReport
from flexmeasures.domain.coordination.usage import EventSlots, UsagePoint, place_usage
from flexmeasures.domain.errors import Conflict
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import from_datetime64
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.event_slots import find_resource_types, find_slots, may_feed_in
from flexmeasures.services.coordination.objects import Sent, announce_change, new_metadata
from flexmeasures.services.coordination.partner_events import find_partner_event, targets_for

__all__ = ["Acknowledgement", "PartnerReport", "TargetName", "Usage", "take_report"]

_ALLOWED = {
    "PriceCurve": ("EnergyUsage", "LocationEnergyUsage"),
    "LocationLPC": ("LocationLPCAcknowledged", "LocationEnergyUsage", "EnergyUsage"),
    "ResourceLPC": ("ResourceLPCAcknowledged", "EnergyUsage"),
}
"""Types of payload that a report about an event of each type may have; other events take no reports."""


@dataclass(frozen=True, slots=True)
class TargetName:
    """What a payload is about, as the partner calls it."""

    location_id: str | None = None
    resource_id: str | None = None
    meter_point_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Energy used by a resource, or (without one) at a location.

    Attributes:
        path: Where it stands in the report.
        points_path: Where its points stand.
    """

    payload_type: str
    path: str
    points_path: str
    about: TargetName
    resolution: timedelta
    points: Sequence[UsagePoint]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Which targets of a power limit can be followed as a whole, and which cannot."""

    payload_type: str
    path: str
    accepted: Sequence[TargetName]
    declined: Sequence[TargetName]


@dataclass(frozen=True, slots=True)
class PartnerReport:
    """A report whose shape was checked.

    Attributes:
        body: As it was sent.
        idempotency_key: Under which the sender files it.
    """

    event_id: str
    payloads: Sequence[Usage | Acknowledgement]
    body: Mapping[str, Any]
    idempotency_key: str | None = None

    @property
    def digest(self) -> str:
        """A fingerprint of what was sent."""
        return hashlib.sha256(orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass
class _Rows:
    """What is stored of a report."""

    usage: list[dict[str, Any]] = field(default_factory=list)
    acknowledgements: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)


def take_report(session: Session, caller: Caller, report: PartnerReport, now: datetime) -> DrReport:
    """Take a report of a partner; the same report once more is the same report.

    Raises:
        NotFound: If the partner has no event of that id.
        InvalidReport: With every fault of its content.
        Conflict: If another report was filed under the same key.
    """
    event = find_partner_event(session, caller, report.event_id)
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"coordination-report {caller.id} {event.id}"},
    )
    known = _find_same(session, caller, report)
    if known is not None:
        return known
    rows = _check(session, caller, event, report)
    content = {
        "eventID": event.id,
        "clientName": caller.client_id,
        "clientID": caller.client_id,
        "payloadDescriptors": [
            {
                "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
                "payloadType": "USAGE",
                "readingType": "DIRECT_READ",
                "units": "KWH",
            }
        ],
        "resources": rows.resources,
    }
    stored = DrReport(
        **new_metadata(caller, Sent(content), now),
        client_id=caller.client_id,
        client_name=caller.client_id,
        event_id=event.id,
        program_id=event.program_id,
        partner=dict(report.body),
        digest=report.digest,
        idempotency_key=report.idempotency_key,
    )
    session.add(stored)
    session.flush()
    common = {"report_id": stored.id, "event_id": event.id, "client_id": caller.id}
    insert_usage(session, common, rows.usage, now)
    if rows.acknowledgements:
        session.execute(
            insert(DrAcknowledgement),
            [common | row | {"acknowledged_at": now} for row in rows.acknowledgements],
        )
    announce_change(session, "CREATE", stored, now)
    return stored


def _find_same(session: Session, caller: Caller, report: PartnerReport) -> DrReport | None:
    ours = select(DrReport).where(
        DrReport.environment == caller.environment, DrReport.client_id == caller.client_id
    )
    if report.idempotency_key is not None:
        filed: DrReport | None = session.scalar(
            ours.where(DrReport.idempotency_key == report.idempotency_key)
        )
        if filed is not None and filed.digest != report.digest:
            raise Conflict("Another report was filed under this Idempotency-Key. Use a new key.")
        if filed is not None:
            return filed
    last: DrReport | None = session.scalar(
        ours.where(DrReport.event_id == report.event_id).order_by(DrReport.serial.desc()).limit(1)
    )
    return last if last is not None and last.digest == report.digest else None


def _check(session: Session, caller: Caller, event: DrEvent, report: PartnerReport) -> _Rows:
    allowed = _ALLOWED.get(event.payload_type or "", ())
    if not allowed:
        raise _refused([Fault("eventId", f"Events of type {event.payload_type} take no reports.")])
    targets = targets_for(session, event.id, caller.id)
    types = find_resource_types(session, caller.environment, caller.client_id, targets)
    slots = find_slots(event)
    rows, faults = _Rows(), list[Fault]()
    for payload in report.payloads:
        if payload.payload_type not in allowed:
            fit = f"{payload.payload_type} does not fit an event of type {event.payload_type}"
            faults.append(Fault(f"{payload.path}.payloadType", f"{fit}; send {' or '.join(allowed)}."))
        elif isinstance(payload, Usage):
            _add_usage(payload, targets, types, slots, rows, faults)
        else:
            _add_acknowledgement(payload, targets, rows, faults)
    if faults:
        raise _refused(faults)
    return rows


def _refused(faults: Sequence[Fault]) -> InvalidReport:
    error = InvalidReport(faults)
    error.details["status"] = 422
    return error


def _add_usage(
    payload: Usage,
    targets: Sequence[DrEventTarget],
    types: Mapping[str, str],
    slots: EventSlots,
    rows: _Rows,
    faults: list[Fault],
) -> None:
    target = _match(payload.about, targets)
    if target is None:
        faults.append(Fault(payload.path, f"{_word(payload.about)} is not a target of this event."))
        return
    name = payload.about.resource_id
    bidirectional = name is None or may_feed_in(types.get(name, ""))
    try:
        placed = place_usage(
            payload.points,
            payload.resolution,
            slots,
            path=payload.points_path if payload.resolution == slots.resolution else payload.path,
            bidirectional=bidirectional,
        )
    except InvalidReport as error:
        faults.extend(error.faults)
        return
    about = {
        "user_id": target.user_id,
        "location_id": target.location_id,
        "resource_id": payload.about.resource_id,
        "meter_point_id": payload.about.meter_point_id or target.meter_point_id,
    }
    rows.usage += [
        about
        | {"slot_start": from_datetime64(slots.starts[number]).replace(tzinfo=UTC), "kilowatt_hours": energy}
        for number, energy in placed.items()
    ]
    intervals = [
        {"id": number, "payloads": [{"type": "USAGE", "values": [_number(energy)]}]}
        for number, energy in placed.items()
    ]
    rows.resources.append({"resourceName": name or payload.about.location_id or "", "intervals": intervals})


def _number(energy: Decimal) -> float:
    return float(energy)


def _add_acknowledgement(
    payload: Acknowledgement, targets: Sequence[DrEventTarget], rows: _Rows, faults: list[Fault]
) -> None:
    for field_name, names, is_accepted in (
        ("acknowledgedTargets", payload.accepted, True),
        ("declinedTargets", payload.declined, False),
    ):
        for position, about in enumerate(names):
            path = f"{payload.path}.{field_name}[{position}]"
            if _match(about, targets) is None:
                faults.append(Fault(path, f"{_word(about)} is not a target of this event."))
            elif not is_accepted and about in payload.accepted:
                faults.append(Fault(path, f"{_word(about)} is acknowledged as well. Name it once."))
            else:
                rows.acknowledgements.append(
                    {
                        "location_id": about.location_id,
                        "resource_id": about.resource_id,
                        "meter_point_id": about.meter_point_id,
                        "is_accepted": is_accepted,
                    }
                )
                value = "ACKNOWLEDGED" if is_accepted else "DECLINED"
                name = about.resource_id or about.location_id or about.meter_point_id or ""
                rows.resources.append(
                    {
                        "resourceName": name,
                        "intervals": [{"id": 0, "payloads": [{"type": "ACK", "values": [value]}]}],
                    }
                )


def _match(about: TargetName, targets: Sequence[DrEventTarget]) -> DrEventTarget | None:
    """Find the target of an event that a payload is about; all that it names must fit."""
    if about == TargetName():
        return None
    for target in targets:
        if (
            about.location_id in (None, target.location_id)
            and about.resource_id in (None, target.resource_id)
            and about.meter_point_id in (None, target.meter_point_id or about.meter_point_id)
        ):
            return target
    return None


def _word(about: TargetName) -> str:
    names = (
        ("resource", about.resource_id),
        ("location", about.location_id),
        ("meter point", about.meter_point_id),
    )
    return " with ".join(f"{kind} {quote(name)}" for kind, name in names if name is not None) or "It"

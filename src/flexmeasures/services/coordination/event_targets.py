"""Partners' targets of an event: noted when the event is made, because reports must name it."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent

__all__ = ["PARTNER_PAYLOADS", "note_event_targets"]

PARTNER_PAYLOADS = {
    "PRICE_DELTA": "PriceCurve",
    "PRICE": "PriceCurve",
    "IMPORT_CAPACITY_LIMIT": "LocationLPC",
}
"""Partners' names of an event, by the type of its payloads."""

# A resource is meant if its name, one of its targets, its location, or its partner's VEN (by name, too) is a target;
# every resource of an enrolled user is meant if the event has no targets.
_NOTE = text("""
insert into dr_event_target (event_id, client_id, user_id, location_id, resource_id, meter_point_id)
select :event_id, client.id, usr.user_id, location.location_id, resource.name, location.meter_point_ids[1]
from dr_resource resource
    join dr_user usr on usr.id = resource.user_id
    join dr_client client on client.id = usr.client_id and client.environment = :environment
    left join dr_location location on location.id = resource.location_id
    left join dr_ven ven on ven.id = resource.ven_id
where resource.environment = :environment
    and exists (select from dr_enrolment enrolment
        where enrolment.user_id = usr.id and enrolment.program_id = :program_id)
    and (cardinality(cast(:targets as text[])) = 0
        or resource.targets && cast(:targets as text[])
        or ven.targets && cast(:targets as text[])
        or resource.name = any(cast(:targets as text[]))
        or 'RESOURCE_NAME:' || resource.name = any(cast(:targets as text[]))
        or 'VEN_NAME:' || ven.name = any(cast(:targets as text[]))
        or location.location_id = any(cast(:targets as text[])))
on conflict do nothing
""")


def note_event_targets(session: Session, event: DrEvent) -> None:
    """Note what of the partners an event is about, if it is one that partners know."""
    if event.payload_type is None:
        event.payload_type = _partner_payload(event)
    if event.payload_type in (None, "UserEligibility"):
        return
    session.flush()
    session.execute(
        _NOTE,
        {
            "event_id": event.id,
            "environment": event.environment,
            "program_id": event.program_id,
            "targets": event.targets,
        },
    )


def _partner_payload(event: DrEvent) -> str | None:
    for interval in event.content.get("intervals") or ():
        for payload in interval["payloads"]:
            if payload["type"] in PARTNER_PAYLOADS:
                return PARTNER_PAYLOADS[payload["type"]]
    return None

"""What the operator sees: events with their deliveries, late acknowledgements, missing reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

__all__ = [
    "ACKNOWLEDGE_WITHIN",
    "DeliveryState",
    "PartnerEventState",
    "list_deliveries",
    "list_late_acknowledgements",
    "list_missing_reports",
]

ACKNOWLEDGE_WITHIN = timedelta(minutes=5)
"""A power limit that a partner has not acknowledged for so long is an alarm."""


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """The webhook of an event to a client: ``waiting``, ``delivered`` or ``failed``, and what the endpoint answered."""

    event_id: str
    client_id: str
    operation: str
    state: str
    attempts: int
    answer: str | None
    announced_at: datetime
    delivered_at: datetime | None

    def as_data(self) -> dict[str, Any]:
        """Write it as JSON."""
        return _as_data(asdict(self))


@dataclass(frozen=True, slots=True)
class PartnerEventState:
    """An event that a partner has not answered.

    Attributes:
        targets: How many targets of the partner it has.
        answered: About how many of them the partner has answered.
    """

    event_id: str
    client_id: str
    payload_type: str
    created_at: datetime
    ends_at: datetime | None
    targets: int
    answered: int

    def as_data(self) -> dict[str, Any]:
        """Write it as JSON."""
        return _as_data(asdict(self))


def _as_data(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in fields.items()}


_DELIVERIES = text("""
select notification.object_id as event_id, subscription.client_id, notification.operation, delivery.state,
    delivery.attempts, delivery.answer, notification.announced_at, delivery.delivered_at
from dr_delivery delivery
    join dr_notification notification on notification.id = delivery.notification_id
    join dr_subscription subscription on subscription.id = delivery.subscription_id
where notification.environment = :environment and notification.object_type = 'EVENT'
    and (cast(:event_id as text) is null or notification.object_id = :event_id)
order by delivery.id desc limit :limit
""")

_LATE = text("""
select event.id as event_id, client.client_id, event.payload_type, event.created_at, event.ends_at,
    count(distinct target.id) as targets, count(distinct ack.id) as answered
from dr_event event
    join dr_event_target target on target.event_id = event.id
    join dr_client client on client.id = target.client_id
    left join dr_acknowledgement ack on ack.event_id = event.id and ack.client_id = client.id
        and (ack.location_id is null or ack.location_id = target.location_id)
        and (ack.resource_id is null or ack.resource_id = target.resource_id)
where event.environment = :environment and event.payload_type in ('LocationLPC', 'ResourceLPC')
    and event.deleted_at is null and event.created_at <= :before
group by event.id, client.client_id having count(distinct ack.id) = 0 order by event.created_at
""")

_MISSING = text("""
select event.id as event_id, client.client_id, event.payload_type, event.created_at, event.ends_at,
    count(distinct target.id) as targets, count(distinct usage.resource_id) as answered
from dr_event event
    join dr_event_target target on target.event_id = event.id
    join dr_client client on client.id = target.client_id
    left join dr_usage usage on usage.event_id = event.id and usage.client_id = client.id
        and usage.resource_id = target.resource_id
where event.environment = :environment and event.payload_type = 'PriceCurve' and event.ends_at <= :before
group by event.id, client.client_id
having count(distinct usage.resource_id) < count(distinct target.id) order by event.ends_at
""")


def list_deliveries(
    session: Session, environment: str, event_id: str | None = None, limit: int = 200
) -> list[DeliveryState]:
    """List the newest webhooks about events."""
    rows = session.execute(_DELIVERIES, {"environment": environment, "event_id": event_id, "limit": limit})
    return [DeliveryState(**row) for row in rows.mappings()]


def list_late_acknowledgements(session: Session, environment: str, now: datetime) -> list[PartnerEventState]:
    """List power limits that partners have not acknowledged in time."""
    rows = session.execute(_LATE, {"environment": environment, "before": now - ACKNOWLEDGE_WITHIN})
    return [PartnerEventState(**row) for row in rows.mappings()]


def list_missing_reports(session: Session, environment: str, now: datetime) -> list[PartnerEventState]:
    """List price curves that are over and about which something of a partner was not reported."""
    rows = session.execute(_MISSING, {"environment": environment, "before": now})
    return [PartnerEventState(**row) for row in rows.mappings()]

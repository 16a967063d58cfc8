"""Webhooks: whom a notification is addressed to, what is due, and how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from flexmeasures.data.tables import (
    DrClient,
    DrDelivery,
    DrEvent,
    DrEventTarget,
    DrNotification,
    DrSubscription,
)
from flexmeasures.domain.coordination.deliveries import retry_after, sign
from flexmeasures.domain.coordination.former import to_former
from flexmeasures.domain.coordination.notifications import Notification, Viewer
from flexmeasures.domain.coordination.partner import NOTIFICATION_TYPES, write_notification
from flexmeasures.services.coordination.notifications import from_row
from flexmeasures.services.coordination.partner_events import payloads_of
from flexmeasures.services.coordination.secrets import decrypt

__all__ = [
    "LEASE",
    "Outcome",
    "Webhook",
    "address_notifications",
    "claim_due",
    "forget_old",
    "is_anything_due",
    "note_outcomes",
]

LEASE = timedelta(seconds=60)
"""A delivery that was claimed and of which nothing is heard for so long is due again."""

MOST_FAILURES = 3
"""After so many deliveries in a row that were given up, an endpoint is left alone."""

_VERBS = {"CREATE": "POST", "READ": "GET", "UPDATE": "PUT", "DELETE": "DELETE"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request to be sent.

    Attributes:
        id: Of the delivery.
        subscription_id: Those of one subscription are sent one after the other.
        headers: With signature and token.
    """

    id: int
    subscription_id: str
    is_production: bool
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a delivery.

    Attributes:
        is_success: Whether the endpoint answered 2xx.
        answer: What it answered, or why it could not be reached.
        is_skipped: It was not tried, because the one before it failed.
        jitter: Random, 0 … 1, for the next attempt.
    """

    id: int
    is_success: bool
    answer: str
    is_skipped: bool = False
    jitter: float = 0.0


def address_notifications(session: Session, now: datetime, limit: int = 200) -> list[Notification]:
    """Address waiting notifications to the subscriptions that want them, oldest first.

    Returns:
        Those that were addressed; the caller commits.
    """
    rows = session.scalars(
        select(DrNotification)
        .where(DrNotification.webhooks_at.is_(None))
        .order_by(DrNotification.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return []
    notifications = [from_row(row) for row in rows]
    subscriptions = _subscriptions(session, {n.environment for n in notifications})
    viewers = _viewers(session, subscriptions)
    partners = _partner_events(session, notifications)
    deliveries = [
        {"notification_id": n.id, "subscription_id": s.id, "position": position, "due_at": now}
        for n in notifications
        for s in subscriptions
        for position in _positions(s, n, viewers[s.client_id], partners)
    ]
    if deliveries:
        session.execute(insert(DrDelivery), deliveries)
    session.execute(
        update(DrNotification)
        .where(DrNotification.id.in_([n.id for n in notifications]))
        .values(webhooks_at=now)
        .execution_options(synchronize_session=False)
    )
    return notifications


def _subscriptions(session: Session, environments: set[str]) -> Sequence[DrSubscription]:
    query = select(DrSubscription).where(
        DrSubscription.environment.in_(environments), DrSubscription.broken_at.is_(None)
    )
    return session.scalars(query.order_by(DrSubscription.serial)).all()


def _viewers(session: Session, subscriptions: Sequence[DrSubscription]) -> dict[str, Viewer]:
    query = select(DrClient).where(DrClient.client_id.in_({s.client_id for s in subscriptions}))
    known = {c.client_id: c for c in session.scalars(query)}
    return {
        s.client_id: Viewer(
            s.client_id, s.environment, s.client_id in known and known[s.client_id].role == "bl"
        )
        for s in subscriptions
    }


@dataclass(frozen=True, slots=True)
class _PartnerEvent:
    payload_type: str
    client_ids: frozenset[str]


def _partner_events(session: Session, notifications: Sequence[Notification]) -> dict[str, _PartnerEvent]:
    """Find what partners call events, and which partners each is about."""
    ids = [str(n.object["id"]) for n in notifications if n.object_type == "EVENT"]
    types = session.execute(
        select(DrEvent.id, DrEvent.payload_type).where(DrEvent.id.in_(ids), DrEvent.payload_type.is_not(None))
    ).all()
    about = session.execute(
        select(DrEventTarget.event_id, DrClient.client_id)
        .join(DrClient, DrClient.id == DrEventTarget.client_id)
        .where(DrEventTarget.event_id.in_([event_id for event_id, _ in types]))
        .distinct()
    ).all()
    clients: dict[str, set[str]] = {}
    for event_id, client_id in about:
        clients.setdefault(event_id, set()).add(client_id)
    return {
        event_id: _PartnerEvent(str(kind), frozenset(clients.get(event_id, ()))) for event_id, kind in types
    }


def _positions(
    subscription: DrSubscription, n: Notification, viewer: Viewer, partners: Mapping[str, _PartnerEvent]
) -> list[int]:
    """Tell which callbacks of a subscription want a notification."""
    if subscription.environment != n.environment:
        return []
    if subscription.face == "partner":
        event = partners.get(str(n.object["id"])) if n.object_type == "EVENT" else None
        if n.operation != "CREATE" or event is None or viewer.client_id not in event.client_ids:
            return []
        wanted = subscription.content["notificationTypes"]
        return [0] if set(NOTIFICATION_TYPES[event.payload_type]) & set(wanted) else []
    if not n.is_visible_to(viewer) or subscription.program_id not in (None, n.program_id):
        return []
    shown = n.body_for(viewer).get("targets", ())
    if subscription.targets and not set(subscription.targets) & set(shown):
        return []
    return [
        position
        for position, entry in enumerate(subscription.content["objectOperations"])
        if n.object_type in entry["objects"] and n.operation in entry["operations"]
    ]


def is_anything_due(session: Session, now: datetime) -> bool:
    """Tell whether there is something to address or to send."""
    waiting = exists().where(DrNotification.webhooks_at.is_(None))
    due = exists().where(DrDelivery.state == "waiting", DrDelivery.due_at <= now)
    return bool(session.scalar(select(or_(waiting, due))))


def claim_due(session: Session, key: str, now: datetime, limit: int = 500) -> list[Webhook]:
    """Claim deliveries that are due; the caller commits, sends them, and notes how they went.

    Args:
        session: Of the transaction.
        key: SECRET_KEY of the platform, for tokens and signatures.
        now: When.
        limit: The largest number.
    """
    rows = session.scalars(
        select(DrDelivery)
        .where(DrDelivery.state == "waiting", DrDelivery.due_at <= now)
        .order_by(DrDelivery.due_at, DrDelivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return []
    subscriptions = _by_id(session, DrSubscription, {row.subscription_id for row in rows})
    notifications = _by_id(session, DrNotification, {row.notification_id for row in rows})
    viewers = _viewers(session, list(subscriptions.values()))
    for row in rows:
        row.due_at = now + LEASE
    session.flush()
    partner = [s for s in subscriptions.values() if s.face == "partner"]
    payloads = payloads_of(
        session,
        {n.object_id for n in notifications.values() if n.object_type == "EVENT"} if partner else set(),
        {s.client_id for s in partner},
    )
    return [
        _write(
            row,
            subscriptions[row.subscription_id],
            _message(row, subscriptions, notifications, viewers, payloads, now),
            key,
        )
        for row in rows
    ]


def _by_id(session: Session, model: type[Any], ids: set[Any]) -> dict[Any, Any]:
    return {row.id: row for row in session.scalars(select(model).where(model.id.in_(ids)))}


def _message(
    delivery: DrDelivery,
    subscriptions: Mapping[str, DrSubscription],
    notifications: Mapping[int, DrNotification],
    viewers: Mapping[str, Viewer],
    payloads: Mapping[tuple[str, str], dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    subscription, notification = (
        subscriptions[delivery.subscription_id],
        notifications[delivery.notification_id],
    )
    if subscription.face == "partner":
        return write_notification(
            delivery.id,
            notification.object_id,
            payloads[notification.object_id, subscription.client_id],
            created_at=notification.announced_at,
            now=now,
        )
    message = from_row(notification).body_for(viewers[subscription.client_id])
    return _in_former_words(message, notification.program_id) if subscription.face == "3.0.1" else message


def _write(
    delivery: DrDelivery, subscription: DrSubscription, message: Mapping[str, Any], key: str
) -> Webhook:
    secrets = decrypt(subscription.secrets, key).get("callbacks") or []
    own = secrets[delivery.position] if delivery.position < len(secrets) else {}
    callbacks = subscription.content["objectOperations"]
    body = orjson.dumps(message)
    headers = {"Content-Type": "application/json", "User-Agent": "FlexMeasures", "Accept": "*/*"}
    if own.get("bearerToken"):
        headers["Authorization"] = f"Bearer {own['bearerToken']}"
    if own.get("webhookSecret"):
        headers["X-Payload-Signature"] = sign(own["webhookSecret"], body)
    url = callbacks[delivery.position]["callbackUrl"]
    return Webhook(delivery.id, subscription.id, subscription.environment == "production", url, headers, body)


def _in_former_words(message: Mapping[str, Any], program_id: str | None) -> dict[str, Any]:
    shown = to_former(message["object"], {}, program_id)
    former = {**message, "operation": _VERBS[message["operation"]], "object": shown}
    if "targets" in message:
        former["targets"] = shown["targets"]
    return former


def note_outcomes(session: Session, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Note how deliveries went; the caller commits. A dead endpoint is left alone from some point on."""
    found = _by_id(session, DrDelivery, {outcome.id for outcome in outcomes})
    subscriptions = _by_id(session, DrSubscription, {row.subscription_id for row in found.values()})
    for outcome in outcomes:
        delivery = found.get(outcome.id)
        if delivery is None:
            continue  # its subscription was deleted meanwhile
        _note(delivery, subscriptions[delivery.subscription_id], outcome, now)
    session.flush()
    broken = [s.id for s in subscriptions.values() if s.broken_at == now]
    if broken:
        session.execute(
            update(DrDelivery)
            .where(DrDelivery.subscription_id.in_(broken), DrDelivery.state == "waiting")
            .values(state="failed", answer="the endpoint was given up")
            .execution_options(synchronize_session=False)
        )


def _note(delivery: DrDelivery, subscription: DrSubscription, outcome: Outcome, now: datetime) -> None:
    if not outcome.is_skipped:
        delivery.attempts += 1
    delivery.answer = outcome.answer[:255]
    if outcome.is_success:
        delivery.state, delivery.delivered_at, subscription.failures = "delivered", now, 0
        return
    wait = retry_after(max(1, delivery.attempts), outcome.jitter)
    if wait is not None:
        delivery.due_at = now + wait
        return
    delivery.state = "failed"
    subscription.failures += 1
    if subscription.failures >= MOST_FAILURES and subscription.broken_at is None:
        subscription.broken_at = now


def forget_old(session: Session, before: datetime) -> int:
    """Forget notifications that everybody has been told of long ago, with their deliveries.

    Returns:
        How many.
    """
    done = session.execute(
        delete(DrNotification).where(
            DrNotification.announced_at < before, DrNotification.webhooks_at.is_not(None)
        )
    )
    return int(done.rowcount)  # type: ignore[attr-defined]

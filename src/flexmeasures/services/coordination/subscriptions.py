"""Subscriptions to webhooks, of both faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrSubscription
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import (
    Listing,
    Sent,
    announce_change,
    find_own,
    list_rows,
    live,
    named_program,
    new_metadata,
    touch,
)
from flexmeasures.services.coordination.secrets import encrypt

__all__ = [
    "SECRETS",
    "SubscriptionFilter",
    "create_subscription",
    "delete_subscription",
    "list_subscriptions",
    "split_secrets",
    "update_subscription",
]

SECRETS = ("bearerToken", "webhookSecret")
"""Fields of a callback that are never shown."""

PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Selection of subscriptions.

    Attributes:
        objects: Those that tell of any of these types of object.
    """

    program_id: str | None = None
    client_name: str | None = None
    objects: tuple[str, ...] = ()


def list_subscriptions(
    session: Session, caller: Caller, listing: Listing, wanted: SubscriptionFilter, *, partner: bool = False
) -> Sequence[DrSubscription]:
    """List the subscriptions that a client may see; those of partners and of OpenADR apart."""
    query = live(DrSubscription)
    query = query.where((DrSubscription.face == PARTNER) == partner)
    if wanted.program_id is not None:
        query = query.where(DrSubscription.program_id == wanted.program_id)
    if wanted.client_name is not None:
        query = query.where(DrSubscription.client_name == wanted.client_name)
    if wanted.objects:
        query = query.where(
            or_(
                *(
                    DrSubscription.content.contains({"objectOperations": [{"objects": [kind]}]})
                    for kind in wanted.objects
                )
            )
        )
    return list_rows(session, query, DrSubscription, caller, listing)


def split_secrets(
    operations: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Separate what may be shown of callbacks from their secrets.

    Returns:
        The operations without secrets, and the secrets of each.
    """
    shown = [{name: value for name, value in entry.items() if name not in SECRETS} for entry in operations]
    secrets = [{name: entry[name] for name in SECRETS if entry.get(name)} for entry in operations]
    return shown, secrets


def create_subscription(
    session: Session, caller: Caller, sent: Sent, face: str, *, key: str, now: datetime
) -> DrSubscription:
    """Make a subscription.

    Args:
        session: Of the transaction.
        caller: Who is told.
        sent: The subscription; its callbacks were checked by the door.
        face: In whose words notifications are written: 3.1.0, 3.0.1 or partner.
        key: SECRET_KEY of the platform, for the secrets.
        now: When.

    Raises:
        InvalidInput: If it names a programme that the client does not see.
    """
    content, secrets = _read(session, caller, sent)
    subscription = DrSubscription(
        **new_metadata(caller, Sent({**content, "clientID": caller.client_id}, sent.former), now),
        client_id=caller.client_id,
        client_name=content["clientName"],
        program_id=content.get("programID"),
        face=face,
        secrets=encrypt({"callbacks": secrets} if any(secrets) else {}, key),
    )
    session.add(subscription)
    session.flush()
    announce_change(session, "CREATE", subscription, now)
    return subscription


def update_subscription(
    session: Session, caller: Caller, subscription_id: str, sent: Sent, *, key: str, now: datetime
) -> DrSubscription:
    """Change a subscription; an endpoint that was found to be dead is tried again.

    Raises:
        NotFound: If the client sees none of that id.
        InvalidInput: If it names a programme that the client does not see.
    """
    subscription = find_own(session, DrSubscription, caller, subscription_id)
    content, secrets = _read(session, caller, sent)
    touch(subscription, Sent({**content, "clientID": subscription.client_id}, sent.former), now)
    subscription.client_name = content["clientName"]
    subscription.program_id = content.get("programID")
    subscription.secrets = encrypt({"callbacks": secrets} if any(secrets) else {}, key)
    subscription.failures, subscription.broken_at = 0, None
    session.flush()
    announce_change(session, "UPDATE", subscription, now)
    return subscription


def delete_subscription(
    session: Session, caller: Caller, subscription_id: str, now: datetime
) -> DrSubscription:
    """Delete a subscription, and what waits to be delivered to it.

    Raises:
        NotFound: If the client sees none of that id.
    """
    subscription = find_own(session, DrSubscription, caller, subscription_id)
    announce_change(session, "DELETE", subscription, now)
    session.delete(subscription)
    session.flush()
    return subscription


def _read(session: Session, caller: Caller, sent: Sent) -> tuple[dict[str, Any], list[dict[str, str]]]:
    content = dict(sent.content)
    if content.get("programID") is not None:
        named_program(session, caller, content["programID"])
    content["objectOperations"], secrets = split_secrets(content["objectOperations"])
    return content, secrets

"""Webhooks of partners."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
from flask import Response, current_app
from sqlalchemy.orm import Session

from flexmeasures.api.client_door import read_object
from flexmeasures.api.coordination.shapes import read_text
from flexmeasures.api.door import json_response, read_clock
from flexmeasures.connectors.callbacks import check_callback, send_once
from flexmeasures.data.tables import DrSubscription
from flexmeasures.domain.coordination.deliveries import sign
from flexmeasures.domain.coordination.faults import Fault, raise_faults
from flexmeasures.domain.coordination.partner import NOTIFICATION_TYPES, write_timestamp
from flexmeasures.domain.errors import NotFound, PeerUnreachable
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination import subscriptions
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import Listing, Sent, find_visible
from flexmeasures.services.coordination.secrets import decrypt

__all__ = [
    "add_webhook",
    "change_webhook",
    "delete_webhook",
    "find_webhook",
    "list_webhooks",
    "try_webhook",
]

_TYPES = tuple(dict.fromkeys(name for names in NOTIFICATION_TYPES.values() for name in names))
_MOST = 1000


def add_webhook(session: Session, caller: Caller) -> Response:
    """Register a webhook."""
    made = subscriptions.create_subscription(
        session, caller, _read(caller), "partner", key=current_app.config["SECRET_KEY"], now=read_clock()
    )
    return json_response(_show(made), 201)


def list_webhooks(session: Session, caller: Caller) -> Response:
    """List webhooks."""
    found = subscriptions.list_subscriptions(
        session, caller, Listing(limit=_MOST), subscriptions.SubscriptionFilter(), partner=True
    )
    return json_response({"webhooks": [_show(one) for one in found]})


def find_webhook(session: Session, caller: Caller, webhook_id: str) -> Response:
    """Show a webhook."""
    return json_response(_show(_find(session, caller, webhook_id)))


def change_webhook(session: Session, caller: Caller, webhook_id: str) -> Response:
    """Change a webhook; one that was given up is tried again."""
    _find(session, caller, webhook_id)
    changed = subscriptions.update_subscription(
        session, caller, webhook_id, _read(caller), key=current_app.config["SECRET_KEY"], now=read_clock()
    )
    return json_response(_show(changed))


def delete_webhook(session: Session, caller: Caller, webhook_id: str) -> Response:
    """Delete a webhook."""
    _find(session, caller, webhook_id)
    subscriptions.delete_subscription(session, caller, webhook_id, read_clock())
    return Response(status=204)


def try_webhook(session: Session, caller: Caller, webhook_id: str) -> Response:
    """Send a notification of no event, and say what the endpoint answers."""
    webhook = _find(session, caller, webhook_id)
    message = {
        "notificationId": str(uuid.uuid4()),
        "notificationType": "Test",
        "notificationSentUtc": write_timestamp(read_clock()),
    }
    body = orjson.dumps(message)
    secrets = decrypt(webhook.secrets, current_app.config["SECRET_KEY"]).get("callbacks") or [{}]
    headers = {"Content-Type": "application/json", "Accept": "*/*"}
    if secrets[0].get("webhookSecret"):
        headers["X-Payload-Signature"] = sign(secrets[0]["webhookSecret"], body)
    url = webhook.content["objectOperations"][0]["callbackUrl"]
    try:
        answer = send_once(url, headers, body, is_production=caller.environment == "production")
    except PeerUnreachable as error:
        return json_response({"isDelivered": False, "answer": str(error)})
    return json_response({"isDelivered": answer.is_success, "answer": f"status {answer.status}"})


def _find(session: Session, caller: Caller, webhook_id: str) -> DrSubscription:
    webhook = find_visible(session, DrSubscription, caller, webhook_id)
    if webhook.face != "partner" or webhook.client_id != caller.client_id:
        raise NotFound(f"There is no webhook with the id {quote(webhook_id)}.")
    return webhook


def _read(caller: Caller) -> Sent:
    body = read_object()
    types, faults = body.get("notificationTypes"), list[Fault]()
    if not isinstance(types, list) or not types or not all(kind in _TYPES for kind in types):
        faults.append(
            Fault("notificationTypes", f"notificationTypes is not a list of some of {', '.join(_TYPES)}.")
        )
    secret = body.get("webhookSecret")
    if secret is not None and (not isinstance(secret, str) or not 1 <= len(secret) <= 1000):
        faults.append(Fault("webhookSecret", "webhookSecret is not a text of 1 to 1000 characters."))
    raise_faults(faults)
    url = body.get("webhookUrl")
    check_callback(url, "webhookUrl", is_production=caller.environment == "production")
    callback: dict[str, Any] = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": url}
    if secret:
        callback["webhookSecret"] = secret
    name = read_text(body, "name", "webhook")
    return Sent({"clientName": name, "notificationTypes": types, "objectOperations": [callback]})


def _show(webhook: DrSubscription) -> dict[str, Any]:
    shown = {
        "id": webhook.id,
        "name": webhook.client_name,
        "webhookUrl": webhook.content["objectOperations"][0]["callbackUrl"],
        "notificationTypes": webhook.content["notificationTypes"],
        "createdAt": write_timestamp(webhook.created_at),
    }
    if webhook.broken_at is not None:
        shown["brokenSince"] = write_timestamp(webhook.broken_at)
    return shown

"""Subscriptions of ours at upstreams, so that they tell of changes at once rather than when they are asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flexmeasures.connectors.upstreams.session import UpstreamSession

__all__ = ["subscribe"]

_PARTNER_TYPES = ("PriceCurveCreated", "LocationLPCRequested", "ResourceLPCRequested")
_OPERATIONS = ("CREATE", "UPDATE", "DELETE")


def subscribe(talk: UpstreamSession, kind: str, who: str, url: str) -> int:
    """Make sure that an upstream sends its changes of events to an address.

    Args:
        talk: With the upstream.
        kind: What it speaks.
        who: Our name there.
        url: The address; subscriptions that have it already stay as they are.

    Returns:
        How many subscriptions were made.

    Raises:
        PeerUnreachable: If it does not answer, or refuses one.
    """
    if kind == "partner":
        return _subscribe_as_partner(talk, url)
    mine = [one for one in talk.list_all("/subscriptions") if _has_callback(one, url)]
    programs = _programs(talk) if kind == "openadr-3.0.1" else (None,)
    missing = [one for one in programs if all(entry.get("programID") != one for entry in mine)]
    for program_id in missing:
        operation = {"objects": ["EVENT"], "operations": list(_OPERATIONS), "callbackUrl": url}
        body: dict[str, Any] = {"clientName": who, "objectOperations": [operation]}
        if program_id is not None:
            body["programID"] = program_id
        talk.ask("POST", "/subscriptions", body)
    return len(missing)


def _programs(talk: UpstreamSession) -> tuple[str, ...]:
    """List the programmes: a subscription of 3.0.1 is about one of them."""
    return tuple(
        str(one["id"]) for one in talk.list_all("/programs") if isinstance(one, dict) and one.get("id")
    )


def _has_callback(subscription: Any, url: str) -> bool:
    entries: Iterable[Any] = (
        subscription.get("objectOperations") or () if isinstance(subscription, dict) else ()
    )
    return any(isinstance(entry, dict) and entry.get("callbackUrl") == url for entry in entries)


def _subscribe_as_partner(talk: UpstreamSession, url: str) -> int:
    answer = talk.ask("GET", "/webhooks")
    found = answer.get("webhooks", []) if isinstance(answer, dict) else answer or []
    if any(isinstance(one, dict) and one.get("webhookUrl") == url for one in found):
        return 0
    talk.ask("POST", "/webhooks", {"webhookUrl": url, "notificationTypes": list(_PARTNER_TYPES)})
    return 1

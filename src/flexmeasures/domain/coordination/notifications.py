"""Notifications: what is told of a change, and to whom.

Source: OpenADR 3.1.0 definition, sections on notifications and object privacy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flexmeasures.domain.coordination.targets import shown_targets

__all__ = ["Notification", "Viewer"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A client as far as privacy goes.

    Attributes:
        client_id: Its ``clientID``.
        is_business_logic: The operator's own programs see everything of their environment.
    """

    client_id: str
    environment: str
    is_business_logic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something that changed.

    Attributes:
        id: Ascending in the order of changes; 0: not stored yet.
        object_type: PROGRAM, EVENT, REPORT, SUBSCRIPTION, VEN, RESOURCE or RESOURCE_GROUP.
        operation: CREATE, UPDATE or DELETE.
        object: The document after the change, or before it was deleted, in the words of 3.1.0.
        program_id: The programme that it is, or belongs to.
        client_ids: Who may see it beside the business logic; None: everybody.
        granted: Targets of the object that each client may see, by client.
    """

    id: int = 0
    environment: str
    object_type: str
    operation: str
    object: Mapping[str, Any]
    program_id: str | None = None
    client_ids: tuple[str, ...] | None = None
    granted: Mapping[str, list[str]] = field(default_factory=dict)
    announced_at: datetime

    def is_visible_to(self, viewer: Viewer) -> bool:
        """Tell whether a client may learn of the change."""
        if viewer.environment != self.environment:
            return False
        return viewer.is_business_logic or self.client_ids is None or viewer.client_id in self.client_ids

    def body_for(self, viewer: Viewer) -> dict[str, Any]:
        """Write the message for a client that may see it; targets that were not granted to the client are left out."""
        shown = dict(self.object)
        if not viewer.is_business_logic and self.object_type in {"PROGRAM", "EVENT"} and "targets" in shown:
            shown["targets"] = shown_targets(shown["targets"], self.granted.get(viewer.client_id, ()))
        body: dict[str, Any] = {
            "objectType": self.object_type,
            "operation": self.operation,
            "object": shown,
        }
        if shown.get("targets"):
            body["targets"] = shown["targets"]
        return body

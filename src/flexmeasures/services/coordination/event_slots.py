"""Slots about which an event asks for reports, for both faces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent, DrEventTarget, DrResource
from flexmeasures.domain.coordination.documents import read_event
from flexmeasures.domain.coordination.intervals import Span, unfold
from flexmeasures.domain.coordination.usage import EventSlots
from flexmeasures.domain.time import to_datetime64
from flexmeasures.services.coordination.event_targets import PARTNER_PAYLOADS

__all__ = ["find_resource_types", "find_slots", "find_spans", "may_feed_in"]

_BIDIRECTIONAL = ("battery", "bidirectional", "v2g")


def find_spans(event: DrEvent) -> tuple[Span, ...]:
    """Find when the values of an event hold that partners know; none of other events."""
    read = read_event(event.content, event.modified_at)
    return next((found for kind in PARTNER_PAYLOADS if (found := unfold(read, kind))), ())


def find_slots(event: DrEvent) -> EventSlots:
    """Find the slots that an event asks to be reported about."""
    spans = find_spans(event)
    lengths = [span.end - span.start for span in spans if span.end is not None]
    starts = np.array([to_datetime64(span.start) for span in spans], dtype="datetime64[us]")
    return EventSlots(np.sort(starts), min(lengths, default=timedelta(hours=1)))


def find_resource_types(
    session: Session, environment: str, client_id: str, targets: Sequence[DrEventTarget]
) -> dict[str, str]:
    """Find the types of a client's resources among targets, by name."""
    names = {target.resource_id for target in targets if target.resource_id is not None}
    found = session.execute(
        select(DrResource.name, DrResource.resource_type).where(
            DrResource.environment == environment,
            DrResource.client_id == client_id,
            DrResource.name.in_(names),
        )
    )
    return {name: kind or "" for name, kind in found}


def may_feed_in(resource_type: str) -> bool:
    """Tell whether a type of resource may feed in, so that its energy may be negative.

    >>> may_feed_in("Battery"), may_feed_in("HotWaterTank")
    (True, False)
    """
    return any(word in resource_type.lower() for word in _BIDIRECTIONAL)

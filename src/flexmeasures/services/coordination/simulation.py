"""Simulated events and partners, for the sandbox only."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent, DrEventTarget, DrLocation, DrResource, DrUser
from flexmeasures.domain.errors import NotAllowed
from flexmeasures.services.coordination.areas import program_named
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.curves import Curve, Point, send_curve, send_limit
from flexmeasures.services.coordination.partners import (
    NewResource,
    Place,
    add_location,
    add_resource,
    add_user,
)

__all__ = ["PROGRAM", "check_sandbox", "simulate_curve", "simulate_limit", "simulate_partner"]

PROGRAM = "simulation"
"""The programme of simulated events."""

MOST_TARGETS = 10
_TYPES = ("HotWaterTank", "HeatPump", "EVCharger")

Target = tuple[str | None, str | None]
"""Ids of a location and of a resource in it."""


def check_sandbox(caller: Caller) -> None:
    """Make sure that nothing is simulated in production.

    Raises:
        NotAllowed: In production.
    """
    if caller.environment != "sandbox":
        raise NotAllowed("Simulation is for the sandbox. Use a credential of the sandbox.")


def simulate_curve(
    session: Session, caller: Caller, targets: Sequence[Target], curve: Curve, now: datetime
) -> DrEvent:
    """Make the event of a price curve for a partner, about the targets that it names or some of its own."""
    program = program_named(session, caller.environment, PROGRAM, now)
    event = send_curve(session, program, [f"partner-{caller.id}"], curve, now)
    _note_targets(session, caller, event, targets)
    return event


def simulate_limit(session: Session, caller: Caller, targets: Sequence[Target], now: datetime) -> DrEvent:
    """Make the event of a power limit of 0 kW for the current and the next hour."""
    program = program_named(session, caller.environment, PROGRAM, now)
    hour = now.replace(minute=0, second=0, microsecond=0)
    points = [Point(hour + timedelta(hours=n), 0.0) for n in range(2)]
    event = send_limit(session, program, [f"partner-{caller.id}"], points, timedelta(hours=1), now)
    _note_targets(session, caller, event, targets)
    return event


def _note_targets(session: Session, caller: Caller, event: DrEvent, targets: Sequence[Target]) -> None:
    own = _own(session, caller)
    wanted = set(targets)
    chosen = [row for row in own if not wanted or (row[1], row[2]) in wanted or (None, row[2]) in wanted]
    if not wanted:
        chosen = random.sample(chosen, min(len(chosen), MOST_TARGETS))
    rows: list[tuple[str | None, str | None, str | None, str | None]] = [*chosen]
    if not rows:
        rows = [(None, location, resource, None) for location, resource in targets or [_stranger()]]
    for user_id, location_id, resource_id, meter_point_id in rows:
        session.add(
            DrEventTarget(
                event_id=event.id,
                client_id=caller.id,
                user_id=user_id,
                location_id=location_id,
                resource_id=resource_id,
                meter_point_id=meter_point_id,
            )
        )
    session.flush()


def _stranger() -> Target:
    """Make up a target for a partner that has none yet."""
    return str(uuid.uuid4()), str(uuid.uuid4())


def _own(session: Session, caller: Caller) -> list[tuple[str, str | None, str, str | None]]:
    rows = session.execute(
        select(DrUser.user_id, DrLocation.location_id, DrResource.name, DrLocation.meter_point_ids)
        .join(DrResource, DrResource.user_id == DrUser.id)
        .outerjoin(DrLocation, DrLocation.id == DrResource.location_id)
        .where(DrUser.client_id == caller.id)
        .order_by(DrResource.serial)
    )
    return [(user, location, name, meters[0] if meters else None) for user, location, name, meters in rows]


def simulate_partner(session: Session, caller: Caller, now: datetime) -> list[str]:
    """Register some users with a location and a resource each.

    Returns:
        The ids of the users.
    """
    users = []
    for _ in range(5):
        user = add_user(session, caller, str(uuid.uuid4()), now)
        place = Place("Residential", latitude=78.22, longitude=15.65)
        location = add_location(session, caller, user, str(uuid.uuid4()), place, now)
        kind = random.choice(_TYPES)  # noqa: S311 - not a secret
        add_resource(session, caller, user, location, NewResource(str(uuid.uuid4()), kind), now)
        users.append(user.user_id)
    return users

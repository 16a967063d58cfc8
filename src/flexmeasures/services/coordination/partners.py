"""What partners register: users with their locations, resources and vehicles, and the programmes that they join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from flexmeasures.data.tables import (
    DrEnrolment,
    DrLocation,
    DrProgram,
    DrResource,
    DrUser,
    DrVen,
)
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.areas import refresh_eligibility
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import Sent, announce_change, new_metadata

__all__ = [
    "NewResource",
    "Place",
    "add_location",
    "add_resource",
    "add_user",
    "delete_partner_resource",
    "delete_user",
    "enrol",
    "find_location",
    "find_partner_resource",
    "find_user",
    "list_locations",
    "list_partner_resources",
    "list_users",
    "move_location",
    "withdraw",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a location is: by meter points, by coordinates, or both; None: not said.

    Attributes:
        latitude: [degrees north].
        longitude: [degrees east].
    """

    location_type: str | None = None
    meter_point_ids: tuple[str, ...] | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class NewResource:
    """A resource or vehicle to be registered."""

    resource_id: str
    resource_type: str


def add_user(session: Session, caller: Caller, user_id: str, now: datetime) -> DrUser:
    """Register a user of a partner.

    Raises:
        Conflict: If the partner has one of that id.
    """
    taken = select(DrUser.id).where(DrUser.client_id == caller.id, DrUser.user_id == user_id)
    if session.scalar(taken) is not None:
        raise Conflict(f"There is a user {quote(user_id)} already.")
    user = DrUser(client_id=caller.id, user_id=user_id, created_at=now)
    session.add(user)
    session.flush()
    return user


def list_users(session: Session, caller: Caller) -> Sequence[DrUser]:
    """List the users of a partner, in the order in which they were registered."""
    return session.scalars(select(DrUser).where(DrUser.client_id == caller.id).order_by(DrUser.id)).all()


def find_user(session: Session, caller: Caller, user_id: str) -> DrUser:
    """Find a user of a partner.

    Raises:
        NotFound: If the partner has none of that id.
    """
    user: DrUser | None = session.scalar(
        select(DrUser).where(DrUser.client_id == caller.id, DrUser.user_id == user_id)
    )
    if user is None:
        raise NotFound(f"There is no user {quote(user_id)}.")
    return user


def delete_user(session: Session, caller: Caller, user_id: str, now: datetime) -> None:
    """Delete a user with locations and resources; what was reported stays, but is not paid any more.

    Raises:
        NotFound: If the partner has none of that id.
    """
    user = find_user(session, caller, user_id)
    for resource in session.scalars(select(DrResource).where(DrResource.user_id == user.id)).all():
        announce_change(session, "DELETE", resource, now)
    session.delete(user)
    session.flush()


def add_location(
    session: Session, caller: Caller, user: DrUser, location_id: str, place: Place, now: datetime
) -> DrLocation:
    """Register a location of a user.

    Raises:
        Conflict: If the user has one of that id.
    """
    taken = select(DrLocation.id).where(DrLocation.user_id == user.id, DrLocation.location_id == location_id)
    if session.scalar(taken) is not None:
        raise Conflict(f"The user has a location {quote(location_id)} already.")
    location = DrLocation(
        user_id=user.id, location_id=location_id, location_type="Residential", created_at=now
    )
    session.add(location)
    _place(location, place)
    session.flush()
    refresh_eligibility(session, caller.environment, now, user_id=user.id)
    return location


def move_location(
    session: Session, caller: Caller, location: DrLocation, place: Place, now: datetime
) -> None:
    """Change where a location is; it may enter or leave areas with that."""
    _place(location, place)
    session.flush()
    refresh_eligibility(session, caller.environment, now, user_id=location.user_id)


def _place(location: DrLocation, place: Place) -> None:
    if place.location_type is not None:
        location.location_type = place.location_type
    if place.meter_point_ids is not None:
        location.meter_point_ids = list(place.meter_point_ids)
    if place.latitude is not None:
        location.latitude, location.longitude = place.latitude, place.longitude


def list_locations(session: Session, user: DrUser) -> Sequence[DrLocation]:
    """List the locations of a user."""
    return session.scalars(
        select(DrLocation).where(DrLocation.user_id == user.id).order_by(DrLocation.id)
    ).all()


def find_location(session: Session, user: DrUser, location_id: str) -> DrLocation:
    """Find a location of a user.

    Raises:
        NotFound: If the user has none of that id.
    """
    location: DrLocation | None = session.scalar(
        select(DrLocation).where(DrLocation.user_id == user.id, DrLocation.location_id == location_id)
    )
    if location is None:
        raise NotFound(f"The user has no location {quote(location_id)}.")
    return location


def add_resource(
    session: Session,
    caller: Caller,
    user: DrUser,
    location: DrLocation | None,
    new: NewResource,
    now: datetime,
) -> DrResource:
    """Register a resource at a location, or (without one) a vehicle; OpenADR shows it under the partner's VEN.

    Raises:
        Conflict: If the partner has one of that id.
    """
    ven = _ven_of(session, caller, now)
    taken = select(DrResource.id).where(DrResource.ven_id == ven.id, DrResource.name == new.resource_id)
    if session.scalar(taken) is not None:
        raise Conflict(f"There is a resource {quote(new.resource_id)} already.")
    attributes = [{"type": "RESOURCE_TYPE", "values": [new.resource_type]}]
    if location is not None:
        attributes.append({"type": "LOCATION_ID", "values": [location.location_id]})
    content = {
        "resourceName": new.resource_id,
        "venID": ven.id,
        "clientID": caller.client_id,
        "targets": [],
        "attributes": attributes,
    }
    resource = DrResource(
        **new_metadata(caller, Sent(content), now),
        name=new.resource_id,
        client_id=caller.client_id,
        ven_id=ven.id,
        user_id=user.id,
        location_id=None if location is None else location.id,
        resource_type=new.resource_type,
    )
    session.add(resource)
    session.flush()
    announce_change(session, "CREATE", resource, now)
    refresh_eligibility(session, caller.environment, now, user_id=user.id)
    return resource


def _ven_of(session: Session, caller: Caller, now: datetime) -> DrVen:
    """Find the VEN of a partner, or make it; the target that leads to the partner as a whole is granted to it."""
    ours = select(DrVen).where(DrVen.environment == caller.environment, DrVen.client_id == caller.client_id)
    ven: DrVen | None = session.scalar(ours)
    if ven is None:
        content = {
            "venName": f"partner {caller.client_id}",
            "clientID": caller.client_id,
            "targets": [f"partner-{caller.id}"],
        }
        metadata = new_metadata(caller, Sent(content), now)
        ven = DrVen(**metadata, name=content["venName"], client_id=caller.client_id)
        session.add(ven)
        session.flush()
        announce_change(session, "CREATE", ven, now)
    return ven


def list_partner_resources(
    session: Session, user: DrUser, location: DrLocation | None
) -> Sequence[DrResource]:
    """List the resources at a location, or (without one) the vehicles of a user."""
    query = select(DrResource).where(DrResource.user_id == user.id)
    at = None if location is None else location.id
    return session.scalars(
        query.where(DrResource.location_id.is_not_distinct_from(at)).order_by(DrResource.serial)
    ).all()


def find_partner_resource(session: Session, caller: Caller, resource_id: str) -> DrResource:
    """Find a resource or vehicle of a partner.

    Raises:
        NotFound: If the partner has none of that id.
    """
    resource: DrResource | None = session.scalar(
        select(DrResource).where(
            DrResource.environment == caller.environment,
            DrResource.client_id == caller.client_id,
            DrResource.name == resource_id,
            DrResource.user_id.is_not(None),
        )
    )
    if resource is None:
        raise NotFound(f"There is no resource {quote(resource_id)}.")
    return resource


def delete_partner_resource(session: Session, caller: Caller, resource_id: str, now: datetime) -> None:
    """Delete a resource or vehicle.

    Raises:
        NotFound: If the partner has none of that id.
    """
    resource = find_partner_resource(session, caller, resource_id)
    announce_change(session, "DELETE", resource, now)
    session.delete(resource)
    session.flush()


def enrol(session: Session, caller: Caller, user: DrUser, program_name: str, now: datetime) -> None:
    """Let a user take part in a programme.

    Raises:
        InvalidInput: If there is none of that name.
    """
    program = _named(session, caller, program_name)
    values: Mapping[str, Any] = {"user_id": user.id, "program_id": program.id, "enrolled_at": now}
    session.execute(insert(DrEnrolment).values(**values).on_conflict_do_nothing())


def withdraw(session: Session, caller: Caller, user: DrUser, program_name: str) -> None:
    """Let a user take part in a programme no more.

    Raises:
        InvalidInput: If there is none of that name.
    """
    program = _named(session, caller, program_name)
    session.execute(
        delete(DrEnrolment).where(DrEnrolment.user_id == user.id, DrEnrolment.program_id == program.id)
    )


def _named(session: Session, caller: Caller, name: str) -> DrProgram:
    program: DrProgram | None = session.scalar(
        select(DrProgram).where(
            DrProgram.environment == caller.environment,
            DrProgram.name == name,
            DrProgram.deleted_at.is_(None),
        )
    )
    if program is None:
        raise InvalidInput(f"program {quote(name)} is not a programme. Ask the operator for its name.")
    return program

"""VENs: a client registers its own; only the business logic grants targets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrResource, DrVen
from flexmeasures.domain.errors import InvalidInput, NotAllowed
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import (
    Listing,
    Sent,
    announce_change,
    check_free,
    find_own,
    list_rows,
    live,
    new_metadata,
    touch,
)

__all__ = ["check_form", "create_ven", "delete_ven", "list_vens", "update_ven"]


def list_vens(session: Session, caller: Caller, listing: Listing, name: str | None) -> Sequence[DrVen]:
    """List the VENs that a client may see: its own, or for the business logic all."""
    query = live(DrVen)
    if name is not None:
        query = query.where(DrVen.name == name)
    return list_rows(session, query, DrVen, caller, listing)


def check_form(caller: Caller, form: str) -> None:
    """Check that a client uses the form of request that is its own.

    Args:
        caller: Who sends it.
        form: Such as BL_VEN_REQUEST or VEN_RESOURCE_REQUEST.

    Raises:
        NotAllowed: If it is the other one's.
    """
    if form.startswith("BL_") != caller.is_business_logic:
        own = "BL_" if caller.is_business_logic else "VEN_"
        raise NotAllowed(
            f"objectType {form} is not for this client. Use {own}{form.partition('_')[2]}, the form of its role."
        )


def create_ven(session: Session, caller: Caller, form: str, sent: Sent, now: datetime) -> DrVen:
    """Register a VEN.

    Raises:
        NotAllowed: If the form is not the client's.
        Conflict: If the name is taken, or the client has a VEN already.
    """
    check_form(caller, form)
    sent = _complete(sent, caller.client_id, [])
    _check_free(session, caller, sent, None)
    ven = DrVen(
        **new_metadata(caller, sent, now), name=sent.content["venName"], client_id=sent.content["clientID"]
    )
    session.add(ven)
    session.flush()
    announce_change(session, "CREATE", ven, now)
    return ven


def update_ven(session: Session, caller: Caller, ven_id: str, form: str, sent: Sent, now: datetime) -> DrVen:
    """Change a VEN; its client stays, and unless the business logic changes it, its targets.

    Raises:
        NotAllowed: If the form is not the client's.
        NotFound: If the client sees none of that id.
        InvalidInput: If another client is named.
        Conflict: If the name is taken.
    """
    check_form(caller, form)
    ven = find_own(session, DrVen, caller, ven_id)
    sent = _complete(sent, ven.client_id, ven.targets)
    if sent.content["clientID"] != ven.client_id:
        raise InvalidInput(
            f"clientID {quote(sent.content['clientID'])} is another client. The client of a VEN cannot change; "
            "delete the VEN and make a new one."
        )
    _check_free(session, caller, sent, ven.id)
    touch(ven, sent, now)
    ven.name = sent.content["venName"]
    session.flush()
    announce_change(session, "UPDATE", ven, now)
    return ven


def delete_ven(session: Session, caller: Caller, ven_id: str, now: datetime) -> DrVen:
    """Delete a VEN with its resources.

    Raises:
        NotFound: If the client sees none of that id.
    """
    ven = find_own(session, DrVen, caller, ven_id)
    for resource in session.scalars(select(DrResource).where(DrResource.ven_id == ven.id)).all():
        announce_change(session, "DELETE", resource, now)
        session.delete(resource)
    session.flush()  # before the VEN, which takes along what it still has
    announce_change(session, "DELETE", ven, now)
    session.delete(ven)
    session.flush()
    return ven


def _complete(sent: Sent, client_id: str, targets: Sequence[str]) -> Sent:
    """Add what the form of a VEN leaves out: its client, and the targets as they are."""
    content = {"clientID": client_id, "targets": list(targets), **sent.content}
    return Sent(content, sent.former)


def _check_free(session: Session, caller: Caller, sent: Sent, own_id: str | None) -> None:
    ours = select(DrVen.id).where(DrVen.environment == caller.environment)
    name, client_id = sent.content["venName"], sent.content["clientID"]
    check_free(
        session,
        ours.where(DrVen.name == name),
        own_id,
        f"There is a ven {quote(name)} already. Choose another venName.",
    )
    check_free(
        session,
        ours.where(DrVen.client_id == client_id),
        own_id,
        f"Client {quote(client_id)} has a ven already. Change that one, or delete it first.",
    )

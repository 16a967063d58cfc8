"""The common part of the objects of OpenADR: identity, times, who sees them, and how changes are announced."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, true
from sqlalchemy.orm import Session

from flexmeasures.data.stores.coordination.grants import find_granted
from flexmeasures.data.tables import (
    DrEvent,
    DrProgram,
    DrReport,
    DrResource,
    DrResourceGroup,
    DrSubscription,
    DrVen,
)
from flexmeasures.domain.coordination.targets import shown_targets
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.notifications import announce

__all__ = [
    "KINDS",
    "Listing",
    "Names",
    "Sent",
    "Shown",
    "announce_change",
    "check_free",
    "document_of",
    "find_own",
    "find_visible",
    "granted_to",
    "list_rows",
    "live",
    "named_program",
    "new_metadata",
    "show",
    "show_all",
    "touch",
    "write_instant",
]

_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)

Row = TypeVar("Row", DrProgram, DrEvent, DrVen, DrResource, DrResourceGroup, DrReport, DrSubscription)

KINDS: dict[type[Any], tuple[str, str]] = {
    DrProgram: ("PROGRAM", "program"),
    DrEvent: ("EVENT", "event"),
    DrVen: ("VEN", "ven"),
    DrResource: ("RESOURCE", "resource"),
    DrResourceGroup: ("RESOURCE_GROUP", "resource group"),
    DrReport: ("REPORT", "report"),
    DrSubscription: ("SUBSCRIPTION", "subscription"),
}
"""By table: the objectType, and the word for it in messages."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An object as a client sends it.

    Attributes:
        content: In the words of 3.1.0, without nulls.
        former: What 3.0.1 says beside it.
    """

    content: Mapping[str, Any]
    former: Mapping[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """The targets, each once."""
        return list(dict.fromkeys(self.content.get("targets") or ()))


@dataclass(frozen=True, slots=True)
class Shown:
    """An object as a client sees it: in the words of 3.1.0, and what 3.0.1 says beside it."""

    document: dict[str, Any]
    former: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """Names of objects, asked for as targets in 3.0.1: ``PROGRAM_NAME`` of programmes, ``VEN_NAME`` of VENs."""

    target_type: str
    values: tuple[str, ...]

    def of(self, model: Any) -> ColumnElement[bool]:
        """Say in SQL which objects of a table have such a name."""
        found: ColumnElement[bool] = false()
        own: dict[str, Any] = {"PROGRAM_NAME": DrProgram, "VEN_NAME": DrVen, "RESOURCE_NAME": DrResource}
        if own.get(self.target_type) is model:
            found = own[self.target_type].name.in_(self.values)
        elif model is DrEvent and self.target_type == "EVENT_NAME":
            found = DrEvent.content["eventName"].astext.in_(self.values)
        elif model is DrEvent and self.target_type == "PROGRAM_NAME":
            found = DrEvent.program_id.in_(select(DrProgram.id).where(DrProgram.name.in_(self.values)))
        return found


@dataclass(frozen=True, slots=True)
class Listing:
    """Part of a list.

    Attributes:
        skip: How many to leave out.
        limit: How many to show, 0 … 50.
        targets: Those that the objects must have; none: whatever they have.
        any_target: Whether one of them is enough, as in 3.0.1.
        names: Objects of these names are wanted as well.
    """

    skip: int = 0
    limit: int = 50
    targets: tuple[str, ...] = ()
    any_target: bool = False
    names: Names | None = None


def write_instant(instant: datetime) -> str:
    """Write an instant as RFC 3339 has it."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_metadata(caller: Caller, sent: Sent, now: datetime) -> dict[str, Any]:
    """Return the columns that every new object has."""
    return {
        "id": str(uuid.uuid4()),
        "environment": caller.environment,
        "created_at": now,
        "modified_at": now,
        "content": dict(sent.content),
        "former": dict(sent.former),
        "targets": sent.targets,
    }


def touch(row: Row, sent: Sent, now: datetime) -> None:
    """Replace what an object says; its time of modification never stands still."""
    row.content, row.former, row.targets = dict(sent.content), dict(sent.former), sent.targets
    row.modified_at = max(now, row.modified_at + row.modified_at.resolution)


def document_of(row: Row) -> dict[str, Any]:
    """Write an object as a document, whole."""
    kind, _ = KINDS[type(row)]
    return {
        **row.content,
        "id": row.id,
        "createdDateTime": write_instant(row.created_at),
        "modificationDateTime": write_instant(row.modified_at),
        "objectType": kind,
    }


def show(row: Row, caller: Caller, granted: frozenset[str]) -> Shown:
    """Show an object to a client: of programmes and events, only the targets that were granted to it."""
    document = document_of(row)
    if isinstance(row, DrProgram | DrEvent) and not caller.is_business_logic and document.get("targets"):
        document["targets"] = shown_targets(document["targets"], granted)
    return Shown(document, row.former)


def show_all(session: Session, rows: Sequence[Row], caller: Caller, asked: Sequence[str] = ()) -> list[Shown]:
    """Show a list of objects to a client.

    Args:
        session: Of the transaction.
        rows: The objects.
        caller: The client.
        asked: Targets that were asked for; of programmes and events no others are shown to a VEN.
    """
    granted = (
        granted_to(session, caller) if rows and isinstance(rows[0], DrProgram | DrEvent) else frozenset()
    )
    if asked:
        granted = granted.intersection(asked)
    return [show(row, caller, granted) for row in rows]


def granted_to(session: Session, caller: Caller) -> frozenset[str]:
    """Find the targets that were granted to a client; the business logic needs none."""
    if caller.is_business_logic:
        return frozenset()
    return find_granted(session, caller.environment, caller.client_id)


def list_rows(
    session: Session, query: Select[Row], model: type[Row], caller: Caller, listing: Listing
) -> Sequence[Row]:
    """List what a client may see, in the order of creation unless the query has another."""
    query = query.where(model.environment == caller.environment)
    if model in (DrProgram, DrEvent):
        query = query.where(_may_see(model, caller, granted_to(session, caller), listing))
    else:
        if listing.targets:
            query = query.where(_is_asked_for(model, listing.targets, listing))
        if not caller.is_business_logic and hasattr(model, "client_id"):
            query = query.where(model.client_id == caller.client_id)
    order = () if model is DrEvent else (model.serial,)
    return session.scalars(query.order_by(*order).offset(listing.skip).limit(listing.limit)).all()


def _may_see(
    model: type[Any], caller: Caller, granted: frozenset[str], listing: Listing
) -> ColumnElement[bool]:
    """Say in SQL which objects meant for targets a client may see; as `domain.coordination.targets.is_visible`."""
    if caller.is_business_logic:
        return _is_asked_for(model, listing.targets, listing) if listing.targets else true()
    visible = or_(func.cardinality(model.targets) == 0, model.targets.overlap(list(granted)))
    if not listing.targets:
        return visible
    wanted = [target for target in listing.targets if target in granted]
    return and_(visible, _is_asked_for(model, wanted, listing))


def _is_asked_for(model: type[Any], targets: Sequence[str], listing: Listing) -> ColumnElement[bool]:
    """Say in SQL which objects have the targets, or the names, that are asked for."""
    found: ColumnElement[bool] = false()
    if targets and listing.any_target:
        found = model.targets.overlap(list(targets))
    elif targets:
        found = model.targets.contains(list(targets))
    return found if listing.names is None else or_(found, listing.names.of(model))


def find_visible(session: Session, model: type[Row], caller: Caller, object_id: str) -> Row:
    """Find an object that a client may see.

    Raises:
        NotFound: If there is none, or it is not the client's business whether there is.
    """
    row = session.get(model, object_id) if _ID.fullmatch(object_id) else None
    if row is None or row.environment != caller.environment or getattr(row, "deleted_at", None) is not None:
        raise _not_found(model, object_id)
    if not caller.is_business_logic:
        if isinstance(row, DrProgram | DrEvent):
            if row.targets and granted_to(session, caller).isdisjoint(row.targets):
                raise _not_found(model, object_id)
        elif not isinstance(row, DrResourceGroup) and row.client_id != caller.client_id:
            raise _not_found(model, object_id)
    return row


def find_own(session: Session, model: type[Row], caller: Caller, object_id: str) -> Row:
    """Find an object in order to change it; concurrent changes wait for each other.

    Raises:
        NotFound: If there is none that the client may see.
    """
    row = find_visible(session, model, caller, object_id)
    session.refresh(row, with_for_update=True)
    return row


def _not_found(model: type[Any], object_id: str) -> NotFound:
    _, word = KINDS[model]
    return NotFound(f"There is no {word} with the id {quote(object_id)}.")


def named_program(session: Session, caller: Caller, program_id: str) -> DrProgram:
    """Find the programme that an object names.

    Raises:
        InvalidInput: If the client sees none of that id.
    """
    try:
        return find_visible(session, DrProgram, caller, program_id)
    except NotFound as error:
        raise InvalidInput(
            f"programID {quote(program_id)}: program_id does not refer to an existing program. Name one that exists."
        ) from error


def check_free(session: Session, taken: Select[str], own_id: str | None, message: str) -> None:
    """Refuse a name that another object has.

    Args:
        session: Of the transaction.
        taken: Selects the ids of those who have it.
        own_id: Of the object that is changed; None: of a new one.
        message: What to say.

    Raises:
        Conflict: If it is taken.
    """
    if any(found != own_id for found in session.scalars(taken)):
        raise Conflict(message)


def announce_change(session: Session, operation: str, row: Row, now: datetime) -> None:
    """Announce that an object was made, changed or deleted."""
    program_id = row.id if isinstance(row, DrProgram) else getattr(row, "program_id", None)
    announce(
        session,
        operation,
        document_of(row),
        environment=row.environment,
        program_id=program_id,
        now=now,
    )


def live(model: type[Row]) -> Select[Row]:
    """Select the objects that were not deleted."""
    query = select(model)
    return query.where(model.deleted_at.is_(None)) if model in (DrProgram, DrEvent) else query

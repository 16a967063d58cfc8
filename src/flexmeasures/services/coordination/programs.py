"""Programmes: made by the business logic, seen by whom they are meant for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent, DrProgram
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.events import cancel_event
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

__all__ = ["create_program", "delete_program", "list_programs", "update_program"]


def list_programs(session: Session, caller: Caller, listing: Listing) -> Sequence[DrProgram]:
    """List the programmes that a client may see."""
    return list_rows(session, live(DrProgram), DrProgram, caller, listing)


def create_program(session: Session, caller: Caller, sent: Sent, now: datetime) -> DrProgram:
    """Make a programme.

    Raises:
        Conflict: If there is one of that name.
    """
    name = sent.content["programName"]
    _check_name(session, caller, name, None)
    program = DrProgram(**new_metadata(caller, sent, now), name=name)
    session.add(program)
    session.flush()
    announce_change(session, "CREATE", program, now)
    return program


def update_program(session: Session, caller: Caller, program_id: str, sent: Sent, now: datetime) -> DrProgram:
    """Change a programme.

    Raises:
        NotFound: If there is none.
        Conflict: If another one has the name.
    """
    program = find_own(session, DrProgram, caller, program_id)
    _check_name(session, caller, sent.content["programName"], program.id)
    touch(program, sent, now)
    program.name = sent.content["programName"]
    session.flush()
    announce_change(session, "UPDATE", program, now)
    return program


def delete_program(session: Session, caller: Caller, program_id: str, now: datetime) -> DrProgram:
    """Delete a programme, and cancel its events; reports about them stay.

    Raises:
        NotFound: If there is none.
    """
    program = find_own(session, DrProgram, caller, program_id)
    for event in session.scalars(live(DrEvent).where(DrEvent.program_id == program.id)).all():
        cancel_event(session, event, now)
    program.deleted_at = now
    session.flush()
    announce_change(session, "DELETE", program, now)
    return program


def _check_name(session: Session, caller: Caller, name: str, own_id: str | None) -> None:
    taken = select(DrProgram.id).where(
        DrProgram.environment == caller.environment, DrProgram.name == name, DrProgram.deleted_at.is_(None)
    )
    check_free(
        session, taken, own_id, f"There is a program {quote(name)} already. Choose another programName."
    )

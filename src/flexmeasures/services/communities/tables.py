"""Distribution tables of services: importing, checking, putting into force, and the distributor's file."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import communities as store
from flexmeasures.data.tables import CommunityService, DistributionTable, Inscription, SupplyPoint
from flexmeasures.domain.communities.coefficient_files import (
    DistributorFileForm,
    read_coefficients,
    write_distributor_file,
)
from flexmeasures.domain.communities.coefficients import Coefficients, TableState, check_transition
from flexmeasures.domain.communities.countries.spain import check_change
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.services.communities.blocks import profile_of, read_coefficients_of
from flexmeasures.services.communities.taking_part import settle_anew
from flexmeasures.services.find import get_row

__all__ = [
    "create_table",
    "delete_table",
    "export_table",
    "find_table",
    "import_table",
    "set_table_state",
]


def import_table(session: Session, service_id: int, name: str, content: bytes) -> DistributionTable:
    """Make a draft of a distribution table from a CSV file; nothing of a file with a mistake is kept.

    Raises:
        NotFound: If there is no such service.
        InvalidInput: If the file is wrong; names the line, the hour and the sum.
        Conflict: If the name has been used.
    """
    service = get_row(session, CommunityService, service_id, "service")
    query = (
        select(SupplyPoint.cups)
        .join(Inscription, Inscription.supply_point_id == SupplyPoint.id)
        .where(Inscription.service_id == service.id)
    )
    return create_table(session, service, name, read_coefficients(content, set(session.scalars(query))))


def create_table(
    session: Session, service: CommunityService, name: str, coefficients: Coefficients
) -> DistributionTable:
    """Make a draft of a distribution table.

    Raises:
        Conflict: If the name has been used: names of tables are never used again.
        InvalidInput: If the name is empty or too long.
    """
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise InvalidInput(f"The name {name[:80]!r} must be a text of 1 to 80 printable characters.")
    same = select(DistributionTable.id).where(
        DistributionTable.service_id == service.id, DistributionTable.name == name
    )
    if session.scalar(same) is not None:
        raise Conflict(f"The service has a distribution table {name!r} already. Names are not used again.")
    table = DistributionTable(
        service_id=service.id,
        name=name,
        kind="hourly" if coefficients.is_hourly else "fixed",
        state=TableState.DRAFT,
        supply_points=list(coefficients.supply_points),
        parts=coefficients.parts.astype("<i4").tobytes(),
    )
    session.add(table)
    session.flush()
    return table


def find_table(session: Session, table_id: int) -> DistributionTable:
    """Get a distribution table.

    Raises:
        NotFound: If there is none.
    """
    return get_row(session, DistributionTable, table_id, "distribution table")


def set_table_state(
    session: Session, table_id: int, state: str, starts_on: date | None = None
) -> DistributionTable:
    """Let a distribution table go on: draft, validated, process, active or cancelled.

    Args:
        session: Within its transaction.
        table_id: The table.
        state: Its new state.
        starts_on: First day on which it holds; needed to make it active.

    Raises:
        NotFound: If there is no such table.
        Conflict: If it cannot go there, another one is on its way, or coefficients changed too short a time ago.
        InvalidInput: If the state is unknown, or the day is missing.
    """
    table = find_table(session, table_id)
    if state not in list(TableState):
        raise InvalidInput(f"State {state!r} is unknown. Choose from {', '.join(TableState)}.")
    new = TableState(state)
    check_transition(TableState(table.state), new)
    service: Any = session.get(CommunityService, table.service_id)
    if new in (TableState.VALIDATED, TableState.PROCESS):
        same = select(DistributionTable.id).where(
            DistributionTable.service_id == table.service_id, DistributionTable.state == new
        )
        if session.scalar(same) is not None:
            raise Conflict(f"Another distribution table of the service is in the state {new} already.")
    was_active = table.state == TableState.ACTIVE
    if new is TableState.ACTIVE:
        if starts_on is None:
            raise InvalidInput("Say from which day on the table holds.")
        _check_lock(session, service, starts_on)
        table.starts_on = starts_on
    table.state = new
    session.flush()
    if was_active or new is TableState.ACTIVE:
        settle_anew(session, service, table.starts_on)
    return table


def _check_lock(session: Session, service: CommunityService, starts_on: date) -> None:
    """Check that coefficients of a service may change on a day."""
    months = profile_of(service).value("change_lock_months", starts_on)
    starts = [table.starts_on for table in store.tables_in_force(session, service.id) if table.starts_on]
    if starts_on in starts:
        raise Conflict(f"A distribution table starts on {starts_on} already.")
    earlier = [day for day in starts if day < starts_on]
    if months and earlier:
        check_change(max(earlier), starts_on, int(months))


def delete_table(session: Session, table_id: int) -> None:
    """Delete a draft.

    Raises:
        Conflict: If it is not a draft any more.
    """
    table = find_table(session, table_id)
    if table.state != TableState.DRAFT:
        raise Conflict(f"Only drafts are deleted; table {table.name!r} is {table.state}. Cancel it instead.")
    session.delete(table)
    session.flush()


def export_table(session: Session, table_id: int, year: int) -> tuple[str, bytes]:
    """Write the distributor's file of a table for a calendar year.

    Returns:
        Its name and its bytes.

    Raises:
        NotFound: If there is no such table.
        Conflict: If the service has no CAU, after which the file is named.
    """
    table = find_table(session, table_id)
    service: Any = session.get(CommunityService, table.service_id)
    if service.cau is None:
        raise Conflict("The service has no CAU, after which the file is named. Add it.")
    form = profile_of(service).value("operator_file", date(year, 1, 1), {})
    return write_distributor_file(
        read_coefficients_of(table),
        service.cau,
        year,
        DistributorFileForm(
            header=bool(form.get("header", False)),
            sort=bool(form.get("sort", True)),
            line_end=str(form.get("line_end", "\r\n")),
        ),
    )

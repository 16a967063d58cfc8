"""Reports through OpenADR: each belongs to the client that sent it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrEvent, DrReport
from flexmeasures.domain.errors import InvalidInput, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import (
    Listing,
    Sent,
    announce_change,
    find_own,
    find_visible,
    list_rows,
    live,
    new_metadata,
    touch,
)
from flexmeasures.services.coordination.report_contents import note_contents

__all__ = ["ReportFilter", "create_report", "delete_report", "list_reports", "update_report"]


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Selection of reports."""

    program_id: str | None = None
    event_id: str | None = None
    client_name: str | None = None


def list_reports(
    session: Session, caller: Caller, listing: Listing, wanted: ReportFilter
) -> Sequence[DrReport]:
    """List the reports that a client may see."""
    query = live(DrReport)
    for column, value in (
        (DrReport.program_id, wanted.program_id),
        (DrReport.event_id, wanted.event_id),
        (DrReport.client_name, wanted.client_name),
    ):
        if value is not None:
            query = query.where(column == value)
    return list_rows(session, query, DrReport, caller, listing)


def create_report(session: Session, caller: Caller, sent: Sent, now: datetime) -> DrReport:
    """Take a report.

    Raises:
        InvalidInput: If the client sees no event of that id, or the event is of another programme.
    """
    event = _named_event(session, caller, sent)
    sent = Sent({**sent.content, "clientID": caller.client_id}, sent.former)
    report = DrReport(
        **new_metadata(caller, sent, now),
        client_id=caller.client_id,
        client_name=sent.content["clientName"],
        event_id=event.id,
        program_id=event.program_id,
    )
    session.add(report)
    session.flush()
    note_contents(session, report, event, now)
    announce_change(session, "CREATE", report, now)
    return report


def update_report(session: Session, caller: Caller, report_id: str, sent: Sent, now: datetime) -> DrReport:
    """Replace a report.

    Raises:
        NotFound: If the client sees none of that id.
        InvalidInput: If the client sees no event of the id that it names.
    """
    report = find_own(session, DrReport, caller, report_id)
    event = _named_event(session, caller, sent)
    touch(report, Sent({**sent.content, "clientID": report.client_id}, sent.former), now)
    report.client_name = sent.content["clientName"]
    report.event_id, report.program_id = event.id, event.program_id
    session.flush()
    note_contents(session, report, event, now)
    announce_change(session, "UPDATE", report, now)
    return report


def delete_report(session: Session, caller: Caller, report_id: str, now: datetime) -> DrReport:
    """Delete a report.

    Raises:
        NotFound: If the client sees none of that id.
    """
    report = find_own(session, DrReport, caller, report_id)
    announce_change(session, "DELETE", report, now)
    session.delete(report)
    session.flush()
    return report


def _named_event(session: Session, caller: Caller, sent: Sent) -> DrEvent:
    event_id = sent.content["eventID"]
    try:
        event = find_visible(session, DrEvent, caller, event_id)
    except NotFound as error:
        raise InvalidInput(
            f"eventID {quote(event_id)}: event_id does not refer to an existing event. Name one that exists."
        ) from error
    program_id = sent.former.get("programID", event.program_id)
    if program_id != event.program_id:
        raise InvalidInput(f"programID {quote(program_id)} is not the program of event {quote(event_id)}.")
    return event

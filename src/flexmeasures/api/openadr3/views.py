"""Views of programmes, events, reports and subscriptions."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app
from sqlalchemy.orm import Session

from flexmeasures.api.client_door import read_object
from flexmeasures.api.door import json_response, read_clock
from flexmeasures.api.openadr3.queries import (
    read_flag,
    read_id,
    read_listing,
    read_name,
    read_object_types,
)
from flexmeasures.api.openadr3.versions import Version
from flexmeasures.connectors.callbacks import check_callback, verify_echo
from flexmeasures.data.tables import DrEvent, DrProgram, DrReport, DrSubscription
from flexmeasures.services.coordination import events, programs, reports, subscriptions
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.objects import (
    Listing,
    Sent,
    find_visible,
    granted_to,
    show,
    show_all,
)

__all__ = ["EventViews", "ProgramViews", "ReportViews", "SubscriptionViews", "Views"]


class Views:
    """The five services of a type of object, in the words of a version.

    Attributes:
        model: Its table.
        kind: Its objectType.
    """

    model: type[Any]
    kind: str

    def __init__(self, version: Version) -> None:
        self.version = version

    def show(self, session: Session, caller: Caller, row: Any, status: int = 200) -> Response:
        """Answer with one object."""
        granted = granted_to(session, caller) if self.model in (DrProgram, DrEvent) else frozenset[str]()
        return json_response(self.write(show(row, caller, granted), row), status)

    def show_list(
        self, session: Session, caller: Caller, rows: Any, listing: Listing | None = None
    ) -> Response:
        """Answer with a list of objects; if targets were asked for, with no others of the client's."""
        asked = listing.targets if listing is not None and listing.names is None else ()
        shown = show_all(session, rows, caller, asked)
        return json_response([self.write(one, row) for one, row in zip(shown, rows, strict=True)])

    def write(self, shown: Any, row: Any) -> dict[str, Any]:
        """Write an object in the words of the version."""
        return self.version.write(shown, getattr(row, "program_id", None))

    def read(self) -> Sent:
        """Read the object that is sent."""
        return self.version.read(self.kind, read_object())

    def find(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Show the object with an id."""
        return self.show(session, caller, find_visible(session, self.model, caller, object_id))


class ProgramViews(Views):
    """Services of programmes."""

    model, kind = DrProgram, "PROGRAM"

    def search(self, session: Session, caller: Caller) -> Response:
        """List programmes."""
        listing = read_listing(self.version)
        found = programs.list_programs(session, caller, listing)
        return self.show_list(session, caller, found, listing)

    def create(self, session: Session, caller: Caller) -> Response:
        """Make a programme."""
        return self.show(
            session, caller, programs.create_program(session, caller, self.read(), read_clock()), 201
        )

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Change a programme."""
        changed = programs.update_program(session, caller, object_id, self.read(), read_clock())
        return self.show(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Delete a programme."""
        return self.show(session, caller, programs.delete_program(session, caller, object_id, read_clock()))


class EventViews(Views):
    """Services of events."""

    model, kind = DrEvent, "EVENT"

    def search(self, session: Session, caller: Caller) -> Response:
        """List events."""
        active_at = read_clock() if read_flag("active") else None
        wanted = events.EventFilter(read_id("programID"), active_at)
        listing = read_listing(self.version)
        found = events.list_events(session, caller, listing, wanted)
        return self.show_list(session, caller, found, listing)

    def create(self, session: Session, caller: Caller) -> Response:
        """Make an event."""
        return self.show(
            session, caller, events.create_event(session, caller, self.read(), read_clock()), 201
        )

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Change an event."""
        changed = events.update_event(session, caller, object_id, self.read(), read_clock())
        return self.show(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Cancel an event."""
        return self.show(session, caller, events.delete_event(session, caller, object_id, read_clock()))


class ReportViews(Views):
    """Services of reports."""

    model, kind = DrReport, "REPORT"

    def search(self, session: Session, caller: Caller) -> Response:
        """List reports."""
        wanted = reports.ReportFilter(read_id("programID"), read_id("eventID"), read_name("clientName"))
        found = reports.list_reports(session, caller, read_listing(self.version), wanted)
        return self.show_list(session, caller, found)

    def create(self, session: Session, caller: Caller) -> Response:
        """Take a report."""
        return self.show(
            session, caller, reports.create_report(session, caller, self.read(), read_clock()), 201
        )

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Replace a report."""
        changed = reports.update_report(session, caller, object_id, self.read(), read_clock())
        return self.show(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Delete a report."""
        return self.show(session, caller, reports.delete_report(session, caller, object_id, read_clock()))


class SubscriptionViews(Views):
    """Services of subscriptions."""

    model, kind = DrSubscription, "SUBSCRIPTION"

    def search(self, session: Session, caller: Caller) -> Response:
        """List subscriptions."""
        wanted = subscriptions.SubscriptionFilter(
            read_id("programID"), read_name("clientName"), read_object_types()
        )
        found = subscriptions.list_subscriptions(session, caller, read_listing(self.version), wanted)
        return self.show_list(session, caller, found)

    def create(self, session: Session, caller: Caller) -> Response:
        """Make a subscription, if its callbacks can be verified."""
        sent = self._read_verified(caller)
        made = subscriptions.create_subscription(
            session, caller, sent, self.version.name, key=current_app.config["SECRET_KEY"], now=read_clock()
        )
        return self.show(session, caller, made, 201)

    def update(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Change a subscription, if its callbacks can be verified."""
        find_visible(session, DrSubscription, caller, object_id)
        sent = self._read_verified(caller)
        changed = subscriptions.update_subscription(
            session, caller, object_id, sent, key=current_app.config["SECRET_KEY"], now=read_clock()
        )
        return self.show(session, caller, changed)

    def delete(self, session: Session, caller: Caller, object_id: str) -> Response:
        """Delete a subscription."""
        return self.show(
            session, caller, subscriptions.delete_subscription(session, caller, object_id, read_clock())
        )

    def _read_verified(self, caller: Caller) -> Sent:
        """Read a subscription; callbacks of 3.1.0 have to answer with an echo, those of 3.0.1 never could."""
        sent = self.read()
        callbacks = {entry["callbackUrl"]: entry for entry in sent.content["objectOperations"]}
        for url, entry in callbacks.items():
            token, is_production = entry.get("bearerToken"), caller.environment == "production"
            check_callback(url, "callbackUrl", is_production=is_production)
            if not self.version.is_former and (
                is_production or current_app.config["FLEXMEASURES_OPENADR_ECHO"]
            ):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                verify_echo(url, headers, is_production=is_production)
        return sent

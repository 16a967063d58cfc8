"""Statements of members: as JSON, CSV, or a page that prints well; for staff, and for the member itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy.orm import Session

from flexmeasures.api.communities.door import (
    community_of_request,
    in_transaction,
    read_days,
    read_id,
    register_errors,
    sender,
)
from flexmeasures.api.communities.forms import COMMUNITY_HEADER, DAYS
from flexmeasures.api.communities.paging import Page, page_of
from flexmeasures.api.communities.shapes import ERRORS, error_shape, listed
from flexmeasures.api.door import read_clock
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.openapi.shapes import BOOLEAN, NUMBER, STRING, Schema, an_object, nullable, one_of
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.services.communities.access import find_community_of, find_member_service, find_service
from flexmeasures.services.communities.statement_forms import FORMULAS, as_csv, as_data
from flexmeasures.services.communities.statements import make_statements, member_of, uncertain_figures

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api_community_statements", __name__, url_prefix="/api")
register_errors(blueprint)

_FORMATS = ("json", "csv", "html")
_DATE: Schema = {"type": "string", "format": "date"}
_ENERGIES = ("consumption", "allocated", "self_consumption", "surplus", "from_grid")
_AMOUNTS = ("saved", "paid_to_community", "energy_cost", "credit", "credit_used", "credit_lost", "to_pay")
_TITLES = {
    "consumption": "Consumption",
    "allocated": "Allocated to you",
    "self_consumption": "Used of it",
    "surplus": "Not used: surplus",
    "from_grid": "From the grid",
    "saved": "Saved by sharing",
    "paid_to_community": "Paid to the community",
    "energy_cost": "Energy from the grid",
    "credit": "Credit for surplus",
    "credit_used": "Credit used",
    "credit_lost": "Credit lost",
    "to_pay": "Energy term to pay",
}
_STATEMENT = an_object(
    service=STRING,
    supply_point=STRING,
    first_day=_DATE,
    last_day=_DATE,
    **{name: {**NUMBER, "description": f"[kWh] {FORMULAS[name]}"} for name in _ENERGIES},
    shared_of_consumption=nullable(NUMBER),
    **{name: {**NUMBER, "description": FORMULAS.get(name, "")} for name in _AMOUNTS},
    currency=STRING,
    coverage=NUMBER,
    provisional=BOOLEAN,
)
_QUERY = {
    **DAYS,
    "properties": {
        **DAYS["properties"],
        "format": {**one_of(*_FORMATS), "description": "json if left out; csv, or html for people."},
    },
}
_ANSWERS = (
    listed(_STATEMENT, "Statements by month and supply point.")
    | ERRORS
    | {409: Answer("A price is not known.", error_shape(409, "Conflict"))}
)
# What prints well is a document of its own: no scripts, nothing from elsewhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@blueprint.get("/communities/community/community_services/<service_id>/statements/<member_id>")
@documented(_ANSWERS, query=_QUERY, tag="Energy communities", headers=COMMUNITY_HEADER)
@in_transaction
def get_statements(session: Session, service_id: str, member_id: str) -> Response:
    """Make the statements of a member; for the staff of its community."""
    now = read_clock()
    community = community_of_request(session, now)
    # Members read the figures of the community, but not each other's.
    find_community_of(session, sender(), community.id, now.date(), roles=("staff",))
    service = find_service(session, community, read_id(service_id))
    return _answer(session, service, member_of(session, service, read_id(member_id)), now)


@blueprint.get("/energy-communities/me/community_services/<service_id>/statements")
@documented(_ANSWERS, query=_QUERY, tag="Members of energy communities")
@in_transaction
def get_own_statements(session: Session, service_id: str) -> Response:
    """Make one's own statements."""
    view = find_member_service(session, sender(), read_id(service_id))
    return _answer(session, view.service, view.inscriptions, read_clock())


def _answer(session: Session, service: Any, inscriptions: Any, now: datetime) -> Response:
    days = read_days(service.community.timezone, now)
    kind = request.args.get("format", "json")
    if kind not in _FORMATS:
        raise InvalidInput(f"format is {kind[:40]!r}. Choose from {', '.join(_FORMATS)}.")
    made = make_statements(session, service, inscriptions, (days.first, days.last), now)
    if kind == "csv":
        return Response(as_csv(made), mimetype="text/csv")
    if kind == "html":
        return _page(service, inscriptions, [as_data(one) for one in made], now)
    return page_of([as_data(one) for one in made], Page())


def _page(service: Any, inscriptions: Any, statements: list[dict[str, Any]], now: datetime) -> Response:
    member = inscriptions[0].member
    text = current_app.jinja_env.get_template("communities/statement.html").render(
        community=service.community.name,
        service=service.name,
        member=f"{member.name} {member.surnames}".strip(),
        statements=statements,
        energies=_ENERGIES,
        amounts=_AMOUNTS,
        titles=_TITLES,
        formulas=FORMULAS,
        uncertain=uncertain_figures(service, now.date()),
    )
    return Response(text, mimetype="text/html", headers={"Content-Security-Policy": _POLICY})

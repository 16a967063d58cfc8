"""The member's view: own communities, own part of services, own invoices; nothing of anybody else."""

from __future__ import annotations

import base64
from typing import Any

from flask import Blueprint, Response, url_for
from sqlalchemy.orm import Session

from flexmeasures.api.communities.door import (
    in_transaction,
    read_days,
    read_id,
    register_errors,
    sender,
)
from flexmeasures.api.communities.forms import DAYS, DAYS_AND_PAGE, PAGE
from flexmeasures.api.communities.paging import one, page_of, read_page
from flexmeasures.api.communities.shapes import (
    DAILY,
    ERRORS,
    MEMBER_METRICS,
    MEMBER_SERVICE,
    describe_day,
    describe_metrics,
    describe_service,
    listed,
    single,
)
from flexmeasures.api.door import read_clock
from flexmeasures.api.openapi.operation import documented
from flexmeasures.api.openapi.shapes import INTEGER, NUMBER, STRING, an_object, nullable
from flexmeasures.services.communities.access import (
    find_invoice,
    find_member_service,
    list_communities,
    list_invoices,
    list_memberships,
    own_inscriptions,
)
from flexmeasures.services.communities.metrics import Series, has_data, member_metrics, member_series
from flexmeasures.services.communities.overview import own_share, view_services

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api_community_member", __name__, url_prefix="/api/energy-communities/me")
register_errors(blueprint)

_TAG = {"tag": "Members of energy communities"}
_ME = an_object(email=STRING, name=STRING, lang=STRING, member_number=nullable(STRING))
_COMMUNITY = an_object(id=INTEGER, name=STRING, image=nullable(STRING))
_INVOICE = an_object(
    id=INTEGER,
    number=STRING,
    service_type=STRING,
    state=STRING,
    amount_total=NUMBER,
    date={"type": "string", "format": "date"},
    pdf_url=nullable(STRING),
)
_PDF = an_object(filename=STRING, mimetype=STRING, content={**STRING, "contentEncoding": "base64"})


@blueprint.get("", strict_slashes=False)
@documented(single(_ME, "The member.") | ERRORS, **_TAG)
@in_transaction
def get_me(session: Session) -> Response:
    """Tell who asks."""
    user = sender()
    memberships = list_memberships(session, user)
    names = [f"{each.name} {each.surnames}".strip() for each in memberships]
    return one(
        {
            "email": user.email,
            "name": names[0] if names else user.username,
            "lang": "en",
            "member_number": next((each.member_number for each in memberships if each.member_number), None),
        }
    )


@blueprint.get("/communities")
@documented(listed(_COMMUNITY, "The communities, by id.") | ERRORS, query=PAGE, **_TAG)
@in_transaction
def get_communities(session: Session) -> Response:
    """List the communities that one belongs or belonged to."""
    communities = list_communities(session, sender())
    page = read_page()
    shown = [{"id": each.id, "name": each.name, "image": each.image_url} for each in page.cut(communities)]
    return page_of(shown, page, len(communities))


@blueprint.get("/community_services")
@documented(listed(MEMBER_SERVICE, "The services, by id.") | ERRORS, query=DAYS_AND_PAGE, **_TAG)
@in_transaction
def get_services(session: Session) -> Response:
    """List the active services that one takes part in, with one's own share."""
    views, page, today = own_inscriptions(session, sender()), read_page(), read_clock().date()
    shown = page.cut(views)
    described = [
        describe_service(view, own_share(session, own, today))
        for view, own in zip(view_services(session, [each.service for each in shown]), shown, strict=True)
    ]
    return page_of(described, page, len(views))


@blueprint.get("/community_services/<service_id>")
@documented(single(MEMBER_SERVICE, "The service.") | ERRORS, query=DAYS, **_TAG)
@in_transaction
def get_service(session: Session, service_id: str) -> Response:
    """Tell what a service is that one takes part in."""
    own = find_member_service(session, sender(), read_id(service_id))
    view = view_services(session, [own.service])[0]
    return one(describe_service(view, own_share(session, own, read_clock().date())))


@blueprint.get("/community_services/metrics")
@documented(listed(MEMBER_METRICS, "One's own metrics, by service.") | ERRORS, query=DAYS_AND_PAGE, **_TAG)
@in_transaction
def get_all_metrics(session: Session) -> Response:
    """Work out one's own metrics in all active services that are measured."""
    now = read_clock()
    views, page = own_inscriptions(session, sender()), read_page()
    measured = [view for view in views if has_data(session, view.service)]
    shown = [_own_metrics(session, view, now) for view in page.cut(measured)]
    return page_of(shown, page, len(measured))


@blueprint.get("/community_services/<service_id>/metrics")
@documented(
    single(MEMBER_METRICS, "One's own metrics; null where nothing is measured.") | ERRORS, query=DAYS, **_TAG
)
@in_transaction
def get_metrics(session: Session, service_id: str) -> Response:
    """Work out one's own metrics in a service."""
    now = read_clock()
    return one(_own_metrics(session, find_member_service(session, sender(), read_id(service_id)), now))


def _own_metrics(session: Session, view: Any, now: Any) -> dict[str, Any] | None:
    days = read_days(view.service.community.timezone, now)
    metrics = member_metrics(session, view.service, view.inscriptions, (days.first, days.last), now)
    if metrics is None:
        return None
    return describe_metrics(view.service, metrics, own_share(session, view, now.date()))


def _add_series(word: str, series: Series, meaning: str) -> None:
    """Add the endpoint of a daily series of one's own."""

    @documented(listed(DAILY, f"{meaning}, ascending.") | ERRORS, query=DAYS_AND_PAGE, **_TAG)
    @in_transaction
    def get_series(session: Session, service_id: str) -> Response:
        now = read_clock()
        view = find_member_service(session, sender(), read_id(service_id))
        days, page = read_days(view.service.community.timezone, now), read_page()
        span = (days.first, days.last)
        values = member_series(session, view.service, view.inscriptions, series, span, now)
        return page_of([describe_day(day) for day in page.cut(values)], page, len(values))

    get_series.__doc__ = f"List the {meaning[0].lower()}{meaning[1:]}."
    blueprint.add_url_rule(f"/community_services/<service_id>/{word}", f"get_{word}", get_series)


for _word, _series, _meaning in (
    ("production", Series.PRODUCTION, "Energy that a service put at one's disposal each day [kWh]"),
    ("selfconsumption", Series.SELFCONSUMPTION, "Energy of a service that one used each day [kWh]"),
    ("energy_exported", Series.EXPORTED, "Energy of one's share that was exported each day [kWh]"),
    ("energy_consumed", Series.CONSUMPTION, "Energy that one consumed each day [kWh]"),
):
    _add_series(_word, _series, _meaning)


@blueprint.get("/invoices")
@documented(listed(_INVOICE, "The invoices, the newest first.") | ERRORS, query=PAGE, **_TAG)
@in_transaction
def get_invoices(session: Session) -> Response:
    """List one's invoices."""
    invoices, page = list_invoices(session, sender()), read_page()
    return page_of([_describe_invoice(each) for each in page.cut(invoices)], page, len(invoices))


@blueprint.get("/invoices/<invoice_id>")
@documented(single(_INVOICE, "The invoice.") | ERRORS, **_TAG)
@in_transaction
def get_invoice(session: Session, invoice_id: str) -> Response:
    """Tell about one of one's invoices."""
    return one(_describe_invoice(find_invoice(session, sender(), read_id(invoice_id))))


@blueprint.get("/invoices/<invoice_id>/download")
@documented(single(_PDF, "The PDF in base64; null where there is none.") | ERRORS, **_TAG)
@in_transaction
def download_invoice(session: Session, invoice_id: str) -> Response:
    """Download the PDF of one of one's invoices."""
    invoice = find_invoice(session, sender(), read_id(invoice_id))
    if invoice.pdf is None:
        return one(None)
    return one(
        {
            "filename": f"{invoice.number}.pdf",
            "mimetype": "application/pdf",
            "content": base64.b64encode(invoice.pdf).decode(),
        }
    )


def _describe_invoice(invoice: Any) -> dict[str, Any]:
    link = url_for(f"{blueprint.name}.download_invoice", invoice_id=invoice.id, _external=True)
    return {
        "id": invoice.id,
        "number": invoice.number,
        "service_type": invoice.service_type,
        "state": invoice.state,
        "amount_total": invoice.amount_total,
        "date": invoice.issued_on.isoformat(),
        "pdf_url": link,
    }

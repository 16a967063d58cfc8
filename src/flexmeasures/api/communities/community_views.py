"""The community's view: its services, their metrics and daily series."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from flexmeasures.api.communities.door import (
    community_of_request,
    in_transaction,
    read_days,
    read_id,
    register_errors,
)
from flexmeasures.api.communities.forms import COMMUNITY_HEADER, DAYS, DAYS_AND_PAGE
from flexmeasures.api.communities.paging import one, page_of, read_page
from flexmeasures.api.communities.shapes import (
    DAILY,
    ERRORS,
    METRICS,
    SERVICE,
    describe_day,
    describe_metrics,
    describe_service,
    listed,
    single,
)
from flexmeasures.api.door import read_clock
from flexmeasures.api.openapi.operation import documented
from flexmeasures.api.openapi.shapes import BOOLEAN, INTEGER, STRING, an_object, list_of, nullable
from flexmeasures.services.communities.access import find_service, list_services
from flexmeasures.services.communities.metrics import Series, has_data, service_metrics, service_series
from flexmeasures.services.communities.overview import view_community, view_services

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api_communities", __name__, url_prefix="/api/communities/community")
register_errors(blueprint)

_TAG = {"tag": "Energy communities", "headers": COMMUNITY_HEADER}
_SOCIAL = ("email", "web", "twitter", "instagram", "telegram", "facebook")

_COMMUNITY = an_object(
    id=INTEGER,
    name=STRING,
    coordinator=nullable(STRING),
    members=INTEGER,
    services=list_of(an_object(name=STRING, type=STRING, is_active=BOOLEAN)),
    image=nullable(STRING),
    landing_photo=nullable(STRING),
    social=an_object(**dict.fromkeys(_SOCIAL, STRING)),
)


@blueprint.get("", strict_slashes=False)
@documented(single(_COMMUNITY, "The community.") | ERRORS, **_TAG)
@in_transaction
def get_community(session: Session) -> Response:
    """Tell what a community is: its members, and the kinds of action that it runs."""
    now = read_clock()
    view = view_community(session, community_of_request(session, now), now.date())
    community = view.community
    return one(
        {
            "id": community.id,
            "name": community.name,
            "coordinator": community.coordinator,
            "members": view.members,
            "services": [
                {"name": kind.name, "type": kind.type, "is_active": kind.is_active} for kind in view.kinds
            ],
            "image": community.image_url,
            "landing_photo": community.landing_photo_url,
            "social": {name: str(community.social.get(name, "")) for name in _SOCIAL},
        }
    )


@blueprint.get("/community_services")
@documented(listed(SERVICE, "The services, by id; no drafts.") | ERRORS, query=DAYS_AND_PAGE, **_TAG)
@in_transaction
def get_services(session: Session) -> Response:
    """List the services that a community offers. The dates make no difference."""
    community = community_of_request(session, read_clock())
    page = read_page()
    services = list_services(session, community)
    shown = [describe_service(view) for view in view_services(session, page.cut(services))]
    return page_of(shown, page, len(services))


@blueprint.get("/community_services/<service_id>")
@documented(single(SERVICE, "The service.") | ERRORS, query=DAYS, **_TAG)
@in_transaction
def get_service(session: Session, service_id: str) -> Response:
    """Tell what a service is. The dates make no difference."""
    community = community_of_request(session, read_clock())
    service = find_service(session, community, read_id(service_id))
    return one(describe_service(view_services(session, [service])[0]))


@blueprint.get("/community_services/metrics")
@documented(
    listed(METRICS, "Metrics of the active services that are measured, by id.") | ERRORS,
    query=DAYS_AND_PAGE,
    **_TAG,
)
@in_transaction
def get_all_metrics(session: Session) -> Response:
    """Work out the metrics of all active services of a community."""
    now = read_clock()
    community = community_of_request(session, now)
    days, page = read_days(community.timezone, now), read_page()
    services = [
        service
        for service in list_services(session, community, only_active=True)
        if has_data(session, service)
    ]
    shown = []
    for service in page.cut(services):
        metrics = service_metrics(session, service, days.first, days.last, now)
        if metrics is not None:
            shown.append(describe_metrics(service, metrics))
    return page_of(shown, page, len(services))


@blueprint.get("/community_services/<service_id>/metrics")
@documented(
    single(METRICS, "The metrics; null for a service that is not measured.") | ERRORS, query=DAYS, **_TAG
)
@in_transaction
def get_metrics(session: Session, service_id: str) -> Response:
    """Work out the metrics of a service."""
    now = read_clock()
    community = community_of_request(session, now)
    service = find_service(session, community, read_id(service_id))
    days = read_days(community.timezone, now)
    metrics = service_metrics(session, service, days.first, days.last, now)
    return one(None if metrics is None else describe_metrics(service, metrics))


def _add_series(series: Series, meaning: str) -> None:
    """Add the endpoint of a daily series."""

    @documented(
        listed(DAILY, f"{meaning}, ascending; days without data are left out.") | ERRORS,
        query=DAYS_AND_PAGE,
        **_TAG,
    )
    @in_transaction
    def get_series(session: Session, service_id: str) -> Response:
        now = read_clock()
        community = community_of_request(session, now)
        service = find_service(session, community, read_id(service_id))
        days, page = read_days(community.timezone, now), read_page()
        values: list[Any] = service_series(session, service, series, (days.first, days.last), now)
        return page_of([describe_day(day) for day in page.cut(values)], page, len(values))

    get_series.__doc__ = f"List the {meaning[0].lower()}{meaning[1:]}."
    blueprint.add_url_rule(f"/community_services/<service_id>/metrics/{series}", f"get_{series}", get_series)


for _series, _meaning in (
    (Series.PRODUCTION, "Energy that a service produced each day [kWh]"),
    (Series.SELFCONSUMPTION, "Energy of a service that its members used each day [kWh]"),
    (Series.EXPORTED, "Energy of a service that was exported to the grid each day [kWh]"),
    (Series.CONSUMPTION, "Energy that the members of a service consumed each day [kWh]"),
):
    _add_series(_series, _meaning)

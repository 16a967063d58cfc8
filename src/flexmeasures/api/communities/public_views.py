"""Views of monitoring companies on their projects, and of anybody on the network."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from flexmeasures.api.communities.door import in_transaction, register_errors, sender
from flexmeasures.api.communities.forms import PAGE
from flexmeasures.api.communities.paging import one, page_of, read_page
from flexmeasures.api.communities.shapes import ADDRESS, ADDRESS_FIELDS, ERRORS, listed, single
from flexmeasures.api.door import read_clock
from flexmeasures.api.openapi.operation import documented
from flexmeasures.api.openapi.shapes import INTEGER, NUMBER, STRING, an_object, nullable
from flexmeasures.services.communities.access import (
    find_landing,
    find_project,
    list_project_members,
    list_projects,
)
from flexmeasures.services.communities.overview import view_community, view_network

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api_community_projects", __name__, url_prefix="/api")
register_errors(blueprint)

_PROVIDER = {"tag": "Monitoring of energy communities"}
_OPEN = {"tag": "Open data of energy communities", "public": True}
_CODE = {"path": {"code": STRING}}
_PROJECT = an_object(
    project_code=STRING,
    project_name=STRING,
    community_id=INTEGER,
    community_name=STRING,
    power=nullable(NUMBER),
)
_MEMBER = an_object(
    supply_point_code=STRING,
    supply_point_address=ADDRESS,
    distribution_coefficient=nullable(NUMBER),
    owner_name=STRING,
    owner_surnames=STRING,
    owner_vat=nullable(STRING),
)
_NETWORK = an_object(members=INTEGER, active=INTEGER, goal=INTEGER, total=INTEGER, in_activation=INTEGER)
_LANDING = an_object(
    id=INTEGER, name=STRING, members=INTEGER, image=nullable(STRING), landing_photo=nullable(STRING)
)


@blueprint.get("/energy-selfconsumption/projects")
@documented(listed(_PROJECT, "The projects, by code.") | ERRORS, query=PAGE, **_PROVIDER)
@in_transaction
def get_projects(session: Session) -> Response:
    """List the self-consumption projects of the communities for which one works as a provider."""
    projects, page = list_projects(session, sender(), read_clock().date()), read_page()
    return page_of([_describe_project(each) for each in page.cut(projects)], page, len(projects))


@blueprint.get("/energy-selfconsumption/projects/<code>")
@documented(single(_PROJECT, "The project.") | ERRORS, **_PROVIDER, **_CODE)
@in_transaction
def get_project(session: Session, code: str) -> Response:
    """Tell what a project is, by the CAU of its self-consumption group."""
    return one(_describe_project(find_project(session, sender(), code, read_clock().date())))


@blueprint.get("/energy-selfconsumption/projects/<code>/members")
@documented(
    listed(_MEMBER, "The supply points that take part today.") | ERRORS, query=PAGE, **_PROVIDER, **_CODE
)
@in_transaction
def get_project_members(session: Session, code: str) -> Response:
    """List the supply points of a project with their coefficients and owners."""
    today = read_clock().date()
    service = find_project(session, sender(), code, today)
    members, page = list_project_members(session, service, today), read_page()
    shown = [
        {
            "supply_point_code": each.point.cups,
            "supply_point_address": {name: each.point.address.get(name, "") for name in ADDRESS_FIELDS},
            "distribution_coefficient": each.coefficient,
            "owner_name": each.point.owner_name or each.member.name,
            "owner_surnames": each.point.owner_surnames or each.member.surnames,
            "owner_vat": each.point.owner_vat or each.member.vat,
        }
        for each in page.cut(members)
    ]
    return page_of(shown, page, len(members))


def _describe_project(service: Any) -> dict[str, Any]:
    return {
        "project_code": service.cau,
        "project_name": service.name,
        "community_id": service.community.id,
        "community_name": service.community.name,
        "power": service.power_kw,
    }


@blueprint.get("/opendata/network")
@documented(single(_NETWORK, "Public figures."), **_OPEN)
@in_transaction
def get_network(session: Session) -> Response:
    """Count members and communities for the public."""
    view = view_network(session)
    return one(
        {
            "members": view.members,
            "active": view.active,
            "goal": view.goal,
            "total": view.total,
            "in_activation": view.in_activation,
        }
    )


@blueprint.get("/opendata/landing/<community_id>")
@documented(single(_LANDING, "The community.") | {404: ERRORS[404]}, **_OPEN)
@in_transaction
def get_landing(session: Session, community_id: str) -> Response:
    """Tell what a community shows to the public."""
    view = view_community(session, find_landing(session, community_id), read_clock().date())
    return one(
        {
            "id": view.community.id,
            "name": view.community.name,
            "members": view.members,
            "image": view.community.image_url,
            "landing_photo": view.community.landing_photo_url,
        }
    )

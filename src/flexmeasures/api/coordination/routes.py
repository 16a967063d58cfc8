"""The paths of the partner API and their views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy.orm import Session

from flexmeasures.api.client_door import client_view, read_object
from flexmeasures.api.client_tokens import answer_token_request
from flexmeasures.api.coordination import webhooks
from flexmeasures.api.coordination.shapes import read_place, read_report, read_text
from flexmeasures.api.coordination.simulations import read_curve, read_targets
from flexmeasures.api.door import json_response, read_clock
from flexmeasures.data.tables import DrEvent, DrLocation, DrResource
from flexmeasures.domain.coordination.partner import write_timestamp
from flexmeasures.services.coordination import partners, simulation
from flexmeasures.services.coordination.areas import eligible_users, tell_eligibility
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.compensation import settle_user
from flexmeasures.services.coordination.partner_events import (
    find_partner_event,
    list_partner_events,
    payloads_of,
)
from flexmeasures.services.coordination.partner_reports import take_report

__all__ = ["blueprint", "token_blueprint"]

blueprint = Blueprint("flexmeasures_coordination", __name__, url_prefix="/energy-coordination/v1")
token_blueprint = Blueprint("flexmeasures_coordination_tokens", __name__)
token_blueprint.add_url_rule("/connect/token", "token", answer_token_request, methods=["POST"])

_READING = ("read_all", "read_targets", "read_ven_objects")

View = Callable[..., Response]


def _route(method: str, path: str, *scopes: str) -> Callable[[View], View]:
    """Put a view at a path; the one who asks needs one of the scopes."""

    def decorate(view: View) -> View:
        answer = client_view(*(scopes or _READING))(view)
        blueprint.add_url_rule(path, view.__name__, answer, methods=[method], provide_automatic_options=False)
        return view

    return decorate


_NOTHING = ("", 204)


def _no_content() -> Response:
    return Response(*_NOTHING)


@_route("POST", "/users", "write_vens")
def add_user(session: Session, caller: Caller) -> Response:
    """Register a user."""
    user = partners.add_user(session, caller, read_text(read_object(), "userId"), read_clock())
    return json_response({"userId": user.user_id, "createdAt": write_timestamp(user.created_at)}, 201)


@_route("GET", "/users")
def list_users(session: Session, caller: Caller) -> Response:
    """List users."""
    users = partners.list_users(session, caller)
    return json_response({"users": [{"userId": user.user_id} for user in users]})


@_route("GET", "/users/eligible")
def list_eligible(session: Session, caller: Caller) -> Response:
    """List the users who may take part in something."""
    return json_response({"users": [{"userId": user} for user in eligible_users(session, caller)]})


@_route("GET", "/users/<user_id>")
def find_user(session: Session, caller: Caller, user_id: str) -> Response:
    """Show a user."""
    user = partners.find_user(session, caller, user_id)
    is_eligible = user.user_id in eligible_users(session, caller)
    return json_response({"userId": user.user_id, "isEligible": is_eligible})


@_route("DELETE", "/users/<user_id>", "write_vens")
def delete_user(session: Session, caller: Caller, user_id: str) -> Response:
    """Delete a user with all that belongs to it."""
    partners.delete_user(session, caller, user_id, read_clock())
    return _no_content()


@_route("PUT", "/users/<user_id>/enrollment", "write_vens")
def enrol_user(session: Session, caller: Caller, user_id: str) -> Response:
    """Let a user take part in a programme."""
    user = partners.find_user(session, caller, user_id)
    partners.enrol(session, caller, user, read_text(read_object(), "program"), read_clock())
    return _no_content()


@_route("DELETE", "/users/<user_id>/enrollment", "write_vens")
def withdraw_user(session: Session, caller: Caller, user_id: str) -> Response:
    """Let a user take part in a programme no more."""
    user = partners.find_user(session, caller, user_id)
    partners.withdraw(session, caller, user, read_text(read_object(), "program"))
    return _no_content()


@_route("POST", "/users/<user_id>/locations", "write_vens")
def add_location(session: Session, caller: Caller, user_id: str) -> Response:
    """Register a location of a user."""
    user = partners.find_user(session, caller, user_id)
    body = read_object()
    location_id = read_text(body, "locationId")
    location = partners.add_location(session, caller, user, location_id, read_place(body), read_clock())
    return json_response(_show_location(location), 201)


@_route("GET", "/users/<user_id>/locations")
def list_locations(session: Session, caller: Caller, user_id: str) -> Response:
    """List the locations of a user."""
    user = partners.find_user(session, caller, user_id)
    return json_response({"locations": [_show_location(x) for x in partners.list_locations(session, user)]})


@_route("GET", "/users/<user_id>/locations/<location_id>")
def find_location(session: Session, caller: Caller, user_id: str, location_id: str) -> Response:
    """Show a location."""
    user = partners.find_user(session, caller, user_id)
    return json_response(_show_location(partners.find_location(session, user, location_id)))


@_route("PATCH", "/users/<user_id>/locations/<location_id>", "write_vens")
def move_location(session: Session, caller: Caller, user_id: str, location_id: str) -> Response:
    """Change where a location is."""
    user = partners.find_user(session, caller, user_id)
    location = partners.find_location(session, user, location_id)
    partners.move_location(session, caller, location, read_place(read_object()), read_clock())
    return json_response(_show_location(location))


@_route("POST", "/users/<user_id>/locations/<location_id>/resources", "write_vens")
def add_resource(session: Session, caller: Caller, user_id: str, location_id: str) -> Response:
    """Register a resource at a location."""
    user = partners.find_user(session, caller, user_id)
    location = partners.find_location(session, user, location_id)
    made = partners.add_resource(session, caller, user, location, _read_resource("resourceId"), read_clock())
    return json_response(_show_resource(made, location), 201)


@_route("GET", "/users/<user_id>/locations/<location_id>/resources")
def list_resources(session: Session, caller: Caller, user_id: str, location_id: str) -> Response:
    """List the resources at a location."""
    user = partners.find_user(session, caller, user_id)
    location = partners.find_location(session, user, location_id)
    found = partners.list_partner_resources(session, user, location)
    return json_response({"resources": [_show_resource(one, location) for one in found]})


@_route("POST", "/users/<user_id>/vehicles", "write_vens")
def add_vehicle(session: Session, caller: Caller, user_id: str) -> Response:
    """Register a vehicle of a user."""
    user = partners.find_user(session, caller, user_id)
    new = _read_resource("vehicleId", "Vehicle")
    return json_response(
        _show_resource(partners.add_resource(session, caller, user, None, new, read_clock())), 201
    )


@_route("GET", "/users/<user_id>/vehicles")
def list_vehicles(session: Session, caller: Caller, user_id: str) -> Response:
    """List the vehicles of a user."""
    user = partners.find_user(session, caller, user_id)
    found = partners.list_partner_resources(session, user, None)
    return json_response({"vehicles": [_show_resource(one) for one in found]})


@_route("GET", "/resources/<resource_id>")
def find_resource(session: Session, caller: Caller, resource_id: str) -> Response:
    """Show a resource or vehicle."""
    resource = partners.find_partner_resource(session, caller, resource_id)
    at = None if resource.location_id is None else session.get(DrLocation, resource.location_id)
    return json_response(_show_resource(resource, at))


@_route("DELETE", "/resources/<resource_id>", "write_vens")
def delete_resource(session: Session, caller: Caller, resource_id: str) -> Response:
    """Delete a resource or vehicle."""
    partners.delete_partner_resource(session, caller, resource_id, read_clock())
    return _no_content()


def _read_resource(id_name: str, usual_type: str | None = None) -> partners.NewResource:
    body = read_object()
    name = id_name if id_name in body else "resourceId"
    return partners.NewResource(read_text(body, name), read_text(body, "resourceType", usual_type))


def _show_location(location: DrLocation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "locationId": location.location_id,
        "locationType": location.location_type,
        "meterPointIds": location.meter_point_ids,
    }
    if location.latitude is not None:
        shown["coordinates"] = {"latitude": location.latitude, "longitude": location.longitude}
    return shown


def _show_resource(resource: DrResource, location: DrLocation | None = None) -> dict[str, Any]:
    shown = {"resourceId": resource.name, "resourceType": resource.resource_type}
    return shown if location is None else shown | {"locationId": location.location_id}


@_route("GET", "/events")
def list_events(session: Session, caller: Caller) -> Response:
    """List events, the newest first."""
    events = list_partner_events(session, caller)
    return json_response({"events": _show_events(session, caller, events)})


@_route("GET", "/events/<event_id>")
def find_event(session: Session, caller: Caller, event_id: str) -> Response:
    """Show an event."""
    event = find_partner_event(session, caller, event_id)
    return json_response(_show_events(session, caller, [event])[0])


def _show_events(session: Session, caller: Caller, events: Any) -> list[dict[str, Any]]:
    payloads = payloads_of(session, {event.id for event in events}, {caller.client_id})
    return [_show_event(event, payloads[event.id, caller.client_id]) for event in events]


def _show_event(event: DrEvent, payload: dict[str, Any]) -> dict[str, Any]:
    shown = {"id": event.id, "createdAt": write_timestamp(event.created_at), "payload": payload}
    return shown if event.deleted_at is None else shown | {"cancelledAt": write_timestamp(event.deleted_at)}


@_route("POST", "/reports", "write_reports")
def add_report(session: Session, caller: Caller) -> Response:
    """Take a report about an event."""
    report = read_report(read_object(), request.headers.get("Idempotency-Key"))
    stored = take_report(session, caller, report, read_clock())
    created = write_timestamp(stored.created_at)
    return json_response({"id": stored.id, "eventId": stored.event_id, "createdAt": created}, 201)


@_route("GET", "/user/<user_id>/compensation")
def show_compensation(session: Session, caller: Caller, user_id: str) -> Response:
    """Show what a user is paid this month, and what waits for a meter point."""
    user = partners.find_user(session, caller, user_id)
    found = settle_user(session, caller, user, read_clock(), current_app.config["FLEXMEASURES_TIMEZONE"])
    problems = []
    if found.amounts.blocked:
        message = "A location has no meter point; set meterPointIds before the end of the month."
        problems.append({"problemType": 1, "message": message})
    return json_response(
        {
            "userId": found.user_id,
            "period": {"from": write_timestamp(found.start), "to": write_timestamp(found.end)},
            "activeAmount": float(found.amounts.active),
            "blockedAmount": float(found.amounts.blocked),
            "currency": found.currency,
            "problems": problems,
        }
    )


@_route("POST", "/simulation/events/priceCurve", "write_vens")
def simulate_price_curve(session: Session, caller: Caller) -> Response:
    """Simulate a price curve; what is not said is drawn at random."""
    simulation.check_sandbox(caller)
    body = read_object(empty=True)
    targets, curve = read_targets(body), read_curve(body, read_clock())
    event = simulation.simulate_curve(session, caller, targets, curve, read_clock())
    return json_response(_show_events(session, caller, [event])[0], 201)


@_route("POST", "/simulation/events/locationLPC", "write_vens")
def simulate_limit(session: Session, caller: Caller) -> Response:
    """Simulate a power limit of 0 kW for two hours from now."""
    simulation.check_sandbox(caller)
    targets = read_targets(read_object(empty=True))
    event = simulation.simulate_limit(session, caller, targets, read_clock())
    return json_response(_show_events(session, caller, [event])[0], 201)


@_route("POST", "/simulation/events/userEligibility", "write_vens")
def simulate_eligibility(session: Session, caller: Caller) -> Response:
    """Tell of eligibility at once; it does not change."""
    simulation.check_sandbox(caller)
    interval = current_app.config["FLEXMEASURES_ELIGIBILITY_INTERVAL"]
    tell_eligibility(session, read_clock(), interval, caller)
    return _no_content()


@_route("POST", "/simulation/partner", "write_vens")
def simulate_partner(session: Session, caller: Caller) -> Response:
    """Register some users with locations and resources."""
    simulation.check_sandbox(caller)
    users = simulation.simulate_partner(session, caller, read_clock())
    return json_response({"users": [{"userId": user} for user in users]}, 201)


blueprint.add_url_rule(
    "/users/<user_id>/compensation", "show_compensation_too", client_view(*_READING)(show_compensation)
)
_route("POST", "/webhooks", "write_subscriptions")(webhooks.add_webhook)
_route("GET", "/webhooks")(webhooks.list_webhooks)
_route("GET", "/webhooks/<webhook_id>")(webhooks.find_webhook)
_route("PUT", "/webhooks/<webhook_id>", "write_subscriptions")(webhooks.change_webhook)
_route("DELETE", "/webhooks/<webhook_id>", "write_subscriptions")(webhooks.delete_webhook)
_route("POST", "/webhooks/<webhook_id>/test", "write_subscriptions")(webhooks.try_webhook)

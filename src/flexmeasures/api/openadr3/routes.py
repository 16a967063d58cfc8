"""Paths, their views and the scopes that they take: one table for both versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, url_for

from flexmeasures.api.client_door import client_view
from flexmeasures.api.client_tokens import answer_token_request
from flexmeasures.api.door import json_response
from flexmeasures.api.openadr3.notifiers import show_notifiers, topic_services
from flexmeasures.api.openadr3.ven_views import FormerResourceViews, GroupViews, ResourceViews, VenViews
from flexmeasures.api.openadr3.versions import VERSIONS, Version
from flexmeasures.api.openadr3.views import EventViews, ProgramViews, ReportViews, SubscriptionViews, Views

__all__ = ["make_blueprints"]

_TARGETED = ("read_all", "read_targets")
_OWNED = ("read_all", "read_ven_objects")
_ANY_READING = ("read_all", "read_targets", "read_ven_objects")


def make_blueprints() -> Iterator[Blueprint]:
    """Make the blueprint of each version."""
    for version in VERSIONS:
        blueprint = Blueprint(
            f"flexmeasures_openadr3_{version.name.replace('.', '_')}",
            __name__,
            url_prefix=f"/openadr3/{version.name}",
        )
        _add_services(blueprint, version)
        _add_general(blueprint, version)
        yield blueprint


def _add_services(blueprint: Blueprint, version: Version) -> None:
    for path, views, reading, writing in (
        ("/programs", ProgramViews(version), _TARGETED, "write_programs"),
        ("/events", EventViews(version), _TARGETED, "write_events"),
        ("/reports", ReportViews(version), _OWNED, "write_reports"),
        ("/subscriptions", SubscriptionViews(version), _OWNED, "write_subscriptions"),
        ("/vens", VenViews(version), _OWNED, "write_vens"),
    ):
        _add_crud(blueprint, path, views, reading, writing)
    if version.is_former:
        _add_crud(blueprint, "/vens/<ven_id>/resources", FormerResourceViews(version), _OWNED, "write_vens")
    else:
        _add_crud(blueprint, "/resources", ResourceViews(version), _OWNED, "write_vens")
        _add_crud(blueprint, "/resource_groups", GroupViews(version), _OWNED, "write_vens")


def _add_crud(blueprint: Blueprint, path: str, views: Views, reading: tuple[str, ...], writing: str) -> None:
    name = path.strip("/").replace("/", "_").replace("<", "").replace(">", "")
    services: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
        ("search", "GET", path, reading),
        ("create", "POST", path, (writing,)),
        ("find", "GET", f"{path}/<object_id>", reading),
        ("update", "PUT", f"{path}/<object_id>", (writing,)),
        ("delete", "DELETE", f"{path}/<object_id>", (writing,)),
    )
    for service, method, rule, scopes in services:
        view = client_view(*scopes)(getattr(views, service))
        _add(blueprint, rule, f"{service}_{name}", method, view)


def _add(blueprint: Blueprint, rule: str, name: str, method: str, view: Callable[..., Any]) -> None:
    blueprint.add_url_rule(rule, name, view, methods=[method], provide_automatic_options=False)


def _add_general(blueprint: Blueprint, version: Version) -> None:
    _add(blueprint, "/auth/token", "token", "POST", answer_token_request)
    _add(blueprint, "/health", "health", "GET", _health)
    if version.is_former:
        return

    def auth_server() -> Response:
        """Say where tokens are issued."""
        return json_response({"tokenURL": url_for(f"{blueprint.name}.token", _external=True)})

    _add(blueprint, "/auth/server", "auth_server", "GET", auth_server)
    _add(blueprint, "/notifiers", "notifiers", "GET", client_view(*_ANY_READING)(show_notifiers))
    for path, name, scopes, view in topic_services():
        _add(blueprint, path, name, "GET", client_view(*scopes)(view))


def _health() -> Response:
    """Say that the server answers."""
    return json_response({"status": "ok"})

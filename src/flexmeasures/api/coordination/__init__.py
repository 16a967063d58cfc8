"""The partner API at /energy-coordination/v1: users, resources, events, reports, webhooks, simulation, compensation."""

from __future__ import annotations

from flask import Flask

from flexmeasures.api import bodies
from flexmeasures.api.client_door import is_signed_request
from flexmeasures.api.coordination import routes
from flexmeasures.api.coordination.hooks import hooks, is_known_receiver

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the endpoints."""
    app.register_blueprint(routes.blueprint)
    app.register_blueprint(routes.token_blueprint)
    app.register_blueprint(hooks)
    bodies.recognise(app, routes.blueprint.name, is_signed_request)
    bodies.recognise(app, hooks.name, is_known_receiver)

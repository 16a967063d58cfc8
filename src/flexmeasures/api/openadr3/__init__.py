"""The OpenADR 3 face: /openadr3/3.1.0 and /openadr3/3.0.1, one implementation and a table of what differs.

Source: the OpenAPI documents of OpenADR 3.1.0 and 3.0.1.
"""

from __future__ import annotations

from flask import Flask

from flexmeasures.api import bodies
from flexmeasures.api.client_door import is_signed_request
from flexmeasures.api.openadr3 import routes

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the endpoints of both versions."""
    for blueprint in routes.make_blueprints():
        app.register_blueprint(blueprint)
        bodies.recognise(app, blueprint.name, is_signed_request)

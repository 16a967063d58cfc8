"""Where the document is read: as JSON by programs."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, current_app

from flexmeasures.api.openapi.document import build_document
from flexmeasures.api.openapi.operation import Answer, documented

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_openapi", __name__, url_prefix="/api")


@blueprint.get("/openapi.json")
@documented({200: Answer("An OpenAPI document.", {"type": "object"})}, public=True)
def get_openapi() -> Response:
    """Describe the API after OpenAPI 3.1: this document."""
    known = current_app.extensions
    if "openapi_document" not in known:
        # What is registered does not change any more once requests are answered.
        known["openapi_document"] = orjson.dumps(build_document(current_app))
    return Response(known["openapi_document"], mimetype="application/json")

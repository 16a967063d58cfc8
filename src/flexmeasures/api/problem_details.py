"""Problem objects after RFC 9457, for the doors of coordination, and who answers with them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, request

from flexmeasures.api.door import json_response

__all__ = ["PROBLEM_PATHS", "problem_response", "speaks_problems"]

PROBLEM_PATHS = ("/openadr3/", "/energy-coordination/", "/connect/")
"""First parts of the paths of these doors."""

_LONGEST_INSTANCE = 2000


def speaks_problems() -> bool:
    """Tell whether the current request is to be answered with problem objects."""
    return request.path.startswith(PROBLEM_PATHS)


def problem_response(status: int, detail: str, **more: Any) -> Response:
    """Say what is wrong.

    Args:
        status: The HTTP status.
        detail: A sentence for whoever asked.
        more: Further members, such as errors by field.
    """
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.base_url[:_LONGEST_INSTANCE],
        **more,
    }
    response = json_response(body, status)
    # The OpenADR documents have problems as plain JSON.
    if not request.path.startswith("/openadr3/"):
        response.mimetype = "application/problem+json"
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="coordination"'
    return response

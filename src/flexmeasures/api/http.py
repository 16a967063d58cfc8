"""The common part of all doors under /api: reading JSON, writing JSON, errors."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Request, Response

from flexmeasures.api.bodies import loads

__all__ = ["json_response", "read_body", "read_query"]


class NotJson(Exception):
    """The body of a request is not a JSON object."""


def json_response(body: Any, status: int = 200) -> Response:
    """Write a JSON answer; arrays of numpy are written as they are."""
    payload = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(payload, status, mimetype="application/json")


def read_body(request: Request) -> dict[str, Any]:
    """Read a JSON object from the body, whatever its content type says.

    Raises:
        NotJson: If it is none; NaN and Infinity are not JSON.
    """
    try:
        body = loads(request.get_data(cache=False))
    except orjson.JSONDecodeError:
        raise NotJson from None
    if not isinstance(body, dict):
        raise NotJson
    return body


def read_query(request: Request) -> dict[str, Any]:
    """Read the arguments in the path: a repeated key is a list, and a value that is a JSON list is a part of one."""
    query: dict[str, Any] = {}
    for key, texts in request.args.lists():
        items: list[Any] = []
        for text in texts:
            items += _json_list(text)
        query[key] = items[0] if len(items) == 1 else items
    return query


def _json_list(text: str) -> list[Any]:
    if text.startswith("["):
        try:
            listed = orjson.loads(text)
        except orjson.JSONDecodeError:
            return [text]
        if isinstance(listed, list):
            return listed
    return [text]

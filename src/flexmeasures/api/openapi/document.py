"""The OpenAPI document: one path for each rule under /api, with what its view says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask
from pydantic import BaseModel
from werkzeug.routing import IntegerConverter, Rule

from flexmeasures._version import __version__
from flexmeasures.api.openapi.operation import Answer, Operation, find_operation
from flexmeasures.api.openapi.shapes import COMPONENTS, Schema, component, form_schema
from flexmeasures.api.usef.versions import VERSIONS

__all__ = ["build_document"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_DESCRIPTION = """\
The messages of the versions 1.0 to 2.0, and what surrounds them.

Ask `POST /api/requestAuthToken` for a token and send it with each request. Bodies are JSON objects, whatever their
content type says. Keys may be written in the singular or in the plural: `connection` or `connections`. Answers carry
`X-Request-ID`; quote it when you ask the operator about one.

The entity addresses in the examples name users and assets by id; yours differ: see `getConnection`.
"""

_WAIT = {"Retry-After": "After how many seconds to try again."}

_ALWAYS: dict[int, Answer] = {
    429: Answer("There were too many requests; see the settings for rates.", component("Refusal"), _WAIT),
    503: Answer("The database or the job store does not answer.", component("Refusal"), _WAIT),
}
_OF_USERS = {401: Answer("Nobody is logged in, or the token is not valid (any more).", component("Refusal"))}
_OF_BODIES = {413: Answer("The body, or the number of values, is too large.", component("Refusal"))}


def build_document(app: Flask) -> dict[str, Any]:
    """Write the document of all that is registered under /api."""
    paths: dict[str, dict[str, Any]] = {}
    tags: dict[str, None] = {}
    for rule, method in _list_endpoints(app):
        view = app.view_functions[rule.endpoint]
        operation = find_operation(view)
        written = _write_operation(rule, method, operation, view.__doc__ or "")
        tags.update(dict.fromkeys(written["tags"]))
        paths.setdefault(_write_path(rule), {})[method.lower()] = written
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{app.config['FLEXMEASURES_PLATFORM_NAME']} API",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {"schemas": COMPONENTS, "securitySchemes": _security_schemes(app.config)},
        "security": [{"token": []}, {"bearer": []}, {"tokenArgument": []}, {"session": []}],
    }


def _list_endpoints(app: Flask) -> Iterator[tuple[Rule, str]]:
    """List what can be asked, the newest version first."""
    order = [*reversed(VERSIONS), "ops", "dev"]

    def rank(rule: Rule) -> tuple[int, str]:
        parts = rule.rule.split("/")
        return order.index(parts[2]) if parts[2] in order else -1, rule.rule

    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    for rule in sorted(rules, key=rank):
        for method in _METHODS:
            if method in (rule.methods or ()):
                yield rule, method


def _security_schemes(config: Mapping[str, Any]) -> dict[str, Schema]:
    header = config["SECURITY_TOKEN_AUTHENTICATION_HEADER"]
    argument = config["SECURITY_TOKEN_AUTHENTICATION_KEY"]
    cookie = config["SESSION_COOKIE_NAME"]
    return {
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": "The token as it is, without a word before it.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The same token, or a JWT of the issuer.",
        },
        "tokenArgument": {"type": "apiKey", "in": "query", "name": argument, "description": "The token."},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "After logging in."},
        "monitor": {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": "The setting FLEXMEASURES_TASK_CHECK_AUTH_TOKEN.",
        },
    }


def _write_path(rule: Rule) -> str:
    """Write a path as OpenAPI does.

    >>> _write_path(Rule("/api/dev/sensor/<int:sensor_id>/chart/"))
    '/api/dev/sensor/{sensor_id}/chart/'
    """
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


def _write_operation(rule: Rule, method: str, operation: Operation, docstring: str) -> dict[str, Any]:
    first, _, rest = docstring.strip().partition("\n")
    answers = {**_ALWAYS, **({} if operation.public else _OF_USERS), **operation.answers}
    written: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{rule.rule}").strip("_"),
        "tags": [operation.tag or _tag(rule)],
        "summary": operation.summary or first.rstrip("."),
        "description": operation.description or re.sub(r"\s+", " ", rest).strip(),
        "parameters": _path_parameters(rule, operation) + _header_parameters(operation),
    }
    # One view may take the same either way: what is sent by GET has no body.
    if method == "GET" or operation.body is None:
        written["parameters"] += _query_parameters(operation)
    else:
        answers = {**_OF_BODIES, **answers}
        body = _write_body(operation.body, operation)
        written["requestBody"] = {"required": True, "content": {operation.media_type: body}}
    written["responses"] = {str(code): _write_answer(answers[code]) for code in sorted(answers)}
    if operation.public:
        written["security"] = []
    elif operation.security is not None:
        written["security"] = [{name: []} for name in operation.security]
    return {key: value for key, value in written.items() if value or key == "security"}


def _tag(rule: Rule) -> str:
    part = rule.rule.split("/")[2]
    names = {
        "ops": "Operations",
        "dev": "For developers",
        **{p: f"Version {v.number}" for p, v in VERSIONS.items()},
    }
    return names.get(part, "Entrance")


def _header_parameters(operation: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "header", "required": True, "schema": schema}
        for name, schema in operation.headers.items()
    ]


def _path_parameters(rule: Rule, operation: Operation) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": operation.path.get(name)
            or {
                "type": "integer",
                "minimum": 0,
                **({} if isinstance(rule._converters.get(name), IntegerConverter) else {"examples": [1]}),
            },
        }
        for name in sorted(rule.arguments)
    ]


def _query_parameters(operation: Operation) -> list[Schema]:
    if operation.query is None:
        return []
    schema = _schema_of(operation.query, operation.aliases)
    return [
        _query_parameter(name, one, name in schema.get("required", ()), operation.query_example)
        for name, one in schema["properties"].items()
    ]


def _query_parameter(name: str, schema: Schema, required: bool, example: Mapping[str, Any]) -> Schema:
    schema = dict(schema)
    description = schema.pop("description", "")
    # Nothing in a query can be null: it is left out.
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema = {**choices[0], **schema}
    parameter: Schema = {"name": name, "in": "query", "required": required, "schema": schema}
    if description:
        parameter["description"] = description
    if name in example:
        parameter["example"] = example[name]
    return parameter


def _write_body(form: type[BaseModel] | Schema, operation: Operation) -> Schema:
    content: Schema = {"schema": _schema_of(form, operation.aliases)}
    if operation.examples:
        content["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
    return content


def _schema_of(source: type[BaseModel] | Schema, aliases: Mapping[str, str]) -> Schema:
    return source if isinstance(source, dict) else form_schema(source, aliases)


def _write_answer(answer: Answer) -> Schema:
    written: Schema = {"description": answer.description}
    if answer.headers:
        written["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in answer.headers.items()
        }
    if answer.schema is not None:
        written["content"] = {answer.media_type: {"schema": answer.schema}}
    return written

"""Requests and answers of the services of each version: from the table of versions and the shapes of the messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexmeasures.api.openapi.examples import bodies, query
from flexmeasures.api.openapi.operation import Answer, Operation
from flexmeasures.api.openapi.shapes import (
    DURATION,
    INSTANT,
    NUMBER,
    STRING,
    Schema,
    an_object,
    component,
    list_of,
    one_of,
)
from flexmeasures.api.usef import messages
from flexmeasures.api.usef.fields import SINGULARS
from flexmeasures.api.usef.versions import Service, Version

__all__ = ["describe_service", "message_schema"]

_READING = """
    INVALID_UNIT UNRECOGNIZED_CONNECTION_GROUP INVALID_DOMAIN INVALID_SOURCE INVALID_HORIZON INVALID_DATETIME
    INVALID_TIMEZONE INVALID_PERIOD INVALID_RESOLUTION UNRECOGNIZED_ASSET
"""
_SENDING = """
    INVALID_UNIT UNRECOGNIZED_CONNECTION_GROUP INVALID_DOMAIN PTUS_INCOMPLETE INVALID_HORIZON INVALID_DATETIME
    INVALID_TIMEZONE INVALID_PERIOD INVALID_RESOLUTION ALREADY_RECEIVED_AND_SUCCESSFULLY_PROCESSED
"""
_SIGNS = "POWER_VALUE_TOO_BIG POWER_VALUE_TOO_SMALL"
_DEVICE = (
    "UNRECOGNIZED_CONNECTION_GROUP INVALID_DOMAIN INVALID_DATETIME INVALID_TIMEZONE UNRECOGNIZED_UDI_EVENT"
)

_REFUSALS: dict[str, str] = {
    "getService": "INVALID_ROLE",
    "getConnection": "INVALID_DOMAIN",
    "getMeterData": _READING,
    "getPrognosis": _READING,
    "postMeterData": f"{_SENDING} UNRECOGNIZED_ASSET {_SIGNS}",
    "postPrognosis": f"{_SENDING} UNRECOGNIZED_ASSET {_SIGNS}",
    "postPriceData": _SENDING + "UNRECOGNIZED_MARKET",
    "postWeatherData": _SENDING + "UNRECOGNIZED_SENSOR",
    "postUdiEvent": f"INVALID_UNIT PTUS_INCOMPLETE INCOMPLETE_UDI_EVENT OUTDATED_UDI_EVENT {_DEVICE}",
    "getDeviceMessage": f"INVALID_PERIOD {_DEVICE} ",
}
"""Statuses with code 400 by service, besides those about the type of the message."""

_WHEN_PLANNED_IN_JOBS = "UNKNOWN_SCHEDULE"
_WHEN_PLANNED_AT_ONCE = "INVALID_MARKET UNKNOWN_PRICES"

_BELOW_2_0 = (
    "Below version 2.0, a horizon counts from the end of the whole series, unless it is written as R/PT6H."
)


def describe_service(version: Version, service: Service) -> Operation:
    """Say what a service takes and answers in a version."""
    message = _message_of(service)
    answers = _answers(version, service, message)
    own = bodies(version, service.name)
    described: dict[str, Any] = {"answers": answers, "summary": service.description, "public": service.public}
    if service.roles or service.access:
        described["description"] = (
            f"For users who are one of: {', '.join(service.allowed_roles)}; and for admins."
        )
    if message is None:
        roles = {**STRING, "description": "List only what this role may use.", "examples": ["Prosumer"]}
        described["query"] = {"properties": {"access": roles} if service.name == "getService" else {}}
    elif service.methods == ("GET",):
        described["query"] = message_schema(message, version)
        described["query_example"] = query(version, service.name)
    elif service.methods == ("POST",):
        described["body"], described["examples"] = message_schema(message, version), own
    else:
        # A service with both methods takes the same message by either way.
        described["query"] = described["body"] = message_schema(message, version)
        described["query_example"], described["examples"] = query(version, service.name), own
    return Operation(**described)


def _message_of(service: Service) -> type[messages.Message] | None:
    return getattr(messages, f"{service.name[0].upper()}{service.name[1:]}", None)


def message_schema(message: type[messages.Message], version: Version) -> Schema:
    """Make the schema of a message from the model that checks it, with keys in the singular and in the plural."""
    fields = message.model_json_schema()["properties"]
    properties: dict[str, Schema] = {"type": one_of(message.expected_type)}
    needed: list[Schema] = [{"required": ["type"]}]
    required = set(message.required)
    if message is messages.PostPrognosis and not version.takes_prior:
        required.add("horizon")
    for name, field in fields.items():
        content = {key: value for key, value in field.items() if key not in ("title", "default")}
        written, need = _write_field(message, name, content)
        if name == "prior" and issubclass(message, messages.Post) and not version.takes_prior:
            continue
        if name == "horizon" and issubclass(message, messages.Post) and not version.rolling_horizons:
            written[name]["description"] = _BELOW_2_0
        properties |= written
        needed += [need] if name in required else []
    # What can be said in a list is: people and tools understand that best.
    plain = [name for need in needed if need.keys() == {"required"} for name in need["required"]]
    schema: Schema = {"type": "object", "properties": properties, "required": plain}
    either = [need for need in needed if need and need.keys() != {"required"}]
    return {**schema, "allOf": either} if either else schema


def _write_field(
    message: type[messages.Message], name: str, schema: Schema
) -> tuple[dict[str, Schema], Schema]:
    """Write a field as one or more properties.

    Returns:
        The properties, and the schema of objects that have the field in one of its forms.
    """
    if name == "groups":
        group = schema["items"]
        flat = {**group["properties"]}
        return {**flat, "groups": list_of(group)}, {
            "anyOf": [{"allOf": group["allOf"]}, {"required": ["groups"]}]
        }
    singular = SINGULARS.get(name)
    if singular is None:
        return {name: schema}, {"required": [name]}
    if schema.get("type") == "array" and singular != "source":
        return {singular: schema["items"], name: schema}, _either(singular, name)
    if singular == "source":
        return {singular: schema["items"], name: {**schema, "examples": [["MDC", "42"]]}}, {}
    return {singular: schema}, {"required": [singular]}


def _either(singular: str, plural: str) -> Schema:
    return {"anyOf": [{"required": [singular]}, {"required": [plural]}]}


def _answers(
    version: Version, service: Service, message: type[messages.Message] | None
) -> Mapping[int, Answer]:
    names = _REFUSALS[service.name].split()
    if version.in_quarters and _SENDING in _REFUSALS[service.name]:
        names.append("INVALID_PTU_DURATION")
    if message is not None:
        names = ["NO_MESSAGE_TYPE", "INVALID_MESSAGE_TYPE", *names]
    if service.name == "getDeviceMessage":
        names += (_WHEN_PLANNED_IN_JOBS if version.plans_in_jobs else _WHEN_PLANNED_AT_ONCE).split()
    answers = {
        200: Answer("PROCESSED", _success(version, service)),
        400: Answer(", ".join(dict.fromkeys(names)), _refused(service, *dict.fromkeys(names))),
    }
    if "POST" in service.methods:
        not_json = {"anyOf": [_refused(service, *dict.fromkeys(names)), component("NotJson")]}
        answers[400] = Answer(f"{answers[400].description}; or the body is not a JSON object", not_json)
    if not service.public:
        answers[403] = Answer("INVALID_SENDER", _refused(service, "INVALID_SENDER"))
        answers[413] = Answer(
            "More values than the server takes at once.", _refused(service, "REQUEST_ENTITY_TOO_LARGE")
        )
    if message is not None:
        answers[422] = Answer("UNPROCESSABLE_ENTITY", _refused(service, "UNPROCESSABLE_ENTITY"))
    return answers


def _refused(service: Service, *names: str) -> Schema:
    """Make the schema of a refusal with one of these statuses."""
    return an_object(
        ("result", "results"),
        type=one_of(service.response_type),
        result=one_of("Rejected"),
        results=one_of("Rejected"),
        status=one_of(*names),
        message={"type": ["string", "object"]},
    )


def _success(version: Version, service: Service) -> Schema:
    """Make the schema of a service's answer when all went well."""
    said = {"type": one_of(service.response_type), "status": one_of("PROCESSED"), "message": STRING}
    if service.name == "getService":
        listed = an_object(name=STRING, access=list_of(STRING), description=STRING)
        return an_object(**said, version=one_of(version.number), services=list_of(listed))
    if service.name == "getConnection":
        return an_object(
            **{**said, "status": one_of(200)}, connections=list_of(STRING), names=list_of(STRING)
        )
    if service.methods == ("POST",):
        return an_object(**said)
    period = {"start": INSTANT, "duration": DURATION, "unit": one_of("MW")}
    if service.name == "getDeviceMessage":
        return _with_groups("event", {**said, **period, "notes": list_of(STRING)})
    return _with_groups("connection", {**said, **period})


def _with_groups(key: str, others: dict[str, Schema]) -> Schema:
    """Make the schema of an answer about one thing, several with the same values, or groups of them."""
    values = list_of(NUMBER)
    group = {key: STRING, f"{key}s": list_of(STRING), "values": values}
    groups = list_of(an_object((key, f"{key}s"), **group))
    return {
        **an_object((*group, "groups"), **others, **group, groups=groups),
        "oneOf": [
            {"required": [key, "values"]},
            {"required": [f"{key}s", "values"]},
            {"required": ["groups"]},
        ],
    }

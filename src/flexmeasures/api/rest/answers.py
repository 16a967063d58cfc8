"""The shapes of what these endpoints answer, for the OpenAPI document."""

from __future__ import annotations

from flexmeasures.api.openapi.operation import Answer
from flexmeasures.api.openapi.shapes import (
    BOOLEAN,
    INSTANT,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    an_object,
    component,
    list_of,
    nullable,
    one_of,
)

__all__ = [
    "ASSET",
    "ASSETS",
    "BAD_FIELDS",
    "BAD_ID",
    "DONE",
    "FORBIDDEN",
    "LAST_RUN",
    "NOT_FOUND",
    "NOT_JSON",
    "RECORDS",
    "SENSOR",
    "TOKEN_REFUSED",
    "USER",
    "USERS",
    "VERSIONS_LIST",
    "with_status",
]

_ASSET = {
    "id": INTEGER,
    "name": STRING,
    "display_name": STRING,
    "asset_type_name": STRING,
    "asset_type": STRING,
    "unit": STRING,
    "timezone": STRING,
    "capacity_in_mw": NUMBER,
    "event_resolution": {**INTEGER, "description": "Minutes."},
    "latitude": NUMBER,
    "longitude": NUMBER,
    "min_soc_in_mwh": nullable(NUMBER),
    "max_soc_in_mwh": nullable(NUMBER),
    "soc_in_mwh": nullable(NUMBER),
    "soc_datetime": nullable(INSTANT),
    "soc_udi_event_id": nullable(INTEGER),
    "owner_id": INTEGER,
    "owner": INTEGER,
    "market_id": nullable(INTEGER),
    "market": nullable(INTEGER),
}

_OF_SOME: dict[str, Schema] = {
    "flex_model": {"type": "object"},
    "parent_id": INTEGER,
    "flex_context": {"type": "object"},
}
"""Fields of an asset that only those have for which they mean something."""

_USER = {
    "id": INTEGER,
    "email": STRING,
    "username": STRING,
    "active": BOOLEAN,
    "timezone": nullable(STRING),
    "flexmeasures_roles": list_of(INTEGER),
    "last_login_at": nullable(INSTANT),
}


def with_status(code: int, /, **properties: Schema) -> Schema:
    """Make the schema of an answer that is one object, and tells the HTTP code as well."""
    return an_object(**properties, status=one_of(code))


def _asset(code: int) -> Answer:
    return Answer(
        "The asset, with all its fields.",
        an_object(tuple(_OF_SOME), **_ASSET, **_OF_SOME, status=one_of(code)),
    )


ASSET = {code: {code: _asset(code)} for code in (200, 201)}
ASSETS = {
    200: Answer("The assets, the newest first.", list_of(an_object(tuple(_OF_SOME), **_ASSET, **_OF_SOME)))
}
USER = {200: Answer("The user.", with_status(200, **_USER))}
USERS = {200: Answer("The users.", list_of(an_object(**_USER)))}
DONE = {200: Answer("It is done.", with_status(200))}
SENSOR = {
    200: Answer(
        "What is known of the sensor.",
        with_status(200, name=STRING, timezone=STRING, timerange=an_object(start=INSTANT, end=INSTANT)),
    )
}
RECORDS = {
    200: Answer(
        "The beliefs; times are milliseconds since 1970.",
        list_of(
            an_object(
                event_start=INTEGER,
                belief_time=INTEGER,
                source=STRING,
                cumulative_probability=NUMBER,
                event_value=NUMBER,
            )
        ),
    )
}
VERSIONS_LIST = {
    200: Answer(
        "The versions.",
        with_status(200, message=STRING, versions=list_of(STRING), flexmeasures_version=STRING),
    )
}

_RUN = an_object(
    status=one_of("OK", "ERROR"),
    reason=STRING,
    lastrun=STRING,
    frequency={"type": ["integer", "number"], "description": "How often it should run [minutes]."},
    process=STRING,
    server=STRING,
)
LAST_RUN = {
    200: Answer("When the task ran last, and whether it succeeded.", _RUN),
    400: Answer("No task is named.", _RUN),
    401: Answer("There is no token.", _RUN),
    403: Answer("The token is not the right one.", _RUN),
    404: Answer("The task has never run.", _RUN),
}

_ERRORS = an_object(errors=list_of(STRING), status=INTEGER)
TOKEN_REFUSED = {
    400: Answer("E-mail address or password is missing, or the body is not a JSON object.", _ERRORS),
    401: Answer("The password is wrong, or the account is not active.", _ERRORS),
    404: Answer("There is no such user.", _ERRORS),
    422: Answer("UNPROCESSABLE_ENTITY: the address holds a NUL character", component("Refusal")),
    429: Answer(
        "Too many attempts have failed.",
        {"anyOf": [_ERRORS, component("Refusal")]},
        {"Retry-After": "Seconds."},
    ),
}

FORBIDDEN = {403: Answer("FORBIDDEN", component("Error"))}
NOT_FOUND = {404: Answer("There is no such thing, or it is somebody else's.", component("Error"))}
BAD_ID = {
    400: Answer(
        "REQUIRED_INFO_MISSING: the id is not a whole number; UNEXPECTED_PARAMS: more follows it",
        component("Refusal"),
    )
}
NOT_JSON = {
    400: Answer(
        "REQUIRED_INFO_MISSING; or the body is not JSON; or a value that must be unique is taken",
        {"anyOf": [component("Refusal"), component("NotJson"), component("Error")]},
    )
}
BAD_FIELDS = {
    422: Answer("UNPROCESSABLE_ENTITY: fields are wrong, all of them are named", component("Refusal"))
}

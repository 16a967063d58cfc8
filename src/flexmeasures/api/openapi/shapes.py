"""The shapes of answers, as JSON schemas, and of the forms that requests fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

__all__ = [
    "BOOLEAN",
    "COMPONENTS",
    "DURATION",
    "INSTANT",
    "INTEGER",
    "NUMBER",
    "STRING",
    "Schema",
    "an_object",
    "component",
    "form_schema",
    "list_of",
    "nullable",
    "one_of",
]

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
DURATION: Schema = {"type": "string", "format": "duration"}


def one_of(*values: Any) -> Schema:
    """Make the schema of what has one of these values."""
    return {"const": values[0]} if len(values) == 1 else {"enum": list(values)}


def list_of(item: Schema) -> Schema:
    """Make the schema of a list."""
    return {"type": "array", "items": item}


def nullable(schema: Schema) -> Schema:
    """Make the schema of what may be null instead."""
    return {"anyOf": [schema, {"type": "null"}]}


def an_object(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """Make the schema of an object that has these properties and no others.

    >>> an_object(("note",), id=INTEGER, note=STRING)["required"]
    ['id']
    """
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def component(name: str) -> Schema:
    """Refer to one of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


COMPONENTS: dict[str, Schema] = {
    "NotJson": an_object(description=one_of("Not a JSON."), status=one_of(400)),
    "Error": {
        "description": "What went wrong, in words, and a status: a word, or the HTTP code.",
        **an_object(("detail",), message=STRING, status={"type": ["string", "integer"]}, detail=STRING),
    },
    "Refusal": {
        "description": "A documented status, and why; 422 tells by field what is wrong with it.",
        **an_object(
            ("type", "result", "results"),
            type=STRING,
            result=one_of("Rejected"),
            results=one_of("Rejected"),
            status=STRING,
            message={"type": ["string", "object"]},
        ),
    },
}
"""Schemas that several answers share."""


def form_schema(form: type[BaseModel], aliases: Mapping[str, str] | None = None) -> Schema:
    """Make the schema of a form from the form itself, which checks the requests.

    Args:
        form: A pydantic model.
        aliases: Other names of fields, and what the form calls them.
    """
    schema = form.model_json_schema()
    never_null = _never_null(form)
    properties = {
        name: _plain(field, name in never_null) for name, field in schema.get("properties", {}).items()
    }
    required = list(schema.get("required", ()))
    either: list[Schema] = []
    for alias, name in (aliases or {}).items():
        properties[alias] = {**properties[name], "description": f"The same as {name}."}
        if name in required:
            required.remove(name)
            either.append({"anyOf": [{"required": [name]}, {"required": [alias]}]})
    made: Schema = {"type": "object", "properties": properties, "required": required}
    if schema.get("additionalProperties") is False:
        made["additionalProperties"] = False
    if either:
        made["allOf"] = either
    return made


def _never_null(form: type[BaseModel]) -> set[str]:
    """Name the fields that may be left out, but not be null: the form has a validator of its own for that."""
    validators = form.__pydantic_decorators__.field_validators.values()
    return {name for each in validators if each.cls_var_name == "_not_null" for name in each.info.fields}


def _plain(field: Schema, never_null: bool) -> Schema:
    """Drop what pydantic adds to a field without telling anything: a title, a null that stands for "left out"."""
    field = {key: value for key, value in field.items() if key != "title"}
    if field.get("default", 0) is None:
        del field["default"]
    choices = [choice for choice in field.get("anyOf", ()) if choice != {"type": "null"}]
    if never_null and len(choices) == 1:
        del field["anyOf"]
        return {**choices[0], **field}
    return field

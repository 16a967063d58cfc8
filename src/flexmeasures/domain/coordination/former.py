"""Objects in the words of OpenADR 3.0.1, to and from those of 3.1.0.

Source: the OpenAPI documents of OpenADR 3.0.1 and 3.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["from_former", "plain_target", "to_former", "typed_target"]

_ATTRIBUTES = {
    "programLongName": "PROGRAM_LONG_NAME",
    "retailerName": "RETAILER_NAME",
    "retailerLongName": "RETAILER_LONG_NAME",
    "programType": "PROGRAM_TYPE",
    "country": "COUNTRY",
    "principalSubdivision": "PRINCIPAL_SUBDIVISION",
    "bindingEvents": "BINDING_EVENTS",
    "localPrice": "LOCAL_PRICE",
    "timeZoneOffset": "TIME_ZONE_OFFSET",
}
"""Fields of programmes of 3.0.1, which 3.1.0 has as attributes."""

_OPERATIONS = {"CREATE": "POST", "READ": "GET", "UPDATE": "PUT", "DELETE": "DELETE"}
_GROUP = "GROUP"
_NAMING = ("VEN_NAME", "RESOURCE_NAME")
"""Types of targets that mean a client by a name of its own; others are labels, as all targets of 3.1.0 are."""

_LONGEST_TARGET = 128
_NOT_IN_FORMER = ("clientID",)
_KEPT = ("targets", "programID", "operations")


def from_former(document: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an object of 3.0.1.

    Args:
        document: Checked against 3.0.1, without nulls.
        kind: PROGRAM, EVENT, REPORT, SUBSCRIPTION, VEN or RESOURCE.

    Returns:
        The object in the words of 3.1.0, and what 3.1.0 has no place for.
    """
    content, former = dict(document), dict[str, Any]()
    if "targets" in content:
        former["targets"] = content["targets"]
        content["targets"] = _flatten(content["targets"])
    for descriptor in content.get("reportDescriptors", ()):
        if "targets" in descriptor:
            descriptor["targets"] = _flatten(descriptor["targets"])
    if kind == "PROGRAM":
        attributes = [
            {"type": name, "values": [content.pop(field)]}
            for field, name in _ATTRIBUTES.items()
            if field in content
        ]
        if attributes:
            content["attributes"] = attributes
    if kind == "REPORT" and "programID" in content:
        former["programID"] = content.pop("programID")
    if kind == "SUBSCRIPTION":
        _read_operations(content, former)
    return content, former


def _flatten(targets: list[dict[str, Any]]) -> list[str]:
    """Write typed targets as plain ones, each once."""
    return list(
        dict.fromkeys(plain_target(target["type"], value) for target in targets for value in target["values"])
    )


def plain_target(target_type: str, value: Any) -> str:
    """Write a typed target as a plain one; names say that they are names, and so are never taken for labels.

    >>> plain_target("VEN_NAME", "house one")
    'VEN_NAME:house one'
    >>> plain_target("GROUP", "feeder-7")
    'feeder-7'
    """
    named = f"{target_type}:{value}"
    return named if target_type in _NAMING and len(named) <= _LONGEST_TARGET else str(value)


def typed_target(target: str) -> tuple[str, str]:
    """Read a plain target as a typed one.

    >>> typed_target("RESOURCE_NAME:car")
    ('RESOURCE_NAME', 'car')
    >>> typed_target("feeder-7")
    ('GROUP', 'feeder-7')
    """
    target_type, colon, value = target.partition(":")
    return (target_type, value) if colon and value and target_type in _NAMING else (_GROUP, target)


def _read_operations(content: dict[str, Any], former: dict[str, Any]) -> None:
    names = {verb: operation for operation, verb in _OPERATIONS.items()}
    former["operations"] = [entry["operations"] for entry in content["objectOperations"]]
    content["objectOperations"] = [
        {**entry, "operations": [names.get(operation, operation) for operation in entry["operations"]]}
        for entry in content["objectOperations"]
    ]


def to_former(
    document: Mapping[str, Any], former: Mapping[str, Any], program_id: str | None
) -> dict[str, Any]:
    """Write an object in the words of 3.0.1.

    Args:
        document: In the words of 3.1.0, as the client may see it.
        former: What was said in 3.0.1 beside it.
        program_id: Of a report: the programme of its event.
    """
    kind = document["objectType"]
    shown = {name: value for name, value in document.items() if name not in _NOT_IN_FORMER}
    if "targets" in shown:
        shown["targets"] = _type_targets(shown["targets"], former.get("targets"))
    if kind == "PROGRAM":
        _write_attributes(shown)
    if kind == "REPORT" and program_id is not None:
        shown["programID"] = program_id
    if kind == "EVENT":
        shown.setdefault("intervals", [])
        shown.pop("duration", None)
    if kind == "SUBSCRIPTION" and "operations" in former:
        shown["objectOperations"] = [
            {**entry, "operations": operations}
            for entry, operations in zip(shown["objectOperations"], former["operations"], strict=True)
        ]
    for descriptor in shown.get("reportDescriptors", ()):
        if "targets" in descriptor:
            descriptor["targets"] = _type_targets(descriptor["targets"], None)
    return shown


def _type_targets(targets: list[str], written: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Give plain targets the types with which they were sent; those of 3.1.0 are groups, or name who is meant."""
    shown: list[dict[str, Any]] = []
    left = list(targets)
    for target in written or ():
        plain = {plain_target(target["type"], value): value for value in target["values"]}
        values = [value for word, value in plain.items() if word in left]
        if values:
            shown.append({"type": target["type"], "values": values})
            left = [word for word in left if word not in plain]
    by_type: dict[str, list[str]] = {}
    for target_type, value in map(typed_target, left):
        by_type.setdefault(target_type, []).append(value)
    return [*shown, *({"type": name, "values": values} for name, values in by_type.items())]


def _write_attributes(shown: dict[str, Any]) -> None:
    fields = {name: field for field, name in _ATTRIBUTES.items()}
    for attribute in shown.pop("attributes", ()):
        field = fields.get(attribute["type"])
        if field and attribute["values"]:
            shown[field] = attribute["values"][0]

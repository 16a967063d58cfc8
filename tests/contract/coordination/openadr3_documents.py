"""The OpenAPI documents of OpenADR 3 as validators of answers.

The documents are those of the OpenADR Alliance (Apache-2.0, see ``tests/data/openadr3``). OpenAPI 3.0 is not quite JSON
Schema: ``nullable`` is written as a type here. In 3.1.0 a VEN must have objectType VEN by one half of its schema and
BL_VEN_REQUEST by the other, likewise a resource; the second half is left out. In 3.0.1 notifications have verbs of HTTP
as operations and subscriptions have CREATE and so on; clients send verbs, and get back what they sent.
"""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

FOLDER = Path(__file__).parents[2] / "data" / "openadr3"
LEFT_OUT = ("discriminator", "example", "description")
FLAWED = ("BlVenRequest", "BlResourceRequest")


@cache
def _document(version: str) -> dict[str, Any]:
    document = yaml.safe_load((FOLDER / version / "openadr3.yaml").read_text())
    for name in FLAWED:
        document["components"]["schemas"].get(name, {}).get("properties", {}).pop("objectType", None)
        required = document["components"]["schemas"].get(name, {}).get("required", [])
        if "objectType" in required:
            required.remove("objectType")
    if version == "3.0.1":
        subscription = document["components"]["schemas"]["subscription"]["properties"]
        entry = subscription["objectOperations"]["items"]["properties"]["operations"]["items"]
        entry["enum"] += ["GET", "POST", "PUT"]
    return _as_json_schema(document)


def _as_json_schema(part: Any) -> Any:
    if isinstance(part, list):
        return [_as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {name: _as_json_schema(value) for name, value in part.items() if name not in LEFT_OUT}
    if made.pop("nullable", False) is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    if made.get("exclusiveMaximum") is True:
        made["exclusiveMaximum"] = made.pop("maximum")
    return made


@cache
def _validator(version: str, method: str, path: str, status: int) -> Any:
    document = _document(version)
    operation = document["paths"][path][method.lower()]
    answer = operation["responses"][str(status)]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    schema = copy.deepcopy(answer["content"]["application/json"]["schema"])
    return jsonschema_rs.Draft7Validator({"allOf": [schema], "components": document["components"]})


def _template(version: str, path: str) -> str:
    """Find the path of the document that a path is an example of."""
    parts = path.strip("/").split("/")
    for template in _document(version)["paths"]:
        names = template.strip("/").split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            return template
    raise AssertionError(f"{path} is not in the document of {version}")


def check_answer(version: str, method: str, path: str, response: Any) -> None:
    """Check an answer against the document: its status is one of those listed, its body is as the schema has it."""
    template = _template(version, path)
    listed = _document(version)["paths"][template][method.lower()]["responses"]
    if str(response.status_code) not in listed:
        # What the documents leave out, but HTTP asks for.
        assert response.status_code in (401, 403, 404, 409, 415), (method, path, response.status_code)
        return
    _validator(version, method, template, response.status_code).validate(response.json)

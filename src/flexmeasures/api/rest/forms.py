"""Validation of REST requests: pydantic models, whose complaints are told by field in the documented words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import ErrorDetails

from flexmeasures.api.usef.statuses import UNPROCESSABLE_ENTITY, Refusal
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.quoting import LONGEST_QUOTE
from flexmeasures.domain.time import parse_instant
from flexmeasures.services.assets import SOC_ORDER

__all__ = ["Form", "Instant", "between", "fill_in", "not_null", "refuse"]


class Form(BaseModel):
    """Base of requests; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


FormType = TypeVar("FormType", bound=Form)

_TEXTS = {
    "missing": "Missing data for required field.",
    "extra_forbidden": "Unknown field.",
    "greater_than_equal": "Must be greater than or equal to {ge}.",
    "less_than_equal": "Must be less than or equal to {le}.",
    "string_too_short": "Shorter than minimum length {min_length}.",
    "string_too_long": "Longer than maximum length {max_length}.",
    "model_type": "Invalid input type.",
}

_KINDS = {
    "float": "Not a valid number.",
    "finite": "Not a valid number.",
    "int": "Not a valid integer.",
    "bool": "Not a valid boolean.",
    "string": "Not a valid string.",
    "list": "Not a valid list.",
    "datetime": "Not a valid datetime.",
    "timezone": "Not a valid datetime with a time zone.",
}


def fill_in(
    form: type[FormType],
    fields: Any,
    location: str,
    aliases: Mapping[str, str] | None = None,
) -> FormType:
    """Check the fields of a request.

    Args:
        form: What is allowed.
        fields: What was sent.
        location: Where it was sent, for the answer: json, query, querystring.
        aliases: Other names of fields, and the names that the form has for them.

    Raises:
        Refusal: If something is wrong; names all that is.
    """
    errors: dict[str, list[str]] = {}
    if isinstance(fields, Mapping):
        fields = _translate(fields, aliases or {}, errors)
        # The database cannot keep such a text.
        errors |= {
            name: ["Null characters are not allowed."]
            for name, value in fields.items()
            if isinstance(value, str) and "\0" in value
        }
        errors |= _find_no_numbers(form, fields)
    try:
        filled = form.model_validate(fields)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            field = str(detail["loc"][0]) if detail["loc"] else "_schema"
            text = _word(detail)
            texts = errors.setdefault(field, [])
            if text not in texts:
                texts.append(text)
    if errors:
        raise refuse(location, errors)
    return filled


_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def _find_no_numbers(form: type[Form], fields: Mapping[str, Any]) -> dict[str, list[str]]:
    """Find what pydantic takes for a number and nobody else does: true, "1_0", digits of other scripts."""
    found = {}
    for name, value in fields.items():
        kinds = _kinds(form.model_fields[name].annotation) if name in form.model_fields else set()
        is_numeric = kinds & {int, float} and not kinds & {bool, str}
        if is_numeric and (
            isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value))
        ):
            found[name] = [_KINDS["float" if float in kinds else "int"]]
    return found


def _kinds(annotation: Any) -> set[Any]:
    """List the plain types of an annotation such as ``float | None``."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _kinds(inner[0])
    if get_origin(annotation) in (list, tuple, dict):
        return {get_origin(annotation)}
    return {annotation}.union(*map(_kinds, inner))


def refuse(location: str, errors: Mapping[str, list[str]]) -> Refusal:
    """Make the refusal of a request whose fields are wrong."""
    # Names of unknown fields are what somebody sent.
    worded: dict[str, Any] = {field[:LONGEST_QUOTE]: texts for field, texts in list(errors.items())[:100]}
    for field, texts in errors.items():
        # Clients know this text, and only this one, without a list around it.
        if texts == [SOC_ORDER]:
            worded[field] = SOC_ORDER
    return UNPROCESSABLE_ENTITY.fields(location, worded)


def _translate(
    fields: Mapping[str, Any], aliases: Mapping[str, str], errors: dict[str, list[str]]
) -> dict[str, Any]:
    """Give fields the names that the form has for them; who uses two names must mean the same."""
    named = {name: value for name, value in fields.items() if name not in aliases}
    for alias, name in aliases.items():
        if alias not in fields:
            continue
        if named.setdefault(name, fields[alias]) != fields[alias]:
            errors[name] = [f"'{alias}' means the same field, but says otherwise. Send one of them."]
    return named


def _word(detail: ErrorDetails) -> str:
    """Say what is wrong with a field."""
    kind = detail["type"]
    if detail["input"] is None and kind != "missing":
        return "Field may not be null."
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in _TEXTS:
        return _TEXTS[kind].format(**detail.get("ctx", {}))
    return _KINDS.get(kind.split("_")[0], detail["msg"])


def between(low: float, high: float) -> Any:
    """Make the type of numbers from one bound to another, both included."""

    def check(number: float) -> float:
        if not low <= number <= high:
            raise ValueError(f"Must be greater than or equal to {low} and less than or equal to {high}.")
        return number

    schema = {"type": "number", "minimum": low, "maximum": high}
    return Annotated[float, AfterValidator(check), WithJsonSchema(schema)]


def not_null(value: Any) -> Any:
    """Refuse null for a field that may be left out but not emptied."""
    if value is None:
        raise ValueError("Field may not be null.")
    return value


def _read_instant(text: object, field: ValidationInfo) -> object:
    try:
        return parse_instant(text, field.field_name or "time")
    except FlexError as error:
        raise ValueError(str(error)) from None


Instant = Annotated[AwareDatetime, BeforeValidator(_read_instant)]
"""An ISO 8601 date and time with a time zone."""

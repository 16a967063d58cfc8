"""The fields of messages: how each is read, and the documented status with which it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import isodate
import numpy as np
from pydantic import BeforeValidator, WithJsonSchema

from flexmeasures.api.usef import statuses
from flexmeasures.api.usef.statuses import Status
from flexmeasures.domain import addresses
from flexmeasures.domain.errors import InvalidInput, NaiveTime
from flexmeasures.domain.quoting import LONGEST_QUOTE, quote
from flexmeasures.domain.time import parse_duration, parse_horizon, parse_instant
from flexmeasures.domain.units import POWER_UNITS, is_unit

__all__ = [
    "SINGULARS",
    "BeliefHorizon",
    "Duration",
    "Group",
    "Horizon",
    "Moment",
    "Number",
    "OneEvent",
    "PlanDuration",
    "PowerUnit",
    "PriceUnit",
    "Prior",
    "Resolution",
    "SocUnit",
    "Sources",
    "Start",
    "WeatherUnit",
    "as_list",
    "given",
    "groups_field",
    "parse_event_address",
    "read_number",
    "read_target_moment",
    "unify",
    "unit_field",
]


_PLURALS = {
    "connection": "connections",
    "market": "markets",
    "sensor": "sensors",
    "event": "events",
    "value": "values",
    "source": "sources",
    "group": "groups",
}


SINGULARS = {plural: singular for singular, plural in _PLURALS.items()}
"""Each key that has a singular, and it."""


def as_list(value: object) -> list[Any]:
    """Make a list of what may be sent alone; of nothing an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _refused_with(status: Status, parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a field be refused with one status, whatever is wrong with it."""

    def parse_or_refuse(value: Any) -> Any:
        try:
            return parse(value)
        except NaiveTime as error:
            raise statuses.INVALID_TIMEZONE(str(error)) from None
        except InvalidInput as error:
            raise status(str(error)) from None

    return parse_or_refuse


def _optional(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else parse(value)


def _text(kind: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": kind, "examples": [example]})


def _period(value: object) -> timedelta | isodate.Duration:
    duration = parse_duration(value)
    if isinstance(duration, timedelta) and duration <= timedelta(0):
        raise statuses.INVALID_PERIOD(f"'duration' is {quote(value)}; it must be longer than zero.")
    return duration


def _resolution(value: object) -> timedelta:
    duration = parse_duration(value, "resolution")
    if not isinstance(duration, timedelta) or duration <= timedelta(0):
        raise statuses.INVALID_RESOLUTION(
            f"'resolution' is {quote(value)}; it must have a fixed length above zero, such as PT15M, PT1H or P1D."
        )
    return duration


def given(name: str, value: object) -> str:
    """Say what was given, for a refusal; in short, because it may be long or deeply nested."""
    if value is None:
        return f"{name} is missing"
    return f"{name} is {quote(value)}"


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number as a text: as JSON writes it, or a little less strictly, but never as Python does, which takes ``1_0``."""


def _as_float(value: object) -> float:
    """Read a number, or a text of one; anything else is not a number."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return np.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def read_number(value: object, name: str = "'value'") -> float:
    """Read a finite number.

    Raises:
        Refusal: If it is not one.
    """
    number = _as_float(value)
    if not np.isfinite(number):
        raise statuses.PTUS_INCOMPLETE(f"{given(name, value)}. Send a finite number.")
    return number


def _numbers(values: object) -> np.ndarray[Any, np.dtype[np.float64]]:
    if values is None:
        raise statuses.PTUS_INCOMPLETE("There are no values. Send them as 'values'.")
    listed = values if isinstance(values, list) else [values]
    try:
        # Nearly all lists hold nothing but numbers, and need no look at each.
        plain = listed if {*map(type, listed)} <= {int, float} else [_as_float(value) for value in listed]
        array = np.array(plain, dtype=np.float64)
    except OverflowError:
        array = np.array([_as_float(value) for value in listed])
    if not len(array) or any(isinstance(value, list | dict) for value in listed):
        raise statuses.PTUS_INCOMPLETE("Send one list of at least one number.")
    if not np.isfinite(array).all():
        first = int(np.argmin(np.isfinite(array)))
        raise statuses.PTUS_INCOMPLETE(
            f"{given(f'Value number {first + 1}', listed[first])}. Send finite numbers."
        )
    return array


def _sources(value: object) -> list[str | int] | None:
    if value is None:
        return None
    listed = as_list(value)
    if not listed or any(isinstance(one, bool) or not isinstance(one, str | int) for one in listed):
        raise statuses.INVALID_SOURCE(given("'source'", value) + ". Name user ids, or roles such as MDC.")
    return listed


def _one_event(value: object) -> addresses.EventAddress:
    listed = as_list(value)
    if len(listed) != 1:
        raise statuses.INVALID_DOMAIN(given("'event'", value) + ". Send the entity address of one UDI event.")
    address: addresses.EventAddress = parse_event_address(listed[0])
    return address


def _plan_duration(value: object) -> timedelta | isodate.Duration:
    try:
        duration = timedelta(hours=6) if value is None else parse_duration(value)
    except InvalidInput:
        raise statuses.UNPROCESSABLE_ENTITY.fields(
            "args_and_json", {"duration": [f"Cannot parse {str(value)[:LONGEST_QUOTE]} as ISO8601 duration."]}
        ) from None
    if isinstance(duration, timedelta) and duration <= timedelta(0):
        raise statuses.INVALID_PERIOD(f"'duration' is {quote(value)}; it must be longer than zero.")
    return duration


_moment = _refused_with(statuses.INVALID_DATETIME, lambda value: parse_instant(value, "datetime"))


read_target_moment = _refused_with(
    statuses.INVALID_DATETIME, lambda value: parse_instant(value, "datetime of a target")
)


parse_event_address = _refused_with(statuses.INVALID_DOMAIN, addresses.parse_event)


@dataclass(frozen=True)
class BeliefHorizon:
    """Horizon: the time from when something was known to the end of its event.

    Attributes:
        length: Positive before, negative after.
        repeated: Whether it was written as a repeating interval.
    """

    length: timedelta
    repeated: bool


Start = Annotated[
    datetime,
    BeforeValidator(_refused_with(statuses.INVALID_PERIOD, parse_instant)),
    _text("date-time", "2021-06-01T12:00:00+02:00"),
]


Duration = Annotated[
    Any, BeforeValidator(_refused_with(statuses.INVALID_PERIOD, _period)), _text("duration", "PT24H")
]


Horizon = Annotated[
    Any,
    BeforeValidator(
        _optional(_refused_with(statuses.INVALID_HORIZON, lambda value: BeliefHorizon(*parse_horizon(value))))
    ),
    WithJsonSchema({"type": "string", "pattern": r"^-?(R\d*/)?P[\dYMWDTHS.]+$", "examples": ["-PT5M"]}),
]


Prior = Annotated[
    datetime | None,
    BeforeValidator(
        _optional(_refused_with(statuses.INVALID_DATETIME, lambda value: parse_instant(value, "prior")))
    ),
    _text("date-time", "2021-06-01T11:00:00+02:00"),
]


Resolution = Annotated[
    timedelta | None,
    BeforeValidator(_optional(_refused_with(statuses.INVALID_RESOLUTION, _resolution))),
    _text("duration", "PT1H"),
]


Moment = Annotated[datetime, BeforeValidator(_moment), _text("date-time", "2021-06-01T12:00:00+02:00")]


Number = Annotated[float, BeforeValidator(read_number)]


OneEvent = Annotated[
    addresses.EventAddress,
    BeforeValidator(_one_event),
    _text("ea1", "ea1.2018-06.io.flexmeasures.company:7:10:203:soc"),
]


PlanDuration = Annotated[Any, BeforeValidator(_plan_duration), _text("duration", "PT6H")]


Sources = Annotated[
    Any,
    BeforeValidator(_sources),
    WithJsonSchema({"type": "array", "items": {"type": ["string", "integer"]}, "examples": [["MDC", "42"]]}),
]


@dataclass(frozen=True)
class Group:
    """One or more things that share their values.

    Attributes:
        addresses: What is meant, as sent.
        values: Shape ``(n,)``; empty in requests for data.
    """

    addresses: tuple[str, ...]
    values: np.ndarray[Any, np.dtype[np.float64]]


def unify(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Write keys in the plural, the singular one winning: the API does not tell them apart."""
    unified = {key: value for key, value in raw.items() if key not in _PLURALS}
    for singular, plural in _PLURALS.items():
        if singular in raw:
            unified[plural] = raw[singular]
    return unified


def _address_text(name: object) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    raise statuses.INVALID_DOMAIN(
        f"{given('An address', name)}. Send a text such as {_EXAMPLES['connections']}."
    )


def _read_groups(key: str, with_values: bool) -> Callable[[Any], list[Group]]:
    """Make the reader of groups whose things stand under a key."""

    def read(raw: Any) -> list[Group]:
        groups = []
        for item in as_list(raw):
            group = unify(item) if isinstance(item, Mapping) else {}
            names = tuple(_address_text(name) for name in as_list(group.get(key)))
            if not names:
                raise statuses.UNRECOGNIZED_CONNECTION_GROUP(f"Name what is meant under {key!r}.")
            groups.append(Group(names, _numbers(group.get("values")) if with_values else np.empty(0)))
        return groups

    return read


_EXAMPLES = {
    "connections": "ea1.2018-06.io.flexmeasures.company:30:73",
    "markets": "ea1.2018-06.io.flexmeasures.company:epex_da",
    "sensors": "ea1.2018-06.io.flexmeasures.company:temperature:33.4843866:126.477859",
    "events": "ea1.2018-06.io.flexmeasures.company:7:10:203:soc",
}


def groups_field(key: str, with_values: bool) -> Any:
    """Declare the groups of a message."""
    singular = SINGULARS[key]
    example = _EXAMPLES[key]
    text = {"type": "string", "format": "ea1", "examples": [example]}
    properties: dict[str, Any] = {
        singular: text,
        key: {"type": "array", "items": text, "minItems": 1, "examples": [[example]]},
    }
    needed = [{"anyOf": [{"required": [singular]}, {"required": [key]}]}]
    if with_values:
        properties["value"] = {"type": "number"}
        properties["values"] = {"type": "array", "items": {"type": "number"}, "minItems": 1}
        needed.append({"anyOf": [{"required": ["value"]}, {"required": ["values"]}]})
    item = {"type": "object", "properties": properties, "allOf": needed}
    return Annotated[
        list[Group],
        BeforeValidator(_read_groups(key, with_values)),
        WithJsonSchema({"type": "array", "items": item}),
    ]


def unit_field(quantity: str, *accepted: str, others: str = "") -> Any:
    """Declare a unit.

    Args:
        quantity: What is in it, for refusals.
        *accepted: Units of the documentation.
        others: Which other units may be accepted, for refusals; whether they are, depends on what is addressed. Empty:
            none.
    """

    def parse(value: object) -> object:
        may_fit = isinstance(value, str) and (value in accepted or (others and is_unit(value)))
        if not may_fit:
            raise statuses.INVALID_UNIT(
                f"{quantity} must be in {' or '.join(accepted)}{others}; " + given("'unit'", value) + "."
            )
        return value

    schema = {"type": "string", "examples" if others else "enum": list(accepted)}
    return Annotated[str, BeforeValidator(parse), WithJsonSchema(schema)]


PowerUnit = unit_field("Power values", *POWER_UNITS)


PriceUnit = unit_field(
    "Prices", "EUR/MWh", "KRW/kWh", others=" or another currency (ISO 4217) per kWh or MWh"
)


WeatherUnit = unit_field(
    "Weather values", "°C", "0C", "kW/m²", "kW/m2", "m/s", others=" or the unit of their sensor"
)


SocUnit = unit_field("State of charge", "kWh", "MWh")

"""Requests of clients: the objects of OpenADR 3.1.0 and, where they differ, of 3.0.1.

Unknown properties are ignored, and null is the same as leaving an optional property out. Times and durations stay as
they were written.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from flexmeasures.domain.coordination.documents import NOW
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import parse_instant

__all__ = [
    "BlResource",
    "BlVen",
    "Event",
    "FormerEvent",
    "FormerProgram",
    "FormerReport",
    "FormerResource",
    "FormerSubscription",
    "FormerVen",
    "Program",
    "Report",
    "ResourceGroup",
    "Subscription",
    "VenResource",
    "VenVen",
    "check",
]

_DURATION = re.compile(
    r"^(-?)P(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)([DW]))?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$",
    re.ASCII,
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_LONGEST_DURATION = 64
_LARGEST = 2**53
_PLACES = ("x", "y")
_WORDS = {"POST": "CREATE", "GET": "READ", "PUT": "UPDATE"}


def _read_instant(text: str) -> str:
    if text.startswith(("0000-", "0001-")):
        return NOW
    try:
        instant = parse_instant(text, "it")
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return text if _RFC3339.fullmatch(text) else instant.isoformat()


def _read_duration(text: str) -> str:
    if len(text) > _LONGEST_DURATION or not _DURATION.match(text):
        raise ValueError(f"{quote(text)} is not an ISO 8601 duration; write it like PT15M or P1D")
    if text.startswith("-"):
        raise ValueError(f"{quote(text)} is negative")
    return text


def _read_value(value: Any) -> Any:
    if isinstance(value, dict):
        if not all(_is_number(value.get(place)) for place in _PLACES):
            raise ValueError("a point has numbers x and y")
        return {place: value[place] for place in _PLACES}
    if not isinstance(value, str | bool) and not _is_number(value):
        raise ValueError("a value is a number, a text, true, false, or a point with x and y")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ObjectId = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}\z")]
Url = Annotated[
    str, StringConstraints(min_length=2, max_length=8000, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+\z")
]
Text = Annotated[str, StringConstraints(max_length=8000)]
Instant = Annotated[str, AfterValidator(_read_instant)]
Duration = Annotated[str, AfterValidator(_read_duration)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Value = Annotated[Any, AfterValidator(_read_value)]
Verb = Literal["GET", "POST", "PUT"]
Operation = Literal["CREATE", "READ", "UPDATE", "DELETE"]
ReadOperation = Annotated[Operation | Verb, AfterValidator(lambda verb: _WORDS.get(verb, verb))]
"""In the words of 3.1.0; clients of that version send verbs of HTTP, too."""

ObjectType = Literal["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]


def _alias(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join("ID" if part == "id" else part.capitalize() for part in rest)


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", alias_generator=_alias)


class ValuesMap(_Shape):
    """Values of one type."""

    type: Name
    values: list[Value]


class IntervalPeriod(_Shape):
    """When something begins and how long it lasts."""

    start: Instant | None = None
    duration: Duration | None = None
    randomize_start: Duration | None = None


class Interval(_Shape):
    """A part of an event or report."""

    id: Int32
    interval_period: IntervalPeriod | None = None
    payloads: list[ValuesMap]


class EventPayloadDescriptor(_Shape):
    """Meaning of the values of an event."""

    object_type: Literal["EVENT_PAYLOAD_DESCRIPTOR"]
    payload_type: Name
    units: Name | None = None
    currency: Text | None = None


class ReportPayloadDescriptor(_Shape):
    """Meaning of the values of a report."""

    object_type: Literal["REPORT_PAYLOAD_DESCRIPTOR"]
    payload_type: Name
    reading_type: Name | None = None
    units: Name | None = None
    accuracy: float | None = None
    confidence: Annotated[int, Field(ge=0, le=100)] | None = None


Descriptor = Annotated[EventPayloadDescriptor | ReportPayloadDescriptor, Field(discriminator="object_type")]


class ReportDescriptor(_Shape):
    """Request for a report."""

    payload_type: Name
    reading_type: Name | None = None
    units: Name | None = None
    targets: list[Name] | None = None
    aggregate: bool | None = None
    start_interval: Int32 | None = None
    num_intervals: Int32 | None = None
    historical: bool | None = None
    frequency: Int32 | None = None
    repeat: Int32 | None = None
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] | None = None


class ProgramDescription(_Shape):
    """Where a programme is described."""

    URL: Annotated[Url, Field(alias="URL")]


class Program(_Shape):
    """A programme."""

    program_name: Name
    interval_period: IntervalPeriod | None = None
    program_descriptions: list[ProgramDescription] | None = None
    payload_descriptors: list[Descriptor] | None = None
    attributes: list[ValuesMap] | None = None
    targets: list[Name] | None = None


class Event(_Shape):
    """An event."""

    program_id: ObjectId
    event_name: Text | None = None
    duration: Duration | None = None
    priority: Annotated[int, Field(ge=0, lt=_LARGEST)] | None = None
    targets: list[Name] | None = None
    report_descriptors: list[ReportDescriptor] | None = None
    payload_descriptors: list[EventPayloadDescriptor] | None = None
    interval_period: IntervalPeriod | None = None
    intervals: list[Interval] | None = None


class ReportResource(_Shape):
    """Report of one resource."""

    resource_name: Name
    interval_period: IntervalPeriod | None = None
    intervals: list[Interval]


class Report(_Shape):
    """A report."""

    event_id: ObjectId
    client_name: Name
    report_name: Text | None = None
    payload_descriptors: list[ReportPayloadDescriptor] | None = None
    resources: list[ReportResource]


class ObjectOperation(_Shape):
    """Notifications for a callback; webhookSecret is ours: with it notifications are signed."""

    objects: Annotated[list[ObjectType], Field(min_length=1)]
    operations: Annotated[list[ReadOperation], Field(min_length=1)]
    callback_url: Url
    bearer_token: Text | None = None
    webhook_secret: Text | None = None


class Subscription(_Shape):
    """A subscription."""

    client_name: Name
    program_id: ObjectId | None = None
    object_operations: Annotated[list[ObjectOperation], Field(min_length=1, max_length=50)]
    targets: list[Name] | None = None


class BlVen(_Shape):
    """A VEN as the business logic describes it."""

    object_type: Literal["BL_VEN_REQUEST"]
    client_id: Annotated[Name, Field(alias="clientID")]
    ven_name: Name
    targets: list[Name] | None = None
    attributes: list[ValuesMap] | None = None


class VenVen(_Shape):
    """A VEN as it describes itself."""

    object_type: Literal["VEN_VEN_REQUEST"]
    ven_name: Name
    attributes: list[ValuesMap] | None = None


class BlResource(_Shape):
    """A resource as the business logic describes it."""

    object_type: Literal["BL_RESOURCE_REQUEST"]
    client_id: Name
    resource_name: Name
    ven_id: ObjectId
    targets: list[Name] | None = None
    attributes: list[ValuesMap] | None = None


class VenResource(_Shape):
    """A resource as its VEN describes it."""

    object_type: Literal["VEN_RESOURCE_REQUEST"]
    resource_name: Name
    ven_id: ObjectId
    attributes: list[ValuesMap] | None = None


class GroupChild(_Shape):
    """A child of a resource group: the id of a resource or group."""

    id: ObjectId


class ResourceGroup(_Shape):
    """A group of resources; an extension of OpenADR."""

    resource_group_name: Name
    targets: list[Name] | None = None
    attributes: list[ValuesMap] | None = None
    children: list[GroupChild] | None = None


class _FormerPeriod(IntervalPeriod):
    start: Instant


class _FormerInterval(Interval):
    interval_period: _FormerPeriod | None = None


class _FormerEventDescriptor(EventPayloadDescriptor):
    object_type: Literal["EVENT_PAYLOAD_DESCRIPTOR"] = "EVENT_PAYLOAD_DESCRIPTOR"


class _FormerReportDescriptor(ReportPayloadDescriptor):
    object_type: Literal["REPORT_PAYLOAD_DESCRIPTOR"] = "REPORT_PAYLOAD_DESCRIPTOR"


class _FormerDescriptor(ReportDescriptor):
    targets: list[ValuesMap] | None = None


class FormerProgram(_Shape):
    """A programme of 3.0.1."""

    program_name: Name
    program_long_name: Text | None = None
    retailer_name: Text | None = None
    retailer_long_name: Text | None = None
    program_type: Text | None = None
    country: Text | None = None
    principal_subdivision: Text | None = None
    time_zone_offset: Duration | None = None
    interval_period: _FormerPeriod | None = None
    program_descriptions: list[ProgramDescription] | None = None
    binding_events: bool | None = None
    local_price: bool | None = None
    payload_descriptors: list[Descriptor | _FormerEventDescriptor] | None = None
    targets: list[ValuesMap] | None = None


class FormerEvent(_Shape):
    """An event of 3.0.1."""

    program_id: ObjectId
    event_name: Text | None = None
    priority: Annotated[int, Field(ge=0, lt=_LARGEST)] | None = None
    targets: list[ValuesMap] | None = None
    report_descriptors: list[_FormerDescriptor] | None = None
    payload_descriptors: list[_FormerEventDescriptor] | None = None
    interval_period: _FormerPeriod | None = None
    intervals: list[_FormerInterval]


class _FormerReportResource(ReportResource):
    interval_period: _FormerPeriod | None = None
    intervals: list[_FormerInterval]


class FormerReport(_Shape):
    """A report of 3.0.1."""

    program_id: ObjectId
    event_id: ObjectId
    client_name: Name
    report_name: Text | None = None
    payload_descriptors: list[_FormerReportDescriptor] | None = None
    resources: list[_FormerReportResource]


class _FormerOperation(ObjectOperation):
    operations: Annotated[list[Operation | Verb], Field(min_length=1)]


class FormerSubscription(_Shape):
    """A subscription of 3.0.1; operations may be spelled as verbs of HTTP."""

    client_name: Name
    program_id: ObjectId
    object_operations: Annotated[list[_FormerOperation], Field(min_length=1, max_length=50)]
    targets: list[ValuesMap] | None = None


class FormerVen(_Shape):
    """A VEN of 3.0.1."""

    ven_name: Name
    attributes: list[ValuesMap] | None = None
    targets: list[ValuesMap] | None = None


class FormerResource(_Shape):
    """A resource of 3.0.1."""

    resource_name: Name
    attributes: list[ValuesMap] | None = None
    targets: list[ValuesMap] | None = None


Shape = TypeVar("Shape", bound=_Shape)


def check(shape: type[Shape], body: dict[str, Any]) -> dict[str, Any]:
    """Check what a client sends.

    Returns:
        The known properties, without nulls.

    Raises:
        InvalidInput: With the path of the first fault and what is wrong there.
    """
    try:
        read = shape.model_validate(body)
    except ValidationError as error:
        raise InvalidInput(_word(error)) from error
    return read.model_dump(by_alias=True, exclude_none=True)


def _word(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    reason = str(first["msg"]).removeprefix("Value error, ")
    context = first.get("ctx", {})
    if "max_length" in context or first["type"] == "string_too_short":
        reason = (
            "its length is outside of allowed range 1..=128"
            if context.get("max_length") in (128, None)
            else reason
        )
    return f"{path or 'the body'}: {reason[:1].lower()}{reason[1:]}."

"""The shapes of the messages. A field that is wrong is refused with its documented status.

The order of the fields is the order in which they are checked: the first one that is wrong decides the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, WithJsonSchema

from flexmeasures.api.usef import statuses
from flexmeasures.api.usef.fields import (
    Duration,
    Horizon,
    Moment,
    Number,
    OneEvent,
    PlanDuration,
    PowerUnit,
    PriceUnit,
    Prior,
    Resolution,
    SocUnit,
    Sources,
    Start,
    WeatherUnit,
    as_list,
    given,
    groups_field,
    read_number,
    read_target_moment,
    unify,
)

__all__ = [
    "GetDeviceMessage",
    "GetMeterData",
    "GetPrognosis",
    "Message",
    "Post",
    "PostMeterData",
    "PostPriceData",
    "PostPrognosis",
    "PostUdiEvent",
    "PostWeatherData",
]


class Message(BaseModel):
    """Base of all messages: a type, singular or plural keys, and unknown keys that are let pass."""

    model_config = ConfigDict(arbitrary_types_allowed=True, validate_default=True, extra="ignore")

    expected_type: ClassVar[str]
    address_key: ClassVar[str | None] = None
    required: ClassVar[tuple[str, ...]] = ()
    """Fields without which a message is refused; all have a default, so that each has its own refusal."""

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """Read a message.

        Args:
            raw: What was sent, as decoded JSON.

        Raises:
            Refusal: With the documented status of the first field that is wrong.
        """
        kind = raw.get("type")
        if kind is None:
            raise statuses.NO_MESSAGE_TYPE(f'Add "type": "{cls.expected_type}".')
        if kind != cls.expected_type:
            raise statuses.INVALID_MESSAGE_TYPE(f"{given('It', kind)}; expected is {cls.expected_type!r}.")
        unified = unify(raw)
        key = cls.address_key
        if key and (unified.get(key) is not None or not unified.get("groups")):
            # What stands at the top level is the one group that it is.
            unified["groups"] = [{key: unified.get(key), "values": unified.get("values")}]
        return cls.model_validate(unified)


class _Request(Message):
    """Ask for power over a period."""

    address_key = "connections"
    required = ("unit", "groups", "start", "duration")

    unit: PowerUnit = None
    groups: groups_field("connections", with_values=False) = None
    sources: Sources = None
    horizon: Horizon = None
    prior: Prior = None
    start: Start = None
    duration: Duration = None
    resolution: Resolution = None


class GetMeterData(_Request):
    """Ask for measured power."""

    expected_type = "GetMeterDataRequest"


class GetPrognosis(_Request):
    """Ask for forecasts and schedules of power."""

    expected_type = "GetPrognosisRequest"


class Post(Message):
    """Send data over a period."""

    required = ("unit", "groups", "start", "duration")

    # Declared again by each message, and checked in this order all the same.
    unit: Any = None
    groups: Any = None
    horizon: Horizon = None
    prior: Prior = None
    start: Start = None
    duration: Duration = None


class PostMeterData(Post):
    """Send measured power."""

    expected_type = "PostMeterDataRequest"
    address_key = "connections"

    unit: PowerUnit = None
    groups: groups_field("connections", with_values=True) = None


class PostPrognosis(Post):
    """Send forecasts of power."""

    expected_type = "PostPrognosisRequest"
    address_key = "connections"

    unit: PowerUnit = None
    groups: groups_field("connections", with_values=True) = None


class PostPriceData(Post):
    """Send prices, measured or forecast."""

    expected_type = "PostPriceDataRequest"
    address_key = "markets"

    unit: PriceUnit = None
    groups: groups_field("markets", with_values=True) = None


class PostWeatherData(Post):
    """Send weather, measured or forecast."""

    expected_type = "PostWeatherDataRequest"
    address_key = "sensors"

    unit: WeatherUnit = None
    groups: groups_field("sensors", with_values=True) = None


@dataclass(frozen=True)
class Target:
    """A state of charge at an instant, in the unit of the message."""

    value: float
    at: datetime


def _read_targets(raw: Any, info: ValidationInfo) -> tuple[Target, ...] | None:
    event = info.data.get("events")
    if raw is None or event is None or event.event_type != "soc-with-targets":
        return None  # events of other types have none
    targets = []
    for item in as_list(raw):
        if not isinstance(item, Mapping):
            raise statuses.PTUS_INCOMPLETE(f"{given('A target', item)}. It needs 'value' and 'datetime'.")
        targets.append(
            Target(
                read_number(item.get("value"), "'value' of a target"),
                read_target_moment(item.get("datetime")),
            )
        )
    return tuple(targets)


class PostUdiEvent(Message):
    """Send the state of charge of a device, and perhaps which one it must have later."""

    expected_type = "PostUdiEventRequest"
    required = ("unit", "datetime", "events", "values")

    unit: SocUnit = None
    datetime: Moment = None
    events: OneEvent = None
    values: Number = None
    prior: Prior = None
    targets: Annotated[
        Any,
        BeforeValidator(_read_targets),
        WithJsonSchema(
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "number"},
                        "datetime": {"type": "string", "format": "date-time"},
                    },
                    "required": ["value", "datetime"],
                },
            }
        ),
    ] = None


class GetDeviceMessage(Message):
    """Ask for the schedule of a device."""

    expected_type = "GetDeviceMessageRequest"
    address_key = "events"
    required = ("groups",)

    groups: groups_field("events", with_values=False) = None
    duration: PlanDuration = None

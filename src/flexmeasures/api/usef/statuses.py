"""The documented statuses: what they are called, their HTTP code and their message.

`Refusal` carries one of them out of any depth; `refusal_of` is the table that turns errors of the domain into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flexmeasures.api.door import Clash, Refused
from flexmeasures.domain import errors
from flexmeasures.services.assets import UnknownAsset
from flexmeasures.services.record_beliefs import TooManyValues
from flexmeasures.services.schedules.request import OutdatedEvent

__all__ = ["PROCESSED", "STATUSES", "PartlyRefused", "Refusal", "Status", "refusal_of"]


@dataclass(frozen=True)
class Status:
    """A documented outcome of a request.

    Attributes:
        name: The word in the body.
        http: The HTTP code.
        message: The fixed part of the message; details follow it.
        result_key: Under which key the body says "Rejected"; clients rely on an irregular plural.
    """

    name: str
    http: int
    message: str
    result_key: str | None = "result"

    def __call__(self, detail: str = "") -> Refusal:
        """Make the refusal of a request with this status."""
        return Refusal(self, detail)

    def fields(self, location: str, errors: Mapping[str, list[str]]) -> Refusal:
        """Make a refusal that says what is wrong with each field, and where the fields were sent."""
        return Refusal(self, fields={location: dict(errors)})


class Refusal(Refused):
    """A request is refused with a documented status."""

    def __init__(self, status: Status, detail: str = "", fields: Mapping[str, Any] | None = None) -> None:
        self.status = status
        self.message = f"{status.message} {detail}".strip()
        self.fields = fields
        super().__init__(self.message)

    @property
    def body(self) -> dict[str, Any]:
        """The body of the answer, but for its type."""
        result = {self.status.result_key: "Rejected"} if self.status.result_key else {}
        return {**result, "status": self.status.name, "message": self.fields or self.message}


class PartlyRefused(Refusal):
    """A part of a request is refused; what is new of it is stored."""


PROCESSED = Status("PROCESSED", 200, "Request has been processed.", result_key=None)

ALREADY_RECEIVED = Status(
    "ALREADY_RECEIVED_AND_SUCCESSFULLY_PROCESSED",
    400,
    "Data has already been received and successfully processed.",
    result_key="results",
)
REQUIRED_INFO_MISSING = Status(
    "REQUIRED_INFO_MISSING", 400, "Required information is missing.", result_key="results"
)
INVALID_DOMAIN = Status("INVALID_DOMAIN", 400, "The entity address is not valid here.")
INVALID_HORIZON = Status("INVALID_HORIZON", 400, "The horizon or prior is missing or cannot be used.")
INVALID_PERIOD = Status(
    "INVALID_PERIOD", 400, "The period, given by start and duration, is missing or not valid."
)
INVALID_PTU_DURATION = Status(
    "INVALID_PTU_DURATION", 400, "The length of the program time units is not valid."
)
INVALID_RESOLUTION = Status("INVALID_RESOLUTION", 400, "The resolution of the data is not applicable.")
INVALID_SOURCE = Status("INVALID_SOURCE", 400, "The source is not known.")
INVALID_MARKET = Status("INVALID_MARKET", 400, "The asset has no market to plan with.")
INVALID_METHOD = Status("INVALID_METHOD", 405, "The HTTP method is not supported here.")
INVALID_ROLE = Status("INVALID_ROLE", 400, "No service is accessible by this role.")
INVALID_SENDER = Status("INVALID_SENDER", 403, "The sender is not allowed to use this service.")
INVALID_TIMEZONE = Status("INVALID_TIMEZONE", 400, "A date and time has no time zone.")
INVALID_DATETIME = Status("INVALID_DATETIME", 400, "The date and time are missing or not valid.")
INVALID_UNIT = Status("INVALID_UNIT", 400, "The unit is missing or not accepted.")
NO_MESSAGE_TYPE = Status("NO_MESSAGE_TYPE", 400, "No message type was given.")
INVALID_MESSAGE_TYPE = Status("INVALID_MESSAGE_TYPE", 400, "The message type is not the one expected here.")
NO_BACKUP = Status("NO_BACKUP", 400, "No backup was named.")
UNRECOGNIZED_BACKUP = Status("UNRECOGNIZED_BACKUP", 400, "There is no backup of this name.")
POWER_VALUE_TOO_BIG = Status("POWER_VALUE_TOO_BIG", 400, "A power value is too big.")
POWER_VALUE_TOO_SMALL = Status("POWER_VALUE_TOO_SMALL", 400, "A power value is too small.")
PTUS_INCOMPLETE = Status("PTUS_INCOMPLETE", 400, "Values are missing or are not numbers.")
UNKNOWN_PRICES = Status("UNKNOWN_PRICES", 400, "Prices are not known for the planning window.")
UNKNOWN_SCHEDULE = Status("UNKNOWN_SCHEDULE", 400, "No schedule is known for this event.")
UNRECOGNIZED_CONNECTION_GROUP = Status(
    "UNRECOGNIZED_CONNECTION_GROUP", 400, "One or more connections are missing or not known to be yours."
)
UNRECOGNIZED_ASSET = Status("UNRECOGNIZED_ASSET", 400, "The asset is not known.", result_key=None)
UNRECOGNIZED_MARKET = Status("UNRECOGNIZED_MARKET", 400, "The market is not known.")
UNRECOGNIZED_SENSOR = Status("UNRECOGNIZED_SENSOR", 400, "There is no such weather sensor.")
INCOMPLETE_UDI_EVENT = Status("INCOMPLETE_UDI_EVENT", 400, "The UDI event lacks its targets.")
UNRECOGNIZED_UDI_EVENT = Status("UNRECOGNIZED_UDI_EVENT", 400, "The UDI event is not known.")
OUTDATED_UDI_EVENT = Status("OUTDATED_UDI_EVENT", 400, "The UDI event is outdated.")
UNEXPECTED_PARAMS = Status("UNEXPECTED_PARAMS", 400, "There are more parameters than expected.")
UNPROCESSABLE_ENTITY = Status("UNPROCESSABLE_ENTITY", 422, "The request cannot be processed.")
TOO_LARGE = Status("REQUEST_ENTITY_TOO_LARGE", 413, "The request is too large.")
TOO_MANY_REQUESTS = Status("TOO_MANY_REQUESTS", 429, "There are too many requests.")
UNAVAILABLE = Status("SERVICE_UNAVAILABLE", 503, "A part of the platform does not answer. Try again later.")

STATUSES = {value.name: value for value in list(globals().values()) if isinstance(value, Status)}

_OF_ERROR: tuple[tuple[type[errors.FlexError], Status], ...] = (
    # The first class that fits counts, so subclasses stand before their parents.
    (TooManyValues, TOO_LARGE),
    (OutdatedEvent, OUTDATED_UDI_EVENT),
    (Clash, UNPROCESSABLE_ENTITY),
    (errors.Conflict, ALREADY_RECEIVED),
    (errors.NaiveTime, INVALID_TIMEZONE),
    (errors.InvalidTime, INVALID_DATETIME),
    (errors.InvalidDuration, INVALID_PERIOD),
    (errors.ResolutionMismatch, INVALID_RESOLUTION),
    (errors.BadAddress, INVALID_DOMAIN),
    (errors.BadBeliefTiming, INVALID_HORIZON),
    (errors.BadValues, PTUS_INCOMPLETE),
    (errors.UnknownUnit, INVALID_UNIT),
    (errors.IncompatibleUnits, INVALID_UNIT),
    (errors.UnknownPrices, UNKNOWN_PRICES),
    (UnknownAsset, UNRECOGNIZED_ASSET),
    (errors.NotFound, UNRECOGNIZED_CONNECTION_GROUP),
    (errors.UpstreamFailure, UNAVAILABLE),
)


def refusal_of(error: errors.FlexError | Refused) -> Refusal:
    """Translate an error of the domain into a documented status; what is one already stays it."""
    if isinstance(error, Refusal):
        return error
    for kind, status in _OF_ERROR:
        if isinstance(error, kind):
            return status(str(error))
    return UNPROCESSABLE_ENTITY(str(error))

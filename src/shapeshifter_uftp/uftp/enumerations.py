"""The enumerations of UFTP: a member's value is the word on the wire."""

from enum import StrEnum

__all__ = [
    "AcceptedDisputed",
    "AcceptedRejected",
    "AvailableRequested",
    "MeteringProfileEnum",
    "MeteringUnit",
    "RedispatchBy",
    "UsefRole",
]


class UsefRole(StrEnum):
    """Role: aggregator, common reference operator or grid operator."""

    AGR = "AGR"
    CRO = "CRO"
    DSO = "DSO"

    @classmethod
    def _missing_(cls, value: object) -> "UsefRole | None":
        """Know a role in lower case too, as names of DNS records have it."""
        return next((role for role in cls if isinstance(value, str) and value.upper() == role.value), None)


class AcceptedRejected(StrEnum):
    """The outcome of handling a message."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class AcceptedDisputed(StrEnum):
    """Opinion of the aggregator on one settlement item."""

    ACCEPTED = "Accepted"
    DISPUTED = "Disputed"


class AvailableRequested(StrEnum):
    """Disposition of an ISP: flexibility is requested, or there is merely room."""

    AVAILABLE = "Available"
    REQUESTED = "Requested"


class RedispatchBy(StrEnum):
    """Party that compensates the effect of traded flexibility elsewhere in the grid."""

    AGR = "AGR"
    DSO = "DSO"


class MeteringProfileEnum(StrEnum):
    """Meaning of the values of a metering profile."""

    POWER = "Power"
    IMPORT_ENERGY = "ImportEnergy"
    EXPORT_ENERGY = "ExportEnergy"
    IMPORT_METER_READING = "ImportMeterReading"
    EXPORT_METER_READING = "ExportMeterReading"


class MeteringUnit(StrEnum):
    """The unit of a metering profile: kW for `POWER`, kWh for the four energy profiles."""

    K_W = "kW"
    K_WH = "kWh"

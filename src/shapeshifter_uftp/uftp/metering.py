"""Metering: what one connection consumed and produced on one day."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from shapeshifter_uftp.uftp.enumerations import MeteringProfileEnum, MeteringUnit, UsefRole
from shapeshifter_uftp.uftp.lexical import (
    CURRENCY,
    DECIMAL,
    DURATION,
    EAN,
    ISP_START,
    PERIOD,
    PROFILE_TYPE,
    REVISION,
    TIME_ZONE,
    UNIT,
    UUID,
)
from shapeshifter_uftp.uftp.payload import PayloadMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Converted, attribute, children, element, optional

__all__ = ["Metering", "MeteringISP", "MeteringProfile", "MeteringResponse"]


@dataclass(kw_only=True, slots=True)
class MeteringISP(Converted):
    """One value of a profile."""

    start: int = attribute("Start", ISP_START, "the ISP meant")
    value: Decimal = attribute(
        "Value", DECIMAL, "in the profile's unit; a meter reading is that at the end of the ISP"
    )


@dataclass(kw_only=True, slots=True)
class MeteringProfile(Converted):
    """A series of values of one kind.

    Power [kW] is the mean over an ISP: (imported - exported energy) [kWh] times 60 / minutes of an ISP.
    """

    isps: list[MeteringISP] = children("ISP", MeteringISP, "the values")
    profile_type: MeteringProfileEnum = attribute("ProfileType", PROFILE_TYPE, "what the values mean")
    unit: MeteringUnit = attribute("Unit", UNIT, "kW for Power, kWh for the energy profiles")


@element("Metering", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class Metering(PayloadMessage):
    """The metering of one connection on one day."""

    profiles: list[MeteringProfile] = children("Profile", MeteringProfile, "the series")
    revision: int = attribute("Revision", REVISION, "grows with every correction")
    isp_duration: dt.timedelta = attribute(
        "ISP-Duration", DURATION, "length of one ISP, agreed in the market"
    )
    time_zone: str = attribute("TimeZone", TIME_ZONE, "zone whose days are the periods")
    currency: str | None = optional(
        "Currency", CURRENCY, "obsolete: tariffs are no longer part of the message"
    )
    period: dt.date = attribute("Period", PERIOD, "the day measured")
    ean: str = attribute("EAN", EAN, "the meter")


@element("MeteringResponse", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class MeteringResponse(PayloadMessageResponse):
    """Response that tells whether metering was understood."""

    metering_message_id: str = attribute("MeteringMessageID", UUID, "the metering answered")

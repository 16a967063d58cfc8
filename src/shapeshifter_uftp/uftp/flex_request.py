"""FlexRequest: a grid operator asks for flexibility."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

from dataclasses import dataclass

from shapeshifter_uftp.uftp.enumerations import AvailableRequested, UsefRole
from shapeshifter_uftp.uftp.lexical import (
    DATE_TIME,
    DISPOSITION,
    ISP_COUNT,
    ISP_START,
    POWER,
    REVISION,
    STRING,
    UUID,
)
from shapeshifter_uftp.uftp.payload import FlexMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Converted, attribute, children, element, optional

__all__ = ["FlexRequest", "FlexRequestISP", "FlexRequestResponse"]


@dataclass(kw_only=True, slots=True)
class FlexRequestISP(Converted):
    """The allowed band of deviation from the baseline, in one ISP or several.

    Where flexibility is requested the band must have a direction: ``min_power >= 0`` or ``max_power <= 0``.
    """

    disposition: AvailableRequested | None = optional(
        "Disposition",
        DISPOSITION,
        "whether flexibility is requested, or there is merely room; always send it",
    )
    min_power: int = attribute("MinPower", POWER, "lowest allowed deviation from the baseline [W]")
    max_power: int = attribute("MaxPower", POWER, "highest allowed deviation from the baseline [W]")
    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)


@element("FlexRequest", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class FlexRequest(FlexMessage):
    """A request for flexibility on one day at one congestion point, the same for every aggregator."""

    isps: list[FlexRequestISP] = children(
        "ISP", FlexRequestISP, "requested ISPs, and for the rest of the day the room that is available"
    )
    revision: int = attribute("Revision", REVISION, "grows with every new revision")
    expiration_date_time: str = attribute("ExpirationDateTime", DATE_TIME, "until when offers are welcome")
    contract_id: str | None = optional("ContractID", STRING, "the contract that it belongs to")
    service_type: str | None = optional(
        "ServiceType", STRING, "the service, which says how fast and by what assets"
    )


@element("FlexRequestResponse", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class FlexRequestResponse(PayloadMessageResponse):
    """Response that tells whether a request was understood; it says nothing about offers."""

    flex_request_message_id: str = attribute("FlexRequestMessageID", UUID, "the request answered")

"""FlexReservationUpdate: how much of a bilateral contract is still reserved."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

from dataclasses import dataclass

from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.lexical import ISP_COUNT, ISP_START, POWER, STRING, UUID
from shapeshifter_uftp.uftp.payload import FlexMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Element, attribute, children, element

__all__ = ["FlexReservationUpdate", "FlexReservationUpdateISP", "FlexReservationUpdateResponse"]


@dataclass(kw_only=True, slots=True)
class FlexReservationUpdateISP(Element):
    """The power still reserved in one ISP, or in several that follow each other."""

    power: int = attribute("Power", POWER, "power still reserved [W]; 0: none; the sign is the direction")
    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)


@element("FlexReservationUpdate", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class FlexReservationUpdate(FlexMessage):
    """Keeps or releases reserved power of a bilateral contract on one day."""

    isps: list[FlexReservationUpdateISP] = children(
        "ISP", FlexReservationUpdateISP, "the power still reserved"
    )
    contract_id: str = attribute("ContractID", STRING, "the bilateral contract")
    reference: str = attribute("Reference", STRING, "the grid operator's name for this update")


@element("FlexReservationUpdateResponse", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class FlexReservationUpdateResponse(PayloadMessageResponse):
    """Response that tells whether a reservation update was understood."""

    flex_reservation_update_message_id: str = attribute(
        "FlexReservationUpdateMessageID", UUID, "the update answered"
    )

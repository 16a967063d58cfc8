"""D-Prognosis: what the aggregator's connections at a congestion point will consume and produce."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

from dataclasses import dataclass

from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.lexical import BOOLEAN, ISP_COUNT, ISP_START, POWER, REVISION, UUID
from shapeshifter_uftp.uftp.payload import FlexMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Converted, Element, attribute, children, element

__all__ = ["DPrognosis", "DPrognosisISP", "DPrognosisResponse", "FlexOrderStatus"]


@dataclass(kw_only=True, slots=True)
class DPrognosisISP(Element):
    """The power expected in one ISP, or in several that follow each other."""

    power: int = attribute("Power", POWER, "expected mean power [W]")
    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)


@element("D-Prognosis", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class DPrognosis(FlexMessage):
    """The prognosis of one day at one congestion point, for all its ISPs.

    The last one accepted before gate closure is the baseline of the trade. ISPs that are already past are
    ignored by the receiver.
    """

    isps: list[DPrognosisISP] = children("ISP", DPrognosisISP, "every ISP of the day")
    revision: int = attribute("Revision", REVISION, "grows with every new prognosis for that day and place")


@dataclass(kw_only=True, slots=True)
class FlexOrderStatus(Converted):
    """Status that tells whether a prognosis reflects an earlier order."""

    flex_order_message_id: str = attribute("FlexOrderMessageID", UUID, "the order")
    is_validated: bool = attribute("IsValidated", BOOLEAN, "whether the prognosis reflects it")


@element("D-PrognosisResponse", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class DPrognosisResponse(PayloadMessageResponse):
    """Response that tells whether a prognosis was accepted, with one status for each earlier order of that day."""

    d_prognosis_message_id: str = attribute("D-PrognosisMessageID", UUID, "the prognosis answered")
    flex_order_statuses: list[FlexOrderStatus] = children(
        "FlexOrderStatus", FlexOrderStatus, "one for each earlier order of the day", at_least=0
    )

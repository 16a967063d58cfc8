"""FlexOrder: a grid operator buys flexibility. An order binds both."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.lexical import (
    AMOUNT,
    BOOLEAN,
    CURRENCY,
    FACTOR,
    ISP_COUNT,
    ISP_START,
    POWER,
    STRING,
    UUID,
)
from shapeshifter_uftp.uftp.payload import FlexMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Element, attribute, children, element, optional

__all__ = ["FlexOrder", "FlexOrderISP", "FlexOrderResponse"]


@dataclass(kw_only=True, slots=True)
class FlexOrderISP(Element):
    """The change of power ordered in one ISP, or in several that follow each other."""

    power: int = attribute("Power", POWER, "change against the baseline [W]")
    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)


@element("FlexOrder", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class FlexOrder(FlexMessage):
    """An order of one option of an offer, whole or in part.

    The ISPs are those of the option, unchanged; with an activation factor below 1 every power and the price
    are multiplied by it. Since 3.1.0 an order without offer is possible under an existing agreement.
    """

    isps: list[FlexOrderISP] = children("ISP", FlexOrderISP, "the ISPs of the option")
    unsolicited: bool | None = optional(
        "Unsolicited", BOOLEAN, "whether there was no offer before", since=(3, 1)
    )
    flex_offer_message_id: str | None = optional(
        "FlexOfferMessageID", UUID, "the offer ordered; required in 3.0.0", required_before=(3, 1)
    )
    service_type: str | None = optional("ServiceType", STRING, "the service ordered", since=(3, 1))
    contract_id: str | None = optional("ContractID", STRING, "the contract that it belongs to")
    d_prognosis_message_id: str | None = optional(
        "D-PrognosisMessageID", UUID, "the prognosis that is the baseline"
    )
    baseline_reference: str | None = optional(
        "BaselineReference", STRING, "the agreed method of the baseline"
    )
    price: Decimal = attribute(
        "Price", AMOUNT, "for the whole order: the option's price times the activation factor"
    )
    currency: str = attribute("Currency", CURRENCY, "of the price")
    order_reference: str = attribute(
        "OrderReference", STRING, "the grid operator's order number, used in settlement"
    )
    option_reference: str | None = optional(
        "OptionReference", STRING, "the option ordered; needed with several options"
    )
    activation_factor: Decimal = attribute(
        "ActivationFactor", FACTOR, "the part ordered", default=Decimal("1.00")
    )


@element("FlexOrderResponse", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class FlexOrderResponse(PayloadMessageResponse):
    """Response that tells whether an order stands; refused only when it does not match an open offer."""

    flex_order_message_id: str = attribute("FlexOrderMessageID", UUID, "the order answered")

"""FlexOffer and FlexOfferRevocation: an aggregator offers flexibility, and takes an offer back."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.lexical import (
    AMOUNT,
    BOOLEAN,
    CURRENCY,
    DATE_TIME,
    FACTOR,
    ISP_COUNT,
    ISP_START,
    POWER,
    STRING,
    UUID,
)
from shapeshifter_uftp.uftp.payload import FlexMessage, PayloadMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Converted, Element, attribute, children, element, optional

__all__ = [
    "FlexOffer",
    "FlexOfferOption",
    "FlexOfferOptionISP",
    "FlexOfferResponse",
    "FlexOfferRevocation",
    "FlexOfferRevocationResponse",
]


@dataclass(kw_only=True, slots=True)
class FlexOfferOptionISP(Element):
    """The change of power offered in one ISP, or in several that follow each other."""

    power: int = attribute("Power", POWER, "change against the baseline [W]")
    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)


@dataclass(kw_only=True, slots=True)
class FlexOfferOption(Converted):
    """One of the mutually exclusive ways to take an offer."""

    isps: list[FlexOfferOptionISP] = children("ISP", FlexOfferOptionISP, "the flexibility offered")
    option_reference: str = attribute("OptionReference", STRING, "its name within the offer")
    price: Decimal = attribute("Price", AMOUNT, "for the whole option, not for an ISP or a kWh")
    min_activation_factor: Decimal = attribute(
        "MinActivationFactor",
        FACTOR,
        "smallest part that may be ordered; 1.00: all or nothing",
        default=Decimal("1.00"),
    )


@element("FlexOffer", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class FlexOffer(FlexMessage):
    """An offer of flexibility, after a request or unsolicited.

    Acceptance of the message buys nothing: only a FlexOrder does. The aggregator must be able to deliver all
    its open offers together.
    """

    offer_options: list[FlexOfferOption] = children(
        "OfferOption", FlexOfferOption, "mutually exclusive options"
    )
    expiration_date_time: str = attribute("ExpirationDateTime", DATE_TIME, "until when it may be ordered")
    unsolicited: bool | None = optional(
        "Unsolicited", BOOLEAN, "whether there was no request before", since=(3, 1)
    )
    flex_request_message_id: str | None = optional(
        "FlexRequestMessageID", UUID, "the request that it follows"
    )
    contract_id: str | None = optional("ContractID", STRING, "the contract that it belongs to")
    d_prognosis_message_id: str | None = optional(
        "D-PrognosisMessageID",
        UUID,
        "the prognosis that is its baseline; not together with BaselineReference",
    )
    baseline_reference: str | None = optional(
        "BaselineReference",
        STRING,
        "the agreed method of its baseline; not together with D-PrognosisMessageID",
    )
    currency: str = attribute("Currency", CURRENCY, "of the prices", default="EUR", required=True)


@element("FlexOfferResponse", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class FlexOfferResponse(PayloadMessageResponse):
    """Response that tells whether an offer was understood; it orders nothing."""

    flex_offer_message_id: str = attribute("FlexOfferMessageID", UUID, "the offer answered")


@element("FlexOfferRevocation", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class FlexOfferRevocation(PayloadMessage):
    """Takes back an accepted offer that was not ordered; when it crosses an order, the revocation wins."""

    flex_offer_message_id: str = attribute("FlexOfferMessageID", UUID, "the offer taken back")


@element("FlexOfferRevocationResponse", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class FlexOfferRevocationResponse(PayloadMessageResponse):
    """Response that tells whether the offer is void now."""

    flex_offer_revocation_message_id: str = attribute(
        "FlexOfferRevocationMessageID", UUID, "the revocation answered"
    )

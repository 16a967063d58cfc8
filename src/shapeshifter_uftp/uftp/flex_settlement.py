"""FlexSettlement: what was ordered, what was delivered, and what is to be paid."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from shapeshifter_uftp.uftp.enumerations import AcceptedDisputed, UsefRole
from shapeshifter_uftp.uftp.lexical import (
    AMOUNT,
    CURRENCY,
    DISPUTE,
    ENTITY_ADDRESS,
    ISP_COUNT,
    ISP_START,
    PERIOD,
    POWER,
    STRING,
    UUID,
)
from shapeshifter_uftp.uftp.payload import PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import Converted, Element, attribute, children, element, optional

__all__ = [
    "ContractSettlement",
    "ContractSettlementISP",
    "ContractSettlementPeriod",
    "FlexOrderSettlement",
    "FlexOrderSettlementISP",
    "FlexOrderSettlementStatus",
    "FlexSettlement",
    "FlexSettlementResponse",
]


@dataclass(kw_only=True, slots=True)
class FlexOrderSettlementISP(Element):
    """Ordered and delivered power in one ISP, or in several that follow each other."""

    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)
    baseline_power: int = attribute("BaselinePower", POWER, "power expected without flexibility [W]")
    ordered_flex_power: int = attribute("OrderedFlexPower", POWER, "change ordered [W]")
    actual_power: int = attribute("ActualPower", POWER, "power measured [W]")
    delivered_flex_power: int = attribute(
        "DeliveredFlexPower",
        POWER,
        "change delivered [W], with the sign of the order, never more than ordered",
    )
    power_deficiency: int = attribute(
        "PowerDeficiency", POWER, "shortfall against the order [W], never negative", default=0
    )


@dataclass(kw_only=True, slots=True)
class FlexOrderSettlement(Converted):
    """The settlement of one order."""

    isps: list[FlexOrderSettlementISP] = children("ISP", FlexOrderSettlementISP, "the ISPs of the order")
    order_reference: str | None = optional("OrderReference", STRING, "as in the order")
    period: dt.date = attribute("Period", PERIOD, "the day of the order")
    contract_id: str | None = optional("ContractID", STRING, "the contract that it belongs to")
    d_prognosis_message_id: str | None = optional(
        "D-PrognosisMessageID", UUID, "the prognosis that is the baseline"
    )
    baseline_reference: str | None = optional(
        "BaselineReference", STRING, "the agreed method of the baseline"
    )
    congestion_point: str = attribute("CongestionPoint", ENTITY_ADDRESS, "where the order applies")
    price: Decimal = attribute("Price", AMOUNT, "for what was delivered")
    penalty: Decimal = attribute("Penalty", AMOUNT, "for what was not", default=Decimal(0))
    net_settlement: Decimal = attribute(
        "NetSettlement", AMOUNT, "price minus penalty; positive: paid to the aggregator"
    )


@dataclass(kw_only=True, slots=True)
class ContractSettlementISP(Element):
    """Reserved and used power of a bilateral contract in one ISP, or in several that follow each other."""

    start: int = attribute("Start", ISP_START, "the first ISP meant")
    duration: int = attribute("Duration", ISP_COUNT, "how many ISPs", default=1)
    reserved_power: int = attribute("ReservedPower", POWER, "power reserved after all updates [W]")
    requested_power: int | None = optional(
        "RequestedPower", POWER, "the smaller of reserved and requested [W]"
    )
    available_power: int | None = optional("AvailablePower", POWER, "power that remained available [W]")
    offered_power: int | None = optional("OfferedPower", POWER, "the most compliant offer [W]")
    ordered_power: int | None = optional("OrderedPower", POWER, "power ordered [W]")


@dataclass(kw_only=True, slots=True)
class ContractSettlementPeriod(Converted):
    """One day of a bilateral contract."""

    isps: list[ContractSettlementISP] = children("ISP", ContractSettlementISP, "the ISPs of the day")
    period: dt.date = attribute("Period", PERIOD, "the day")


@dataclass(kw_only=True, slots=True)
class ContractSettlement(Converted):
    """The settlement of one bilateral contract."""

    periods: list[ContractSettlementPeriod] = children("Period", ContractSettlementPeriod, "its days")
    contract_id: str | None = optional("ContractID", STRING, "the contract")


@element("FlexSettlement", UsefRole.DSO, UsefRole.AGR)
@dataclass(kw_only=True, slots=True)
class FlexSettlement(PayloadMessageResponse):
    """The settlement of all orders in a time, usually a month.

    It is a request, though the schemas of 3.x give it a ``Result``: send ``Accepted``. They also demand one
    ContractSettlement even where there is no contract; see the page on interoperability.
    """

    flex_order_settlements: list[FlexOrderSettlement] = children(
        "FlexOrderSettlement", FlexOrderSettlement, "one for each order"
    )
    contract_settlements: list[ContractSettlement] = children(
        "ContractSettlement", ContractSettlement, "one for each bilateral contract"
    )
    period_start: dt.date = attribute("PeriodStart", PERIOD, "first day settled")
    period_end: dt.date = attribute("PeriodEnd", PERIOD, "last day settled")
    currency: str = attribute("Currency", CURRENCY, "of all amounts")


@dataclass(kw_only=True, slots=True)
class FlexOrderSettlementStatus(Converted):
    """Opinion of the aggregator on the settlement of one order."""

    order_reference: str | None = optional("OrderReference", STRING, "as in the settlement")
    disposition: AcceptedDisputed = attribute("Disposition", DISPUTE, "accepted or disputed")
    dispute_reason: str | None = optional("DisputeReason", STRING, "why; needed in a dispute")


@element("FlexSettlementResponse", UsefRole.AGR, UsefRole.DSO)
@dataclass(kw_only=True, slots=True)
class FlexSettlementResponse(PayloadMessageResponse):
    """The aggregator's view of a settlement, order by order; a rejected settlement is disputed throughout."""

    flex_settlement_message_id: str = attribute("FlexSettlementMessageID", UUID, "the settlement answered")
    flex_order_settlement_statuses: list[FlexOrderSettlementStatus] = children(
        "FlexOrderSettlementStatus", FlexOrderSettlementStatus, "one for each order"
    )

"""Rules for settlements and the answers to them.

A settlement with which an aggregator disagrees is still accepted: the disagreement is a dispute of the item, see
`shapeshifter_uftp.settlement.statuses_of`. Only a settlement that makes no sense as a whole is rejected.
Source: UFTP specification 3.1.0, "FlexSettlement".
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from shapeshifter_uftp.exceptions import (
    InvalidValue,
    ISPConflictException,
    ISPsOutOfBoundsException,
    PeriodOutOfBoundsException,
    Rejection,
    UnknownReferenceException,
)
from shapeshifter_uftp.rules.context import RuleContext, message_of
from shapeshifter_uftp.rules.generic import referred_entry
from shapeshifter_uftp.rules.registry import rule
from shapeshifter_uftp.store import Direction
from shapeshifter_uftp.uftp import AcceptedDisputed, FlexOrder, FlexSettlement, FlexSettlementResponse

__all__: list[str] = []


@rule(FlexSettlement)
def settlement_start_plausible(message: FlexSettlement, context: RuleContext) -> None:
    """A settlement starts on a past day, not longer ago than the market's horizon."""
    today = context.market.calendar.isp_at(context.now)[0]
    start = message.period_start
    if not isinstance(start, dt.date) or not today - context.market.settlement_horizon <= start <= today:
        raise Rejection("PeriodStart rejected", detail=str(start))


@rule(FlexSettlement)
def settlement_end_plausible(message: FlexSettlement, context: RuleContext) -> None:
    """A settlement does not end before it starts, nor in the future."""
    today = context.market.calendar.isp_at(context.now)[0]
    start, end = message.period_start, message.period_end
    if not isinstance(end, dt.date) or end > today or (isinstance(start, dt.date) and end < start):
        raise Rejection("PeriodEnd rejected", detail=str(end))


@rule(FlexSettlement, decisive=True)
def settlement_isps_in_order(message: FlexSettlement, context: RuleContext) -> None:
    """Every item has ISPs of its day, each of them once."""
    for item in message.flex_order_settlements:
        try:
            last = context.market.calendar.count(item.period)
        except (InvalidValue, OverflowError, TypeError):
            raise PeriodOutOfBoundsException(str(item.period)) from None
        reached = 0
        for isp in sorted(item.isps, key=lambda each: each.start):
            if not 1 <= isp.start <= isp.start + isp.duration - 1 <= last:
                raise ISPsOutOfBoundsException(f"{item.period} has ISPs 1 to {last}")
            if isp.start <= reached:
                raise ISPConflictException(f"{item.order_reference} has ISP {isp.start} twice")
            reached = isp.start + isp.duration - 1


@rule(FlexSettlement)
def settlement_items_within(message: FlexSettlement, context: RuleContext) -> None:
    """Every item is of a day that is settled."""
    days = [item.period for item in message.flex_order_settlements]
    start, end = message.period_start, message.period_end
    # Contracts are left out: the placeholder of peers without contracts is of any day and says nothing.
    if not (isinstance(start, dt.date) and isinstance(end, dt.date)):
        return  # which is said by the rules about start and end
    for day in days:
        if not isinstance(day, dt.date) or not (start <= day <= end):
            raise PeriodOutOfBoundsException(f"{day} is not settled from {start} to {end}")


@rule(FlexSettlement)
def settlement_complete(message: FlexSettlement, context: RuleContext) -> None:
    """Every order that we accepted for the days settled has an item."""
    if context.book is None or not isinstance(message.period_start, dt.date):
        return
    if not isinstance(message.period_end, dt.date):
        return
    settled = {item.order_reference for item in message.flex_order_settlements}
    missing = []
    for entry in context.book.of_type(Direction.IN, FlexOrder):
        order: Any = message_of(entry)
        in_time = (
            isinstance(order.period, dt.date) and message.period_start <= order.period <= message.period_end
        )
        if entry.outcome == "Accepted" and in_time and order.order_reference not in settled:
            missing.append(order.order_reference)
    if missing:
        raise Rejection("Missing Settlement Items", detail=", ".join(missing[:10]))


@rule(FlexSettlement)
def settlement_not_repeated(message: FlexSettlement, context: RuleContext) -> None:
    """A period that was settled and accepted is not settled again."""
    if context.book is None:
        return
    for entry in context.book.of_type(Direction.IN, FlexSettlement):
        other: Any = message_of(entry)
        same = (other.period_start, other.period_end) == (message.period_start, message.period_end)
        references = {item.order_reference for item in other.flex_order_settlements}
        repeated = {item.order_reference for item in message.flex_order_settlements} <= references
        if entry.message_id != message.message_id and entry.outcome == "Accepted" and same and repeated:
            raise Rejection("Invalid Message", detail="this period is settled already")


@rule(FlexSettlementResponse)
def statuses_name_items(message: FlexSettlementResponse, context: RuleContext) -> None:
    """The statuses must be of items of the settlement, and a dispute needs a reason."""
    for status in message.flex_order_settlement_statuses:
        if status.disposition == AcceptedDisputed.DISPUTED and not status.dispute_reason:
            raise Rejection("Invalid Message", detail="a dispute needs a DisputeReason")
    entry = referred_entry(message, context)
    if entry is None:
        return
    settlement: Any = message_of(entry)
    known = {item.order_reference for item in settlement.flex_order_settlements}
    for status in message.flex_order_settlement_statuses:
        if status.order_reference not in known:
            raise UnknownReferenceException("OrderReference", str(status.order_reference))

"""Rules for prognoses, requests, offers, revocations, orders and reservations.

Source: UFTP specification 3.1.0, "Message validation", checks for each message; rounding of partial orders is not
specified: half to even when ordering, and one watt of difference is accepted.
"""

from __future__ import annotations

from typing import Any

from shapeshifter_uftp.exceptions import (
    Rejection,
    SubordinateSequenceNumberException,
    UnknownReferenceException,
)
from shapeshifter_uftp.outbox import topic_of
from shapeshifter_uftp.rules.context import RuleContext, message_of
from shapeshifter_uftp.rules.generic import isp_lists, isps_of_day, referred_entry
from shapeshifter_uftp.rules.registry import rule
from shapeshifter_uftp.store import Direction
from shapeshifter_uftp.trading import covered_isps, match_order, span_of
from shapeshifter_uftp.uftp import (
    AvailableRequested,
    DPrognosis,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservationUpdate,
    Metering,
)

__all__: list[str] = []


@rule(DPrognosis)
def prognosis_covers_day(message: DPrognosis, context: RuleContext) -> None:
    """A prognosis has every ISP of its day; for today only those that are still to come are needed."""
    count = isps_of_day(message) or 0
    today, current = context.market.calendar.isp_at(context.now)
    first = current if message.period == today else 1
    missing = set(range(first, count + 1)) - covered_isps(message.isps)
    if missing:
        raise Rejection("Lacking ISPs", detail=f"{min(missing)} and {len(missing) - 1} more")


@rule(DPrognosis, FlexRequest, Metering)
def revision_increases(message: DPrognosis | FlexRequest | Metering, context: RuleContext) -> None:
    """A revision must be higher than all handled before for the same sender, place and day."""
    if context.book is None:
        return
    earlier = context.book.earlier(Direction.IN, message, topic_of(message))
    if isinstance(message, FlexRequest):
        # Several requests for one day may stand beside each other: revisions count within a conversation.
        earlier = [entry for entry in earlier if entry.conversation_id == message.conversation_id]
    highest = max((e.revision for e in earlier if e.revision is not None and e.state == "done"), default=None)
    if highest is not None and message.revision <= highest:
        raise SubordinateSequenceNumberException(f"{message.revision}, handled before was {highest}")


@rule(DPrognosis, FlexOffer)
def power_plausible(message: DPrognosis | FlexOffer, context: RuleContext) -> None:
    """Powers must not exceed what the market holds for possible."""
    highest = context.market.highest_power
    if highest is not None and any(
        abs(isp.power) > highest for _, isps in isp_lists(message) for isp in isps
    ):
        raise Rejection("Power value rejection", detail=f"more than {highest} W")


@rule(FlexRequest)
def something_requested(message: FlexRequest, context: RuleContext) -> None:
    """A request must request flexibility in some ISP."""
    if not any(isp.disposition == AvailableRequested.REQUESTED for isp in message.isps):
        raise Rejection("Lacking Requested Disposition")


@rule(FlexRequest)
def requested_power_has_direction(message: FlexRequest, context: RuleContext) -> None:
    """Where flexibility is requested the band must not lie on both sides of zero."""
    for isp in message.isps:
        if isp.disposition == AvailableRequested.REQUESTED and isp.min_power < 0 < isp.max_power:
            raise Rejection("Requested Power discrepancy", detail=f"ISP {isp.start} has no direction")


@rule(FlexRequest)
def power_band_in_order(message: FlexRequest, context: RuleContext) -> None:
    """The lowest power must not be higher than the highest."""
    for isp in message.isps:
        if isp.min_power > isp.max_power:
            raise Rejection("Power discrepancy", detail=f"ISP {isp.start}: {isp.min_power} > {isp.max_power}")


@rule(FlexOffer, FlexOrder)
def one_baseline(message: FlexOffer | FlexOrder, context: RuleContext) -> None:
    """The baseline is a prognosis or an agreed method, not both; where the market wants one, it must be named."""
    if message.d_prognosis_message_id and message.baseline_reference:
        raise Rejection(
            "Invalid Message", detail="D-PrognosisMessageID and BaselineReference exclude each other"
        )
    named = message.d_prognosis_message_id or message.baseline_reference
    if isinstance(message, FlexOffer) and context.market.baseline_required and not named:
        raise Rejection("No baseline")


@rule(FlexOffer)
def offer_matches_request(message: FlexOffer, context: RuleContext) -> None:
    """An offer must cover at least one of the ISPs in which flexibility is requested."""
    entry = referred_entry(message, context)
    if entry is None:
        return
    request: Any = message_of(entry)
    wanted = covered_isps(isp for isp in request.isps if isp.disposition == AvailableRequested.REQUESTED)
    if not any(covered_isps(option.isps) & wanted for option in message.offer_options):
        raise Rejection("Request mismatch")


@rule(FlexOffer)
def offer_within_band(message: FlexOffer, context: RuleContext) -> None:
    """Where the market wants it so, an offer keeps to the band of its request, in every ISP that this speaks of."""
    entry = referred_entry(message, context) if context.market.offers_within_band else None
    if entry is None:
        return
    request: Any = message_of(entry)
    band = {number: isp for isp in request.isps for number in covered_isps([isp])}
    for option in message.offer_options:
        for isp in option.isps:
            for number in covered_isps([isp]) & band.keys():
                low, high = band[number].min_power, band[number].max_power
                if not low <= isp.power <= high:
                    raise Rejection(
                        "Power value rejection",
                        detail=f"ISP {number}: {isp.power} is not in {low} to {high} W",
                    )


@rule(FlexOffer)
def options_supported(message: FlexOffer, context: RuleContext) -> None:
    """Several options need a congestion point where mutually exclusive offers are accepted."""
    if len(message.offer_options) > 1 and not context.market.mutex_offers_supported(message.congestion_point):
        raise Rejection("No MutEx offer support")


@rule(FlexOffer)
def option_references_unique(message: FlexOffer, context: RuleContext) -> None:
    """No two options of an offer may have the same name."""
    references = [option.option_reference for option in message.offer_options]
    if len(set(references)) < len(references):
        raise Rejection("Invalid Message", detail="two options have the same OptionReference")


@rule(FlexOffer)
def offer_solicitation_consistent(message: FlexOffer, context: RuleContext) -> None:
    """An unsolicited offer names no request, one that says to be solicited names it; 3.0.0 says nothing."""
    if message.unsolicited is True and message.flex_request_message_id:
        raise Rejection("Invalid Message", detail="an unsolicited offer has no FlexRequestMessageID")
    if message.unsolicited is False and not message.flex_request_message_id:
        raise Rejection("Invalid Message", detail="a solicited offer needs a FlexRequestMessageID")


@rule(FlexOffer, FlexOrder)
def currency_known(message: FlexOffer | FlexOrder, context: RuleContext) -> None:
    """The currency must be one that we trade in."""
    currencies = context.market.currencies
    if currencies is not None and message.currency not in currencies:
        raise Rejection(
            "Invalid Message", detail=f"currency {message.currency}, agreed are {sorted(currencies)}"
        )


@rule(FlexOfferRevocation)
def revoked_offer_not_ordered(message: FlexOfferRevocation, context: RuleContext) -> None:
    """An offer that was ordered, with the order accepted, stays."""
    if context.book is None:
        return
    orders = context.book.followers(Direction.OUT, FlexOrder, message.flex_offer_message_id)
    # An order that is not answered yet crosses the revocation, and then the revocation wins.
    if any(order.outcome == "Accepted" for order in orders):
        raise Rejection("Flexibility procured")


@rule(FlexOfferRevocation)
def revoked_offer_not_operating(message: FlexOfferRevocation, context: RuleContext) -> None:
    """An offer of which an ISP has begun stays."""
    entry = referred_entry(message, context)
    if entry is None:
        return
    offer: Any = message_of(entry)
    first = min((isp.start for option in offer.offer_options for isp in option.isps), default=1)
    if context.market.calendar.start_of(offer.period, first) <= context.now:
        raise Rejection("Invalid Message", detail="an ISP of the offer has begun")


@rule(FlexOfferRevocation)
def offer_revoked_once(message: FlexOfferRevocation, context: RuleContext) -> None:
    """An offer that is revoked cannot be revoked again."""
    if context.book is None:
        return
    others = context.book.followers(Direction.IN, FlexOfferRevocation, message.flex_offer_message_id)
    if any(other.message_id != message.message_id and other.outcome == "Accepted" for other in others):
        raise UnknownReferenceException("FlexOfferMessageID", "it is revoked already")


@rule(FlexOrder)
def order_names_offer(message: FlexOrder, context: RuleContext) -> None:
    """An order names its offer, unless it says to be unsolicited, and then it names none."""
    if message.unsolicited and message.flex_offer_message_id:
        raise Rejection("Invalid Message", detail="an unsolicited order has no FlexOfferMessageID")
    if not message.unsolicited and not message.flex_offer_message_id:
        raise Rejection("Invalid Message", detail="an order needs a FlexOfferMessageID, or Unsolicited")


@rule(FlexOrder)
def order_equals_offer(message: FlexOrder, context: RuleContext) -> None:
    """An order must copy one option of the offer: ISPs, powers and price, all times the activation factor."""
    entry = referred_entry(message, context)
    if entry is not None:
        offer: Any = message_of(entry)
        match_order(message, offer)


@rule(FlexOrder)
def offer_ordered_once(message: FlexOrder, context: RuleContext) -> None:
    """Of an offer one option can be ordered, once."""
    if context.book is None or not message.flex_offer_message_id:
        return
    others = context.book.followers(Direction.IN, FlexOrder, message.flex_offer_message_id)
    if any(other.message_id != message.message_id and other.outcome == "Accepted" for other in others):
        raise Rejection("Invalid Message", detail="the offer is already ordered")


@rule(FlexReservationUpdate)
def reservation_in_time(message: FlexReservationUpdate, context: RuleContext) -> None:
    """A reservation update must come before its deadline."""
    start = context.market.calendar.start_of(message.period, 1) if isps_of_day(message) else context.now
    if context.now > start - context.market.reservation_deadline:
        raise Rejection("Deadline expired")


@rule(FlexReservationUpdate)
def reservation_only_shrinks(message: FlexReservationUpdate, context: RuleContext) -> None:
    """A reservation for an ISP can be released, but not grow again nor turn its direction."""
    if context.book is None:
        return
    entries = context.book.earlier(Direction.IN, message, topic_of(message))
    earlier: list[Any] = [message_of(entry) for entry in entries if entry.outcome == "Accepted"]
    before = {
        n: isp.power
        for m in earlier
        if m.contract_id == message.contract_id
        for isp in m.isps
        for n in span_of(isp)
    }
    for isp in message.isps:
        for number in span_of(isp):
            if number in before and not _within(isp.power, before[number]):
                raise Rejection(
                    "Power value rejection", detail=f"ISP {number} had {before[number]} W reserved"
                )


def _within(power: int, bound: int) -> bool:
    return min(0, bound) <= power <= max(0, bound)

"""Rules for all messages, in the order of the standard: envelope first, look-ups last.

Source: UFTP specification 3.1.0, "Message validation", generic checks.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Iterator
from itertools import chain, compress
from typing import Any, Protocol

from shapeshifter_uftp.exceptions import (
    BarredSenderException,
    ExpirationDateTimeOutOfBoundsException,
    InvalidCongestionPointException,
    InvalidMessageException,
    InvalidSenderException,
    InvalidValue,
    ISPConflictException,
    ISPDurationRejectedException,
    ISPsOutOfBoundsException,
    PeriodOutOfBoundsException,
    ReferenceMessageExpiredException,
    ReferenceMessageRevokedException,
    ReferencePeriodMismatchException,
    Rejection,
    TimeZoneRejectedException,
    UnknownRecipientException,
    UnknownReferenceException,
)
from shapeshifter_uftp.isp_calendar import instant_of, isp_count, same_offsets
from shapeshifter_uftp.references import main_reference
from shapeshifter_uftp.rules.context import RuleContext, message_of
from shapeshifter_uftp.rules.registry import rule
from shapeshifter_uftp.store import Direction, Entry
from shapeshifter_uftp.uftp import (
    AgrPortfolioQuery,
    DPrognosis,
    DsoPortfolioQuery,
    FlexMessage,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexSettlement,
    Metering,
    PayloadMessage,
    is_response,
    reference_field,
    response_request_map,
    routing_map,
)
from shapeshifter_uftp.uftp.lexical import AMOUNT, DECIMAL, LARGEST_NUMBER, POWER
from shapeshifter_uftp.uftp.structure import Element, plan_of

__all__ = ["isp_lists", "isps_of_day", "offer_state_rejection"]


class Spanning(Protocol):
    """Anything that covers some ISPs."""

    start: int


def isp_lists(message: PayloadMessage) -> Iterator[tuple[str, list[Any]]]:
    """Give the ISP lists of a message, each with a name for messages to people."""
    if isinstance(message, FlexOffer):
        yield from (
            (f"option {option.option_reference}", list(option.isps)) for option in message.offer_options
        )
    elif isinstance(message, Metering):
        yield from ((str(profile.profile_type), list(profile.isps)) for profile in message.profiles)
    elif hasattr(message, "isps"):
        yield "the message", list(message.isps)


def isps_of_day(message: Any) -> int | None:
    """Count the ISPs of a message's day; None when its day, zone or ISP duration makes no sense."""
    if not isinstance(message.period, dt.date) or not isinstance(message.isp_duration, dt.timedelta):
        return None
    try:
        return isp_count(message.period, message.time_zone, message.isp_duration)
    except (InvalidValue, OverflowError):
        return None


def _spans(isps: list[Any]) -> tuple[list[int], list[int]]:
    """Give the first and the last ISP number of each element of a list that is not empty."""
    first = [isp.start for isp in isps]
    if not hasattr(isps[0], "duration"):
        return first, first
    return first, [isp.start + isp.duration - 1 for isp in isps]


@rule(PayloadMessage, decisive=True)
def sender_matches_envelope(message: PayloadMessage, context: RuleContext) -> None:
    """The message must name the sender that signed the envelope."""
    if message.sender_domain != context.envelope_domain:
        raise InvalidSenderException(f"the envelope is of {context.envelope_domain}")


@rule(PayloadMessage, decisive=True)
def role_may_send(message: PayloadMessage, context: RuleContext) -> None:
    """The sender's role must be one that sends this type to our role."""
    sender, recipient = routing_map.get(type(message), (None, None))
    if sender not in {None, context.sender_role} or recipient not in {None, context.our_role}:
        name = type(message).wire_name
        raise InvalidSenderException(f"no {context.sender_role} sends a {name} to a {context.our_role}")


@rule(PayloadMessage, decisive=True)
def sender_not_barred(message: PayloadMessage, context: RuleContext) -> None:
    """We must be willing to trade with the sender."""
    if message.sender_domain in context.market.barred_senders:
        raise BarredSenderException


@rule(PayloadMessage, decisive=True)
def recipient_is_us(message: PayloadMessage, context: RuleContext) -> None:
    """The message must be meant for us."""
    if message.recipient_domain != context.our_domain:
        raise UnknownRecipientException(f"this is {context.our_domain}")


@rule(PayloadMessage, decisive=True)
def version_supported(message: PayloadMessage, context: RuleContext) -> None:
    """We must speak the message's version."""
    if message.version not in context.market.versions:
        known = ", ".join(sorted(context.market.versions))
        raise InvalidMessageException(f"version {message.version} is not supported, but {known}")


@rule(PayloadMessage, decisive=True)
def numbers_plausible(message: PayloadMessage, context: RuleContext) -> None:
    """No power, amount or measurement may exceed 10^15: nothing real does, and not all arithmetic can."""
    _check_numbers([message], type(message))


def _check_numbers(elements: list[Any], cls: type[Element]) -> None:
    """Check all elements of one class, attribute by attribute, and their children."""
    plan = plan_of(cls)
    for attribute in plan.attributes:
        if attribute.kind not in _NUMBERS:
            continue
        values = [value for value in map(operator.attrgetter(attribute.name), elements) if value is not None]
        if values and not -LARGEST_NUMBER <= min(values) <= max(values) <= LARGEST_NUMBER:
            reason = "Power value rejection" if attribute.kind is POWER else "Invalid Message"
            raise Rejection(reason, detail=f"{attribute.wire} exceeds 10^15")
    for child in plan.children:
        given = [getattr(element, child.name) for element in elements]
        below = list(chain.from_iterable(given)) if child.many else [one for one in given if one is not None]
        if below:
            _check_numbers(below, child.type)


_NUMBERS = (POWER, AMOUNT, DECIMAL)


@rule(FlexMessage, Metering)
def isp_duration_agreed(message: FlexMessage, context: RuleContext) -> None:
    """The ISP duration must be the market's, compared by value."""
    if message.isp_duration != context.market.isp_duration:
        raise ISPDurationRejectedException(f"{message.isp_duration}, agreed is {context.market.isp_duration}")


@rule(PayloadMessage)
def time_zone_agreed(message: PayloadMessage, context: RuleContext) -> None:
    """The zone must have the UTC offset of the market's, throughout the period."""
    zone, agreed = getattr(message, "time_zone", None), context.market.time_zone
    if zone is None or zone == agreed:
        return
    period = getattr(message, "period", None)
    day = period if isinstance(period, dt.date) else context.now.date()
    try:
        same = same_offsets(day, zone, agreed)
    except (InvalidValue, OverflowError):
        same = False
    if not same:
        raise TimeZoneRejectedException(f"{zone}, agreed is {agreed}")


@rule(FlexMessage)
def congestion_point_known(message: FlexMessage, context: RuleContext) -> None:
    """We must be active at the congestion point."""
    known = context.market.congestion_points
    if known is not None and message.congestion_point not in known:
        raise InvalidCongestionPointException(message.congestion_point)


@rule(FlexMessage, Metering, decisive=True)
def isps_within_day(message: FlexMessage, context: RuleContext) -> None:
    """Every list must have an ISP, and only ISPs that the day has: 92 to 100 quarter-hours, by zone and date."""
    count = isps_of_day(message)
    for name, isps in isp_lists(message):
        if not isps:
            raise ISPsOutOfBoundsException(f"{name} has none")
        first, last = _spans(isps)
        if count is None:
            continue  # other rules say what is wrong with the day, the zone or the duration
        if min(first) < 1 or max(last) > count or any(map(operator.lt, last, first)):
            raise ISPsOutOfBoundsException(f"{message.period} has ISPs 1 to {count}")


@rule(FlexMessage, Metering)
def isps_not_overlapping(message: FlexMessage, context: RuleContext) -> None:
    """No ISP may be addressed twice in a list; their order does not matter."""
    for name, isps in isp_lists(message):
        if len(isps) < 2:
            continue
        first, last = zip(*sorted(zip(*_spans(isps), strict=True)), strict=True)
        twice = list(compress(first[1:], map(operator.le, first[1:], last)))
        if twice:
            raise ISPConflictException(f"{name} addresses ISP {twice[0]} twice")


@rule(FlexMessage, Metering, AgrPortfolioQuery, DsoPortfolioQuery)
def period_plausible(message: FlexMessage, context: RuleContext) -> None:
    """Trade is about today or later in the market's zone; metering about today or earlier; a query about any day."""
    today = context.market.calendar.isp_at(context.now)[0]
    period = message.period
    try:
        context.market.calendar.count(period)
    except (InvalidValue, OverflowError, TypeError):  # as the year 99999
        raise PeriodOutOfBoundsException(f"{period} is not a day of the calendar") from None
    if not isinstance(message, FlexMessage | Metering):
        return
    if isinstance(message, Metering):
        if period > today:
            raise PeriodOutOfBoundsException(f"{period} has not been measured yet")
    elif period < today:
        raise PeriodOutOfBoundsException(f"{period} is over")


@rule(FlexRequest, FlexOffer)
def expiry_in_bounds(message: FlexRequest | FlexOffer, context: RuleContext) -> None:
    """The expiry must lie in the future, and not after the end of the last ISP listed."""
    try:
        expiry = instant_of(message.expiration_date_time, message.time_zone)
    except InvalidValue as error:
        raise ExpirationDateTimeOutOfBoundsException(str(error)) from error
    if expiry <= context.now:
        raise ExpirationDateTimeOutOfBoundsException(f"{message.expiration_date_time} is past")
    last = max((max(_spans(isps)[1]) for _, isps in isp_lists(message) if isps), default=0)
    count = isps_of_day(message)
    if count and 1 <= last <= count and expiry > context.market.calendar.end_of(message.period, last):
        raise ExpirationDateTimeOutOfBoundsException(
            f"{message.expiration_date_time} is after the last ISP listed"
        )


def _referred(
    message: PayloadMessage, context: RuleContext
) -> tuple[str, Direction, type[PayloadMessage]] | None:
    """Name the main reference of a message: its XML name, which way the other message went, and its type."""
    if is_response(type(message)):
        field = reference_field(type(message))
        request = response_request_map[type(message)]
        return (_wire(message, field), Direction.OUT, request) if field else None
    if isinstance(message, FlexOffer) and message.flex_request_message_id:
        return "FlexRequestMessageID", Direction.OUT, FlexRequest
    if isinstance(message, FlexOrder) and message.flex_offer_message_id:
        return "FlexOfferMessageID", Direction.OUT, FlexOffer
    if isinstance(message, FlexOfferRevocation):
        return "FlexOfferMessageID", Direction.IN, FlexOffer
    return None


def _wire(message: PayloadMessage, name: str) -> str:
    return next(a.wire for a in plan_of(type(message)).attributes if a.name == name)


@rule(PayloadMessage)
def reference_known(message: PayloadMessage, context: RuleContext) -> None:
    """The message referred to must be one exchanged with this sender, in the same conversation, and not rejected."""
    referred = _referred(message, context)
    if referred is None or context.book is None:
        return
    wire, direction, message_type = referred
    entry = context.book.entry(direction, message_type, main_reference(message))
    # A response may of course follow a rejection that is already noted: only trade must not build on one.
    if entry is None or (entry.outcome == "Rejected" and not is_response(type(message))):
        raise UnknownReferenceException(wire)
    if entry.conversation_id.lower() != (message.conversation_id or "").lower():
        raise UnknownReferenceException(wire, "it belongs to another conversation")


@rule(FlexOffer, FlexOrder)
def prognosis_known(message: FlexOffer | FlexOrder, context: RuleContext) -> None:
    """The prognosis named as baseline must be one exchanged with this sender, for the same day."""
    if context.book is None or not message.d_prognosis_message_id:
        return
    direction = Direction.IN if isinstance(message, FlexOffer) else Direction.OUT
    entry = context.book.entry(direction, DPrognosis, message.d_prognosis_message_id)
    if entry is None or entry.outcome == "Rejected":
        raise UnknownReferenceException("D-PrognosisMessageID")
    if getattr(message_of(entry), "period", None) != message.period:
        raise ReferencePeriodMismatchException("D-Prognosis")


@rule(PayloadMessage)
def reference_period_equal(message: PayloadMessage, context: RuleContext) -> None:
    """A message and the one that it refers to must speak of the same day."""
    entry = referred_entry(message, context)
    period = getattr(message, "period", None)
    if entry is None or period is None:
        return
    other = getattr(message_of(entry), "period", period)
    if other != period:
        raise ReferencePeriodMismatchException(f"{period}, but {other} there")


def referred_entry(message: PayloadMessage, context: RuleContext) -> Entry | None:
    """Find the entry of the message referred to; None when there is none or nothing is known."""
    referred = _referred(message, context)
    if referred is None or context.book is None:
        return None
    return context.book.entry(referred[1], referred[2], main_reference(message))


@rule(FlexOffer, FlexOrder)
def reference_still_valid(message: FlexOffer | FlexOrder, context: RuleContext) -> None:
    """An offer may follow a request, and an order an offer, only until the other has expired or was revoked."""
    entry = referred_entry(message, context)
    if entry is None or context.book is None:
        return
    problem = offer_state_rejection(entry, context)
    if problem is not None:
        raise problem


def offer_state_rejection(
    entry: Entry, context: RuleContext
) -> ReferenceMessageExpiredException | ReferenceMessageRevokedException | None:
    """Tell why a request or an offer can no longer be followed; None when it can."""
    other: Any = message_of(entry)
    if instant_of(other.expiration_date_time, other.time_zone) <= context.now:
        return ReferenceMessageExpiredException(f"it was valid until {other.expiration_date_time}")
    if not isinstance(other, FlexOffer) or context.book is None:
        return None
    # When an order and a revocation cross, the revocation wins: one that is on its way counts.
    revoked = context.book.followers(entry.direction, FlexOfferRevocation, entry.message_id)
    return ReferenceMessageRevokedException() if revoked else None


@rule(FlexSettlement)
def settlement_items_in_known_places(message: FlexSettlement, context: RuleContext) -> None:
    """We must be active at the congestion points settled."""
    known = context.market.congestion_points
    for item in message.flex_order_settlements:
        if known is not None and item.congestion_point not in known:
            raise InvalidCongestionPointException(item.congestion_point)

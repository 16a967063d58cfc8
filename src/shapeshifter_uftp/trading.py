"""Matching requests, offers and orders. Powers are whole watts, positive for consumption.

Source: UFTP specification 3.1.0, "FlexOrder", "Partial activation".
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from shapeshifter_uftp.exceptions import (
    InvalidValue,
    ISPsOutOfBoundsException,
    Rejection,
    UnknownReferenceException,
)
from shapeshifter_uftp.uftp import FlexOffer, FlexOfferOption, FlexOrder, FlexOrderISP
from shapeshifter_uftp.writing import currency_digits

__all__ = ["activated_power", "activated_price", "covered_isps", "make_order", "match_order", "span_of"]

TOLERATED_WATTS = 1
"""Rounding of partial activation is not specified: one watt of difference is accepted."""

MOST_ISPS = 10_000
"""More than any day has, even with ISPs of ten seconds."""

_PRICE_STEP = Decimal("0.0001")


def span_of(isp: Any) -> range:
    """Give the numbers of the ISPs that an element covers.

    Raises:
        Rejection: It covers more than any day has; a schema-valid duration may have eighteen digits.
    """
    count = getattr(isp, "duration", 1)
    if count > MOST_ISPS:
        raise ISPsOutOfBoundsException(f"{count} ISPs from {isp.start} on")
    return range(isp.start, isp.start + count)


def covered_isps(isps: Iterable[Any]) -> set[int]:
    """Give the numbers of all ISPs that a list covers.

    >>> from shapeshifter_uftp.uftp import FlexOrderISP
    >>> sorted(covered_isps([FlexOrderISP(power=0, start=3, duration=2), FlexOrderISP(power=0, start=9)]))
    [3, 4, 9]
    """
    return {number for isp in isps for number in span_of(isp)}


def activated_power(power: int, factor: Decimal) -> int:
    """Give the power [W] of a part of an option, rounded half to even.

    >>> activated_power(-3001, Decimal("0.50")), activated_power(-3003, Decimal("0.50"))
    (-1500, -1502)
    """
    return int((power * factor).quantize(Decimal(1), ROUND_HALF_EVEN))


def activated_price(price: Decimal, factor: Decimal, currency: str = "EUR") -> Decimal:
    """Give the price of a part of an option, in the currency's smallest unit where that is exact, else in 1/10000.

    >>> activated_price(Decimal("12.50"), Decimal("0.80"))
    Decimal('10.00')
    """
    exact = price * factor
    unit = Decimal(1).scaleb(-currency_digits(currency))
    rounded = exact.quantize(unit, ROUND_HALF_EVEN)
    return rounded if rounded == exact else exact.quantize(_PRICE_STEP, ROUND_HALF_EVEN)


def _option_of(order: FlexOrder, offer: FlexOffer) -> FlexOfferOption:
    options = offer.offer_options
    if order.option_reference is None and len(options) == 1:
        return options[0]
    for option in options:
        if option.option_reference == order.option_reference:
            return option
    raise UnknownReferenceException("OptionReference", str(order.option_reference))


def match_order(order: FlexOrder, offer: FlexOffer) -> FlexOfferOption:
    """Check an order against the offer that it names, and give the option ordered.

    Raises:
        Rejection: With the standard reason: ISP, Power or Price mismatch, or an unknown option.
    """
    option = _option_of(order, offer)
    if {(isp.start, isp.duration) for isp in order.isps} != {
        (isp.start, isp.duration) for isp in option.isps
    } or len(order.isps) != len(option.isps):
        raise Rejection("ISP mismatch")
    factor = order.activation_factor
    if factor < option.min_activation_factor:
        raise Rejection("Power mismatch", detail=f"at least {option.min_activation_factor} must be ordered")
    offered = {isp.start: activated_power(isp.power, factor) for isp in option.isps}
    tolerated = TOLERATED_WATTS if factor != 1 else 0
    for isp in order.isps:
        if abs(isp.power - offered[isp.start]) > tolerated:
            raise Rejection(
                "Power mismatch", detail=f"ISP {isp.start}: {isp.power} W, offered {offered[isp.start]} W"
            )
    if order.currency != offer.currency:
        raise Rejection("Price mismatch", detail=f"currency {order.currency}, offered {offer.currency}")
    if not _same_price(order.price, option.price * factor, offer.currency, partial=factor != 1):
        raise Rejection("Price mismatch", detail=f"{order.price}, offered {option.price} times {factor}")
    return option


def _same_price(ordered: Decimal, exact: Decimal, currency: str, *, partial: bool) -> bool:
    # How a partial price is rounded is not specified either: half a unit of the currency is accepted.
    half_unit = Decimal("0.5").scaleb(-currency_digits(currency)) if partial else Decimal(0)
    return abs(ordered - exact) <= half_unit


def make_order(
    offer: FlexOffer,
    order_reference: str,
    option_reference: str | None = None,
    factor: Decimal | str = "1.00",
) -> FlexOrder:
    """Make the order of an option of an offer, whole or in part, in the offer's conversation.

    Args:
        offer: The offer, as received.
        order_reference: Our order number.
        option_reference: Which option; may be left out when there is only one.
        factor: The part to order, 0.01 to 1.00.

    Raises:
        InvalidValue: The offer has no such option, or not so small a part.
    """
    part = Decimal(factor)
    chosen = [o for o in offer.offer_options if option_reference in {None, o.option_reference}]
    if len(chosen) != 1:
        raise InvalidValue(f"The offer has {len(chosen)} options {option_reference!r}: name one")
    option = chosen[0]
    if not option.min_activation_factor <= part <= 1:
        raise InvalidValue(
            f"{part} of this option cannot be ordered: {option.min_activation_factor} to 1.00 can"
        )
    isps = [
        FlexOrderISP(power=activated_power(i.power, part), start=i.start, duration=i.duration)
        for i in option.isps
    ]
    return FlexOrder(
        version=offer.version,
        sender_domain=offer.recipient_domain,
        recipient_domain=offer.sender_domain,
        conversation_id=offer.conversation_id,
        isp_duration=offer.isp_duration,
        time_zone=offer.time_zone,
        period=offer.period,
        congestion_point=offer.congestion_point,
        flex_offer_message_id=offer.message_id,
        contract_id=offer.contract_id,
        d_prognosis_message_id=offer.d_prognosis_message_id,
        baseline_reference=offer.baseline_reference,
        price=activated_price(option.price, part, offer.currency),
        currency=offer.currency,
        order_reference=order_reference,
        option_reference=option.option_reference,
        activation_factor=part,
        isps=isps,
    )

"""References between messages, and the making of responses."""

from __future__ import annotations

from typing import Any

from shapeshifter_uftp.uftp import (
    AcceptedDisputed,
    AcceptedRejected,
    AgrPortfolioQueryResponse,
    AgrPortfolioQueryResponseCongestionPoint,
    AgrPortfolioQueryResponseConnection,
    AgrPortfolioQueryResponseDSOPortfolio,
    AgrPortfolioQueryResponseDSOView,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexOrderSettlementStatus,
    FlexSettlement,
    FlexSettlementResponse,
    PayloadMessage,
    RedispatchBy,
    is_response,
    reference_field,
    request_response_map,
)
from shapeshifter_uftp.uftp.structure import plan_of

__all__ = ["main_reference", "make_response"]

_FOLLOWS = {
    FlexOffer: "flex_request_message_id",
    FlexOfferRevocation: "flex_offer_message_id",
    FlexOrder: "flex_offer_message_id",
}


def main_reference(message: PayloadMessage) -> str | None:
    """Give the id of the message that this one answers or follows; None when it starts something."""
    name = reference_field(type(message)) if is_response(type(message)) else _FOLLOWS.get(type(message))
    value: str | None = getattr(message, name) if name else None
    return value


def make_response(request: PayloadMessage, reason: str | None = None, **details: Any) -> PayloadMessage:
    """Make the response to a request, with conversation, partners, version and reference already right.

    Args:
        request: The message received.
        reason: Why it is rejected; None accepts it.
        details: Further attributes of the response.
    """
    response_type = request_response_map[type(request)]
    known = {a.name for a in plan_of(response_type).attributes}
    values: dict[str, Any] = {
        "version": request.version,
        "sender_domain": request.recipient_domain,
        "recipient_domain": request.sender_domain,
        "conversation_id": request.conversation_id,
    }
    if "result" in known:
        values["result"] = AcceptedRejected.REJECTED if reason else AcceptedRejected.ACCEPTED
        values["rejection_reason"] = reason
    name = reference_field(response_type)
    if name:
        values[name] = request.message_id
    for shared in ("time_zone", "period"):
        if shared in known:
            values[shared] = getattr(request, shared)
    return response_type(**{**values, **_demanded_children(request, reason), **details})


def _demanded_children(request: PayloadMessage, reason: str | None) -> dict[str, Any]:
    """Give the children that the schemas demand even in a rejection, as empty of meaning as they can be."""
    response_type = request_response_map[type(request)]
    if response_type is FlexSettlementResponse and isinstance(request, FlexSettlement):
        disposition = AcceptedDisputed.DISPUTED if reason else AcceptedDisputed.ACCEPTED
        statuses = [
            FlexOrderSettlementStatus(
                order_reference=item.order_reference, disposition=disposition, dispute_reason=reason
            )
            for item in request.flex_order_settlements
        ]
        return {"flex_order_settlement_statuses": statuses}
    if response_type is AgrPortfolioQueryResponse and reason:
        return {"dso_views": [_empty_view(request.recipient_domain or "none.invalid")]}
    return {}


def _empty_view(domain: str) -> AgrPortfolioQueryResponseDSOView:
    nowhere = "ean.000000000000"
    point = AgrPortfolioQueryResponseCongestionPoint(
        entity_address=nowhere,
        mutex_offers_supported=False,
        day_ahead_redispatch_by=RedispatchBy.DSO,
        connections=[AgrPortfolioQueryResponseConnection(entity_address=nowhere)],
    )
    portfolio = AgrPortfolioQueryResponseDSOPortfolio(dso_domain=domain, congestion_points=[point])
    return AgrPortfolioQueryResponseDSOView(dso_portfolios=[portfolio])

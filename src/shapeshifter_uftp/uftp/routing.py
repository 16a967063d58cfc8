"""Routing: senders, recipients and the response to each request, derived from the declarations."""

from __future__ import annotations

import re
from typing import cast

from shapeshifter_uftp.uftp import (
    agr_portfolio,
    d_prognosis,
    dso_portfolio,
    flex_offer,
    flex_order,
    flex_request,
    flex_reservation,
    flex_settlement,
    metering,
    test_message,
)
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import PayloadMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import MESSAGES, plan_of

__all__ = [
    "destination_map",
    "is_response",
    "origin_map",
    "reference_field",
    "request_response_map",
    "response_request_map",
    "routing_map",
    "snake_name",
]

_FAMILIES = (
    agr_portfolio,
    d_prognosis,
    dso_portfolio,
    flex_offer,
    flex_order,
    flex_request,
    flex_reservation,
    flex_settlement,
    metering,
    test_message,
)

Route = tuple[UsefRole | None, UsefRole | None]

MESSAGE_TYPES: dict[str, type[PayloadMessage]] = {
    name: cast(type[PayloadMessage], cls)
    for name, cls in MESSAGES.items()
    if cls is not PayloadMessageResponse
}
"""Every message that travels in an envelope, by its XML name."""

routing_map: dict[type[PayloadMessage], Route] = {
    cls: (cls.sender_role, cls.recipient_role) for cls in MESSAGE_TYPES.values()
}
"""Message type to (role of the sender, role of the recipient); None stands for any role."""

origin_map: dict[type[PayloadMessage], UsefRole | None] = {
    cls: route[0] for cls, route in routing_map.items()
}
"""Message type to the role of its sender."""

destination_map: dict[type[PayloadMessage], UsefRole | None] = {
    cls: route[1] for cls, route in routing_map.items()
}
"""Message type to the role of its recipient."""

request_response_map: dict[type[PayloadMessage], type[PayloadMessage]] = {
    cls: MESSAGE_TYPES[f"{name}Response"]
    for name, cls in MESSAGE_TYPES.items()
    if f"{name}Response" in MESSAGE_TYPES
}
"""Request type to response type."""

response_request_map = {response: request for request, response in request_response_map.items()}
"""Response type to request type."""


def is_response(message_type: type[PayloadMessage]) -> bool:
    """Tell whether a type is a response; a FlexSettlement is a request, whatever its base class in 3.x."""
    return message_type in response_request_map


def reference_field(response_type: type[PayloadMessage]) -> str | None:
    """Name the attribute of a response that holds the id of its request; None for TestMessageResponse."""
    request = response_request_map[response_type]
    name = f"{snake_name(request)}_message_id"
    return name if any(attribute.name == name for attribute in plan_of(response_type).attributes) else None


def snake_name(message_type: type[PayloadMessage]) -> str:
    """Name a message type as hooks and client methods do.

    >>> from shapeshifter_uftp.uftp import AgrPortfolioQuery, DPrognosisResponse
    >>> snake_name(AgrPortfolioQuery), snake_name(DPrognosisResponse)
    ('agr_portfolio_query', 'd_prognosis_response')
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", message_type.__name__).lower()

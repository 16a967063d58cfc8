"""The value of flexibility: activations, offers, the order book, the trader, sharing of profit.

Pure numbers: who owns what, and when, is for the services to know.
"""

from flexmeasures.domain.flexibility.activation import ActivationValue, Effect, effect_of, value_of
from flexmeasures.domain.flexibility.neighbours import Room, move_neighbour, room_beside, within_room
from flexmeasures.domain.flexibility.offers import (
    FlexibilityOffer,
    Regulation,
    SlotEnquiry,
    offers_for_slot,
    order_as_commitment,
    plan_along,
)
from flexmeasures.domain.flexibility.order_book import (
    Listing,
    MarketPrices,
    OrderBook,
    make_order_book,
    profile_after,
    trade_greedily,
)
from flexmeasures.domain.flexibility.sharing import Contract, Shares, share_profit

__all__ = [
    "ActivationValue",
    "Contract",
    "Effect",
    "FlexibilityOffer",
    "Listing",
    "MarketPrices",
    "OrderBook",
    "Regulation",
    "Room",
    "Shares",
    "SlotEnquiry",
    "effect_of",
    "make_order_book",
    "move_neighbour",
    "offers_for_slot",
    "order_as_commitment",
    "plan_along",
    "profile_after",
    "room_beside",
    "share_profit",
    "trade_greedily",
    "value_of",
    "within_room",
]

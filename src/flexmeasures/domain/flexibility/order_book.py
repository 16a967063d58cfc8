"""The broker's order book of flexibility offers, and the trader that orders from it by default."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.flexibility.offers import FlexibilityOffer, Regulation

__all__ = ["Listing", "MarketPrices", "OrderBook", "make_order_book", "profile_after", "trade_greedily"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MarketPrices:
    """Prices of regulation in each slot of a market, (m,) each [currency/MWh]; negative where it charges."""

    up: FloatArray
    down: FloatArray

    def of(self, offer: FlexibilityOffer) -> float:
        """Price that a unit of an offer earns [currency/MWh]."""
        return float((self.up if offer.regulation is Regulation.UP else self.down)[offer.slot])


@dataclass(frozen=True)
class Listing:
    """An offer in the book.

    Args:
        offer: What is offered.
        expected_value: What ordering all of it earns, its cost taken off [currency].
    """

    offer: FlexibilityOffer
    expected_value: float

    def as_data(self) -> dict[str, Any]:
        """Give it as plain numbers and words, ready for JSON."""
        return {
            "asset": self.offer.asset,
            "slot": self.offer.slot,
            "regulation": self.offer.regulation.value,
            "volume_mwh": self.offer.volume_mwh,
            "price": self.offer.price,
            "cost": self.offer.cost,
            "expected_value": self.expected_value,
            "planned_mw": self.offer.planned_mw.tolist(),
            "agreed_mw": self.offer.agreed_mw.tolist(),
            "rebound_mw": self.offer.rebound_mw.tolist(),
            "rebound_mwh": self.offer.rebound_mwh,
        }


@dataclass(frozen=True)
class OrderBook:
    """Offers of one slot, the most valuable first."""

    slot: int
    listings: tuple[Listing, ...]


def make_order_book(slot: int, offers: Iterable[FlexibilityOffer], prices: MarketPrices) -> OrderBook:
    """Sort the offers of a slot by what ordering them is worth; equals by asset name and direction."""
    listings = [
        Listing(offer, prices.of(offer) * offer.volume_mwh - offer.cost)
        for offer in offers
        if offer.slot == slot
    ]
    listings.sort(key=lambda one: (-one.expected_value, one.offer.asset, one.offer.regulation.value))
    return OrderBook(slot, tuple(listings))


def trade_greedily(
    slots: Sequence[int],
    offers_at: Callable[[int, tuple[FlexibilityOffer, ...]], Iterable[FlexibilityOffer]],
    prices: MarketPrices,
    least_value: float = 0.0,
    group_of: Callable[[str], Hashable | None] = lambda asset: None,
) -> tuple[Listing, ...]:
    """Order whatever has a positive expected value in the first slot, then in the second, and so on.

    Args:
        slots: Slots still open, in time order.
        offers_at: Gives the offers of a slot, knowing what was ordered before.
        prices: What the market pays.
        least_value: The expected value that an order must exceed [currency].
        group_of: Which assets share a limit, by name; None: an asset shares none. Of a group one offer is ordered, and
            the others are asked again, knowing of it.

    Returns:
        The ordered offers with their values, in the order in which they were placed; of each asset at most one a slot.
    """
    orders: tuple[Listing, ...] = ()
    for slot in slots:
        taken: set[str] = set()
        is_open = True
        while is_open:
            is_open, groups = False, set[Hashable]()
            offers = offers_at(slot, tuple(one.offer for one in orders))
            for listing in make_order_book(slot, offers, prices).listings:
                asset = listing.offer.asset
                if listing.expected_value <= least_value or asset in taken:
                    continue
                group = group_of(asset)
                if group is not None and group in groups:
                    is_open = True  # what was ordered of its group changes its offer
                    continue
                groups.add(group)
                taken.add(asset)
                orders += (listing,)
    return orders


def profile_after(profile_mw: FloatArray, orders: Iterable[FlexibilityOffer]) -> FloatArray:
    """Power profile of a portfolio in market slots (m,) [MW] once orders are carried out, rebounds included."""
    profile = np.asarray(profile_mw, dtype=float)
    return profile + sum((one.effect_by_market_slot(profile.size) for one in orders), np.zeros(profile.size))

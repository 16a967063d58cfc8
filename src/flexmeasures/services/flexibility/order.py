"""The trader: order flexibility by the greedy default, keep orders, take them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores import flexibility as store
from flexmeasures.data.tables import FlexibilityOrder
from flexmeasures.domain.errors import BadValues, Conflict, NotFound
from flexmeasures.domain.flexibility import (
    Contract,
    FlexibilityOffer,
    Listing,
    profile_after,
    trade_greedily,
)
from flexmeasures.domain.flexibility.positions import Position
from flexmeasures.domain.time import format_instant
from flexmeasures.services.flexibility.broker import Portfolio, Progress

__all__ = [
    "OrderStatus",
    "OrderTerms",
    "Trade",
    "list_orders",
    "place_orders",
    "revoke_order",
    "status_of",
    "suggest_orders",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

_MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class OrderTerms:
    """On which terms flexibility is ordered.

    Attributes:
        deviation_price: What deviating from an order is taken to cost when schedules are made [currency/MWh].
        contract: How the profit is shared between owner and aggregator.
        least_value: The expected value that an order must exceed [currency].
    """

    deviation_price: float
    contract: Contract = field(default_factory=Contract)
    least_value: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.deviation_price) and self.deviation_price >= 0):
            raise BadValues(
                f"The price of deviating is {self.deviation_price}: give a number from 0 [currency/MWh]."
            )
        if np.isnan(self.least_value):
            raise BadValues(f"The least value is {self.least_value}: give a number [currency].")


@dataclass(frozen=True)
class Trade:
    """Proposal of the trader, and its effect on the portfolio.

    Attributes:
        portfolio: The assets, planned with the orders.
        terms: On which terms.
        orders: What to order, in the order in which it was chosen.
        before_mw: Power of the portfolio in the market slots without the orders (m,) [MW].
    """

    portfolio: Portfolio
    terms: OrderTerms
    orders: tuple[Listing, ...]
    before_mw: Values

    @property
    def after_mw(self) -> Values:
        """Power of the portfolio with the orders, rebounds included (m,) [MW]."""
        return profile_after(self.before_mw, [one.offer for one in self.orders])

    @property
    def expected_value(self) -> float:
        """Return the expected value of all of it [currency]."""
        return sum(one.expected_value for one in self.orders)


class OrderStatus(Enum):
    """State of an order."""

    PLACED = "placed"
    """Its slot is to come."""
    RUNNING = "running"
    """Its slot has begun."""
    EXPIRED = "expired"
    """Its slot is over."""
    REVOKED = "revoked"
    """It was taken back."""


def suggest_orders(
    portfolio: Portfolio, terms: OrderTerms, progress: Progress = lambda done, total: None
) -> Trade:
    """Choose orders by the greedy default: all offers that pay in the first slot, then in the second, and so on.

    What is ordered in a slot changes what its asset offers in the next ones.

    Args:
        portfolio: The assets; they are planned on with what is ordered of them.
        terms: On which terms.
        progress: Is told how many offers have been asked for.
    """
    before = portfolio.profile_mw
    asked = portfolio.grid.asked
    total, done, kept = len(asked) * len(portfolio.positions), 0, 0

    def offers_at(slot: int, orders: tuple[FlexibilityOffer, ...]) -> list[FlexibilityOffer]:
        nonlocal done, kept
        for order in orders[kept:]:
            portfolio.keep(order, terms.deviation_price)
        kept = len(orders)
        offers = []
        for name in portfolio.positions:
            offers += portfolio.offers_of(name, slot)
            done += 1
            progress(min(done, total), total)
        return offers

    orders = trade_greedily(asked, offers_at, portfolio.prices, terms.least_value, portfolio.site_of)
    for order in orders[kept:]:
        portfolio.keep(order.offer, terms.deviation_price)
    return Trade(portfolio, terms, orders, before)


def place_orders(session: Session, trade: Trade, now: datetime) -> list[FlexibilityOrder]:
    """Store the orders of a trade, all or none; the next schedules of their assets keep them.

    Args:
        session: Within its transaction; the caller commits.
        trade: What to order.
        now: When it is ordered.

    Raises:
        NotFound: If an asset does not exist any more.
        Conflict: If an asset was ordered for the same time meanwhile.
    """
    if not trade.orders:
        return []
    grid, positions = trade.portfolio.grid, trade.portfolio.positions
    names = {positions[one.offer.asset].asset_id: one.offer.asset for one in trade.orders}
    gone = set(names) - set(store.lock_assets(session, list(names)))
    if gone:
        raise NotFound(f"There is no asset with id {', '.join(map(str, sorted(gone)))} any more.")
    slots = {(positions[one.offer.asset].asset_id, one.offer.slot) for one in trade.orders}
    first, last = grid.start_of(grid.asked.start), grid.start_of(grid.asked.stop)
    for other in store.find_valid_orders(session, list(names), first, last):
        if any((other.asset_id, slot) in slots for slot in grid.touched_by(other.start, other.end)):
            raise Conflict(
                f"{names[other.asset_id]} is ordered already from {format_instant(other.start)} to "
                f"{format_instant(other.end)} (order {other.id}): revoke that, or take other slots."
            )
    rows = [_as_row(trade, one, positions[one.offer.asset], now) for one in trade.orders]
    session.add_all(rows)
    session.flush()
    return rows


def _as_row(trade: Trade, listing: Listing, position: Position, now: datetime) -> FlexibilityOrder:
    offer, contract, grid = listing.offer, trade.terms.contract, trade.portfolio.grid
    effect = offer.effect
    return FlexibilityOrder(
        asset_id=position.asset_id,
        placed_at=now,
        regulation=offer.regulation.value,
        start=grid.start_of(offer.slot),
        resolution=position.resolution,
        agreed_mw=offer.agreed_mw.tolist(),
        planned_mw=offer.planned_mw.tolist(),
        effect_start=grid.origin,
        effect_mw=offer.effect_mw.tolist(),
        volume_mwh=offer.volume_mwh,
        currency=position.currency,
        cost=offer.cost,
        market_price=trade.portfolio.prices.of(offer),
        deviation_price=trade.terms.deviation_price,
        shifted_mwh=effect.shifted_mwh,
        shifted_mwh_h=effect.shifted_mwh_h,
        curtailed_mwh=effect.curtailed_mwh,
        added_mwh=effect.added_mwh,
        co2_kg=offer.co2_kg if position.has_co2 else None,
        owner_share=contract.owner_share,
        fee_per_activation=contract.fee_per_activation,
        fee_per_hour=contract.fee_per_hour,
        owner_bears_losses=contract.owner_bears_losses,
    )


def list_orders(
    session: Session,
    *,
    owner_id: int | None = None,
    asset_ids: Sequence[int] = (),
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[FlexibilityOrder]:
    """List orders with their assets, revoked ones included, in the order of time.

    Args:
        session: For reading.
        owner_id: Only of assets of this user; None: of all.
        asset_ids: Only of these assets; empty: of all.
        start: Only those that end after this instant.
        end: Only those that start before this instant.
    """
    return store.find_orders(session, owner_id=owner_id, asset_ids=asset_ids, start=start, end=end)


def status_of(order: FlexibilityOrder, now: datetime) -> OrderStatus:
    """Tell what has become of an order."""
    if order.revoked_at is not None:
        return OrderStatus.REVOKED
    if order.end <= now:
        return OrderStatus.EXPIRED
    return OrderStatus.RUNNING if order.start <= now else OrderStatus.PLACED


def revoke_order(
    session: Session, order_id: int, now: datetime, owner_id: int | None = None
) -> FlexibilityOrder:
    """Take back an order before its slot begins; the next schedule of its asset is free of it.

    Args:
        session: Within its transaction; the caller commits.
        order_id: The order.
        now: When it is taken back.
        owner_id: Only if its asset belongs to this user; others are as good as unknown.

    Raises:
        NotFound: If there is no such order.
        Conflict: If it has been revoked before, or its slot has begun.
    """
    order = None
    if 0 < order_id <= _MAX_ID:
        order = session.get(
            FlexibilityOrder, order_id, populate_existing=True, with_for_update={"of": FlexibilityOrder}
        )
    if order is None or owner_id not in (None, order.asset.owner_id):
        raise NotFound(f"There is no order with id {order_id}.")
    status = status_of(order, now)
    if status is OrderStatus.REVOKED:
        raise Conflict(f"Order {order_id} is revoked already.")
    if status is not OrderStatus.PLACED:
        raise Conflict(
            f"Order {order_id} began at {format_instant(order.start)}: only orders to come can be revoked."
        )
    order.revoked_at = now
    session.flush()
    return order

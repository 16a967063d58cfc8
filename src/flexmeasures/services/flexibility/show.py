"""Order books, trades, orders and settlements as plain numbers and words, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flexmeasures.data.tables import FlexibilityOrder
from flexmeasures.domain.flexibility import Listing, OrderBook
from flexmeasures.domain.time import format_duration, format_instant
from flexmeasures.services.flexibility.broker import Portfolio
from flexmeasures.services.flexibility.order import Trade, status_of
from flexmeasures.services.flexibility.settle import Settlement, sum_up

__all__ = ["books_as_data", "orders_as_data", "settlements_as_data", "trade_as_data"]


def books_as_data(portfolio: Portfolio, books: Sequence[OrderBook]) -> dict[str, Any]:
    """Write order books with the portfolio that they are of."""
    grid, prices = portfolio.grid, portfolio.prices
    return {
        "currency": portfolio.currency,
        "books": [
            {
                "start": format_instant(grid.start_of(book.slot)),
                "end": format_instant(grid.start_of(book.slot + 1)),
                "up_price": float(prices.up[book.slot]),
                "down_price": float(prices.down[book.slot]),
                "offers": [_listing(portfolio, one) for one in book.listings],
            }
            for book in books
        ],
        "profile": {**_grid(portfolio), "power_mw": portfolio.profile_mw.tolist()},
        "failures": {str(asset): text for asset, text in sorted(portfolio.failures.items())},
    }


def trade_as_data(trade: Trade, ids: Sequence[int]) -> dict[str, Any]:
    """Write what was chosen, with the ids of the orders if they were placed."""
    portfolio = trade.portfolio
    numbers: list[int | None] = list(ids) or [None] * len(trade.orders)
    return {
        "currency": portfolio.currency,
        "is_placed": bool(ids),
        "orders": [
            {
                "id": number,
                "start": format_instant(portfolio.grid.start_of(one.offer.slot)),
                "end": format_instant(portfolio.grid.start_of(one.offer.slot + 1)),
                "market_price": portfolio.prices.of(one.offer),
                **_listing(portfolio, one),
            }
            for number, one in zip(numbers, trade.orders, strict=True)
        ],
        "expected_value": trade.expected_value,
        "profile": {
            **_grid(portfolio),
            "before_mw": trade.before_mw.tolist(),
            "after_mw": trade.after_mw.tolist(),
        },
        "failures": {str(asset): text for asset, text in sorted(portfolio.failures.items())},
    }


def _grid(portfolio: Portfolio) -> dict[str, Any]:
    return {
        "start": format_instant(portfolio.grid.origin),
        "resolution": format_duration(portfolio.grid.slot),
    }


def _listing(portfolio: Portfolio, listing: Listing) -> dict[str, Any]:
    offer = listing.offer
    position = portfolio.positions[offer.asset]
    effect = offer.effect
    written = listing.as_data()
    del written["slot"]  # said by its time
    return {
        "asset_id": position.asset_id,
        **written,
        "resolution": format_duration(position.resolution),
        "shifted_mwh": effect.shifted_mwh,
        "shifted_mwh_h": effect.shifted_mwh_h,
        "curtailed_mwh": effect.curtailed_mwh,
        "added_mwh": effect.added_mwh,
        "co2_kg": offer.co2_kg if position.has_co2 else None,
    }


def orders_as_data(orders: Sequence[FlexibilityOrder], now: datetime) -> list[dict[str, Any]]:
    """Write orders as they were placed, and what has become of them."""
    return [_order(order, now) for order in orders]


def _order(order: FlexibilityOrder, now: datetime) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": status_of(order, now).value,
        "asset_id": order.asset_id,
        "asset": order.asset.name,
        "regulation": order.regulation,
        "start": format_instant(order.start),
        "end": format_instant(order.end),
        "placed_at": format_instant(order.placed_at),
        "revoked_at": None if order.revoked_at is None else format_instant(order.revoked_at),
        "volume_mwh": order.volume_mwh,
        "currency": order.currency,
        "cost": order.cost,
        "market_price": order.market_price,
        "deviation_price": order.deviation_price,
        "resolution": format_duration(order.resolution),
        "agreed_mw": order.agreed_mw,
        "planned_mw": order.planned_mw,
        "effect_start": format_instant(order.effect_start),
        "effect_mw": order.effect_mw,
        "shifted_mwh": order.shifted_mwh,
        "shifted_mwh_h": order.shifted_mwh_h,
        "curtailed_mwh": order.curtailed_mwh,
        "added_mwh": order.added_mwh,
        "co2_kg": order.co2_kg,
        "contract": {
            "owner_share": order.owner_share,
            "fee_per_activation": order.fee_per_activation,
            "fee_per_hour": order.fee_per_hour,
            "owner_bears_losses": order.owner_bears_losses,
        },
    }


def settlements_as_data(settlements: Sequence[Settlement], now: datetime) -> dict[str, Any]:
    """Write settlements with their sums by currency."""
    return {
        "orders": [
            {
                **_order(one.order, now),
                "basis": one.basis,
                "delivered_mwh": one.delivered_mwh,
                "missing_mwh": one.missing_mwh,
                "revenue": one.revenue,
                "settled_cost": one.cost,
                "profit": one.profit,
                "owner": one.shares.owner,
                "aggregator": one.shares.aggregator,
                "payment_to_owner": one.payment_to_owner,
            }
            for one in settlements
        ],
        "sums": sum_up(settlements),
    }

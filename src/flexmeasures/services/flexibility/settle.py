"""Settlement of activations: what was delivered, what it earned, and who receives how much of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.stores.sensors import find_power_sensors
from flexmeasures.data.tables import FlexibilityOrder
from flexmeasures.domain.beliefs import Series
from flexmeasures.domain.flexibility import Contract, Regulation, Shares, share_profit
from flexmeasures.domain.time import event_grid
from flexmeasures.services.power import read_power

__all__ = ["Settlement", "settle_orders", "sum_up"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Settlement:
    """Settlement of an ordered activation; money in the currency of the order.

    Attributes:
        order: What was agreed.
        basis: From what the delivery is known: ``measured``, ``scheduled`` or, with neither, ``expected``.
        delivered_mwh: Energy of the change in its direction [MWh]; negative if the asset went the other way.
        revenue: What the market pays for the delivered volume, up to the ordered one.
        cost: What that costs the asset, in proportion to the cost that was expected.
        shares: Who receives what of the profit.
    """

    order: FlexibilityOrder
    basis: str
    delivered_mwh: float
    revenue: float
    cost: float
    shares: Shares

    @property
    def missing_mwh(self) -> float:
        """Return what was ordered and not delivered, ≥ 0 [MWh]."""
        return max(0.0, self.order.volume_mwh - max(0.0, self.delivered_mwh))

    @property
    def profit(self) -> float:
        """Revenue less cost."""
        return self.revenue - self.cost

    @property
    def payment_to_owner(self) -> float:
        """Return the payment to the owner: the extra cost and the owner's share; negative: the owner pays."""
        return self.cost + self.shares.owner


def settle_orders(session: Session, orders: Sequence[FlexibilityOrder]) -> list[Settlement]:
    """Settle orders by what was measured, or is scheduled where nothing was measured.

    Args:
        session: For reading; the number of queries does not depend on how many orders there are.
        orders: Revoked ones are left out.
    """
    valid = [order for order in orders if order.revoked_at is None]
    if not valid:
        return []
    ids = sorted({order.asset_id for order in valid})
    start, end = min(order.start for order in valid), max(order.end for order in valid)
    sensors = find_power_sensors(session, ids)
    windows = {
        "measured": PortfolioWindow(start, end, scheduled=False, max_horizon=timedelta(0)),
        "scheduled": PortfolioWindow(start, end, scheduled=True),
    }
    power = {name: read_power(session, list(sensors.values()), window) for name, window in windows.items()}
    return [
        _settle(order, {name: found[sensors[order.asset_id].id] for name, found in power.items()})
        for order in valid
    ]


def _settle(order: FlexibilityOrder, delivered_by: Mapping[str, Series]) -> Settlement:
    basis, power = "expected", np.asarray(order.agreed_mw)
    for name, series in delivered_by.items():
        known = _power_of(order, series)
        if known is not None:
            basis, power = name, known
            break
    hours = order.resolution / timedelta(hours=1)
    change = float(np.sum(power - np.asarray(order.planned_mw))) * hours
    delivered = change * Regulation(order.regulation).sign
    paid = min(max(delivered, 0.0), order.volume_mwh)
    revenue, cost = paid * order.market_price, paid / order.volume_mwh * order.cost
    contract = Contract(
        order.owner_share, order.fee_per_activation, order.fee_per_hour, order.owner_bears_losses
    )
    activations = 1 if paid > 0 else 0
    shares = share_profit(
        contract,
        revenue - cost,
        activations=activations,
        hours=activations * ((order.end - order.start) / timedelta(hours=1)),
    )
    return Settlement(order, basis, delivered, revenue, cost, shares)


def _power_of(order: FlexibilityOrder, series: Series) -> Values | None:
    """Power in the slots of an order (w,) [MW]; None if it is not known in all of them."""
    edges = event_grid(order.start, order.resolution, len(order.agreed_mw) + 1)
    power, covered = series.mean_per_bin(edges)
    return power if np.all(covered >= 1) else None


def sum_up(settlements: Sequence[Settlement]) -> dict[str, dict[str, float]]:
    """Add up settlements by currency: volumes [MWh], money, emissions [kg], energy shifted and curtailed.

    Emissions and what is shifted, curtailed and added are as they were expected of the orders; emissions are there only
    where they are known of any.
    """
    totals: dict[str, dict[str, float]] = {}
    for one in settlements:
        order = one.order
        sums = totals.setdefault(order.currency, {"activations": 0.0})
        sums["activations"] += one.delivered_mwh > 0
        for name, amount in (
            ("ordered_mwh", order.volume_mwh),
            ("delivered_mwh", one.delivered_mwh),
            ("missing_mwh", one.missing_mwh),
            ("revenue", one.revenue),
            ("cost", one.cost),
            ("profit", one.profit),
            ("owner", one.shares.owner),
            ("aggregator", one.shares.aggregator),
            ("payment_to_owner", one.payment_to_owner),
            ("shifted_mwh", order.shifted_mwh),
            ("shifted_mwh_h", order.shifted_mwh_h),
            ("curtailed_mwh", order.curtailed_mwh),
            ("added_mwh", order.added_mwh),
        ):
            sums[name] = sums.get(name, 0.0) + amount
        if order.co2_kg is not None:
            sums["co2_kg"] = sums.get("co2_kg", 0.0) + order.co2_kg
    return totals

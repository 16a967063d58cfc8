"""Orders of flexibility: those of many assets at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from flexmeasures.data.tables import Asset, FlexibilityOrder
from flexmeasures.domain.scheduling.rolling import AgreedPower

__all__ = ["agreed_powers", "find_orders", "find_valid_orders", "lock_assets"]

_END = FlexibilityOrder.start + func.cardinality(FlexibilityOrder.agreed_mw) * FlexibilityOrder.resolution


def agreed_powers(
    session: Session, asset_ids: Sequence[int], start: datetime, end: datetime
) -> dict[int, tuple[AgreedPower, ...]]:
    """Read what assets have agreed to by orders that hold in a period, for the next schedules to keep.

    Returns:
        By asset, in the order of time; only of assets with any.
    """
    agreed: dict[int, tuple[AgreedPower, ...]] = {}
    for order in find_valid_orders(session, asset_ids, start, end):
        agreed[order.asset_id] = (*agreed.get(order.asset_id, ()), *_as_agreed(order))
    return agreed


def _as_agreed(order: FlexibilityOrder) -> list[AgreedPower]:
    """State an order as one agreement for each run of slots with the same power."""
    power = np.asarray(order.agreed_mw)
    edges = [0, *(np.flatnonzero(np.diff(power)) + 1).tolist(), power.size]
    return [
        AgreedPower(
            f"order {order.id}",
            order.start + first * order.resolution,
            order.start + last * order.resolution,
            float(power[first]),
            order.deviation_price,
        )
        for first, last in itertools.pairwise(edges)
    ]


def find_valid_orders(
    session: Session, asset_ids: Sequence[int], start: datetime, end: datetime
) -> list[FlexibilityOrder]:
    """Find the orders of assets that hold and touch a period, in the order of time."""
    query = (
        select(FlexibilityOrder)
        .where(
            FlexibilityOrder.asset_id.in_(asset_ids),
            FlexibilityOrder.revoked_at.is_(None),
            FlexibilityOrder.start < end,
            start < _END,
        )
        .order_by(FlexibilityOrder.start, FlexibilityOrder.id)
    )
    return list(session.scalars(query))


def find_orders(
    session: Session,
    *,
    owner_id: int | None = None,
    asset_ids: Sequence[int] = (),
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[FlexibilityOrder]:
    """Find orders with their assets, revoked ones included, in the order of time.

    Args:
        session: For reading.
        owner_id: Only of assets of this user; None: of all.
        asset_ids: Only of these assets; empty: of all.
        start: Only those that end after this instant.
        end: Only those that start before this instant.
    """
    query = (
        select(FlexibilityOrder)
        .join(FlexibilityOrder.asset)
        .options(joinedload(FlexibilityOrder.asset))
        .order_by(FlexibilityOrder.start, FlexibilityOrder.id)
    )
    if owner_id is not None:
        query = query.where(Asset.owner_id == owner_id)
    if asset_ids:
        query = query.where(FlexibilityOrder.asset_id.in_(asset_ids))
    if start is not None:
        query = query.where(start < _END)
    if end is not None:
        query = query.where(FlexibilityOrder.start < end)
    return list(session.scalars(query))


def lock_assets(session: Session, asset_ids: Sequence[int]) -> list[int]:
    """Keep others from ordering from assets until the transaction ends; gives the ids of those that exist."""
    query = select(Asset.id).where(Asset.id.in_(asset_ids)).order_by(Asset.id)
    return list(session.scalars(query.with_for_update(of=Asset, key_share=True)))

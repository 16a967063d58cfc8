"""Positions of assets in a portfolio: planned along their schedules, with what is ordered of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.errors import Conflict, NotEnoughData, ResolutionMismatch, UnknownPrices
from flexmeasures.domain.flexibility.market_slots import MarketSlots
from flexmeasures.domain.flexibility.neighbours import Room, within_room
from flexmeasures.domain.flexibility.offers import plan_along
from flexmeasures.domain.scheduling import PlanOptions, Site, SitePlan
from flexmeasures.domain.scheduling.planning.inputs import PlanInput
from flexmeasures.domain.scheduling.rolling import AgreedPower, EarlierPlan, power_on_grid
from flexmeasures.domain.time import format_duration, format_instant

__all__ = ["AskedAsset", "Position", "take_position", "total_power"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class AskedAsset:
    """An asset that is asked for flexibility.

    Attributes:
        name: How messages call it.
        resolution: Length of the events of its power sensor.
        schedule: What it is scheduled to do; None: nothing.
        agreed: What was ordered of it.
        room: What its neighbours behind one connection leave to it; None: it has none.
        site_id: The site whose connection it shares with others.
    """

    asset_id: int
    name: str
    resolution: timedelta
    schedule: EarlierPlan | None
    agreed: Sequence[AgreedPower] = ()
    room: Room | None = None
    site_id: int | None = None


@dataclass
class Position:
    """An asset in a portfolio, as it is planned now.

    Attributes:
        asset_id: The asset.
        site: The asset with its wishes, and with what was ordered of it.
        planned: What it will do.
        options: How it is planned.
        resolution: Length of its slots.
        currency: Of its prices.
        has_co2: Whether its emissions are known.
        firm: Names of the commitments that orders have made.
        ordered: Market slots in which it is ordered.
        site_id: The site whose connection it shares with others; None: it is on its own.
    """

    asset_id: int
    site: Site
    planned: SitePlan
    options: PlanOptions
    resolution: timedelta
    currency: str
    has_co2: bool
    firm: frozenset[str]
    ordered: set[int]
    site_id: int | None = None


def take_position(grid: MarketSlots, asset: AskedAsset, known: PlanInput) -> Position:
    """Plan an asset along its current schedule.

    Raises:
        ResolutionMismatch: If no whole number of its events makes a market slot.
        UnknownPrices: If it can be planned for a part only of what is asked for.
        NotEnoughData: If it has no schedule for the slots that are asked for, or nothing left to run.
        Conflict: If it is ordered in all of them.
    """
    resolution = asset.resolution
    if grid.slot % resolution:
        raise ResolutionMismatch(
            f"Events of {asset.name} last {format_duration(resolution)}, of which no whole number makes a market slot "
            f"of {format_duration(grid.slot)}: take other slots."
        )
    slots, asked = known.situation.slots, grid.asked
    width = grid.slot // resolution
    if asked.stop * width > slots:
        raise UnknownPrices(
            f"{asset.name} can be planned until {format_instant(grid.origin + slots * resolution)} only; take earlier "
            f"slots. {' '.join(known.notes)}"
        )
    before = asset.schedule
    power = None if before is None else power_on_grid(before, grid.origin, resolution, slots)
    if power is None or np.isnan(power[asked.start * width : asked.stop * width]).any():
        raise NotEnoughData(
            f"{asset.name} has no schedule for all slots that are asked for. Make one: flexmeasures add schedules "
            f"--asset {asset.asset_id}"
        )
    ordered = {slot for one in asset.agreed for slot in grid.touched_by(one.start, one.end)}
    if ordered.issuperset(asked):
        names = sorted({one.name for one in asset.agreed})
        raise Conflict(
            f"{asset.name} is ordered already in that time ({', '.join(names)}): revoke that, or take other slots."
        )
    site = known.site.site
    if not site.devices:
        raise NotEnoughData(f"{asset.name} has nothing left to run in that time: take later slots.")
    options = replace(known.options, explain=False)
    firm = frozenset(one.name for one in known.agreements)
    if asset.room is not None:
        site, needed = within_room(site, asset.room, np.nan_to_num(power))
        firm |= frozenset() if needed is None else {needed}
    hours = resolution / timedelta(hours=1)
    planned = plan_along(site, power, resolution_hours=hours, options=options, firm=firm)
    has_co2 = known.situation.tariff.co2_kg_per_mwh is not None
    site_id = None if asset.room is None else asset.site_id
    return Position(
        asset.asset_id, site, planned, options, resolution, known.currency, has_co2, firm, ordered, site_id
    )


def total_power(positions: Sequence[Position], grid: MarketSlots) -> Values:
    """Add up the power of assets in market slots (m,) [MW]; one whose plan has ended counts as 0."""
    total = np.zeros(grid.slots)
    for position in positions:
        width = grid.slot // position.resolution
        power = np.zeros(grid.slots * width)
        power[: position.planned.net_mw.size] = position.planned.net_mw
        total += power.reshape(-1, width).mean(axis=1)
    return total

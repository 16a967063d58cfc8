"""The broker: what the assets of a portfolio could do otherwise in the slots of a market, as order books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.flexibility import agreed_powers
from flexmeasures.data.stores.plans import latest_device_plans, load_flexible_assets
from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.tables import Asset, Market
from flexmeasures.domain.beliefs import mean_per_bin
from flexmeasures.domain.errors import (
    BadValues,
    FlexError,
    IncompatibleUnits,
    NotFound,
    UnknownPrices,
)
from flexmeasures.domain.flexibility import (
    FlexibilityOffer,
    MarketPrices,
    OrderBook,
    Regulation,
    SlotEnquiry,
    make_order_book,
    move_neighbour,
    offers_for_slot,
    order_as_commitment,
)
from flexmeasures.domain.flexibility.market_slots import AskedTime, MarketSlots, make_market_slots
from flexmeasures.domain.flexibility.positions import AskedAsset, Position, take_position, total_power
from flexmeasures.domain.time import Instants, event_grid, format_instant
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.flexibility.neighbours import read_neighbours
from flexmeasures.services.public_beliefs import TrustedRoles, read_public_beliefs
from flexmeasures.services.schedules.gather import (
    Planning,
    PlanWish,
    earlier_plan,
    read_plan_inputs,
)
from flexmeasures.services.schedules.reschedule import flexible_asset_ids

__all__ = ["Enquiry", "MarketTerms", "Portfolio", "Progress", "make_order_books", "open_portfolio"]

Values = np.ndarray[Any, np.dtype[np.float64]]

Progress = Callable[[int, int], None]
"""Is told how many of how many steps of a long work are done."""

_STEADINESS = 0.01
"""Least gain of a change of plans [currency/MWh]: without it, equally good plans would look like rebound."""


@dataclass(frozen=True)
class MarketTerms:
    """Prices of a market for activations; negative where it charges.

    Attributes:
        up_price: For up-regulation [currency/MWh] ...
        down_price: ... and for down-regulation.
        up_market_id: The market whose prices count instead for up-regulation ...
        down_market_id: ... and for down-regulation.
    """

    up_price: float = 0.0
    down_price: float = 0.0
    up_market_id: int | None = None
    down_market_id: int | None = None

    def __post_init__(self) -> None:
        for price in (self.up_price, self.down_price):
            if not np.isfinite(price):
                raise BadValues(f"A price of a market is {price}: give a finite number [currency/MWh].")


@dataclass(frozen=True)
class Enquiry:
    """Enquiry for flexibility.

    Attributes:
        start: Start of the first market slot ...
        end: ... and end of the last one; None: one slot is asked for.
        horizon: How far ahead plans are made; rebounds may lie anywhere in that time.
        terms: What the market pays.
        asset_ids: Which assets are asked; empty: all flexible ones.
        owner_id: Only assets of this user; the others are as good as unknown.
        volume_mwh: The most that is wanted of an asset in a slot [MWh]; None: as much as there is.
        regulation: Only offers of this direction; None: both.
        slot: Length of a market slot; None: the longest event of the assets.
    """

    start: datetime
    end: datetime | None
    horizon: timedelta
    terms: MarketTerms = field(default_factory=MarketTerms)
    asset_ids: tuple[int, ...] = ()
    owner_id: int | None = None
    volume_mwh: float | None = None
    regulation: Regulation | None = None
    slot: timedelta | None = None


@dataclass
class Portfolio:
    """Assets that can be asked for flexibility, with the market that asks.

    Attributes:
        grid: The market slots.
        enquiry: What is asked for.
        prices: What the market pays.
        currency: Of all prices.
        positions: The assets by name.
        failures: Why an asset cannot be asked, by its id.
    """

    grid: MarketSlots
    enquiry: Enquiry
    prices: MarketPrices
    currency: str
    positions: dict[str, Position]
    failures: dict[int, str]

    @property
    def profile_mw(self) -> Values:
        """Power of all assets in the market slots (m,) [MW]; an asset whose plan has ended counts as 0."""
        return total_power(list(self.positions.values()), self.grid)

    def offers_of(self, name: str, slot: int) -> list[FlexibilityOffer]:
        """List the offers of an asset in a market slot; none if it is ordered then."""
        position = self.positions[name]
        if slot in position.ordered:
            return []
        enquiry = SlotEnquiry(slot, self.grid.slot // position.resolution, self.enquiry.volume_mwh)
        offers = offers_for_slot(
            position.site,
            position.planned,
            enquiry,
            resolution_hours=position.resolution / timedelta(hours=1),
            options=position.options,
            firm=position.firm,
        )
        return [one for one in offers if self.enquiry.regulation in (None, one.regulation)]

    def keep(self, offer: FlexibilityOffer, deviation_price: float) -> None:
        """Plan on with an ordered offer."""
        position = self.positions[offer.asset]
        order = order_as_commitment(offer, deviation_price)
        position.site = replace(position.site, commitments=(*position.site.commitments, order))
        position.planned = offer.changed
        position.firm |= {order.name}
        position.ordered.add(offer.slot)
        for one in self.positions.values():
            if one is not position and position.site_id is not None and one.site_id == position.site_id:
                slots, lengths = one.planned.net_mw.size, (one.resolution, position.resolution)
                one.site = move_neighbour(one.site, slots, offer.effect_mw, lengths)

    def site_of(self, name: str) -> int | None:
        """Tell which site an asset shares with others."""
        return self.positions[name].site_id


def open_portfolio(
    session: Session,
    enquiry: Enquiry,
    planning: Planning,
    now: datetime,
    progress: Progress = lambda done, total: None,
) -> Portfolio:
    """Read the assets that are asked, and plan each of them along its current schedule.

    The number of queries does not depend on how many assets there are.

    Args:
        session: For reading.
        enquiry: What is asked for.
        planning: How to plan, and with which solver.
        now: From when on assets can do otherwise.
        progress: Is told how many assets are ready.

    Raises:
        NotFound: If there is no such asset or market, or no flexible one at all.
        InvalidTime: If the window is empty, lies in the past or beyond the planning horizon, or off the market slots.
        InvalidDuration: If a market slot has no length.
        BadValues: If no volume is wanted.
        UnknownPrices: If the market has no prices for the window.
        IncompatibleUnits: If the market pays in two currencies.
    """
    SlotEnquiry(0, volume_mwh=enquiry.volume_mwh)  # refuses what is not a volume
    assets = _find_assets(session, enquiry)
    time = AskedTime(enquiry.start, enquiry.end, enquiry.slot, enquiry.horizon)
    grid = make_market_slots(time, now, [asset.sensor.event_resolution for asset in assets])
    prices, currency = _market_prices(session, enquiry, grid, planning.trusted_roles)
    ids = [asset.id for asset in assets]
    agreed = agreed_powers(session, ids, grid.origin, grid.start_of(grid.slots))
    horizon = grid.slots * grid.slot
    wishes = [PlanWish(asset, grid.origin, horizon, agreed=agreed.get(asset.id, ())) for asset in assets]
    steady = replace(planning, replanning_price=max(planning.replanning_price, _STEADINESS))
    known = read_plan_inputs(session, wishes, steady)
    planned = latest_device_plans(session, [asset.sensor.id for asset in assets])
    neighbours = read_neighbours(session, assets)
    portfolio = Portfolio(grid, enquiry, prices, currency, {}, {})
    for number, (asset, one) in enumerate(zip(assets, known, strict=True), start=1):
        try:
            if isinstance(one, FlexError):
                raise one
            before, beside = planned.get(asset.sensor.id), neighbours.get(asset.id)
            resolution, slots = asset.sensor.event_resolution, one.situation.slots
            asked = AskedAsset(
                asset.id,
                asset.name,
                resolution,
                None if before is None else earlier_plan(before),
                agreed.get(asset.id, ()),
                room=None if beside is None else beside.room(grid.origin, resolution, slots),
                site_id=None if beside is None else beside.site_id,
            )
            position = take_position(grid, asked, one)
            portfolio.currency = portfolio.currency or position.currency
            _check_currency(portfolio.currency, position, asset)
            portfolio.positions[asset.name] = position
        except FlexError as error:
            portfolio.failures[asset.id] = str(error)
        progress(number, len(assets))
    return portfolio


def make_order_books(portfolio: Portfolio, progress: Progress = lambda done, total: None) -> list[OrderBook]:
    """Ask all assets of a portfolio for their offers in each slot that is asked for.

    Returns:
        One book a slot, in the order of time; each as if nothing were ordered in the others.
    """
    asked = portfolio.grid.asked
    total = len(asked) * len(portfolio.positions)
    books = []
    for number, slot in enumerate(asked):
        offers = []
        for done, name in enumerate(portfolio.positions, start=1 + number * len(portfolio.positions)):
            offers += portfolio.offers_of(name, slot)
            progress(done, total)
        books.append(make_order_book(slot, offers, portfolio.prices))
    return books


def _find_assets(session: Session, enquiry: Enquiry) -> list[Asset]:
    ids: Sequence[int] = enquiry.asset_ids or flexible_asset_ids(session, enquiry.owner_id)
    assets = [
        asset for asset in load_flexible_assets(session, ids) if enquiry.owner_id in (None, asset.owner_id)
    ]
    unknown = sorted(set(ids) - {asset.id for asset in assets})
    if unknown:
        raise NotFound(f"There is no asset with id {', '.join(map(str, unknown))}.")
    if not assets:
        raise NotFound("There is no flexible asset: add one, or give one a flex model.")
    return assets


def _market_prices(
    session: Session, enquiry: Enquiry, grid: MarketSlots, trusted: TrustedRoles
) -> tuple[MarketPrices, str]:
    """Return the prices of the market in each slot, and their currency ("": in that of the assets).

    As in schedules, only prices of those count whom the market trusts, or of the owner whose assets are asked.
    """
    terms = enquiry.terms
    ids = {one for one in (terms.up_market_id, terms.down_market_id) if one is not None}
    markets = {number: session.get(Market, number) for number in ids}
    units = set()
    for number, market in markets.items():
        if market is None:
            raise NotFound(f"There is no market with id {number}.")
        units.add(market.sensor.unit)
    currencies = sorted({unit.partition("/")[0] for unit in units})
    if len(currencies) > 1:
        raise IncompatibleUnits(f"The markets pay in {' and '.join(currencies)}: take two with one currency.")
    window = PortfolioWindow(grid.origin, grid.start_of(grid.slots), scheduled=False)
    sensors = [market.sensor for market in markets.values() if market is not None]
    known = read_public_beliefs(session, sensors, window, trusted)
    series = []
    for market_id, price in (
        (terms.up_market_id, terms.up_price),
        (terms.down_market_id, terms.down_price),
    ):
        market = None if market_id is None else markets[market_id]
        if market is None:
            series.append(np.full(grid.slots, price))
        else:
            sources = known.sources_for(market.id, enquiry.owner_id)
            series.append(_prices_on_grid(market, grid, *known.latest(market.id, sources)))
    return MarketPrices(*series), currencies[0] if currencies else ""


def _prices_on_grid(market: Market, grid: MarketSlots, starts: Instants, known: Values) -> Values:
    edges = event_grid(grid.origin, grid.slot, grid.slots + 1)
    prices, covered = mean_per_bin(starts, known, market.sensor.event_resolution, edges)
    missing = [slot for slot in grid.asked if covered[slot] < 1]
    if missing:
        raise UnknownPrices(
            f"Market {market.name!r} has no price for {len(missing)} of {len(grid.asked)} slots, the first from "
            f"{format_instant(grid.start_of(missing[0]))} on: post them first, or take other slots."
        )
    currency = market.sensor.unit.partition("/")[0]
    return prices * conversion_factor(market.sensor.unit, f"{currency}/MWh")


def _check_currency(currency: str, position: Position, asset: Asset) -> None:
    if position.currency != currency:
        raise IncompatibleUnits(
            f"{asset.name} pays in {position.currency}, and the book is in {currency}: ask such assets apart."
        )

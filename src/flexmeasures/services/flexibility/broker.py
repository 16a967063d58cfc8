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
from flexmeasures.data.tables import Asset, Market, PlanDevice
from flexmeasures.domain.beliefs import mean_per_bin
from flexmeasures.domain.errors import (
    BadValues,
    Conflict,
    FlexError,
    IncompatibleUnits,
    InvalidDuration,
    InvalidTime,
    NotEnoughData,
    NotFound,
    ResolutionMismatch,
    UnknownPrices,
)
from flexmeasures.domain.flexibility import (
    FlexibilityOffer,
    MarketPrices,
    OrderBook,
    Regulation,
    Room,
    SlotEnquiry,
    make_order_book,
    move_neighbour,
    offers_for_slot,
    order_as_commitment,
    plan_along,
    within_room,
)
from flexmeasures.domain.scheduling import PlanOptions, Site, SitePlan
from flexmeasures.domain.scheduling.planning.inputs import PlanInput
from flexmeasures.domain.scheduling.rolling import AgreedPower, power_on_grid
from flexmeasures.domain.time import Instants, event_grid, format_duration, format_instant, next_event_start
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


@dataclass(frozen=True)
class Grid:
    """The market slots of a planning window.

    Attributes:
        origin: Start of the first one.
        slot: Their length.
        slots: How many there are: m.
        asked: Which of them are asked for.
    """

    origin: datetime
    slot: timedelta
    slots: int
    asked: range

    def start_of(self, slot: int) -> datetime:
        """Start of a slot; of slot m, the end of the window."""
        return self.origin + slot * self.slot

    def touched_by(self, start: datetime, end: datetime) -> range:
        """Slots that a period touches; some may lie outside the window."""
        return range((start - self.origin) // self.slot, -((self.origin - end) // self.slot))


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

    grid: Grid
    enquiry: Enquiry
    prices: MarketPrices
    currency: str
    positions: dict[str, Position]
    failures: dict[int, str]

    @property
    def profile_mw(self) -> Values:
        """Power of all assets in the market slots (m,) [MW]; an asset whose plan has ended counts as 0."""
        total = np.zeros(self.grid.slots)
        for position in self.positions.values():
            width = self.grid.slot // position.resolution
            power = np.zeros(self.grid.slots * width)
            power[: position.planned.net_mw.size] = position.planned.net_mw
            total += power.reshape(-1, width).mean(axis=1)
        return total

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
    grid = _make_grid(enquiry, now, [asset.sensor.event_resolution for asset in assets])
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
            beside = neighbours.get(asset.id)
            room = None
            if beside is not None and not isinstance(one, FlexError):
                room = beside.room(grid.origin, asset.sensor.event_resolution, one.situation.slots)
            position = _take_position(
                grid, asset, one, planned.get(asset.sensor.id), agreed.get(asset.id, ()), room
            )
            position.site_id = None if room is None or beside is None else beside.site_id
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


def _make_grid(enquiry: Enquiry, now: datetime, resolutions: Sequence[timedelta]) -> Grid:
    slot = enquiry.slot or max(resolutions)
    if slot <= timedelta(0):
        raise InvalidDuration(f"A market slot is {format_duration(slot)} long: give it a length above 0.")
    start, end = enquiry.start, enquiry.end or enquiry.start + slot
    if end <= start:
        raise InvalidTime(
            f"The window from {format_instant(start)} to {format_instant(end)} is empty: let it end after its start."
        )
    if start < now:
        raise InvalidTime(
            f"The window starts at {format_instant(start)}, which is past: take slots from {format_instant(now)} on."
        )
    for name, instant in (("starts", start), ("ends", end)):
        following = next_event_start(instant, slot)
        if following != instant:
            raise InvalidTime(
                f"The window {name} at {format_instant(instant)}, which is off the slots of {format_duration(slot)}: "
                f"take {format_instant(following - slot)} or {format_instant(following)}."
            )
    origin = next_event_start(now, slot)
    slots = enquiry.horizon // slot
    if end > origin + slots * slot:
        raise InvalidTime(
            f"The window ends at {format_instant(end)}, but plans reach until {format_instant(origin + slots * slot)}: "
            "take earlier slots, or plan further ahead (FLEXMEASURES_PLANNING_HORIZON)."
        )
    return Grid(origin, slot, slots, range((start - origin) // slot, (end - origin) // slot))


def _market_prices(
    session: Session, enquiry: Enquiry, grid: Grid, trusted: TrustedRoles
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
            series.append(_prices_on_grid(market, known.latest(market.id, sources), grid))
    return MarketPrices(*series), currencies[0] if currencies else ""


def _prices_on_grid(market: Market, known: tuple[Instants, Values], grid: Grid) -> Values:
    edges = event_grid(grid.origin, grid.slot, grid.slots + 1)
    prices, covered = mean_per_bin(*known, market.sensor.event_resolution, edges)
    missing = [slot for slot in grid.asked if covered[slot] < 1]
    if missing:
        raise UnknownPrices(
            f"Market {market.name!r} has no price for {len(missing)} of {len(grid.asked)} slots, the first from "
            f"{format_instant(grid.start_of(missing[0]))} on: post them first, or take other slots."
        )
    currency = market.sensor.unit.partition("/")[0]
    return prices * conversion_factor(market.sensor.unit, f"{currency}/MWh")


def _take_position(
    grid: Grid,
    asset: Asset,
    known: PlanInput | FlexError,
    planned_before: PlanDevice | None,
    agreed: Sequence[AgreedPower],
    room: Room | None = None,
) -> Position:
    """Plan an asset along its current schedule.

    Raises:
        FlexError: If it cannot be planned, has no schedule for the slots that are asked for, or is ordered in all.
    """
    if isinstance(known, FlexError):
        raise known
    resolution = asset.sensor.event_resolution
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
    power = _scheduled(planned_before, grid.origin, resolution, slots)
    if power is None or np.isnan(power[asked.start * width : asked.stop * width]).any():
        raise NotEnoughData(
            f"{asset.name} has no schedule for all slots that are asked for. Make one: flexmeasures add schedules "
            f"--asset {asset.id}"
        )
    ordered = {slot for one in agreed for slot in grid.touched_by(one.start, one.end)}
    if ordered.issuperset(asked):
        names = sorted({one.name for one in agreed})
        raise Conflict(
            f"{asset.name} is ordered already in that time ({', '.join(names)}): revoke that, or take other slots."
        )
    site = known.site.site
    if not site.devices:
        raise NotEnoughData(f"{asset.name} has nothing left to run in that time: take later slots.")
    options = replace(known.options, explain=False)
    firm = frozenset(one.name for one in known.agreements)
    if room is not None:
        site, needed = within_room(site, room, np.nan_to_num(power))
        firm |= frozenset() if needed is None else {needed}
    hours = resolution / timedelta(hours=1)
    planned = plan_along(site, power, resolution_hours=hours, options=options, firm=firm)
    has_co2 = known.situation.tariff.co2_kg_per_mwh is not None
    return Position(asset.id, site, planned, options, resolution, known.currency, has_co2, firm, ordered)


def _scheduled(
    known: PlanDevice | None, origin: datetime, resolution: timedelta, slots: int
) -> Values | None:
    if known is None:
        return None
    return power_on_grid(earlier_plan(known), origin, resolution, slots)


def _check_currency(currency: str, position: Position, asset: Asset) -> None:
    if position.currency != currency:
        raise IncompatibleUnits(
            f"{asset.name} pays in {position.currency}, and the book is in {currency}: ask such assets apart."
        )

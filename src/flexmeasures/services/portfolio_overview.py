"""What a portfolio did and will do in a window: energy and money by asset type, by market and by asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow, read_series
from flexmeasures.data.tables import Asset, Market
from flexmeasures.domain.beliefs import bin_edges
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.time import Instants
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.power import read_power

__all__ = [
    "AssetSummary",
    "MarketStatus",
    "PortfolioOverview",
    "PortfolioQuestion",
    "TypeSummary",
    "read_portfolio",
]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class PortfolioQuestion:
    """What is asked.

    Attributes:
        start: From this instant ...
        end: ... up to this one (exclusive).
        resolution: Width of the steps.
        zone: IANA name of the time zone whose days count, where steps are whole days.
        now: Steps from here on are filled with schedules and forecasts, where nothing was measured.
    """

    start: datetime
    end: datetime
    resolution: timedelta
    zone: str
    now: datetime


@dataclass(frozen=True)
class Totals:
    """Energy [MWh] and money [currency, None: the price is not known]; all are ≥ 0."""

    production: float = 0.0
    consumption: float = 0.0
    costs: float | None = None
    revenues: float | None = None

    @property
    def profit(self) -> float | None:
        """Revenues less costs; negative: a loss."""
        if self.costs is None and self.revenues is None:
            return None
        return (self.revenues or 0.0) - (self.costs or 0.0)

    def __add__(self, other: Totals) -> Totals:
        """Add the totals of others of the same currency."""
        return Totals(
            self.production + other.production,
            self.consumption + other.consumption,
            _add(self.costs, other.costs),
            _add(self.revenues, other.revenues),
        )


@dataclass(frozen=True)
class AssetSummary:
    """What one asset did.

    Attributes:
        power: Mean power of each step (n,) [MW, consumption positive], NaN where nothing is known.
        change: What its schedule changes beside its forecast (n,) [MW, more load positive]; None: it has no schedule.
    """

    asset: Asset
    totals: Totals
    currency: str
    power: Values
    change: Values | None


@dataclass(frozen=True)
class TypeSummary:
    """What the assets of a type did, in one currency."""

    type_name: str
    display_name: str
    currency: str
    totals: Totals
    count: int
    power: Values


@dataclass(frozen=True)
class MarketStatus:
    """The mean price of a market in the window; None: it is not known."""

    market: Market
    mean_price: float | None

    @property
    def currency(self) -> str:
        """In which it pays."""
        return self.market.sensor.unit.partition("/")[0]


@dataclass(frozen=True)
class PortfolioOverview:
    """All of it.

    Attributes:
        edges: Where steps start, and where the last one ends (n+1,), UTC.
        assets: In the order of their shown names.
        types: In the order of their shown names; a type with two currencies has two rows.
        markets: Of the assets.
        change: What schedules change beside forecasts (n,) [MW, more load positive]; None: there are no schedules.
        totals: By currency.
    """

    edges: Instants
    assets: tuple[AssetSummary, ...]
    types: tuple[TypeSummary, ...]
    markets: tuple[MarketStatus, ...]
    change: Values | None
    totals: dict[str, Totals]


def read_portfolio(
    session: Session, assets: Sequence[Asset], question: PortfolioQuestion
) -> PortfolioOverview:
    """Read a portfolio; four queries for beliefs, however many assets there are."""
    assets = sorted(assets, key=lambda asset: asset.display_name.lower())
    edges = bin_edges(question.start, question.end, question.resolution, question.zone)
    hours = np.diff(edges) / np.timedelta64(1, "h")
    start, end = question.start, question.end
    sensors = [asset.sensor for asset in assets]
    window = PortfolioWindow(start, end, scheduled=False)
    known = read_power(session, sensors, replace(window, max_horizon=timedelta(0)))
    expected = read_power(session, sensors, replace(window, min_horizon=timedelta(seconds=1)))
    planned = read_power(session, sensors, replace(window, scheduled=True))
    markets = {asset.market_id: asset.market for asset in assets if asset.market is not None}
    prices = _read_prices(session, list(markets.values()), window, edges)
    summaries = []
    nothing = np.full(len(hours), np.nan)
    for asset in assets:
        measured, forecast, plan = (
            one[asset.sensor.id].mean_per_bin(edges)[0] if len(one[asset.sensor.id]) else nothing
            for one in (known, expected, planned)
        )
        power = _fill(measured, plan, forecast, edges, question.now)
        price = prices.get(asset.market_id or 0, _NO_PRICE)
        change = None
        if len(planned[asset.sensor.id]):
            change = np.where(np.isnan(plan), np.nan, plan - np.nan_to_num(forecast))
        summaries.append(
            AssetSummary(asset, _add_up(power, hours, price.per_mwh), price.currency, power, change)
        )
    return PortfolioOverview(
        edges,
        tuple(summaries),
        tuple(_by_type(summaries)),
        tuple(MarketStatus(market, _mean(prices[market.id].raw)) for market in markets.values()),
        _sum([one.change for one in summaries if one.change is not None]),
        _by_currency(summaries),
    )


@dataclass(frozen=True)
class _Price:
    """The price of each step: per_mwh (n,) [currency/MWh], None if its unit is another; raw as the market writes it."""

    per_mwh: Values | None
    currency: str
    raw: Values | None


_NO_PRICE = _Price(None, "", None)


def _read_prices(
    session: Session, markets: Sequence[Market], window: PortfolioWindow, edges: Instants
) -> dict[int, _Price]:
    """Read the prices of markets, by id."""
    found = read_series(session, [market.sensor for market in markets], window)
    prices = {}
    for market in markets:
        unit = market.sensor.unit
        currency = unit.partition("/")[0]
        raw = found[market.sensor.id].mean_per_bin(edges)[0]
        try:
            prices[market.id] = _Price(raw * conversion_factor(unit, f"{currency}/MWh"), currency, raw)
        except FlexError:
            prices[market.id] = _Price(None, "", raw)
    return prices


def _fill(measured: Values, plan: Values, forecast: Values, edges: Instants, now: datetime) -> Values:
    """Take what was measured; from now on, where nothing is, the plan, else the forecast."""
    coming = edges[1:] > np.datetime64(int(now.timestamp()), "s")
    expected = np.where(np.isnan(plan), forecast, plan)
    filled: Values = np.where(np.isnan(measured) & coming, expected, measured)
    return filled


def _add_up(power: Values, hours: Values, price: Values | None) -> Totals:
    energy = np.nan_to_num(power) * hours
    totals = Totals(float(-energy[energy < 0].sum()) + 0.0, float(energy[energy > 0].sum()))
    if price is None or not (np.isfinite(price) & (energy != 0)).any():
        return totals
    flow = energy * np.nan_to_num(price)
    return replace(totals, costs=float(flow[flow > 0].sum()), revenues=float(-flow[flow < 0].sum()) + 0.0)


def _by_type(summaries: Sequence[AssetSummary]) -> list[TypeSummary]:
    groups: dict[tuple[str, str], list[AssetSummary]] = {}
    for one in summaries:
        groups.setdefault((one.asset.asset_type.display_name, one.currency), []).append(one)
    return [
        TypeSummary(
            members[0].asset.asset_type_name,
            name,
            currency,
            sum((one.totals for one in members), Totals()),
            len(members),
            _known(_sum([one.power for one in members])),
        )
        for (name, currency), members in sorted(groups.items())
    ]


def _by_currency(summaries: Sequence[AssetSummary]) -> dict[str, Totals]:
    totals: dict[str, Totals] = {}
    for one in summaries:
        totals[one.currency] = totals.get(one.currency, Totals()) + one.totals
    return totals


def _sum(parts: Sequence[Values]) -> Values | None:
    if not parts:
        return None
    stacked = np.stack(parts)
    total: Values = np.where(np.isnan(stacked).all(axis=0), np.nan, np.nansum(stacked, axis=0))
    return total


def _known(values: Values | None) -> Values:
    return np.empty(0) if values is None else values


def _mean(values: Values | None) -> float | None:
    known = np.empty(0) if values is None else values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _add(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)

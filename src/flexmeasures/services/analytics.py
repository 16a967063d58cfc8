"""What the analytics show of a resource: power, prices, weather and money, and how good the forecasts were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.portfolio import PortfolioWindow, read_series
from flexmeasures.data.tables import Asset, Market, Sensor, WeatherSensor
from flexmeasures.domain.beliefs import bin_edges
from flexmeasures.domain.comparison import Comparison, compare
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.time import Instants
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.power import read_power
from flexmeasures.services.resources import Resource

__all__ = ["Analytics", "AnalyticsQuestion", "SeriesSet", "Trace", "list_markets", "read_analytics"]

Values = np.ndarray[Any, np.dtype[np.float64]]
Kind = Literal["measured", "forecast", "low", "high", "schedule"]

LOW, HIGH = 0.1, 0.9
"""Cumulative probabilities between which a band of uncertainty is drawn."""

_NOTHING = timedelta(0)


@dataclass(frozen=True)
class AnalyticsQuestion:
    """What is asked.

    Attributes:
        start: From this instant ...
        end: ... up to this one (exclusive).
        resolution: Width of the steps.
        zone: IANA name of the time zone whose days count, where steps are whole days.
        horizon: Forecasts held at least this long before their event is known count.
        individual: Of which kind each asset gets a trace of its own.
    """

    start: datetime
    end: datetime
    resolution: timedelta
    zone: str
    horizon: timedelta
    individual: Literal["none", "power", "schedules"] = "none"


@dataclass(frozen=True)
class Trace:
    """A line of a chart.

    Attributes:
        kind: What it shows.
        values: Mean of each step (n,), NaN where nothing is known.
        name: Of its asset; empty: of the whole.
    """

    kind: Kind
    values: Values
    name: str = ""


@dataclass(frozen=True)
class SeriesSet:
    """What is known of one quantity.

    Attributes:
        name: Of what.
        unit: Of the values.
        traces: Its lines, of which anything is known.
    """

    name: str
    unit: str
    traces: tuple[Trace, ...] = ()

    def values_of(self, kind: Kind) -> Values | None:
        """The values of the line of a kind for the whole; None if there is none."""
        return next((one.values for one in self.traces if one.kind == kind and not one.name), None)


@dataclass(frozen=True)
class Analytics:
    """The charts and the metrics of a resource.

    Attributes:
        edges: Where steps start, and where the last one ends (n+1,), UTC.
        power: Power [MW, positive as `is_production` says].
        prices: Prices of the market; None: there is no market.
        money: What the power costs or earns at these prices in each step [currency].
        weather: The weather at the nearest sensor that has values; None: there is none.
        is_production: Whether production counts positive: all assets only produce.
        metrics: By quantity.
    """

    edges: Instants
    power: SeriesSet
    prices: SeriesSet | None
    money: SeriesSet | None
    weather: SeriesSet | None
    is_production: bool
    metrics: dict[str, Comparison] = field(default_factory=dict)


def list_markets(session: Session) -> list[Market]:
    """List all markets, by id."""
    return list(session.scalars(select(Market).order_by(Market.id)))


def read_analytics(
    session: Session,
    resource: Resource,
    market: Market | None,
    weather_sensors: Sequence[WeatherSensor],
    question: AnalyticsQuestion,
) -> Analytics:
    """Read all that is known of a resource in a window; the number of queries depends on nothing that is asked."""
    edges = bin_edges(question.start, question.end, question.resolution, question.zone)
    hours = np.diff(edges) / np.timedelta64(1, "h")
    is_production = _only_produces(resource.assets)
    power = _read_power(session, resource, question, edges, -1 if is_production else 1)
    prices = _read_one(session, market.display_name, market.sensor, question, edges) if market else None
    money = _cost(power, prices, hours) if prices is not None else None
    weather = _read_weather(session, weather_sensors, question, edges)
    return Analytics(
        edges,
        power,
        prices,
        money,
        weather,
        is_production,
        _measure(power, prices, money, weather, hours),
    )


def _only_produces(assets: Sequence[Asset]) -> bool:
    return all(one.asset_type.is_producer and not one.asset_type.is_consumer for one in assets)


def _windows(question: AnalyticsQuestion, with_schedules: bool) -> dict[Kind, PortfolioWindow]:
    """Say which beliefs make which line."""
    start, end = question.start, question.end
    windows: dict[Kind, PortfolioWindow] = {
        "measured": PortfolioWindow(start, end, scheduled=False, max_horizon=_NOTHING),
        "forecast": PortfolioWindow(start, end, scheduled=False, min_horizon=question.horizon),
        "low": PortfolioWindow(start, end, scheduled=False, min_horizon=question.horizon, probability=LOW),
        "high": PortfolioWindow(start, end, scheduled=False, min_horizon=question.horizon, probability=HIGH),
    }
    if with_schedules:
        windows["schedule"] = PortfolioWindow(start, end, scheduled=True)
    return windows


def _read_power(
    session: Session, resource: Resource, question: AnalyticsQuestion, edges: Instants, sign: int
) -> SeriesSet:
    """Read the power of all assets, and add it up; where production is positive, the ends of a band change places."""
    individual: dict[str, Kind] = {"power": "measured", "schedules": "schedule"}
    apart = individual.get(question.individual)
    traces: list[Trace] = []
    for kind, window in _windows(question, with_schedules=True).items():
        if apart and kind in ("forecast", "low", "high"):
            continue
        found = read_power(session, [asset.sensor for asset in resource.assets], window)
        known = {
            asset.display_name: sign * found[asset.sensor.id].mean_per_bin(edges)[0]
            for asset in resource.assets
            if len(found[asset.sensor.id])
        }
        if not known:
            continue
        shown: Kind = {"low": "high", "high": "low"}.get(kind, kind) if sign < 0 else kind  # type: ignore[assignment]
        if kind == apart:
            traces += [Trace(shown, values, name) for name, values in known.items()]
        traces.append(Trace(shown, _sum_of_known(list(known.values()))))
    return SeriesSet(resource.display_name, "MW", tuple(traces))


def _read_one(
    session: Session, name: str, sensor: Sensor, question: AnalyticsQuestion, edges: Instants
) -> SeriesSet:
    """Read one sensor: what was measured or published, and what was forecast."""
    traces = []
    for kind, window in _windows(question, with_schedules=False).items():
        series = read_series(session, [sensor], window)[sensor.id]
        if len(series):
            traces.append(Trace(kind, series.mean_per_bin(edges)[0]))
    return SeriesSet(name, sensor.unit, tuple(traces))


def _read_weather(
    session: Session, sensors: Sequence[WeatherSensor], question: AnalyticsQuestion, edges: Instants
) -> SeriesSet | None:
    """Read the nearest weather sensor that has values in the window."""
    if not sensors:
        return None
    window = PortfolioWindow(question.start, question.end, scheduled=False)
    known = read_series(session, [one.sensor for one in sensors], window)
    nearest = next((one for one in sensors if len(known[one.sensor.id])), None)
    if nearest is None:
        return None
    return _read_one(session, nearest.display_name or nearest.name, nearest.sensor, question, edges)


def _sum_of_known(parts: list[Values]) -> Values:
    """Add up what is known in each step; NaN where nothing is."""
    stacked = np.stack(parts)
    total: Values = np.where(np.isnan(stacked).all(axis=0), np.nan, np.nansum(stacked, axis=0))
    return total


def _cost(power: SeriesSet, prices: SeriesSet, hours: Values) -> SeriesSet | None:
    """Multiply power with prices; forecasts with forecasts, or with the prices that are known."""
    currency = prices.unit.partition("/")[0]
    try:
        factor = conversion_factor(prices.unit, f"{currency}/MWh")
    except FlexError:
        return None
    actual, expected = prices.values_of("measured"), prices.values_of("forecast")
    traces = []
    measured, forecast = power.values_of("measured"), power.values_of("forecast")
    if measured is not None and actual is not None:
        traces.append(Trace("measured", measured * hours * actual * factor))
    price = expected if expected is not None else actual
    if forecast is not None and price is not None:
        traces.append(Trace("forecast", forecast * hours * price * factor))
    return SeriesSet(prices.name, currency, tuple(traces))


def _measure(
    power: SeriesSet,
    prices: SeriesSet | None,
    money: SeriesSet | None,
    weather: SeriesSet | None,
    hours: Values,
) -> dict[str, Comparison]:
    """Compare forecasts with what came: energy and money as sums, prices and weather as means."""

    def of(series: SeriesSet | None, weight: Values | float, add_up: bool) -> Comparison:
        measured = None if series is None else series.values_of("measured")
        forecast = None if series is None else series.values_of("forecast")
        nothing = np.full(hours.shape, np.nan)
        return compare(
            nothing if measured is None else measured * weight,
            nothing if forecast is None else forecast * weight,
            add_up=add_up,
        )

    return {
        "power": of(power, hours, True),
        "prices": of(prices, 1.0, False),
        "revs_costs": of(money, 1.0, True),
        "weather": of(weather, 1.0, False),
    }

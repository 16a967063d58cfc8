"""Forecast what a sensor will measure, and store the forecasts as beliefs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, Window, insert_beliefs, read_beliefs
from flexmeasures.data.stores.fitted_models import keep_fits, read_fits
from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Sensor
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.errors import InvalidInput, NotEnoughData, NotFound
from flexmeasures.domain.forecasting import (
    DEFAULT_MODEL,
    Case,
    Fit,
    Forecast,
    History,
    Model,
    check_horizon,
    clean,
    find_model,
    forecast_events,
    known_measurements,
    shortest_lag,
)
from flexmeasures.domain.time import Instants, event_grid, format_duration, from_datetime64
from flexmeasures.services.forecasts.facts import Situation, read_facts
from flexmeasures.services.forecasts.orders import ForecastOrder
from flexmeasures.services.public_beliefs import TrustedRoles, read_public_beliefs

__all__ = ["ForecastRules", "Made", "make_forecasts"]

Durations = np.ndarray[Any, np.dtype[np.timedelta64]]

_LOOK_BACK_WITH_FIT = timedelta(days=70)
"""Enough for the lags of a fitted model and for the last four weeks of errors, which calibrate the band."""


@dataclass(frozen=True)
class ForecastRules:
    """How the platform forecasts.

    Attributes:
        model: By which model, where an order does not say.
        country: Whose public holidays are special days; None: nobody's.
        trusted: Whose measurements of a public sensor count, by its name.
    """

    model: str = DEFAULT_MODEL
    country: str | None = None
    trusted: TrustedRoles = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """Outcome of an order.

    Attributes:
        events: How many events were forecast.
        model: Which model forecast them.
        notes: What was done besides, in sentences.
    """

    events: int
    model: str
    notes: tuple[str, ...] = ()


def make_forecasts(session: Session, order: ForecastOrder, rules: ForecastRules | None = None) -> Made:
    """Forecast the events of an order from what was known before, and store the forecasts with their quantiles.

    Of a public sensor only what those measured counts whom it trusts: its forecasts are for everybody. Events that are
    known already when they would be forecast, such as prices of a day whose auction has cleared, are left out.

    Args:
        session: Within its transaction; the caller commits.
        order: What to forecast.
        rules: How the platform forecasts.

    Raises:
        NotFound: If there is no such sensor any more, or no such model.
        NotEnoughData: If nothing was measured in time.
        BadValues: If what was measured cannot be power, but is readings of a meter.
        InvalidInput: If the horizon is not supported, or shorter than an event.
    """
    rules = rules or ForecastRules()
    model = find_model(order.model or rules.model)
    check_horizon(order.horizon)
    sensor = session.get(Sensor, order.sensor_id)
    if sensor is None:
        raise NotFound(f"There is no sensor with id {order.sensor_id} any more.")
    if sensor.event_resolution > order.horizon:
        raise InvalidInput(
            f"An event of sensor {sensor.id} lasts {format_duration(sensor.event_resolution)}: it cannot be forecast "
            f"{format_duration(order.horizon)} before its end, when it has begun. Choose a longer horizon."
        )
    events = _events_of(sensor, order)
    if not len(events.starts):
        return Made(0, model.name)
    kept = _usable_fit(session, order, model, events)
    history, notes = _read_history(session, sensor, order, rules, model if kept is None else None)
    situation = Situation(from_datetime64(events.first_belief), rules.country)
    case = Case(history, order.horizon, read_facts(session, sensor, history, order.horizon, situation))
    positions = history.positions(events.starts)
    forecast = forecast_events(case, model, int(positions[0]), len(history), kept)
    _store(session, sensor, events, forecast, positions - positions[0])
    keep_fits(session, sensor.id, order.horizon, [fit for fit in forecast.fits if fit is not kept])
    return Made(len(events.starts), forecast.model.name, notes + forecast.notes)


@dataclass(frozen=True)
class _Events:
    """Events that are unknown when they are forecast: starts and belief horizons, ``(n,)`` each; the first belief."""

    starts: Instants
    horizons: Durations
    first_belief: np.datetime64


def _events_of(sensor: Sensor, order: ForecastOrder) -> _Events:
    resolution = sensor.event_resolution
    starts = event_grid(order.start, resolution, (order.end - order.start) // resolution)
    times = belief_times(starts, resolution, None, order.horizon)
    horizons = belief_horizons(sensor.knowledge_rule, starts, resolution, times)
    # A price is known when its auction has cleared: a forecast dated after that would count as later knowledge.
    unknown = horizons > np.timedelta64(0, "us")
    first = times[unknown][0] if unknown.any() else np.datetime64("NaT", "us")
    return _Events(starts[unknown], horizons[unknown], first)


def _usable_fit(session: Session, order: ForecastOrder, model: Model, events: _Events) -> Fit | None:
    """Find a kept fit that may be used for all events of an order; None: all history is needed for a new one."""
    # What is known of an event when it is forecast begins before its belief time: one event less than the horizon.
    known_until = events.first_belief
    for fit in read_fits(session, order.sensor_id, order.horizon, model):
        lasting = fit.known_until + np.timedelta64(fit.model.refit_after)
        last = known_until + (events.starts[-1] - events.starts[0])
        if fit.known_until <= known_until and last < lasting:
            return fit
    return None


def _read_history(
    session: Session, sensor: Sensor, order: ForecastOrder, rules: ForecastRules, to_fit: Model | None
) -> tuple[History, tuple[str, ...]]:
    """Read what was known of a sensor, cleaned, on a grid that ends with an order.

    Args:
        session: For reading.
        sensor: The sensor.
        order: What is to be forecast.
        rules: Whose measurements count.
        to_fit: The model that will be fitted; None: none.

    Raises:
        NotEnoughData: If nothing was measured before the order.
    """
    resolution = sensor.event_resolution
    end = order.start + (order.end - order.start) // resolution * resolution
    back = _LOOK_BACK_WITH_FIT if to_fit is None else to_fit.look_back
    beliefs = _measured(session, sensor, order.start - order.horizon - back, end, rules)
    first_belief = np.datetime64((order.start + resolution - order.horizon).replace(tzinfo=None), "us")
    known = known_measurements(beliefs, sensor.knowledge_rule, resolution, first_belief)
    until = np.datetime64(end.replace(tzinfo=None), "us")
    if not len(known[0]) or known[0][0] > first_belief:
        raise NotEnoughData(
            f"No data available at all to forecast sensor {sensor.id}: nothing was measured before {first_belief}Z. "
            "Choose a later start date, or send measurements."
        )
    history = History.of(*known, resolution, sensor.timezone, until=until)
    begin = len(history) - (order.end - order.start) // resolution
    cleaned = clean(history.values, begin - shortest_lag(order.horizon, resolution) + 1)
    return History(history.start, cleaned.values, resolution, history.zone), cleaned.notes


def _measured(
    session: Session, sensor: Sensor, start: datetime, end: datetime, rules: ForecastRules
) -> Beliefs:
    """Read what was measured, with all corrections of a private sensor."""
    measured = timedelta(0)
    asset = session.get(Asset, sensor.asset_id)
    if asset is not None and asset.account_id is not None:
        window = Window(sensor.id, sensor.event_resolution, start, end, max_horizon=measured)
        return read_beliefs(session, window)
    among = PortfolioWindow(start, end, scheduled=False, max_horizon=measured)
    known = read_public_beliefs(session, [sensor], among, rules.trusted)
    trusted = list(known.sources_for(sensor.id, reader_id=None))
    empty = Beliefs(
        np.empty(0, "datetime64[us]"), np.empty(0), np.empty(0, "timedelta64[us]"), np.empty(0, np.int32)
    )
    beliefs = known.beliefs.get(sensor.id, empty)
    return beliefs.take(np.isin(beliefs.source_ids, trusted))


def _store(
    session: Session, sensor: Sensor, events: _Events, forecast: Forecast, rows: np.ndarray[Any, Any]
) -> None:
    """Store all quantiles of the events that are to be forecast."""
    model, values = forecast.model, forecast.values[rows]
    source = get_or_create_source(session, model.source, "forecaster", model.name, model.version)
    count, width = values.shape
    beliefs = Beliefs(
        np.repeat(events.starts, width),
        values.reshape(-1),
        np.repeat(events.horizons, width),
        np.full(count * width, source.id, dtype=np.int32),
        np.tile(forecast.probabilities, count),
    )
    # The same forecast is made anew when a measurement on which it rests was corrected.
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE)

"""Forecast what a sensor will measure, and store the forecasts as beliefs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, Window, insert_beliefs, read_beliefs
from flexmeasures.data.stores.fitted_models import keep_fits, read_fits
from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Sensor
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.errors import FlexError, InvalidInput, NotEnoughData, NotFound
from flexmeasures.domain.forecasting import (
    DEFAULT_MODEL,
    Borrowed,
    Case,
    Fit,
    Forecast,
    History,
    Model,
    borrow_history,
    check_horizon,
    clean,
    find_model,
    forecast_events,
    known_measurements,
    net_of_parts,
    shortest_lag,
)
from flexmeasures.domain.time import Instants, event_grid, format_duration, from_datetime64, to_datetime64
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.forecasts.facts import FactsReader
from flexmeasures.services.forecasts.orders import ForecastOrder, join_forecasts
from flexmeasures.services.public_beliefs import TrustedRoles, read_public_beliefs

__all__ = ["ForecastRules", "Made", "make_forecasts", "make_many"]

Durations = np.ndarray[Any, np.dtype[np.timedelta64]]

_ENOUGH = timedelta(days=35)
"""Shorter histories are extended by similar sensors, for models that do that."""
_MOST_PEERS = 5

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
    (outcome,) = make_many(session, [order], rules)
    if isinstance(outcome, FlexError):
        raise outcome
    return outcome


def make_many(
    session: Session, orders: Sequence[ForecastOrder], rules: ForecastRules | None = None
) -> list[Made | FlexError]:
    """Forecast the events of many orders, of the same sensor or of several; see `make_forecasts`.

    What they share is read once, and all forecasts are stored by one statement. An order that fails does not keep the
    others from theirs.

    Returns:
        For each order, in their order, its outcome or why there is none.
    """
    desk = _Desk(session, {order.sensor_id for order in orders}, rules or ForecastRules())
    outcomes: list[Made | FlexError] = [Made(0, "")] * len(orders)
    joined = join_forecasts(orders, desk.resolutions)
    for sensor_id, of_sensor in itertools.groupby(joined, key=lambda one: one.order.sensor_id):
        wanted = list(of_sensor)
        found = desk.forecast_sensor(sensor_id, [one.order for one in wanted])
        for one, outcome in zip(wanted, found, strict=True):
            for number in one.parts:
                outcomes[number] = desk.share_of(orders[number], outcome)
    desk.store()
    return outcomes


@dataclass(frozen=True)
class _Events:
    """Events that are unknown when they are forecast: starts and belief horizons, ``(n,)`` each; the first belief."""

    starts: Instants
    horizons: Durations
    first_belief: np.datetime64


@dataclass(frozen=True)
class _Task:
    """An order that can be carried out: its sensor, its model, its events, and a fit that may be used."""

    sensor: Sensor
    order: ForecastOrder
    model: Model
    events: _Events
    kept: Fit | None

    @property
    def start(self) -> datetime:
        """Start of the first event that counts."""
        back = self.model.look_back if self.kept is None else _LOOK_BACK_WITH_FIT
        return self.order.start - self.order.horizon - back

    @property
    def end(self) -> datetime:
        """End of the last event."""
        resolution = self.sensor.event_resolution
        return self.order.start + (self.order.end - self.order.start) // resolution * resolution


class _Desk:
    """Carries out orders, those of one sensor after those of another, and stores what came of all of them."""

    def __init__(self, session: Session, sensor_ids: Set[int], rules: ForecastRules) -> None:
        self._session, self._rules = session, rules
        rows = session.scalars(select(Sensor).where(Sensor.id.in_(sensor_ids)))
        self._sensors = {sensor.id: sensor for sensor in rows}
        self._facts = FactsReader(session, list(self._sensors.values()), rules.country)
        self._sources: dict[tuple[str, str], int] = {}
        self._beliefs: list[SensorBeliefs] = []
        self._fits: list[tuple[int, timedelta, list[Fit]]] = []

    @property
    def resolutions(self) -> dict[int, timedelta]:
        """Lengths of the events of the sensors that there are."""
        return {number: sensor.event_resolution for number, sensor in self._sensors.items()}

    def share_of(self, order: ForecastOrder, outcome: Made | FlexError) -> Made | FlexError:
        """Give the part of an order in the outcome of the one that it was joined to."""
        if isinstance(outcome, FlexError) or not outcome.events:
            return outcome
        return replace(outcome, events=len(_events_of(self._sensors[order.sensor_id], order).starts))

    def forecast_sensor(self, sensor_id: int, orders: Sequence[ForecastOrder]) -> list[Made | FlexError]:
        """Carry out the orders of one sensor."""
        outcomes: list[Made | FlexError | _Task] = [_attempt(self._prepare, order) for order in orders]
        tasks = [one for one in outcomes if isinstance(one, _Task)]
        if not tasks:
            return outcomes  # type: ignore[return-value]
        start, end = min(task.start for task in tasks), max(task.end for task in tasks)
        beliefs = _attempt(self._measured_or_parts, self._sensors[sensor_id], start, end)
        if isinstance(beliefs, FlexError):
            return [beliefs if isinstance(one, _Task) else one for one in outcomes]
        return [_attempt(self._forecast, one, beliefs) if isinstance(one, _Task) else one for one in outcomes]

    def _prepare(self, order: ForecastOrder) -> _Task | Made:
        """Look at an order; nothing is left of it if all of its events are known already."""
        model = find_model(order.model or self._rules.model)
        check_horizon(order.horizon)
        sensor = self._sensors.get(order.sensor_id)
        if sensor is None:
            raise NotFound(f"There is no sensor with id {order.sensor_id} any more.")
        if sensor.event_resolution > order.horizon:
            raise InvalidInput(
                f"An event of sensor {sensor.id} lasts {format_duration(sensor.event_resolution)}: it cannot be "
                f"forecast {format_duration(order.horizon)} before its end, when it has begun. Choose a longer horizon."
            )
        events = _events_of(sensor, order)
        if not len(events.starts):
            return Made(0, model.name)
        return _Task(sensor, order, model, events, _usable_fit(self._session, order, model, events))

    def _forecast(self, task: _Task, beliefs: Beliefs) -> Made:
        sensor, order, kept = task.sensor, task.order, task.kept
        history, notes = _known_history(task, beliefs)
        if task.model.borrows and len(history) < _ENOUGH / sensor.event_resolution:
            borrowed = self._borrow(task, history)
            history = borrowed.history
            if borrowed.peers:
                notes += (
                    f"The time before its first measurement was borrowed from similar sensors: {borrowed.peers}.",
                )
        facts = self._facts.facts(
            sensor,
            history,
            order.horizon,
            from_datetime64(task.events.first_belief),
            weather=task.model.uses_weather,
        )
        case = Case(history, order.horizon, facts)
        positions = history.positions(task.events.starts)
        forecast = forecast_events(case, task.model, int(positions[0]), len(history), kept)
        self._beliefs.append(self._as_beliefs(task, forecast, positions - positions[0]))
        self._fits.append((sensor.id, order.horizon, [fit for fit in forecast.fits if fit is not kept]))
        return Made(len(task.events.starts), forecast.model.name, notes + forecast.notes)

    def _as_beliefs(self, task: _Task, forecast: Forecast, rows: np.ndarray[Any, Any]) -> SensorBeliefs:
        """Lay out all quantiles of the events that are to be forecast."""
        values = forecast.values[rows]
        count, width = values.shape
        beliefs = Beliefs(
            np.repeat(task.events.starts, width),
            values.reshape(-1),
            np.repeat(task.events.horizons, width),
            np.full(count * width, self._source_of(forecast.model), dtype=np.int32),
            np.tile(forecast.probabilities, count),
        )
        return SensorBeliefs(task.sensor.id, beliefs)

    def _source_of(self, model: Model) -> int:
        key = (model.name, model.version)
        if key not in self._sources:
            source = get_or_create_source(
                self._session, model.source, "forecaster", model.name, model.version
            )
            self._sources[key] = source.id
        return self._sources[key]

    def store(self) -> None:
        """Store all forecasts and fits."""
        # The same forecast is made anew when a measurement on which it rests was corrected.
        insert_beliefs(self._session, self._beliefs, InsertPolicy.REPLACE)
        for sensor_id, horizon, fits in self._fits:
            keep_fits(self._session, sensor_id, horizon, fits)

    def _borrow(self, task: _Task, history: History) -> Borrowed:
        """Extend a short history by those of assets of the same type and account."""
        sensor, asset = task.sensor, self._facts.asset_of(task.sensor)
        if asset is None or asset.power_sensor_id != sensor.id or asset.account_id is None:
            return Borrowed(history, 0)
        peers = list(
            self._session.scalars(
                select(Sensor)
                .join(Asset, Asset.power_sensor_id == Sensor.id)
                .where(
                    Asset.account_id == asset.account_id,
                    Asset.asset_type_name == asset.asset_type_name,
                    Asset.id != asset.id,
                    Sensor.event_resolution == sensor.event_resolution,
                )
                .order_by(Sensor.id)
                .limit(_MOST_PEERS)
            )
        )
        self._facts.add(peers)
        known = []
        for peer in peers:
            beliefs = self._measured(peer, task.start, task.end)
            found = _attempt(_known_history, replace(task, sensor=peer), beliefs)
            if not isinstance(found, FlexError):
                known.append(found[0])
        begin = len(history) - (task.end - task.order.start) // sensor.event_resolution
        return borrow_history(
            history, known, begin - shortest_lag(task.order.horizon, sensor.event_resolution) + 1
        )

    def _measured_or_parts(self, sensor: Sensor, start: datetime, end: datetime) -> Beliefs:
        """Read what was measured; of an asset without measurements of its own, the net load of its children."""
        beliefs = self._measured(sensor, start, end)
        asset = self._facts.asset_of(sensor)
        if len(beliefs) or asset is None or asset.power_sensor_id != sensor.id or asset.account_id is None:
            return beliefs
        children = list(
            self._session.scalars(
                select(Sensor)
                .join(Asset, Asset.power_sensor_id == Sensor.id)
                .where(Asset.parent_id == asset.id)
            )
        )
        if not children or any(one.event_resolution != sensor.event_resolution for one in children):
            return beliefs
        self._facts.add(children)
        return net_of_parts(
            [
                replace(known, values=known.values * conversion_factor(child.unit, sensor.unit))
                for child in children
                for known in [self._measured_or_parts(child, start, end)]
            ]
        )

    def _measured(self, sensor: Sensor, start: datetime, end: datetime) -> Beliefs:
        """Read what was measured, with all corrections of a private sensor."""
        measured = timedelta(0)
        asset = self._facts.asset_of(sensor)
        if asset is not None and asset.account_id is not None:
            window = Window(sensor.id, sensor.event_resolution, start, end, max_horizon=measured)
            return read_beliefs(self._session, window)
        among = PortfolioWindow(start, end, scheduled=False, max_horizon=measured)
        known = read_public_beliefs(self._session, [sensor], among, self._rules.trusted)
        trusted = list(known.sources_for(sensor.id, reader_id=None))
        empty = Beliefs(
            np.empty(0, "datetime64[us]"), np.empty(0), np.empty(0, "timedelta64[us]"), np.empty(0, np.int32)
        )
        beliefs = known.beliefs.get(sensor.id, empty)
        return beliefs.take(np.isin(beliefs.source_ids, trusted))


def _attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Give what a function returns, or the error that it raises: one order must not spoil the others."""
    try:
        return function(*arguments)
    except FlexError as error:
        return error


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


def _known_history(task: _Task, beliefs: Beliefs) -> tuple[History, tuple[str, ...]]:
    """Choose what was known of a sensor, cleaned, on a grid that ends with an order.

    Args:
        task: What is to be forecast.
        beliefs: What was measured, perhaps over a longer period.

    Raises:
        NotEnoughData: If nothing was measured before the order.
    """
    sensor, order = task.sensor, task.order
    resolution = sensor.event_resolution
    start, until = to_datetime64(task.start), to_datetime64(task.end)
    within = (beliefs.event_starts + np.timedelta64(resolution) > start) & (beliefs.event_starts < until)
    first_belief = to_datetime64(order.start + resolution - order.horizon)
    known = known_measurements(beliefs.take(within), sensor.knowledge_rule, resolution, first_belief)
    if not len(known[0]) or known[0][0] > first_belief:
        raise NotEnoughData(
            f"No data available at all to forecast sensor {sensor.id}: nothing was measured before {first_belief}Z. "
            "Choose a later start date, or send measurements."
        )
    history = History.of(*known, resolution, sensor.timezone, until=until)
    begin = len(history) - (task.end - order.start) // resolution
    cleaned = clean(history.values, begin - shortest_lag(order.horizon, resolution) + 1)
    return History(history.start, cleaned.values, resolution, history.zone), cleaned.notes

"""Forecast what a sensor will measure, and store the forecasts as beliefs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, Window, insert_beliefs, read_latest
from flexmeasures.data.stores.forecast_orders import Measured, add_orders
from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Sensor
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.forecasting import NAIVE, horizons_for, naive_forecast
from flexmeasures.domain.time import Instants, event_grid
from flexmeasures.services.public_beliefs import TrustedRoles, read_public_beliefs

__all__ = ["ForecastOrder", "make_forecasts", "order_forecasts"]

Values = np.ndarray[Any, np.dtype[np.float64]]

LOOK_BACK = timedelta(days=30)
"""How far back measurements are read."""


@dataclass(frozen=True)
class ForecastOrder:
    """What to forecast.

    Attributes:
        sensor_id: Whose events.
        start: Start of the first event.
        end: End of the last event.
        horizon: Between each forecast and the end of its event.
    """

    sensor_id: int
    start: datetime
    end: datetime
    horizon: timedelta


def order_forecasts(
    session: Session,
    sensors: Iterable[Sensor],
    start: datetime,
    end: datetime,
    horizons: tuple[timedelta, ...] | None = None,
) -> None:
    """Order what can be forecast once a period was measured: the same period, each horizon later.

    Args:
        session: Within its transaction, which stores the orders with the measurements; see `jobs.forecasts`.
        sensors: Whose events were measured.
        start: Start of what was measured.
        end: End of what was measured.
        horizons: How far ahead; None: as suits each sensor's resolution.
    """
    orders = [
        Measured(sensor.id, start, end, chosen)
        for sensor in sensors
        if (chosen := horizons_for(sensor.event_resolution) if horizons is None else horizons)
    ]
    if orders:
        add_orders(session, orders)


def make_forecasts(session: Session, order: ForecastOrder, trusted: TrustedRoles | None = None) -> int:
    """Forecast the events of an order from what was measured before, and store the forecasts.

    Of a public sensor only what those measured counts whom it trusts: its forecasts are for everybody.

    Args:
        session: Within its transaction; the caller commits.
        order: What to forecast.
        trusted: Whose measurements count, by the sensor.

    Returns:
        How many events were forecast; those that can be known at the time of their forecast are left out.

    Raises:
        NotFound: If there is no such sensor any more.
        NotEnoughData: If nothing was measured in time.
        InvalidInput: If the horizon is not supported.
    """
    sensor = session.get(Sensor, order.sensor_id)
    if sensor is None:
        raise NotFound(f"There is no sensor with id {order.sensor_id} any more.")
    resolution = sensor.event_resolution
    measured = _measured(session, sensor, order, trusted or {})
    starts = event_grid(order.start, resolution, (order.end - order.start) // resolution)
    times = belief_times(starts, resolution, None, order.horizon)
    horizons = belief_horizons(sensor.knowledge_rule, starts, resolution, times)
    # A price is known when its auction has cleared: a forecast dated after that would count as later knowledge.
    unknown = horizons > np.timedelta64(0, "us")
    starts, horizons = starts[unknown], horizons[unknown]
    if not len(starts):
        return 0
    values = naive_forecast(measured, starts, resolution, order.horizon)
    source = get_or_create_source(session, "FlexMeasures", "forecaster", *NAIVE)
    beliefs = Beliefs(starts, values, horizons, np.full(len(starts), source.id, dtype=np.int32))
    # The same forecast is made anew when a measurement on which it rests was corrected.
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE)
    return len(starts)


def _measured(
    session: Session, sensor: Sensor, order: ForecastOrder, trusted: TrustedRoles
) -> tuple[Instants, Values]:
    """Read what was measured before the events of an order: starts and values, (n,) each."""
    start, measured = order.start - order.horizon - LOOK_BACK, timedelta(0)
    asset = session.get(Asset, sensor.asset_id)
    if asset is not None and asset.account_id is not None:
        window = Window(sensor.id, sensor.event_resolution, start, order.end, max_horizon=measured)
        return read_latest(session, window)
    among = PortfolioWindow(start, order.end, scheduled=False, max_horizon=measured)
    known = read_public_beliefs(session, [sensor], among, trusted)
    return known.latest(sensor.id, known.sources_for(sensor.id, reader_id=None))

"""Orders of forecasts, stored with the measurements that call for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores.forecast_orders import Measured, add_orders
from flexmeasures.data.tables import Sensor
from flexmeasures.domain.forecasting import horizons_for

__all__ = ["ForecastOrder", "order_forecasts"]


@dataclass(frozen=True)
class ForecastOrder:
    """Task of a forecast.

    Attributes:
        sensor_id: Whose events.
        start: Start of the first event.
        end: End of the last event.
        horizon: Between each forecast and the end of its event.
        model: By which model; None: the one of the settings.
    """

    sensor_id: int
    start: datetime
    end: datetime
    horizon: timedelta
    model: str | None = None


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

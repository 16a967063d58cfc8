"""Orders of forecasts, stored with the measurements that call for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores.forecast_orders import Measured, add_orders
from flexmeasures.domain.forecasting import horizons_for
from flexmeasures.domain.sensors import SensorFacts

__all__ = ["ForecastOrder", "JoinedOrder", "join_forecasts", "order_forecasts", "worth_forecasting"]


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


@dataclass(frozen=True)
class JoinedOrder:
    """One order in place of several of the same sensor, horizon and model.

    Attributes:
        order: From the first event of theirs to the last.
        parts: Their positions among the orders that were joined.
    """

    order: ForecastOrder
    parts: tuple[int, ...]


def join_forecasts(
    orders: Sequence[ForecastOrder], resolutions: Mapping[int, timedelta]
) -> list[JoinedOrder]:
    """Make one order of those whose periods overlap or touch, so that no event is forecast twice.

    Args:
        orders: In any order.
        resolutions: Length of the events by sensor; orders of other sensors are not joined.

    Returns:
        Those of each sensor together.
    """

    def kind(number: int) -> tuple[int, timedelta, str]:
        order = orders[number]
        return order.sensor_id, order.horizon, order.model or ""

    joined: list[JoinedOrder] = []
    for number in sorted(range(len(orders)), key=lambda n: (*kind(n), orders[n].start, orders[n].end)):
        order, last = orders[number], joined[-1] if joined else None
        step = resolutions.get(order.sensor_id)
        if (
            last is None
            or not step
            or kind(last.parts[0]) != kind(number)
            or order.start > last.order.end
            or (order.start - last.order.start) % step
        ):
            joined.append(JoinedOrder(order, (number,)))
            continue
        whole = replace(last.order, end=max(last.order.end, order.end))
        joined[-1] = JoinedOrder(whole, (*last.parts, number))
    return joined


def order_forecasts(
    session: Session,
    sensors: Iterable[SensorFacts],
    start: datetime,
    end: datetime,
    horizons: tuple[timedelta, ...] | None = None,
    since: datetime | None = None,
) -> None:
    """Order what can be forecast once a period was measured: the same period, each horizon later.

    Args:
        session: Within its transaction, which stores the orders with the measurements; see `jobs.forecasts`.
        sensors: Whose events were measured.
        start: Start of what was measured.
        end: End of what was measured.
        horizons: How far ahead; None: as suits each sensor's resolution.
        since: Events that have ended by this instant are not forecast; None: all are.
    """
    orders = []
    for sensor in sensors:
        resolution = sensor.event_resolution
        chosen = horizons_for(resolution) if horizons is None else horizons
        if since is None or not resolution:
            orders += [Measured(sensor.id, start, end, chosen)] if chosen else []
        else:
            parts = worth_forecasting((start, end), chosen, resolution, since)
            orders += [Measured(sensor.id, first, end, some) for first, some in parts.items()]
    if orders:
        add_orders(session, orders)


def worth_forecasting(
    measured: tuple[datetime, datetime],
    horizons: Iterable[timedelta],
    resolution: timedelta,
    since: datetime,
) -> dict[datetime, tuple[timedelta, ...]]:
    """Choose what of a measured period is forecast, if events that have ended by an instant are not.

    Args:
        measured: Start of the first event and end of the last one.
        horizons: How far ahead.
        resolution: Length of the events.
        since: The instant.

    Returns:
        The horizons at which a part of the period is forecast, by the start of that part; it ends with the period.
    """
    start, end = measured
    parts: dict[datetime, tuple[timedelta, ...]] = {}
    for horizon in horizons:
        ended = max(0, (since - horizon - start) // resolution)
        first = start + ended * resolution
        if first < end:
            parts[first] = (*parts.get(first, ()), horizon)
    return parts

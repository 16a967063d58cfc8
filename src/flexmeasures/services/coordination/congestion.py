"""Price curves from our own forecasts of congestion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SourceFilter, Window, read_latest
from flexmeasures.data.tables import DrEvent, DrProgram, Sensor
from flexmeasures.domain.beliefs import bin_edges, mean_per_bin
from flexmeasures.domain.coordination.congestion import CongestionRules, find_differences
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import from_datetime64
from flexmeasures.domain.units import is_power_unit, power_factor
from flexmeasures.services.coordination.curves import Curve, Point, send_curve

__all__ = ["CongestionOrder", "send_congestion_curve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CongestionOrder:
    """Whose forecast to look at, and when.

    Attributes:
        start: From when on ...
        duration: ... and how long.
        resolution: Length of the slots of the curve.
        currency: Of the price differences.
    """

    start: datetime
    duration: timedelta
    rules: CongestionRules
    resolution: timedelta = timedelta(hours=1)
    currency: str = "EUR"


def send_congestion_curve(
    session: Session,
    program: DrProgram,
    targets: Sequence[str],
    sensor: Sensor,
    order: CongestionOrder,
    now: datetime,
) -> DrEvent | None:
    """Send a price curve for the slots in which a forecast sees congestion; the caller commits.

    Args:
        session: Within its transaction.
        program: Of the event.
        targets: Whom it is for.
        sensor: Of the load of that part of the grid, whose latest forecast by now counts.
        order: When, and what is congested.
        now: When.

    Returns:
        The event; None: nothing is congested, so nothing is sent.

    Raises:
        InvalidInput: If the sensor does not measure power, or nothing is forecast for the period.
    """
    if not is_power_unit(sensor.unit):
        raise InvalidInput(
            f"Sensor {sensor.id} has values in {quote(sensor.unit)}, not of power. Name the sensor of a load."
        )
    window = Window(
        sensor.id,
        sensor.event_resolution,
        start=order.start,
        end=order.start + order.duration,
        held_by=now,
        rule=sensor.knowledge_rule,
        sources=SourceFilter(types=("forecaster", "user")),
    )
    starts, values = read_latest(session, window)
    edges = bin_edges(order.start, order.start + order.duration, order.resolution, sensor.timezone)
    load, covered = mean_per_bin(starts, values, sensor.event_resolution, edges)
    if not covered.any():
        raise InvalidInput(
            f"Nothing is forecast for sensor {sensor.id} from {order.start.isoformat()} on. "
            "Make forecasts first: flexmeasures add forecasts."
        )
    load_mw = load * power_factor(sensor.unit, sensor.event_resolution)
    points = [
        Point(from_datetime64(edges[number]), price)
        for number, price in find_differences(load_mw, order.rules)
    ]
    if not points:
        return None
    return send_curve(session, program, targets, Curve(points, order.resolution, order.currency), now)

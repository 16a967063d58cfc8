"""Events that the platform makes: price curves of the operator, simulated or daily for test areas; power limits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrArea, DrEligibilityChange, DrEvent, DrProgram
from flexmeasures.domain.time import find_zone, next_midnight
from flexmeasures.services.coordination.areas import operator_of
from flexmeasures.services.coordination.events import create_event
from flexmeasures.services.coordination.objects import Sent, write_instant

__all__ = ["Curve", "Point", "draw_curve", "is_time", "send_curve", "send_daily_curves", "send_limit"]


@dataclass(frozen=True, slots=True)
class Point:
    """A value from an instant on: a price difference [currency/kWh] or a power limit [kW]."""

    start: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Price differences of slots; hours in which nothing is wanted are left out.

    Attributes:
        points: In time order.
        resolution: Length of a slot.
    """

    points: Sequence[Point]
    resolution: timedelta = timedelta(hours=1)
    currency: str = "NOK"
    price_area: str | None = None


def send_curve(
    session: Session, program: DrProgram, targets: Sequence[str], curve: Curve, now: datetime
) -> DrEvent:
    """Make the event of a price curve."""
    payloads: list[list[dict[str, Any]]] = [
        [{"type": "PRICE_DELTA", "values": [point.value]}] for point in curve.points
    ]
    if payloads and curve.price_area is not None:
        payloads[0].append({"type": "PRICE_AREA", "values": [curve.price_area]})
    descriptor = {
        "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
        "payloadType": "PRICE_DELTA",
        "units": "KWH",
        "currency": curve.currency,
    }
    return _send(session, program, targets, (curve.points, payloads, curve.resolution, descriptor), now)


def send_limit(
    session: Session,
    program: DrProgram,
    targets: Sequence[str],
    points: Sequence[Point],
    resolution: timedelta,
    now: datetime,
) -> DrEvent:
    """Make the event of a power limit, which holds at every instant of its slots."""
    payloads = [[{"type": "IMPORT_CAPACITY_LIMIT", "values": [point.value]}] for point in points]
    descriptor = {
        "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
        "payloadType": "IMPORT_CAPACITY_LIMIT",
        "units": "KW",
    }
    return _send(session, program, targets, (points, payloads, resolution, descriptor), now)


_Parts = tuple[Sequence[Point], list[list[dict[str, Any]]], timedelta, dict[str, Any]]


def _send(
    session: Session, program: DrProgram, targets: Sequence[str], parts: _Parts, now: datetime
) -> DrEvent:
    points, payloads, resolution, descriptor = parts
    duration = f"PT{round(resolution.total_seconds())}S"
    content = {
        "programID": program.id,
        "targets": list(targets),
        "payloadDescriptors": [descriptor],
        "intervalPeriod": {"start": write_instant(points[0].start), "duration": duration},
        "intervals": [
            {
                "id": number,
                "intervalPeriod": {"start": write_instant(point.start), "duration": duration},
                "payloads": payloads[number],
            }
            for number, point in enumerate(points)
        ],
        "reportDescriptors": [{"payloadType": "USAGE", "readingType": "DIRECT_READ", "units": "KWH"}],
    }
    return create_event(session, operator_of(program.environment), Sent(content), now)


def draw_curve(day: datetime, zone: str, currency: str, price_area: str | None) -> Curve:
    """Draw a curve for the local day after an instant: use more at noon, less in the evening.

    Args:
        day: Any instant; the curve is for the next local day.
        zone: Of the area.
        currency: Of the prices.
        price_area: Such as NO1.
    """
    midnight = next_midnight(day, zone)
    rng = random.Random(midnight.isoformat())  # noqa: S311 - a demonstration, not a secret
    hours = [(hour, -1) for hour in sorted(rng.sample(range(9, 16), 4))]
    hours += [(hour, 1) for hour in sorted(rng.sample(range(16, 21), 2))]
    points = [
        Point(midnight.replace(hour=hour), sign * round(rng.uniform(0.1, 0.6), 2)) for hour, sign in hours
    ]
    return Curve(points, currency=currency, price_area=price_area)


def is_time(session: Session, now: datetime) -> bool:
    """Tell whether a daily price curve may be due, or changes of eligibility wait."""
    waiting = exists().where(DrEligibilityChange.event_id.is_(None))
    daily = exists().where(
        DrArea.daily_at.is_not(None), or_(DrArea.last_daily_for.is_(None), DrArea.last_daily_for <= now)
    )
    return bool(session.scalar(select(or_(waiting, daily))))


def send_daily_curves(session: Session, now: datetime) -> int:
    """Send tomorrow's price curve to each area whose time of day has come, once a day.

    Returns:
        How many were sent.
    """
    sent = 0
    areas = session.scalars(
        select(DrArea).where(DrArea.daily_at.is_not(None)).with_for_update(skip_locked=True)
    ).all()
    for area in areas:
        local = now.astimezone(find_zone(area.timezone))
        tomorrow = next_midnight(now, area.timezone)
        is_done = area.last_daily_for is not None and area.last_daily_for >= tomorrow
        if is_done or local.strftime("%H:%M") < str(area.daily_at):
            continue
        curve = draw_curve(now, area.timezone, area.currency, area.price_area)
        send_curve(session, session.get_one(DrProgram, area.program_id), [area.target], curve, now)
        area.last_daily_for = tomorrow
        sent += 1
    return sent

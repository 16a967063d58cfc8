"""The outbox of orders for forecasts: they are stored with the data that call for them, and placed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from flexmeasures.data.stores.driver import driver_of

__all__ = ["Measured", "WaitingOrder", "add_orders", "join_orders", "take_orders"]


@dataclass(frozen=True)
class Measured:
    """Order of forecasts: a measured period, and the horizons.

    Attributes:
        sensor_id: Of which sensor.
        measured_from: Start of the first event.
        measured_until: End of the last event.
        horizons: How far ahead; not empty.
    """

    sensor_id: int
    measured_from: datetime
    measured_until: datetime
    horizons: tuple[timedelta, ...]


@dataclass(frozen=True)
class WaitingOrder:
    """An order that waits to be placed; see `Measured`.

    Attributes:
        id: Its number.
        ordered_at: When the data were stored.
        last_id: Number of the last order that was joined to it; None: it stands alone.
    """

    id: int
    sensor_id: int
    measured_from: datetime
    measured_until: datetime
    horizons: list[timedelta]
    ordered_at: datetime
    last_id: int | None = None

    @property
    def name(self) -> str:
        """A name that no other order ever has, also not after the table was restored from a backup."""
        joined = "" if self.last_id is None else f"-to-{self.last_id}"
        return f"forecast-{self.id}-{self.ordered_at:%Y%m%dT%H%M%S%f}{joined}"


def join_orders(orders: Iterable[WaitingOrder]) -> list[WaitingOrder]:
    """Make one order of those of a sensor whose periods overlap or touch, in the order of the first ones."""
    joined: list[WaitingOrder] = []
    for order in sorted(orders, key=lambda one: (one.sensor_id, one.horizons, one.measured_from, one.id)):
        last = joined[-1] if joined else None
        if (
            last is None
            or (last.sensor_id, last.horizons) != (order.sensor_id, order.horizons)
            or order.measured_from > last.measured_until
        ):
            joined.append(order)
            continue
        first = min(last, order, key=lambda one: one.id)
        joined[-1] = replace(
            first,
            measured_from=last.measured_from,
            measured_until=max(last.measured_until, order.measured_until),
            last_id=max(last.last_id or last.id, order.id),
        )
    return sorted(joined, key=lambda one: one.id)


def add_orders(session: Session, orders: Sequence[Measured]) -> None:
    """Store orders, in the transaction of the session."""
    rows = [(o.sensor_id, o.measured_from, o.measured_until, list(o.horizons)) for o in orders]
    insert = "insert into forecast_order (sensor_id, measured_from, measured_until, horizons) values (%s, %s, %s, %s)"
    with driver_of(session).cursor() as cursor:
        if len(rows) == 1:  # as nearly always, and without a pipeline in a third of the time
            cursor.execute(insert, rows[0])
        else:
            cursor.executemany(insert, rows)


@contextmanager
def take_orders(engine: Engine, limit: int) -> Iterator[list[WaitingOrder]]:
    """Take the oldest orders that nobody else is placing right now.

    They are gone when the block ends well, and stay when it raises.

    Args:
        engine: Of the database; the block has a connection and a transaction of its own.
        limit: The largest number of orders.
    """
    with engine.connect() as connection:
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        # An order that comes back because the machine failed right now is recognised by its name.
        driver.execute("set local synchronous_commit to off")
        with driver.cursor(row_factory=class_row(WaitingOrder)) as cursor:
            cursor.execute(
                "delete from forecast_order where id = any(array("
                "select id from forecast_order order by id limit %s for update skip locked)) returning *",
                (limit,),
            )
            orders = cursor.fetchall()
        yield sorted(orders, key=lambda order: order.id)
        driver.commit()

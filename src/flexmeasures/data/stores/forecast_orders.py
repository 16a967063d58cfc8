"""The outbox of orders for forecasts: they are stored with the data that call for them, and placed afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from sqlalchemy import Engine
from sqlalchemy.orm import Session

__all__ = ["Measured", "WaitingOrder", "add_orders", "take_orders"]


@dataclass(frozen=True)
class Measured:
    """What was measured, and how far ahead it is to be forecast.

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
    """

    id: int
    sensor_id: int
    measured_from: datetime
    measured_until: datetime
    horizons: list[timedelta]
    ordered_at: datetime

    @property
    def name(self) -> str:
        """A name that no other order ever has, also not after the table was restored from a backup."""
        return f"forecast-{self.id}-{self.ordered_at:%Y%m%dT%H%M%S%f}"


def add_orders(session: Session, orders: Sequence[Measured]) -> None:
    """Store orders, in the transaction of the session."""
    session.flush()
    connection: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into forecast_order (sensor_id, measured_from, measured_until, horizons) values (%s, %s, %s, %s)",
            [(o.sensor_id, o.measured_from, o.measured_until, list(o.horizons)) for o in orders],
        )


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

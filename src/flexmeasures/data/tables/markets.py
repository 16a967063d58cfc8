"""Where prices come from: market types and markets."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.sensors import Sensor

__all__ = ["Market", "MarketType"]


class MarketType(db.Model):  # type: ignore[misc, name-defined]
    """A kind of market."""

    __tablename__ = "market_type"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(80), unique=True)
    daily_seasonality: Mapped[bool] = mapped_column(default=False)
    weekly_seasonality: Mapped[bool] = mapped_column(default=False)
    yearly_seasonality: Mapped[bool] = mapped_column(default=False)


class Market(db.Model):  # type: ignore[misc, name-defined]
    """A market, with one price sensor [currency/MWh or as its unit says]."""

    __tablename__ = "market"

    id: Mapped[int] = mapped_column(
        ForeignKey("sensor.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(String(80), unique=True)
    display_name: Mapped[str] = mapped_column(String(80), unique=True)
    market_type_name: Mapped[str] = mapped_column(ForeignKey("market_type.name"))

    sensor: Mapped[Sensor] = relationship(lazy="joined", innerjoin=True)

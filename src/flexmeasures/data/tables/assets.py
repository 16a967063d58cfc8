"""What consumes, produces or stores energy: asset types and assets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.markets import Market
from flexmeasures.data.tables.sensors import Sensor
from flexmeasures.data.tables.users import User

__all__ = ["Asset", "AssetType"]


class AssetType(db.Model):  # type: ignore[misc, name-defined]
    """A kind of asset and what it can do.

    Attributes:
        flex_model: How assets of this type are scheduled, see `domain.scheduling.flex_model`; None: not at all.
    """

    __tablename__ = "asset_type"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(80), unique=True)
    hover_label: Mapped[str | None] = mapped_column(String(120))
    is_consumer: Mapped[bool] = mapped_column(default=False)
    is_producer: Mapped[bool] = mapped_column(default=False)
    can_curtail: Mapped[bool] = mapped_column(default=False)
    can_shift: Mapped[bool] = mapped_column(default=False)
    daily_seasonality: Mapped[bool] = mapped_column(default=False)
    weekly_seasonality: Mapped[bool] = mapped_column(default=False)
    yearly_seasonality: Mapped[bool] = mapped_column(default=False)
    flex_model: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)


class Asset(db.Model):  # type: ignore[misc, name-defined]
    """Something behind a connection to the grid, with one power sensor [MW, consumption positive].

    Attributes:
        flex_model: What differs from the flex model of its type; None: nothing.
    """

    __tablename__ = "asset"

    id: Mapped[int] = mapped_column(ForeignKey("sensor.id"), primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    display_name: Mapped[str] = mapped_column(String(80), unique=True)
    asset_type_name: Mapped[str] = mapped_column(ForeignKey("asset_type.name"))
    capacity_in_mw: Mapped[float]
    min_soc_in_mwh: Mapped[float | None]
    max_soc_in_mwh: Mapped[float | None]
    soc_in_mwh: Mapped[float | None]
    soc_datetime: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    soc_udi_event_id: Mapped[int | None] = mapped_column(BigInteger)
    latitude: Mapped[float]
    longitude: Mapped[float]
    owner_id: Mapped[int] = mapped_column(ForeignKey("fm_user.id", ondelete="CASCADE"), index=True)
    market_id: Mapped[int | None] = mapped_column(ForeignKey("market.id"))
    flex_model: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    sensor: Mapped[Sensor] = relationship(lazy="joined", innerjoin=True)
    asset_type: Mapped[AssetType] = relationship(lazy="joined", innerjoin=True)
    owner: Mapped[User] = relationship(lazy="select")
    market: Mapped[Market | None] = relationship(lazy="select")

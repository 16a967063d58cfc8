"""Asset types and the tree of assets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    and_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.accounts import Account
from flexmeasures.data.tables.markets import Market
from flexmeasures.data.tables.sensors import NUMBERS, Sensor
from flexmeasures.data.tables.users import User

__all__ = ["Asset", "AssetType", "DeviceState"]


class AssetType(db.Model):  # type: ignore[misc, name-defined]
    """A kind of asset and what it can do.

    Attributes:
        id: A number that clients know; those of the built-in types are the same everywhere.
        flex_model: How assets of this type are scheduled, see `domain.scheduling.flex_model`; None: not at all.
    """

    __tablename__ = "asset_type"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    id: Mapped[int] = mapped_column(Integer, Identity(start=101), unique=True)
    display_name: Mapped[str] = mapped_column(String(80), unique=True)
    hover_label: Mapped[str | None] = mapped_column(String(120))
    description: Mapped[str | None] = mapped_column(String(255))
    is_consumer: Mapped[bool] = mapped_column(default=False)
    is_producer: Mapped[bool] = mapped_column(default=False)
    can_curtail: Mapped[bool] = mapped_column(default=False)
    can_shift: Mapped[bool] = mapped_column(default=False)
    daily_seasonality: Mapped[bool] = mapped_column(default=False)
    weekly_seasonality: Mapped[bool] = mapped_column(default=False)
    yearly_seasonality: Mapped[bool] = mapped_column(default=False)
    flex_model: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)


class DeviceState(db.Model):  # type: ignore[misc, name-defined]
    """Current state of a device: the row that changes often and is locked, apart from its asset.

    Attributes:
        soc_in_mwh: State of charge [MWh].
        soc_datetime: When that was.
        soc_udi_event_id: Number of the last UDI event.
    """

    __tablename__ = "device_state"

    asset_id: Mapped[int] = mapped_column(
        ForeignKey("asset.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    soc_in_mwh: Mapped[float | None]
    soc_datetime: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    soc_udi_event_id: Mapped[int | None] = mapped_column(BigInteger)


class Asset(db.Model):  # type: ignore[misc, name-defined]
    """A house, a battery in it, a market, a weather station, a community: anything that has sensors or parts.

    Assets of API v2_0 have an owner, a place, a capacity, a shown name and a power sensor [MW, consumption positive].

    Attributes:
        account_id: Whose it is; None: it is public.
        parent_id: The asset that it is a part of; its account is the same.
        name: Unique among the parts of one asset, and among the assets of an account that are not parts.
        display_name: Shown name of API v2_0.
        unit: Shown unit of API v2_0; values of the power sensor are in the unit of the sensor, MW.
        power_sensor_id: The sensor of its power, which API v2_0 and plans speak of.
        flex_model: What differs from the flex model of its type; None: nothing.
        flex_context: Prices, limits and the like for this asset and all its parts.
        sensors_to_show: Graphs of its page, as API v3 writes them; `sensors_to_show_as_kpis` likewise.
        external_id: Its id in another system; unique in the account.
    """

    __tablename__ = "asset"
    __table_args__ = (
        Index(
            "asset_account_id_key",
            "account_id",
            "parent_id",
            "name",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(
            "asset_external_id_key",
            "account_id",
            "external_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("external_id is not null"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, NUMBERS, primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    # Those of connections are typed as what they are there: only `is_connection` tells whether they are given.
    display_name: Mapped[str] = mapped_column(String(80), unique=True, nullable=True)
    description: Mapped[str | None] = mapped_column(Text)
    asset_type_name: Mapped[str] = mapped_column(ForeignKey("asset_type.name"))
    unit: Mapped[str | None] = mapped_column(String(80))
    capacity_in_mw: Mapped[float] = mapped_column(nullable=True)
    min_soc_in_mwh: Mapped[float | None]
    max_soc_in_mwh: Mapped[float | None]
    latitude: Mapped[float] = mapped_column(nullable=True)
    longitude: Mapped[float] = mapped_column(nullable=True)
    owner_id: Mapped[int] = mapped_column(
        ForeignKey("fm_user.id", ondelete="CASCADE"), index=True, nullable=True
    )
    # These two are looked at when the transaction ends, because the rows name each other.
    market_id: Mapped[int | None] = mapped_column(
        ForeignKey(
            "market.id",
            name="asset_market_id_market_fkey",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        )
    )
    power_sensor_id: Mapped[int | None] = mapped_column(
        ForeignKey(
            "sensor.id",
            name="asset_power_sensor_id_sensor_fkey",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        ),
        unique=True,
    )
    attributes: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'::jsonb")
    )
    flex_model: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    flex_context: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    sensors_to_show: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    sensors_to_show_as_kpis: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    external_id: Mapped[str | None] = mapped_column(String(255))

    account: Mapped[Account | None] = relationship(lazy="select")
    sensor: Mapped[Sensor] = relationship(lazy="joined", foreign_keys=[power_sensor_id], viewonly=True)
    asset_type: Mapped[AssetType] = relationship(lazy="joined", innerjoin=True)
    owner: Mapped[User] = relationship(lazy="select")
    market: Mapped[Market | None] = relationship(lazy="select", foreign_keys=[market_id])
    state: Mapped[DeviceState | None] = relationship(
        lazy="joined", cascade="all, delete-orphan", passive_deletes=True, single_parent=True
    )

    @hybrid_property
    def is_connection(self) -> bool:
        """Tell whether it has all that API v2_0 shows of an asset."""
        return None not in (
            self.owner_id,
            self.power_sensor_id,
            self.capacity_in_mw,
            self.latitude,
            self.longitude,
            self.display_name,
        )

    @is_connection.inplace.expression
    @classmethod
    def _is_connection(cls) -> ColumnElement[bool]:
        return and_(
            *(
                column.is_not(None)
                for column in (
                    cls.owner_id,
                    cls.power_sensor_id,
                    cls.capacity_in_mw,
                    cls.latitude,
                    cls.longitude,
                    cls.display_name,
                )
            )
        )

    soc_in_mwh: AssociationProxy[float | None] = association_proxy(
        "state", "soc_in_mwh", creator=lambda soc: DeviceState(soc_in_mwh=soc)
    )
    soc_datetime: AssociationProxy[datetime | None] = association_proxy(
        "state", "soc_datetime", creator=lambda at: DeviceState(soc_datetime=at)
    )
    soc_udi_event_id: AssociationProxy[int | None] = association_proxy(
        "state", "soc_udi_event_id", creator=lambda number: DeviceState(soc_udi_event_id=number)
    )

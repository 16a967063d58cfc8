"""Plans with an identity: one for an asset or a whole site, with what each of its devices is to do."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Interval,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.sources import DataSource

__all__ = ["PlanDevice", "PlanRecord"]


class PlanDevice(db.Model):  # type: ignore[misc, name-defined]
    """Part of a plan for one device.

    The same powers are beliefs about the device's power; of these a later plan replaces some, while this row stays as
    it is.

    Attributes:
        sensor_id: The sensor of its power.
        udi_event_id: Number of the device's event that asked for the plan; None if none did.
        power_mw: Average power in each slot (n,) [MW, consumption positive].
        soc_mwh: State of charge at each boundary of slots (n+1,) [MWh]; None if nothing is stored.
        targets: States of charge that were wanted [MWh], by instant.
        missed: What could not be kept: a list of objects with limit, device, at, wanted, reached, unit, clashes.
    """

    __tablename__ = "plan_device"
    __table_args__ = (
        Index(
            "plan_device_udi_event_id_idx",
            "sensor_id",
            "udi_event_id",
            postgresql_where=text("udi_event_id is not null"),
        ),
    )

    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True)
    sensor_id: Mapped[int] = mapped_column(
        ForeignKey("sensor.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    udi_event_id: Mapped[int | None] = mapped_column(BigInteger)
    power_mw: Mapped[list[float]] = mapped_column(ARRAY(Double))
    soc_mwh: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    targets: Mapped[dict[str, float]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    missed: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))

    plan: Mapped[PlanRecord] = relationship(lazy="select", back_populates="devices")


class PlanRecord(db.Model):  # type: ignore[misc, name-defined]
    """A plan as it was made: of an asset, or of a site with all its devices.

    Money is in `currency`; the saving is `baseline_cost` − `cost`, and what is left in stores (`energy_left` in
    `explanation`).

    Attributes:
        id: By which it is asked for.
        number: Plans are numbered as they are stored: of two that were recorded at once, the higher one is newer.
        asset_id: The asset that was planned, with its parts.
        source_id: The scheduler.
        start: Start of the first slot.
        end: End of the last slot.
        resolution: Length of a slot.
        outcome: How it came about: optimal, best found, relaxed, fallback or custom.
        gap: Proven relative distance from the lowest cost.
        baseline: What it is compared with: the asset's forecast, doing nothing or charging at once.
        co2_kg: Emissions [kg]; None if no CO₂ intensity is known.
        net_mw: Average power at the connection of a site in each slot (n,) [MW, consumption positive]; None: that of
            the only device.
        missed: What the site could not keep: a list of objects as of its devices.
        notes: What the owner should know, as sentences.
        explanation: Marginal prices and values, what bound in each slot, and the costs of simple plans.
    """

    __tablename__ = "plan"
    __table_args__ = (Index("plan_asset_id_idx", "asset_id", "recorded_at", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(
        UUID(as_uuid=True), primary_key=True, default=uuid.uuid4, server_default=text("gen_random_uuid()")
    )
    number: Mapped[int] = mapped_column(BigInteger, Identity())
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"))
    source_id: Mapped[int] = mapped_column(ForeignKey("data_source.id"))
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    end: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    resolution: Mapped[timedelta] = mapped_column(Interval)
    outcome: Mapped[str] = mapped_column(String(20))
    gap: Mapped[float]
    currency: Mapped[str] = mapped_column(String(80))
    cost: Mapped[float]
    baseline: Mapped[str] = mapped_column(String(40))
    baseline_cost: Mapped[float]
    co2_kg: Mapped[float | None]
    baseline_co2_kg: Mapped[float | None]
    shifted_mwh: Mapped[float]
    shifted_mwh_h: Mapped[float]
    curtailed_mwh: Mapped[float]
    added_mwh: Mapped[float]
    net_mw: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    missed: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    notes: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    explanation: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))

    source: Mapped[DataSource] = relationship(lazy="select")
    devices: Mapped[list[PlanDevice]] = relationship(
        lazy="select", passive_deletes=True, back_populates="plan", order_by=PlanDevice.sensor_id
    )

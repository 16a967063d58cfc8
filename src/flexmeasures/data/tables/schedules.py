"""Schedules as they were made: what was planned, what it costs, and why."""

from __future__ import annotations

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
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.sources import DataSource

__all__ = ["ScheduleRecord"]


class ScheduleRecord(db.Model):  # type: ignore[misc, name-defined]
    """A schedule of an asset with its value and its reasons.

    The same powers are beliefs about the asset's power; of these a later schedule replaces some, while a record
    stays as it is. Money is in `currency`; the saving is `baseline_cost` − `cost`, and what is
    left in stores (`energy_left` in `explanation`).

    Attributes:
        udi_event_id: Number of the event that asked for it; None if no event did.
        start: Start of the first slot.
        power_mw: Average power in each slot (n,) [MW, consumption positive].
        soc_mwh: State of charge at each boundary of slots (n+1,) [MWh]; None if nothing is stored.
        targets: States of charge that were wanted [MWh], by instant.
        outcome: How the plan came about: optimal, best found, relaxed, fallback or custom.
        gap: Proven relative distance from the lowest cost.
        baseline: What the schedule is compared with: the asset's forecast, or doing nothing.
        co2_kg: Emissions [kg]; None if no CO₂ intensity is known.
        missed: What could not be kept: a list of objects with limit, device, at, wanted, reached, unit, clashes.
        notes: What the owner should know, as sentences.
        explanation: Marginal prices and values, what bound in each slot, and the costs of simple plans.
    """

    __tablename__ = "schedule"
    __table_args__ = (Index("schedule_asset_id_idx", "asset_id", "recorded_at", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"))
    source_id: Mapped[int] = mapped_column(ForeignKey("data_source.id"))
    udi_event_id: Mapped[int | None] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    resolution: Mapped[timedelta] = mapped_column(Interval)
    power_mw: Mapped[list[float]] = mapped_column(ARRAY(Double))
    soc_mwh: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    targets: Mapped[dict[str, float]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
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
    missed: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    notes: Mapped[list[str]] = mapped_column(JSONB)
    explanation: Mapped[dict[str, Any]] = mapped_column(JSONB)

    source: Mapped[DataSource] = relationship(lazy="select")

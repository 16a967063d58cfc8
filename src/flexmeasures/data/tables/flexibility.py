"""Orders of flexibility: which activations were agreed with which assets, at what price and under which contract."""

from __future__ import annotations

from datetime import datetime, timedelta

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
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.assets import Asset

__all__ = ["FlexibilityOrder"]


class FlexibilityOrder(db.Model):  # type: ignore[misc, name-defined]
    """An ordered activation of an asset in one slot of a market; money is in `currency`.

    Attributes:
        revoked_at: When it was taken back; None: it holds.
        regulation: ``up`` (less consumption or more production) or ``down``.
        start: Start of the market slot.
        resolution: Length of a slot of the asset.
        agreed_mw: Average power in each of its slots (w,) [MW, consumption positive].
        planned_mw: Power without the order (w,) [MW].
        effect_start: Start of the effect, in time the first slot that it was planned with.
        effect_mw: Change of power from then on, its rebound included (n,) [MW].
        volume_mwh: Energy of the change in the market slot, > 0 [MWh].
        cost: What it costs the asset, rebound included [currency].
        market_price: What the market pays for it [currency/MWh].
        deviation_price: What deviating from it is taken to cost when schedules are made [currency/MWh].
        shifted_mwh: Energy used at another time [MWh].
        shifted_mwh_h: The same times the duration of the shift [MWh·h].
        curtailed_mwh: Energy that is not used or produced any more [MWh].
        added_mwh: Energy that would not have been used or produced [MWh].
        co2_kg: Change of emissions [kg]; None if no CO₂ intensity is known.
        owner_share: Share of the profit that the owner receives, 0 … 1.
        fee_per_activation: What the owner pays for the activation [currency].
        fee_per_hour: What the owner pays for each hour of the activation [currency/h].
        owner_bears_losses: Whether the owner has the same share of a loss.
    """

    __tablename__ = "flexibility_order"
    __table_args__ = (
        Index(
            "flexibility_order_asset_id_idx",
            "asset_id",
            "start",
            unique=True,
            postgresql_where=text("revoked_at is null"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"))
    placed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    regulation: Mapped[str] = mapped_column(String(4))
    start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    resolution: Mapped[timedelta] = mapped_column(Interval)
    agreed_mw: Mapped[list[float]] = mapped_column(ARRAY(Double))
    planned_mw: Mapped[list[float]] = mapped_column(ARRAY(Double))
    effect_start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    effect_mw: Mapped[list[float]] = mapped_column(ARRAY(Double))
    volume_mwh: Mapped[float]
    currency: Mapped[str] = mapped_column(String(80))
    cost: Mapped[float]
    market_price: Mapped[float]
    deviation_price: Mapped[float]
    shifted_mwh: Mapped[float]
    shifted_mwh_h: Mapped[float]
    curtailed_mwh: Mapped[float]
    added_mwh: Mapped[float]
    co2_kg: Mapped[float | None]
    owner_share: Mapped[float]
    fee_per_activation: Mapped[float]
    fee_per_hour: Mapped[float]
    owner_bears_losses: Mapped[bool]

    asset: Mapped[Asset] = relationship(lazy="select")

    @property
    def end(self) -> datetime:
        """End of the market slot."""
        return self.start + len(self.agreed_mw) * self.resolution

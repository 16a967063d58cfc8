"""Requests of the grid to assets: power limits and price differences, with when they came, held and ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Double, ForeignKey, Identity, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from flexmeasures.data.database import db

__all__ = ["GridSignal"]


class GridSignal(db.Model):  # type: ignore[misc, name-defined]
    """One value that the grid asks of an asset, and of all its parts, for a while.

    Rows are never changed once they hold but to end them: they are the record of what was asked and when.

    Attributes:
        kind: ``import_limit`` or ``export_limit`` [MW, at every instant], or ``price_delta`` [currency/MWh].
        starts_at: Inclusive.
        ends_at: Exclusive; None: without end.
        source: Who asks; limits of one source follow its priorities, of several the strictest holds.
        event_id: Of the source, or ``fail-safe``.
        version: When the source changed the event last.
        priority: 0 is the highest; None is below every number.
        legal_basis: Such as ``§ 14a EnWG``.
        received_at: When we learned of it.
        applied_at: When the schedules kept it; None: they do not yet.
        released_at: When it was withdrawn or replaced before its end; None: it was not.
    """

    __tablename__ = "grid_signal"
    __table_args__ = (Index("grid_signal_asset_id_idx", "asset_id", "starts_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    value: Mapped[float] = mapped_column(Double)
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    source: Mapped[str] = mapped_column(String(80), index=True)
    event_id: Mapped[str] = mapped_column(String(128))
    version: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    priority: Mapped[int | None] = mapped_column(Integer)
    legal_basis: Mapped[str | None] = mapped_column(String(80))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    applied_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

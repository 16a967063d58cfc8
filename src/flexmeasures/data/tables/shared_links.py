"""Links that show something of an asset to whoever has them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Identity, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db
from flexmeasures.data.tables.assets import Asset

__all__ = ["LINK_KINDS", "SharedLink"]

LINK_KINDS = ("calendar", "chart", "page")


class SharedLink(db.Model):  # type: ignore[misc, name-defined]
    """A link that shows something of an asset without a login, until it is revoked.

    Attributes:
        kind: What it shows: the plan as a calendar, a chart for a frame, or a page.
        token_hash: SHA-256 of the secret in the link; the secret itself is not kept.
        created_by: Who made it; the link goes with that user.
    """

    __tablename__ = "shared_link"
    __table_args__ = (
        CheckConstraint(f"kind in {LINK_KINDS}", name="shared_link_kind_check"),
        Index("shared_link_asset_id_idx", "asset_id"),
    )

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("fm_user.id", ondelete="CASCADE"))

    asset: Mapped[Asset] = relationship(lazy="joined")

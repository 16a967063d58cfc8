"""Servers of others that coordinate us: partner APIs and OpenADR 3 servers, what they said, and what they are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexmeasures.data.database import db

__all__ = ["Upstream", "UpstreamEvent", "UpstreamReport", "UpstreamTarget"]

_NOTHING = text("'{}'::jsonb")


class Upstream(db.Model):  # type: ignore[misc, name-defined]
    """A server whose events we follow.

    Attributes:
        kind: ``openadr-3.1.0``, ``openadr-3.0.1`` or ``partner``.
        address: Base of its API.
        token_address: Where tokens come from; None: as its protocol says.
        credentials: Client id, secret and the secret of webhooks, sealed.
        scope: Asked for with a token; None: none.
        receiver: Part of the path to which it sends webhooks; not to be guessed.
        currency: Of its prices, where it does not say.
        market_id: The market whose prices it publishes (absolute ones); None: such prices are not used.
        is_binding: Whether its limits must be kept, and a fail-safe when it is silent.
        silence: How long without a sign of it counts as lost.
        safe_limit_mw: The limit of each of its assets while it is lost [MW].
        safe_for: How long that holds at least.
        legal_basis: Of its limits, such as ``§ 14a EnWG``.
        poll_every: How often it is asked.
        listens: Whether its MQTT broker is listened to as well.
        watch: Where the fail-safe stands.
        heard_at: When it last answered.
        due_at: When it is to be asked next.
        failures: Failed attempts in a row; `problem` says why.
    """

    __tablename__ = "upstream"

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(Text)
    token_address: Mapped[str | None] = mapped_column(Text)
    credentials: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str | None] = mapped_column(String(255))
    receiver: Mapped[str] = mapped_column(String(64), unique=True)
    currency: Mapped[str] = mapped_column(String(3))
    market_id: Mapped[int | None] = mapped_column(ForeignKey("market.id", ondelete="SET NULL"))
    is_binding: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    silence: Mapped[timedelta] = mapped_column(Interval)
    safe_limit_mw: Mapped[float | None] = mapped_column(Double)
    safe_for: Mapped[timedelta] = mapped_column(Interval)
    legal_basis: Mapped[str | None] = mapped_column(String(80))
    poll_every: Mapped[timedelta] = mapped_column(Interval)
    listens: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    watch: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_NOTHING)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    heard_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    problem: Mapped[str | None] = mapped_column(Text)

    targets: Mapped[list[UpstreamTarget]] = relationship(lazy="select", passive_deletes=True)


class UpstreamTarget(db.Model):  # type: ignore[misc, name-defined]
    """An asset of ours as an upstream knows it.

    Attributes:
        resource_name: Name of the resource in OpenADR, its ``resourceId`` in partner APIs; reports carry it.
        target: A word in the targets of events that means this asset, such as an EAN; None: only the resource's name.
        location_id: ``locationId`` of partner APIs.
        meter_point_id: Likewise.
    """

    __tablename__ = "upstream_target"
    __table_args__ = (
        UniqueConstraint("upstream_id", "resource_name", name="upstream_target_resource_name_key"),
    )

    upstream_id: Mapped[int] = mapped_column(ForeignKey("upstream.id", ondelete="CASCADE"), primary_key=True)
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("asset.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    resource_name: Mapped[str] = mapped_column(String(128))
    target: Mapped[str | None] = mapped_column(String(128))
    location_id: Mapped[str | None] = mapped_column(String(128))
    meter_point_id: Mapped[str | None] = mapped_column(String(128))


class UpstreamEvent(db.Model):  # type: ignore[misc, name-defined]
    """The last version of an event of an upstream.

    Attributes:
        version: When the upstream changed it last; older versions that come later are ignored.
        content: As it came.
        withdrawn_at: When the upstream did not list it any more.
    """

    __tablename__ = "upstream_event"

    upstream_id: Mapped[int] = mapped_column(ForeignKey("upstream.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    withdrawn_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    problem: Mapped[str | None] = mapped_column(Text)


class UpstreamReport(db.Model):  # type: ignore[misc, name-defined]
    """Message to an upstream about an event: sent once, and again when it changes.

    Attributes:
        kind: ``acknowledgement`` or ``usage``.
        content: The message, in the upstream's shape.
        digest: Of the content that the upstream has; None: it has none yet.
        remote_id: Id of the report there.
        due_at: When it is to be sent; None: it was.
        answer: Why the last attempt failed.
    """

    __tablename__ = "upstream_report"
    __table_args__ = (
        UniqueConstraint("upstream_id", "event_id", "kind", name="upstream_report_event_id_key"),
        Index("upstream_report_due_idx", "upstream_id", postgresql_where=text("due_at is not null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    upstream_id: Mapped[int] = mapped_column(ForeignKey("upstream.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(20))
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[str | None] = mapped_column(String(64))
    remote_id: Mapped[str | None] = mapped_column(String(128))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    answer: Mapped[str | None] = mapped_column(Text)

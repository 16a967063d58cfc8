"""Overviews of messages from upstreams, of our answers, and of compliance with limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Asset, GridSignal, Upstream, UpstreamReport, User
from flexmeasures.services.rights import owner_scope
from flexmeasures.services.upstreams.compliance import Kept, count_kept

__all__ = [
    "KeptLimits",
    "ReceivedSignal",
    "SentReport",
    "list_kept_limits",
    "list_reports",
    "list_signals",
    "list_upstreams",
]

MOST = 200


@dataclass(frozen=True)
class ReceivedSignal:
    """A limit or a price difference of the grid for an asset.

    Attributes:
        kind: ``import_limit`` or ``export_limit`` [MW], or ``price_delta`` [currency/MWh].
        ends_at: None: without end.
        applied_at: When plans kept it; None: they do not yet.
        released_at: When it was withdrawn or replaced before its end.
    """

    asset_id: int
    asset_name: str
    kind: str
    value: float
    starts_at: datetime
    ends_at: datetime | None
    source: str
    event_id: str
    legal_basis: str | None
    received_at: datetime
    applied_at: datetime | None
    released_at: datetime | None


@dataclass(frozen=True)
class SentReport:
    """A message of ours to an upstream about an event.

    Attributes:
        kind: ``acknowledgement`` or ``usage``.
        sent_at: When the upstream took it; None: it has not yet.
        answer: Why the last attempt failed.
    """

    upstream: str
    event_id: str
    kind: str
    sent_at: datetime | None
    due_at: datetime | None
    attempts: int
    answer: str | None


@dataclass(frozen=True)
class KeptLimits:
    """Compliance of an asset with its limits in a period."""

    asset_id: int
    asset_name: str
    kept: Kept


def list_upstreams(session: Session) -> list[Upstream]:
    """List the servers that are followed, by name; for those who look after the platform."""
    return list(session.scalars(select(Upstream).order_by(Upstream.name)))


def list_signals(session: Session, user: User, start: datetime, end: datetime) -> list[ReceivedSignal]:
    """List what came for a user's assets about a period, the newest first, at most `MOST`; one query.

    Of price differences only the first slot of an event and asset is listed: they come in hundreds.
    """
    scope = owner_scope(user)
    event = (GridSignal.source, GridSignal.event_id, GridSignal.asset_id, GridSignal.kind)
    order = (GridSignal.released_at.is_not(None), GridSignal.starts_at, GridSignal.id.desc())
    numbered = (
        select(GridSignal.id, func.row_number().over(partition_by=event, order_by=order).label("number"))
        .where(GridSignal.starts_at < end, or_(GridSignal.ends_at.is_(None), GridSignal.ends_at > start))
        .subquery()
    )
    query = (
        select(GridSignal, Asset)
        .join(numbered, and_(numbered.c.id == GridSignal.id, numbered.c.number == 1))
        .join(Asset, Asset.id == GridSignal.asset_id)
        .order_by(GridSignal.starts_at.desc(), GridSignal.id.desc())
        .limit(MOST)
    )
    if scope is not None:
        query = query.where(Asset.owner_id == scope)
    return [_signal(row[0], row[1]) for row in session.execute(query)]


def _signal(signal: GridSignal, asset: Asset) -> ReceivedSignal:
    return ReceivedSignal(
        asset.id,
        asset.display_name or asset.name,
        signal.kind,
        signal.value,
        signal.starts_at,
        signal.ends_at,
        signal.source,
        signal.event_id,
        signal.legal_basis,
        signal.received_at,
        signal.applied_at,
        signal.released_at,
    )


def list_kept_limits(
    session: Session, user: User, signals: Sequence[ReceivedSignal], start: datetime, end: datetime
) -> list[KeptLimits]:
    """Count how the assets of signals kept their limits in a period; two queries an asset that was limited.

    Args:
        session: For reading.
        user: Who asks; only assets that the user may see were listed with the signals.
        signals: As `list_signals` gives them.
        start: Inclusive.
        end: Exclusive; at most 32 days after the start.
    """
    limited = {one.asset_id: one.asset_name for one in signals if one.kind == "import_limit"}
    return [
        KeptLimits(asset_id, name, count_kept(session, asset_id, start, end))
        for asset_id, name in sorted(limited.items())
    ]


def list_reports(session: Session, signals: Sequence[ReceivedSignal]) -> list[SentReport]:
    """List what we told upstreams about the events of signals, the newest first."""
    asked = {(one.source, one.event_id) for one in signals}
    query = (
        select(UpstreamReport, Upstream.name)
        .join(Upstream, Upstream.id == UpstreamReport.upstream_id)
        .where(tuple_(Upstream.name, UpstreamReport.event_id).in_(asked))
        .order_by(UpstreamReport.id.desc())
        .limit(MOST)
    )
    return [
        SentReport(name, one.event_id, one.kind, one.sent_at, one.due_at, one.attempts, one.answer)
        for one, name in session.execute(query)
    ]

"""The fail-safe of a binding upstream: what holds while nothing is heard of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from flexmeasures.data.tables import GridSignal, Upstream, UpstreamTarget
from flexmeasures.domain.coordination import FailSafe, LimitState, LimitWatch, SignalKind
from flexmeasures.domain.time import format_instant, parse_instant
from flexmeasures.domain.units import KW_PER_MW

__all__ = ["FAIL_SAFE", "note_contact", "note_silence"]

FAIL_SAFE = "fail-safe"
"""The event of limits that hold because an upstream is silent."""


def note_contact(session: Session, upstream: Upstream, now: datetime) -> tuple[int, ...]:
    """Note that an upstream told all that it asks now; the caller commits.

    An answer to a question for all events is a sign of life and a fresh statement of limits at once.

    Returns:
        Assets that are to be planned anew, because the fail-safe has ended.
    """
    upstream.heard_at, upstream.failures, upstream.problem = now, 0, None
    if not upstream.is_binding:
        return ()
    watch = _watch_of(upstream, now).heartbeat(now).write(now, None)
    return _apply(session, upstream, watch, now)


def note_silence(session: Session, upstream: Upstream, now: datetime) -> tuple[int, ...]:
    """Let time pass; gives the assets whose fail-safe limit begins or ends. The caller commits."""
    if not upstream.is_binding:
        return ()
    return _apply(session, upstream, _watch_of(upstream, now).tick(now), now)


def _watch_of(upstream: Upstream, now: datetime) -> LimitWatch:
    rules = FailSafe(
        limit_kw=(upstream.safe_limit_mw or 0.0) * KW_PER_MW,
        silence=upstream.silence,
        lasts=upstream.safe_for,
    )
    kept = upstream.watch
    if not kept:
        return LimitWatch(rules=rules, since=now)
    heard, back = (
        None if kept[name] is None else parse_instant(kept[name]) for name in ("heard_at", "back_at")
    )
    state = LimitState(kept["state"])
    return LimitWatch(
        rules=rules, state=state, since=parse_instant(kept["since"]), heard_at=heard, back_at=back
    )


def _apply(session: Session, upstream: Upstream, watch: LimitWatch, now: datetime) -> tuple[int, ...]:
    kept: dict[str, Any] = {"state": watch.state.value, "since": format_instant(watch.since)}
    for name, instant in (("heard_at", watch.heard_at), ("back_at", watch.back_at)):
        kept[name] = None if instant is None else format_instant(instant)
    upstream.watch = kept
    is_safe = watch.state in {LimitState.INIT, LimitState.FAILSAFE}
    held = select(GridSignal.asset_id).where(
        GridSignal.source == upstream.name,
        GridSignal.event_id == FAIL_SAFE,
        GridSignal.released_at.is_(None),
    )
    holding = set(session.scalars(held))
    if not is_safe:
        ended = update(GridSignal).where(
            GridSignal.source == upstream.name,
            GridSignal.event_id == FAIL_SAFE,
            GridSignal.released_at.is_(None),
        )
        session.execute(ended.values(released_at=now))
        return tuple(sorted(holding))
    targets = select(UpstreamTarget.asset_id).where(UpstreamTarget.upstream_id == upstream.id)
    new = sorted(set(session.scalars(targets)) - holding)
    session.add_all(
        GridSignal(
            asset_id=asset_id,
            kind=str(SignalKind.IMPORT_LIMIT),
            value=watch.rules.limit_kw / KW_PER_MW,
            starts_at=now,
            ends_at=None,
            source=upstream.name,
            event_id=FAIL_SAFE,
            version=now,
            legal_basis=upstream.legal_basis,
            received_at=now,
        )
        for asset_id in new
    )
    session.flush()
    return tuple(new)

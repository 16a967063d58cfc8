"""Jobs that follow upstreams: ask for events, plan anew at once, acknowledge, report."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from flexmeasures.connectors.upstreams.session import Login, UpstreamRefusal, UpstreamSession
from flexmeasures.connectors.upstreams.shapes import (
    Sender,
    read_openadr_event,
    read_partner_event,
    write_report,
)
from flexmeasures.connectors.upstreams.subscribing import subscribe
from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.stores.grid_signals import flexible_parts
from flexmeasures.data.tables import GridSignal, Upstream, UpstreamEvent, UpstreamReport, UpstreamTarget
from flexmeasures.domain.errors import FlexError, PeerUnreachable
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.schedules import planning_of
from flexmeasures.services.coordination.secrets import decrypt, encrypt
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.services.upstreams.hooks import hook_address
from flexmeasures.services.upstreams.received import (
    Changes,
    ReceivedEvent,
    load_first_receipts,
    receive_events,
)
from flexmeasures.services.upstreams.reports import acknowledge, due_reports, note_answer, report_usage
from flexmeasures.services.upstreams.watch import note_contact, note_silence

__all__ = ["follow", "place_due_upstreams", "wake_upstream"]

log = logging.getLogger(__name__)

QUEUE = "coordination"
_TIMEOUT = 300
_PLACED_FOR = 30  # a job that was placed and never ran is replaced after so long [s]
_SUBSCRIBED_FOR = 3600  # subscriptions are looked after so often [s]
_LONGEST_PAUSE = timedelta(minutes=15)
_REPORTED_FOR = timedelta(days=7)
"""So long after an event corrected readings are reported anew."""


def wake_upstream(connection: redis.Redis, upstream_id: int) -> None:
    """Have a worker ask an upstream now, unless one is about to."""
    if connection.set(f"flexmeasures:upstream:{upstream_id}:placed", "1", nx=True, ex=_PLACED_FOR):
        get_queue(connection, QUEUE).enqueue(
            follow,
            upstream_id,
            job_timeout=_TIMEOUT,
            at_front=True,
            description=f"follow upstream {upstream_id}",
        )


def place_due_upstreams(engine: Engine, connection: redis.Redis) -> None:
    """Have workers ask the upstreams whose time has come."""
    try:
        with Session(engine) as session:
            due = session.scalars(select(Upstream.id).where(Upstream.due_at <= datetime.now(UTC))).all()
        for upstream_id in due:
            wake_upstream(connection, upstream_id)
    except (RedisError, SQLAlchemyError) as error:
        log.warning("Upstreams wait, because a store does not answer: %s", error)


class _Shelf:
    """Keeps the token of an upstream in the job store, sealed."""

    def __init__(self, connection: redis.Redis, upstream_id: int, key: str) -> None:
        self._connection, self._name, self._key = (
            connection,
            f"flexmeasures:upstream:{upstream_id}:token",
            key,
        )

    def read(self) -> str | None:
        sealed = self._connection.get(self._name)
        return decrypt(sealed, self._key).get("token") if sealed else None  # type: ignore[arg-type]

    def keep(self, token: str, seconds: int) -> None:
        sealed = encrypt({"token": token}, self._key)
        if sealed is None or seconds <= 0:
            self._connection.delete(self._name)
        else:
            self._connection.set(self._name, sealed, ex=seconds)


def follow(upstream_id: int, ended_by: datetime | None = None) -> dict[str, Any]:
    """Ask an upstream for its events, plan what they change at once, and tell it what is due; runs in a worker.

    Args:
        upstream_id: Which one.
        ended_by: Usage is reported of events that have ended by then; None: by now.

    Returns:
        How many assets were planned anew, and how many reports sent.
    """
    connection, session = redis_connection(current_app), db.session()
    # First: who is told of something from here on has it asked for anew.
    connection.delete(f"flexmeasures:upstream:{upstream_id}:placed")
    upstream = session.scalar(select(Upstream).where(Upstream.id == upstream_id).with_for_update())
    if upstream is None:
        return {"planned": 0, "sent": 0}
    key = current_app.config["SECRET_KEY"]
    secrets = decrypt(upstream.credentials, key)
    address = upstream.token_address or upstream.address.rstrip("/") + _TOKEN_PATHS[upstream.kind]
    login = Login(address, secrets.get("client_id", ""), secrets.get("client_secret", ""), upstream.scope)
    with UpstreamSession.open(upstream.address, login, _Shelf(connection, upstream_id, key)) as talk:
        changes = _ask(session, upstream, talk)
        session.commit()
        _plan_anew(session, upstream, changes.asset_ids)
        acknowledge(session, upstream, changes.limiting, datetime.now(UTC))
        until = ended_by or datetime.now(UTC)
        _report_ended(session, upstream, until)
        session.commit()
        if not upstream.failures:
            _subscribe(connection, upstream, talk, login.client_id)
        sent = 0 if upstream.failures else _send_due(session, upstream, talk, login.client_id, until)
    return {"planned": len(changes.asset_ids), "sent": sent}


_TOKEN_PATHS = {"openadr-3.1.0": "/auth/token", "openadr-3.0.1": "/auth/token", "partner": "/connect/token"}


def _ask(session: Session, upstream: Upstream, talk: UpstreamSession) -> Changes:
    """Take what an upstream lists, or note that it is silent; sets when it is asked next."""
    try:
        documents = _list(talk, upstream)
    except PeerUnreachable as error:
        now = datetime.now(UTC)
        upstream.failures += 1
        upstream.problem = str(error)[:500]
        asked = error.retry_after if isinstance(error, UpstreamRefusal) else None
        upstream.due_at = _next_attempt(upstream, now, asked)
        return Changes(note_silence(session, upstream, now))
    now = datetime.now(UTC)
    receipts = load_first_receipts(session, upstream)
    listed = [_read(upstream, document, receipts, now) for document in documents]
    changes = receive_events(session, upstream, listed, now)
    released = note_contact(session, upstream, now)
    upstream.due_at = now + upstream.poll_every
    return Changes(tuple(sorted({*changes.asset_ids, *released})), changes.limiting)


def _subscribe(connection: redis.Redis, upstream: Upstream, talk: UpstreamSession, client_id: str) -> None:
    """Have an upstream tell of changes by itself, if it can reach us; looked after from time to time."""
    base = current_app.config["FLEXMEASURES_CALLBACK_URL"]
    mark = f"flexmeasures:upstream:{upstream.id}:subscribed"
    if not base or not connection.set(mark, "1", nx=True, ex=_SUBSCRIBED_FOR):
        return
    try:
        if subscribe(talk, upstream.kind, client_id, hook_address(base, upstream.receiver)):
            log.info("Upstream %s tells of changes from now on", upstream.name)
    except (FlexError, KeyError, TypeError, AttributeError) as error:
        log.warning("Upstream %s does not tell of changes, so it is asked: %s", upstream.name, error)


def _list(talk: UpstreamSession, upstream: Upstream) -> list[dict[str, Any]]:
    if upstream.kind != "partner":
        found = talk.list_all("/events")
    else:
        answer = talk.ask("GET", "/events")
        found = answer.get("events", []) if isinstance(answer, dict) else answer
    return [one for one in found or () if isinstance(one, dict) and one.get("id")]


def _read(
    upstream: Upstream,
    document: dict[str, Any],
    receipts: dict[tuple[str, datetime], datetime],
    now: datetime,
) -> ReceivedEvent:
    read = read_partner_event if upstream.kind == "partner" else read_openadr_event
    event = read(document, now, upstream.name)
    first = receipts.get((event.id, event.version))
    return event if first is None or first == now else read(document, first, upstream.name)


def _next_attempt(upstream: Upstream, now: datetime, asked: float | None) -> datetime:
    """Wait longer after each failure, with jitter, or as long as it wants; a fail-safe is not missed by that."""
    pause = min(upstream.poll_every * int(2 ** min(upstream.failures, 10)), _LONGEST_PAUSE)
    pause *= 0.5 + random.random() / 2  # noqa: S311 - spreads attempts
    if asked is not None:
        pause = max(timedelta(seconds=min(asked, 86_400)), timedelta(seconds=1))
    if upstream.is_binding:
        pause = min(pause, upstream.silence / 2)
    return now + pause


def _plan_anew(session: Session, upstream: Upstream, asset_ids: Sequence[int]) -> None:
    """Plan assets, the running slot included, and note that their signals are applied."""
    parts = {
        part for asset_id in asset_ids for part in flexible_parts(session, asset_id, DOCUMENTED_FLEX_MODELS)
    }
    if parts:
        now = datetime.now(UTC)
        horizon = current_app.config["FLEXMEASURES_PLANNING_HORIZON"]
        order = PortfolioOrder(tuple(sorted(parts)), now, horizon, now, at_once=True)
        outcome = reschedule(session, order, planning_of(current_app.config))
        for asset_id, why in outcome.failures.items():
            log.warning("Asset %s cannot follow upstream %s: %s", asset_id, upstream.name, why)
        planned = parts - set(outcome.failures)
        held = [
            one for one in asset_ids if set(flexible_parts(session, one, DOCUMENTED_FLEX_MODELS)) <= planned
        ]
        session.execute(
            update(GridSignal)
            .where(
                GridSignal.source == upstream.name,
                GridSignal.asset_id.in_(held),
                GridSignal.applied_at.is_(None),
                GridSignal.released_at.is_(None),
            )
            .values(applied_at=datetime.now(UTC))
        )
    session.commit()


def _report_ended(session: Session, upstream: Upstream, now: datetime) -> None:
    query = select(UpstreamEvent).where(
        UpstreamEvent.upstream_id == upstream.id,
        UpstreamEvent.ends_at <= now,
        UpstreamEvent.ends_at > now - _REPORTED_FOR,
    )
    read = read_partner_event if upstream.kind == "partner" else read_openadr_event
    for row in session.scalars(query):
        if row.withdrawn_at is None or row.ends_at is None or row.withdrawn_at >= row.ends_at:
            report_usage(session, upstream, read(row.content, row.received_at, upstream.name), now)


def _send_due(
    session: Session, upstream: Upstream, talk: UpstreamSession, client_id: str, until: datetime
) -> int:
    """Send what is due, each with a transaction of its own; what is refused is tried again later."""
    sent = 0
    targets = session.scalars(select(UpstreamTarget).where(UpstreamTarget.upstream_id == upstream.id)).all()
    for report in due_reports(session, upstream, max(until, datetime.now(UTC))):
        event = session.get(UpstreamEvent, (upstream.id, report.event_id))
        if event is None:
            continue
        sent += _send(report, event, talk, targets, Sender(upstream.kind, client_id))
        session.commit()
    return sent


def _send(
    report: UpstreamReport,
    event: UpstreamEvent,
    talk: UpstreamSession,
    targets: Sequence[UpstreamTarget],
    who: Sender,
) -> bool:
    try:
        path, body = write_report(report.kind, event.content, report.content, targets, who)
        is_update = report.remote_id is not None and who.kind != "partner"
        answer = (
            talk.ask("PUT", f"{path}/{report.remote_id}", body) if is_update else talk.ask("POST", path, body)
        )
    except FlexError as error:
        note_answer(report, datetime.now(UTC), None, str(error))
        return False
    note_answer(report, datetime.now(UTC), answer if isinstance(answer, dict) else None, None)
    return True

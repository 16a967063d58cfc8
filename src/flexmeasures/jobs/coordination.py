"""Jobs of coordination: notifications are addressed, published for open connections, and sent to webhooks."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import redis
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from flexmeasures.connectors.callbacks import CallbackClient
from flexmeasures.data.database import db, redis_connection
from flexmeasures.domain.errors import FlexError
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.coordination.areas import tell_eligibility
from flexmeasures.services.coordination.curves import is_time, send_daily_curves
from flexmeasures.services.coordination.deliveries import (
    Outcome,
    Webhook,
    address_notifications,
    claim_due,
    forget_old,
    is_anything_due,
    note_outcomes,
)
from flexmeasures.services.coordination.notifications import CHANNEL, write_published

__all__ = ["deliver", "look_for_due", "wake"]

log = logging.getLogger(__name__)

QUEUE = "coordination"

_AWAKE = "flexmeasures:coordination:awake"
_AWAKE_FOR = 30  # a job that was placed and never ran is replaced after so long [s]
_TIMEOUT = 600
_BATCH_WAIT = 1.0  # outcomes are noted at least so often [s]
_KEPT = timedelta(days=30)


def wake(connection: redis.Redis) -> None:
    """Have a worker send what waits, unless one is about to."""
    if connection.set(_AWAKE, "1", nx=True, ex=_AWAKE_FOR):
        get_queue(connection, QUEUE).enqueue(deliver, job_timeout=_TIMEOUT, description="notifications")


def look_for_due(engine: Engine, connection: redis.Redis) -> None:
    """Wake a worker if something is due: retries, and what was left when a store was away."""
    try:
        with Session(engine) as session:
            now = datetime.now(UTC)
            is_due = is_anything_due(session, now) or is_time(session, now)
        if is_due:
            wake(connection)
    except (RedisError, SQLAlchemyError) as error:
        log.warning("Notifications wait, because a store does not answer: %s", error)


def deliver() -> int:
    """Address and send all that is due; runs in a worker, within an app context.

    Returns:
        How many webhooks were sent.
    """
    connection = redis_connection(current_app)
    key = current_app.config["SECRET_KEY"]
    _do_what_is_time_for()
    sent = 0
    while True:
        connection.delete(_AWAKE)  # before looking: who comes later wakes a worker anew
        has_addressed = _address(connection)
        webhooks = _claim(key)
        if webhooks:
            sent += len(webhooks)
            asyncio.run(_send_all(webhooks))
        elif not has_addressed:
            break
    forget_old(db.session, datetime.now(UTC) - _KEPT)
    db.session.commit()
    return sent


def _do_what_is_time_for() -> None:
    """Send daily price curves, and tell of eligibility."""
    now = datetime.now(UTC)
    send_daily_curves(db.session, now)
    tell_eligibility(db.session, now, current_app.config["FLEXMEASURES_ELIGIBILITY_INTERVAL"])
    db.session.commit()


def _address(connection: redis.Redis) -> bool:
    notifications = address_notifications(db.session, datetime.now(UTC))
    db.session.commit()
    for notification in notifications:
        connection.publish(CHANNEL, write_published(notification))
    return bool(notifications)


def _claim(key: str) -> list[Webhook]:
    webhooks = claim_due(db.session, key, datetime.now(UTC))
    db.session.commit()
    return webhooks


async def _send_all(webhooks: Sequence[Webhook]) -> None:
    """Send webhooks: those of one endpoint in their order, all endpoints at once; note outcomes as they come."""
    outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
    async with CallbackClient(True) as production, CallbackClient(False) as sandbox:
        ordered = sorted(webhooks, key=lambda w: w.subscription_id)
        tasks = [
            asyncio.create_task(
                _send_in_order(production if series[0].is_production else sandbox, series, outcomes)
            )
            for series in (
                list(group) for _, group in itertools.groupby(ordered, lambda w: w.subscription_id)
            )
        ]
        everything = asyncio.gather(*tasks)
        while not everything.done():
            await asyncio.wait([everything], timeout=_BATCH_WAIT)
            _note(_drain(outcomes))
        await everything
    _note(_drain(outcomes))


async def _send_in_order(
    client: CallbackClient, webhooks: Iterable[Webhook], outcomes: asyncio.Queue[Outcome]
) -> None:
    """Send the webhooks of one endpoint; after a failure the rest waits with it."""
    failure = None
    for webhook in webhooks:
        outcome = (
            await _send(client, webhook)
            if failure is None
            else Outcome(webhook.id, False, failure, is_skipped=True, jitter=random.random())  # noqa: S311
        )
        failure = None if outcome.is_success else outcome.answer
        outcomes.put_nowait(outcome)


async def _send(client: CallbackClient, webhook: Webhook) -> Outcome:
    try:
        answer = await client.send("POST", webhook.url, webhook.headers, webhook.body)
    except FlexError as error:
        return Outcome(webhook.id, False, str(error), jitter=random.random())  # noqa: S311 - not a secret
    return Outcome(
        webhook.id,
        answer.is_success,
        f"status {answer.status}",
        jitter=random.random(),  # noqa: S311 - not a secret
    )


def _drain(outcomes: asyncio.Queue[Outcome]) -> list[Outcome]:
    return [outcomes.get_nowait() for _ in range(outcomes.qsize())]


def _note(outcomes: Sequence[Outcome]) -> None:
    if outcomes:
        note_outcomes(db.session, outcomes, datetime.now(UTC))
        db.session.commit()

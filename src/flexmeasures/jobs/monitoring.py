"""The job that watches over measurements, and the mail that tells owners of alerts."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from typing import Any

import redis
from flask import current_app
from redis.exceptions import RedisError

from flexmeasures.connectors.mail import send_mails
from flexmeasures.data.database import db
from flexmeasures.data.tables import Alert, Asset
from flexmeasures.data.transactional import note_task_run
from flexmeasures.domain.errors import PeerUnreachable
from flexmeasures.domain.monitoring import AlertKind, describe
from flexmeasures.domain.time import format_in_zone
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.monitoring.alerts import list_unmailed
from flexmeasures.services.monitoring.check import check_alerts

__all__ = ["TASK", "mail_alerts", "place_due_check", "watch"]

log = logging.getLogger(__name__)

TASK = "check_alerts"
"""Name under which the time of the last check is kept."""

QUEUE = "coordination"
_NEXT = "flexmeasures:monitoring:next"
_TIMEOUT = 600
_MAILED_FOR = timedelta(days=1)
"""Mail that could not be sent is tried again for so long; older alerts are on the page only."""
_MOST_LINES = 30


def place_due_check(connection: redis.Redis, interval: timedelta) -> None:
    """Have a worker check alerts, once in an interval, whoever asks; an interval of zero: never."""
    if not interval:
        return
    try:
        if connection.set(_NEXT, "1", nx=True, ex=max(int(interval.total_seconds()), 1)):
            get_queue(connection, QUEUE).enqueue(watch, job_timeout=_TIMEOUT, description="check alerts")
    except RedisError as error:
        log.warning("Nobody watches over measurements, because the job store does not answer: %s", error)


def watch() -> dict[str, int]:
    """Check alerts, and mail what is new where mail is wanted; runs in a worker, within an app context.

    Returns:
        How many sensors were looked at, how many alerts are new, and how many are over.
    """
    now = datetime.now(UTC)
    outcome = check_alerts(db.session(), now)
    note_task_run(db.session(), TASK, True, now)
    db.session.commit()
    if current_app.config["FLEXMEASURES_MAIL_ALERTS"]:
        try:
            mail_alerts(current_app.config, now)
        except PeerUnreachable as error:
            log.warning("Alerts were not mailed; it is tried again at the next check: %s", error)
    return {"sensors": outcome.sensors, "raised": outcome.raised, "ended": outcome.ended}


def mail_alerts(config: Mapping[str, Any], now: datetime) -> int:
    """Tell the owners of assets what is new, in one mail each, and note that they were told.

    Returns:
        How many mails were sent.

    Raises:
        PeerUnreachable: If the mail server does not take them: then nobody counts as told.
    """
    session = db.session()
    by_owner: dict[int, list[tuple[Alert, Asset]]] = defaultdict(list)
    for alert, asset in list_unmailed(session, now - _MAILED_FOR):
        if asset.owner is not None and asset.owner.active:
            by_owner[asset.owner.id].append((alert, asset))
    send_mails(config, [_write(config, rows) for rows in by_owner.values()])
    for rows in by_owner.values():
        for alert, _ in rows:
            alert.mailed_at = now
    session.commit()
    return len(by_owner)


def _write(config: Mapping[str, Any], rows: Sequence[tuple[Alert, Asset]]) -> EmailMessage:
    owner = rows[0][1].owner
    message = EmailMessage()
    count = len(rows)
    platform = config["FLEXMEASURES_PLATFORM_NAME"]
    message["Subject"] = f"{platform}: {count} alert{'' if count == 1 else 's'} about your assets"
    sender = config["MAIL_DEFAULT_SENDER"]
    message["From"] = sender if isinstance(sender, str) else formataddr(tuple(sender))
    message["To"] = owner.email
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="flexmeasures")
    lines = [
        f"- {asset.display_name}, since {format_in_zone(alert.started_at, owner.timezone)}:"
        f" {describe(AlertKind(alert.kind), alert.value, alert.limit, alert.sensor.unit)}"
        for alert, asset in rows[:_MOST_LINES]
    ]
    if count > _MOST_LINES:
        lines.append(f"- and {count - _MOST_LINES} more")
    message.set_content(
        f"Hello {owner.username},\n\nthese need your attention:\n\n"
        + "\n".join(lines)
        + f"\n\nThe page Alerts of {platform} says more, and there you can take note of them.\n"
    )
    return message

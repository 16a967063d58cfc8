"""Count the beliefs that transactions store, once they are stored; for the figures of monitors."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Flask, current_app, has_app_context
from sqlalchemy import event

from flexmeasures.data.database import db, redis_connection
from flexmeasures.metrics import BELIEFS, STORED, Metrics

__all__ = ["init_app"]


def init_app(app: Flask) -> None:
    """Let an app count, where FLEXMEASURES_METRICS is on."""
    if not app.config["FLEXMEASURES_METRICS"]:
        return
    app.extensions["metrics"] = Metrics(partial(redis_connection, app))
    if not event.contains(db.session.session_factory, "after_commit", _count):
        event.listen(db.session.session_factory, "after_commit", _count)
        event.listen(db.session.session_factory, "after_rollback", _forget)


def _count(session: Any) -> None:
    stored = session.info.pop(STORED, 0)
    metrics: Metrics | None = current_app.extensions.get("metrics") if has_app_context() else None
    if stored and metrics is not None:
        metrics.count(BELIEFS, amount=stored)


def _forget(session: Any) -> None:
    session.info.pop(STORED, None)

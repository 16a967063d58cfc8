"""Bundle work in one database transaction; for scripts, views and tasks, those of plugins included."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from flexmeasures.data.database import db
from flexmeasures.data.tables.operations import LatestTaskRun

__all__ = ["PartialTaskCompletionException", "as_transaction", "task_with_status_report"]

Function = Callable[..., Any]


class PartialTaskCompletionException(Exception):
    """A task did part of its work: keep the results, report a failure."""


def as_transaction(function: Function) -> Function:
    """Run a function in one transaction: all of its changes to ``db.session`` are stored, or none."""

    @functools.wraps(function)
    def in_transaction(*args: Any, **kwargs: Any) -> Any:
        session = db.session
        try:
            outcome = function(*args, **kwargs)
            session.commit()
        except BaseException:
            session.rollback()
            raise
        return outcome

    return in_transaction


def task_with_status_report(function: Function) -> Function:
    """Run a task in a transaction and note when it ran last, and whether it went well, under the function's name."""

    @functools.wraps(function)
    def reported(*args: Any, **kwargs: Any) -> Any:
        session = db.session
        succeeded = False
        try:
            outcome = function(*args, **kwargs)
            session.commit()
            succeeded = True
        except PartialTaskCompletionException as partial:
            session.commit()
            outcome = None
            click.echo(f"Task {function.__name__} was done in part: {partial}")
        except BaseException:
            session.rollback()
            raise
        finally:
            note_task_run(session, function.__name__, succeeded)
            session.commit()
        click.echo(f"Task {function.__name__} done: {outcome if outcome is not None else 'ok'}")
        return outcome

    return reported


def note_task_run(session: Session, name: str, succeeded: bool, at: datetime | None = None) -> None:
    """Write down when a task ran last and whether it went well."""
    session.merge(LatestTaskRun(name=name, datetime=at or datetime.now(UTC), status=succeeded))

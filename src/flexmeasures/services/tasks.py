"""When recurring tasks last ran, for those who watch over them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from flexmeasures.data.tables import LatestTaskRun
from flexmeasures.data.transactional import note_task_run
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.names import name_fault

__all__ = ["TaskRun", "find_task_run", "record_task_run"]


@dataclass(frozen=True)
class TaskRun:
    """The last run of a task.

    Attributes:
        at: When.
        succeeded: Whether it went well.
    """

    name: str
    at: datetime
    succeeded: bool


def find_task_run(session: Session, name: str) -> TaskRun | None:
    """Find the last run of a task; None if it never ran."""
    row = session.get(LatestTaskRun, name)
    return None if row is None else TaskRun(row.name, row.datetime, row.status)


def record_task_run(session: Session, run: TaskRun) -> None:
    """Keep a run as the last one of its task; the caller commits.

    Raises:
        InvalidInput: If the name is none.
    """
    fault = name_fault(run.name, 80)
    if fault:
        raise InvalidInput(f"The name of a task is wrong. {fault}")
    note_task_run(session, run.name, run.succeeded, run.at)

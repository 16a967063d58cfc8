"""The commands about background jobs: ``jobs run-worker`` and ``jobs clear-queue``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from types import FrameType
from uuid import uuid4

import click
from flask.cli import ScriptInfo, pass_script_info

from flexmeasures.domain.errors import Conflict
from flexmeasures.jobs.queues import QUEUE_NAMES, JobQueue, get_queue
from flexmeasures.jobs.workers import WorkerCrashed, make_worker

__all__ = ["clear_queue", "jobs", "run_worker"]

SUPERVISED = "FLEXMEASURES_SUPERVISED"
"""Set by ``flexmeasures run`` for its worker: standard input is a pipe whose end means that it has ended."""


class _Group(click.Group):
    """A group which also knows its commands by the names of older documentation, with underscores."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name, or its name with underscores."""
        return super().get_command(ctx, cmd_name.replace("_", "-"))


@click.group("jobs", cls=_Group)
def jobs() -> None:
    """FlexMeasures: Job queueing."""


_queue_help = f"Name of a queue, or several names separated by |. There are: {', '.join(QUEUE_NAMES)}."


@jobs.command("run-worker")
@click.option("--queue", required=True, metavar="QUEUE[|QUEUE...]", help=_queue_help)
@click.option("--name", help="Name of the worker; by default a random one.")
@pass_script_info
def run_worker(info: ScriptInfo, queue: str, name: str | None) -> None:
    """Start a worker which runs the jobs of one or more queues until it is stopped.

    SIGTERM or Ctrl-C lets it finish its current job first. A worker that crashes ends with a non-zero status.
    """
    if not hasattr(os, "fork"):
        raise click.ClickException("A worker needs a system which can fork processes: Linux or macOS.")
    queue_names = _read_queue_names(queue)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # in order, until the worker has its own way
    app = info.load_app()
    if SUPERVISED in os.environ:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    worker = make_worker(app, queue_names, name or f"worker-{uuid4().hex[:12]}")
    click.echo(f'Worker "{worker.name}" runs the jobs of {_count(worker.queues)}: {", ".join(queue_names)}.')
    try:
        worker.work()
    except (Conflict, WorkerCrashed) as error:
        raise click.ClickException(str(error)) from error


@jobs.command("clear-queue")
@click.option("--queue", required=True, help=_queue_help)
@pass_script_info
def clear_queue(info: ScriptInfo, queue: str) -> None:
    """Remove all jobs that wait in one or more queues."""
    queue_names = _read_queue_names(queue)
    app = info.load_app()
    for queue_name in queue_names:
        found = get_queue(app, queue_name)
        click.echo(
            f"Cleared {found.empty()} jobs from <Queue {queue_name}>. Queue now contains {found.count} jobs."
        )


def _read_queue_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split("|")]
    unknown = [name for name in names if name not in QUEUE_NAMES]
    if unknown:
        message = f'There is no queue "{unknown[0]}". The queues are: {", ".join(QUEUE_NAMES)}.'
        raise click.BadParameter(message, param_hint="--queue")
    return names


def _count(queues: list[JobQueue]) -> str:
    return "one queue" if len(queues) == 1 else f"{len(queues)} queues"


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _stop_at_end_of_input() -> None:
    """Stop the worker, as SIGTERM does, when the process at the other end of standard input is gone."""
    # Not sys.stdin, whose lock a thread must not hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)

"""The commands about background jobs: ``jobs run-worker``, ``clear-queue``, ``show``, ``inspect`` and ``retry``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from types import FrameType
from uuid import uuid4

import click
from flask.cli import ScriptInfo, pass_script_info

from flexmeasures.cli.aliases import Aliased
from flexmeasures.cli.rows import json_option, print_rows
from flexmeasures.data.database import redis_connection
from flexmeasures.domain.errors import Conflict
from flexmeasures.domain.time import format_instant
from flexmeasures.jobs.overview import STATES, find_job, list_jobs, list_queues, retry_failed_jobs, retry_job
from flexmeasures.jobs.queues import QUEUE_NAMES, JobQueue, get_queue
from flexmeasures.jobs.workers import WorkerCrashed, make_worker

__all__ = ["clear_queue", "jobs", "run_worker"]

SUPERVISED = "FLEXMEASURES_SUPERVISED"
"""Set by ``flexmeasures run`` for its worker: standard input is a pipe whose end means that it has ended."""


class _Group(Aliased):
    """The group with the names of newer documentation."""

    aliases = {"show-queues": "show"}  # noqa: RUF012


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
        cleared = found.empty()  # type: ignore[no-untyped-call]
        click.echo(
            f"Cleared {cleared} jobs from <Queue {queue_name}>. Queue now contains {found.count} jobs."
        )


@jobs.command("show")
@click.option(
    "--queue", help=f"List the jobs of this queue; count those of all queues if left out. {_queue_help}"
)
@click.option(
    "--state",
    type=click.Choice(STATES),
    default="failed",
    show_default=True,
    help="With --queue: jobs in this state.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Jobs at most.")
@json_option
@pass_script_info
def show_jobs(info: ScriptInfo, queue: str | None, state: str, limit: int, as_json: bool) -> None:
    """Count the jobs of each queue, or list those of one queue, the newest first."""
    names = None if queue is None else _read_queue_names(queue)
    connection = redis_connection(info.load_app())
    if names is None:
        print_rows([vars(line) for line in list_queues(connection)], as_json, "There are no queues.")
        return
    rows = [
        {
            "id": line.id,
            "queue": line.queue,
            "description": line.description,
            "placed_at": None if line.placed_at is None else format_instant(line.placed_at),
            "ended_at": None if line.ended_at is None else format_instant(line.ended_at),
            "reason": line.reason,
        }
        for name in names
        for line in list_jobs(connection, name, state, limit)
    ]
    print_rows(rows, as_json, f"No job of that queue is {state}.")


@jobs.command("inspect")
@click.argument("job_id")
@json_option
@pass_script_info
def inspect_job(info: ScriptInfo, job_id: str, as_json: bool) -> None:
    """Show a job: what it is to do, how far it is, what came of it, and why it failed."""
    job = find_job(redis_connection(info.load_app()), job_id)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False, indent=2, default=str))
        return
    for name, value in job.items():
        if value not in (None, ""):
            click.echo(f"{name.replace('_', ' ')}: {value}")


@jobs.command("retry")
@click.argument("job_ids", nargs=-1)
@click.option("--queue", help=f"Retry all failed jobs of a queue instead. {_queue_help}")
@pass_script_info
def retry(info: ScriptInfo, job_ids: tuple[str, ...], queue: str | None) -> None:
    """Place failed jobs again: those with the given ids, or all of a queue."""
    if bool(job_ids) == (queue is not None):
        raise click.UsageError("Give either ids of jobs or --queue.")
    names = [] if queue is None else _read_queue_names(queue)
    connection = redis_connection(info.load_app())
    for job_id in job_ids:
        retry_job(connection, job_id)
    count = len(job_ids) + sum(retry_failed_jobs(connection, name) for name in names)
    click.echo(f"{count} jobs were placed again.")


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

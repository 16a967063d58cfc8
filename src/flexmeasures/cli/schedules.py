"""``flexmeasures add schedules``: schedule one asset, those of an owner, or all of them, here or by workers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rq.job import Job, JobStatus

from flexmeasures.cli.parameters import Duration, Instant
from flexmeasures.data.database import db
from flexmeasures.domain.time import format_instant
from flexmeasures.jobs.schedules import CHUNK, describe_failure, enqueue_portfolio, run_portfolio
from flexmeasures.services.schedules.reschedule import PortfolioOrder, PortfolioOutcome, flexible_asset_ids

__all__ = ["add_schedules"]

_ENDED = {JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED}
_SHOWN_FAILURES = 10
_POLL_SECONDS = 0.1


@click.command("schedules")
@click.option(
    "--asset", "asset_ids", type=int, multiple=True, help="Id of an asset; may be given several times."
)
@click.option("--owner", "owner_id", type=int, help="Schedule all flexible assets of the user with this id.")
@click.option("--all", "all_assets", is_flag=True, help="Schedule all flexible assets.")
@click.option("--start", type=Instant(), help="Start of the schedules; now if left out.")
@click.option(
    "--horizon",
    type=Duration(),
    help="How far ahead, such as PT24H; FLEXMEASURES_PLANNING_HORIZON if left out.",
)
@click.option("--as-job", is_flag=True, help="Let workers do it, and do not wait for them.")
@click.option("--wait", is_flag=True, help="With --as-job: wait for the workers, and show how far they are.")
@with_appcontext
def add_schedules(
    asset_ids: tuple[int, ...],
    owner_id: int | None,
    all_assets: bool,
    start: datetime | None,
    horizon: timedelta | None,
    as_job: bool,
    wait: bool,
) -> None:
    """Schedule assets from their known states of charge on, with the prices and forecasts known now.

    Each schedule starts with the first event of its asset from the start on; what was planned before stays. The state
    of charge is the last one known, carried on by the last schedule. With --as-job, workers share the assets.
    """
    if bool(asset_ids) + (owner_id is not None) + all_assets != 1:
        raise click.UsageError("Give one of --asset, --owner and --all.")
    if wait and not as_job:
        raise click.UsageError("--wait goes with --as-job.")
    now = datetime.now(UTC)
    chosen = tuple(dict.fromkeys(asset_ids)) or tuple(flexible_asset_ids(db.session(), owner_id))
    db.session.rollback()  # the transaction ends here: each part of the work has its own
    if not chosen:
        raise click.ClickException("There is no flexible asset: add one, or give one a flex model.")
    order = PortfolioOrder(
        chosen, start or now, horizon or current_app.config["FLEXMEASURES_PLANNING_HORIZON"], now
    )
    if not as_job:
        _report(order, _add_up(order, ((len(p.asset_ids), run_portfolio(p)) for p in order.split(CHUNK))))
        return
    jobs = enqueue_portfolio(
        current_app.extensions["redis"], order, current_app.config["FLEXMEASURES_PLANNING_TTL"]
    )
    if wait:
        _report(order, _add_up(order, _await(jobs)))
    else:
        click.echo(
            f"{len(jobs)} jobs wait in the queue scheduling to schedule {len(chosen)} assets. To run them: "
            "flexmeasures jobs run-worker --queue scheduling"
        )


def _await(jobs: list[Job]) -> Iterator[tuple[int, PortfolioOutcome]]:
    """Give the outcome of each job, in the order in which they end."""
    waiting = list(jobs)
    while waiting:
        ended = [job for job in waiting if job.get_status(refresh=True) in _ENDED or job.get_status() is None]
        for job in ended:
            waiting.remove(job)
            ids = job.args[0].asset_ids
            job.get_meta()  # as the worker wrote it
            outcome = job.return_value()
            if not isinstance(outcome, PortfolioOutcome):
                outcome = PortfolioOutcome(failures=dict.fromkeys(ids, describe_failure(job)))
            yield len(ids), outcome
        if waiting and not ended:
            time.sleep(_POLL_SECONDS)


def _add_up(order: PortfolioOrder, parts: Iterable[tuple[int, PortfolioOutcome]]) -> PortfolioOutcome:
    """Put outcomes together as they come, and show how far the work is."""
    total = PortfolioOutcome()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Scheduling", total=len(order.asset_ids))
        for count, outcome in parts:
            total += outcome
            progress.advance(task, count)
    return total


def _report(order: PortfolioOrder, outcome: PortfolioOutcome) -> None:
    """Say what was done; a failure of some assets makes the command fail when all else is done."""
    click.echo(
        f"Scheduled {outcome.made} of {len(order.asset_ids)} assets from {format_instant(order.start)} on."
    )
    if outcome.relaxed:
        click.echo(
            f"{outcome.relaxed} of them miss a wish: flexmeasures show schedule --asset ID tells more."
        )
    for currency, saving in outcome.savings.items():
        click.echo(f"Saving beside their baselines: {saving:,.2f} {currency}")
    if not outcome.failures:
        return
    rows: list[Any] = [f"  {asset}: {text}" for asset, text in sorted(outcome.failures.items())]
    shown = rows[:_SHOWN_FAILURES]
    if len(rows) > len(shown):
        shown.append(f"  ... and {len(rows) - len(shown)} more")
    raise click.ClickException(
        "\n".join([f"{len(rows)} of {len(order.asset_ids)} assets were not scheduled:", *shown])
    )

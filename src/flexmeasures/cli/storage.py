"""``flexmeasures show storage`` and ``flexmeasures db-ops thin``: what the database holds, and what need not stay."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from flexmeasures.cli.parameters import Duration
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db, redis_connection
from flexmeasures.domain.time import format_instant
from flexmeasures.jobs.queues import waiting_jobs
from flexmeasures.services.operations.retention import thin_beliefs
from flexmeasures.services.operations.storage import measure_storage

__all__ = ["show_storage", "thin"]

_SHOWN_TABLES = 10
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@click.command("storage")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON; sizes in bytes.")
@with_appcontext
def show_storage(as_json: bool) -> None:
    """Show what the database holds and how much room it takes, and how many jobs wait."""
    storage = measure_storage(db.session())
    waiting = waiting_jobs(redis_connection(current_app))
    if as_json:
        click.echo(json.dumps({**asdict(storage), "waiting_jobs": waiting}, ensure_ascii=False, indent=2))
        return
    console = open_console()
    console.print(f"The database takes {_size(storage.size)}.", highlight=False)
    tables = Table("Table", box=SIMPLE_HEAD)
    for title in ("Rows (about)", "Size"):
        tables.add_column(title, justify="right")
    for table in storage.tables[:_SHOWN_TABLES]:
        tables.add_row(table.name, f"{table.rows:,}", _size(table.size))
    console.print(tables)
    beliefs = Table("Beliefs by", box=SIMPLE_HEAD)
    beliefs.add_column("Number (about)", justify="right")
    for kind, count in storage.beliefs.items():
        beliefs.add_row(f"{kind}s", f"{count:,}")
    console.print(beliefs)
    jobs = ", ".join(f"{count:,} in {name}" for name, count in waiting.items())
    console.print(f"Jobs that wait: {jobs}.", highlight=False)


@click.command("thin")
@click.option(
    "--keep",
    type=Duration(),
    help="How far back all stays as it was believed; FLEXMEASURES_SUPERSEDED_KEPT if left out.",
)
@with_appcontext
def thin(keep: timedelta | None) -> None:
    """Delete what schedulers and forecasters said and have superseded since.

    What counted at any time within --keep stays, the newest belief about each event too, and forecasts of each horizon.
    It works in small steps beside other work, and may be stopped at any time: the next call goes on.
    """
    kept: timedelta = keep or current_app.config["FLEXMEASURES_SUPERSEDED_KEPT"]
    instant = datetime.now(UTC) - kept
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Thinning", total=None)
        thinned = thin_beliefs(
            db.session(), instant, lambda done, total: progress.update(task, completed=done, total=total)
        )
    click.echo(
        f"Deleted {thinned.beliefs} beliefs that were superseded by {format_instant(instant)}, "
        f"of {thinned.sensors} sensors."
    )


def _size(count: int) -> str:
    """Write a size as people read it.

    >>> _size(0), _size(1536), _size(15_000_000_000)
    ('0 bytes', '1.5 kB', '14.0 GB')
    """
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:,.1f} {_UNITS[unit]}" if unit else f"{count} {_UNITS[0]}"

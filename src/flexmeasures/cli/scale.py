"""``flexmeasures db-ops partition`` and ``distribute``: beliefs that have outgrown one table, or one server."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import Progress

from flexmeasures.data.database import db, plain_connection
from flexmeasures.data.partitioning import DISTRIBUTE, Period, partition_beliefs

__all__ = ["distribute", "partition"]


@click.command("partition")
@click.option(
    "--by",
    "period",
    type=click.Choice(["year", "month"]),
    default="year",
    show_default=True,
    help="Time range of a part; years are enough unless old months are to be dropped.",
)
@with_appcontext
def partition(period: Period) -> None:
    """Cut the table of beliefs into parts by time, while the platform goes on working.

    The parts are filled beside the table, which is then replaced within a moment. For that time the disk must have room
    for the beliefs twice. Broken off anywhere, the table is as it was.
    """
    db.session.execute(db.text("select 1"))  # starts the embedded server, where that is used
    db.session.remove()
    with (
        closing(plain_connection(current_app)) as connection,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("Copying", total=None)
        moved = partition_beliefs(
            connection,
            period,
            datetime.now(UTC),
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    click.echo(f"The table of beliefs is in parts by {period} now, with {moved} beliefs.")


@click.command("distribute")
@click.option(
    "--dry-run",
    is_flag=True,
    required=True,
    help="Print the statements; nothing else is done by this command.",
)
def distribute(dry_run: bool) -> None:
    """Print the statements that spread beliefs over a Citus cluster, for its coordinator."""
    for statement in DISTRIBUTE:
        click.echo(f"{statement};")

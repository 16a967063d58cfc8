"""``flexmeasures monitor``: recurring tasks, latest data, users, and everything that deserves attention.

Each command ends with status 1 if something is wrong, so that cron or a monitoring system can act on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from flexmeasures.cli.aliases import Aliased
from flexmeasures.cli.parameters import Duration
from flexmeasures.cli.rows import json_option, print_rows
from flexmeasures.data.database import db, redis_connection
from flexmeasures.domain.time import format_duration, format_instant
from flexmeasures.jobs.overview import list_queues, list_workers
from flexmeasures.services.monitoring.alerts import list_alerts
from flexmeasures.services.operations.watching import find_latest_data, find_silent_users, find_task_states

__all__ = ["monitor"]

_MANY_JOBS = 1000


class _Group(Aliased, AppGroup):
    """The group with the names of newer documentation."""

    aliases = {"latest-run": "tasks", "last-run": "tasks", "latest-login": "last-seen"}  # noqa: RUF012


monitor = _Group("monitor", help="Check tasks, latest data, users, queues; status 1 if something is wrong.")


class _TaskAndMinutes(click.ParamType[Any]):
    """A task, and how many minutes ago it may have run."""

    name = "NAME[:MINUTES]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        name, _, minutes = str(value).partition(":")
        if minutes and not (minutes.isascii() and minutes.isdigit() and len(minutes) < 9):
            self.fail(
                f"{value!r}: write the name of a task and minutes, such as get_weather_forecasts:90.",
                param,
                ctx,
            )
        return name, int(minutes) if minutes else None


@monitor.command("tasks")
@click.option(
    "--task",
    "tasks",
    type=_TaskAndMinutes(),
    multiple=True,
    help="A task that should run, and how many minutes ago at most; all that ever ran if left out.",
)
@click.option(
    "--max-age",
    type=Duration(),
    help="How long ago the last run may be, such as PT90M; any time if left out.",
)
@json_option
def monitor_tasks(
    tasks: tuple[tuple[str, int | None], ...], max_age: timedelta | None, as_json: bool
) -> None:
    """Check that recurring tasks have run lately, and that their last run succeeded."""
    now, states = datetime.now(UTC), []
    for name, minutes in tasks:
        longest = max_age if minutes is None else timedelta(minutes=minutes)
        states += find_task_states(db.session(), now, [name], longest)
    if not tasks:
        states = find_task_states(db.session(), now, (), max_age)
    rows = [
        {
            "task": state.name,
            "last_run": None if state.at is None else format_instant(state.at),
            "succeeded": state.succeeded,
            "fault": state.fault,
        }
        for state in states
    ]
    print_rows(rows, as_json, "No task has run yet.")
    _end([f"Task {state.name}: {state.fault}" for state in states if state.fault])


@monitor.command("latest-data")
@click.option(
    "--max-age", type=Duration(), help="How long ago the last measured event may have ended, such as PT2H."
)
@click.option(
    "--sensor", "sensor_ids", type=int, multiple=True, help="Id of a sensor; all with data if left out."
)
@click.option("--asset", "asset_ids", type=int, multiple=True, help="Id of an asset, for all of its sensors.")
@json_option
def monitor_latest_data(
    max_age: timedelta | None, sensor_ids: tuple[int, ...], asset_ids: tuple[int, ...], as_json: bool
) -> None:
    """Show of each sensor how old its latest measurement is, and check that it is not too old."""
    found = find_latest_data(db.session(), datetime.now(UTC), max_age, sensor_ids, asset_ids)
    rows = [
        {
            "sensor_id": one.sensor_id,
            "sensor": one.sensor,
            "asset_id": one.asset_id,
            "latest_event_end": None if one.event_end is None else format_instant(one.event_end),
            "age": None if one.age is None else format_duration(_whole_minutes(one.age)),
            "stale": one.is_stale,
        }
        for one in found
    ]
    print_rows(rows, as_json, "There are no measurements yet.")
    _end([f"Sensor {one.sensor_id} ({one.sensor}) has no recent data." for one in found if one.is_stale])


@monitor.command("last-seen")
@click.option(
    *("--maximum-minutes-since-last-seen", "--max-minutes", "minutes"),
    type=click.IntRange(1, 60 * 24 * 3660),
    required=True,
    help="How long ago users may have been seen [minutes].",
)
@click.option("--account-role", help="Only users of accounts with this role.")
@click.option("--user-role", help="Only users with this role.")
@json_option
def monitor_last_seen(minutes: int, account_role: str | None, user_role: str | None, as_json: bool) -> None:
    """Check that users, such as the programs that send data, were seen lately."""
    longest = timedelta(minutes=minutes)
    found = find_silent_users(db.session(), datetime.now(UTC), longest, account_role, user_role)
    rows = [
        {
            "user_id": user.user_id,
            "username": user.username,
            "last_seen_at": None if user.last_seen_at is None else format_instant(user.last_seen_at),
        }
        for user in found
    ]
    print_rows(rows, as_json, "All users were seen lately.")
    _end([f"User {user.username} was not seen for {minutes} minutes." for user in found])


@monitor.command("alerts")
@click.option(
    "--max-age",
    type=Duration(),
    default="P1D",
    show_default=True,
    help="How old data and runs of tasks may be.",
)
@json_option
def monitor_alerts(max_age: timedelta, as_json: bool) -> None:
    """Show all that deserves attention.

    Failed tasks and jobs, full queues, missing workers, data that stay away, and alerts about measurements of which
    nobody has taken note.
    """
    alerts = [{"about": about, "alert": text} for about, text in _find_alerts(max_age, datetime.now(UTC))]
    print_rows(alerts, as_json, "All is well.")
    _end([f"{len(alerts)} alert{'s' if len(alerts) > 1 else ''}."] if alerts else [])


def _find_alerts(longest: timedelta, now: datetime) -> Iterator[tuple[str, str]]:
    session, connection = db.session(), redis_connection(current_app)
    for state in find_task_states(session, now, (), longest):
        if state.fault:
            yield f"task {state.name}", state.fault
    worked_on = {name for worker in list_workers(connection) for name in worker.queues.split(", ")}
    for queue in list_queues(connection):
        if queue.failed:
            yield (
                f"queue {queue.name}",
                f"{queue.failed} jobs have failed: flexmeasures jobs show --queue {queue.name}",
            )
        if queue.waiting and queue.name not in worked_on:
            yield (
                f"queue {queue.name}",
                f"{queue.waiting} jobs wait, and no worker takes them: jobs run-worker",
            )
        elif queue.waiting > _MANY_JOBS:
            yield f"queue {queue.name}", f"{queue.waiting} jobs wait: start more workers."
    for alert in list_alerts(session, None):
        yield f"{alert.asset_name}, sensor {alert.sensor_id} ({alert.sensor_name})", alert.words
    for data in find_latest_data(session, now, longest):
        if data.is_stale and data.event_end is not None:
            yield (
                f"sensor {data.sensor_id} ({data.sensor})",
                f"Its latest data end at {format_instant(data.event_end)}.",
            )


def _whole_minutes(age: timedelta) -> timedelta:
    return timedelta(minutes=int(age.total_seconds() // 60))


def _end(faults: list[str]) -> None:
    """End a command with status 1 if something is wrong; what it is goes to standard error."""
    if faults:
        click.echo("\n".join(faults), err=True)
        click.get_current_context().exit(1)

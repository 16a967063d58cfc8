"""``flexmeasures add annotation | holidays`` and ``show annotations | audit-log``."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from flexmeasures.cli.parameters import InstantOrDay
from flexmeasures.cli.rows import json_option, print_rows
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.time import find_zone, format_instant, is_timezone
from flexmeasures.services.accounts import find_account
from flexmeasures.services.annotations import (
    ANNOTATION_TYPES,
    NewAnnotation,
    Subjects,
    add_annotations,
    add_holidays,
    list_annotations,
)
from flexmeasures.services.audit import AuditQuestion, list_audit_entries

__all__ = ["add_annotation", "add_holidays_", "show_annotations", "show_audit_log"]

_MOST = 100_000


class _Zone(click.ParamType[Any]):
    """The IANA name of a time zone."""

    name = "ZONE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not is_timezone(str(value)):
            self.fail(f"{value!r} is not a time zone. Use a name like Europe/Amsterdam.", param, ctx)
        return value


def _subject_options(command: Any) -> Any:
    for option in (
        click.option(
            "--sensor", "--sensor-id", "sensor_ids", type=int, multiple=True, help="Id of a sensor."
        ),
        click.option("--asset", "--asset-id", "asset_ids", type=int, multiple=True, help="Id of an asset."),
        click.option(
            "--account", "--account-id", "accounts", multiple=True, help="Id or name of an account."
        ),
    ):
        command = option(command)
    return command


def _read_subjects(
    accounts: tuple[str, ...], asset_ids: tuple[int, ...], sensor_ids: tuple[int, ...]
) -> Subjects:
    return Subjects([find_account(db.session(), one).id for one in accounts], asset_ids, sensor_ids)


@click.command("annotation")
@click.option("--content", required=True, help="The text.")
@click.option("--at", type=InstantOrDay(), help="A day, or an instant and an hour from then on.")
@click.option(
    "--from", "--start", "start", type=InstantOrDay(), help="Start of the period: a day or an instant."
)
@click.option("--until", "--end", "end", type=InstantOrDay(), help="End of the period; a day is part of it.")
@click.option(
    "--type",
    "type_",
    type=click.Choice(ANNOTATION_TYPES),
    default="label",
    show_default=True,
    help="Days of holidays are special days for forecasts.",
)
@click.option("--timezone", type=_Zone(), help="Of days; FLEXMEASURES_TIMEZONE if left out.")
@_subject_options
@with_appcontext
def add_annotation(content: str, type_: str, timezone: str | None, **fields: Any) -> None:
    """Add a remark about a period of accounts, assets or sensors: a holiday, an outage, a label."""
    start, end = _read_period(fields.pop("at"), fields.pop("start"), fields.pop("end"), timezone)
    about = _read_subjects(**fields)
    note = NewAnnotation(content, start, end, type_)
    added = as_transaction(add_annotations)(db.session, [note], about, datetime.now(UTC))
    click.echo("Successfully added annotation." if added else "That annotation was there already.")


def _read_period(at: Any, start: Any, end: Any, timezone: str | None) -> tuple[datetime, datetime]:
    """Read the period of an annotation: days are local ones, and the last one is part of the period."""
    if (at is None) == (start is None) or (start is None) != (end is None):
        raise click.UsageError("Give either --at, or --from and --until.")
    zone = find_zone(timezone or current_app.config["FLEXMEASURES_TIMEZONE"])
    first, last = (at, at) if at is not None else (start, end)
    begins = first if isinstance(first, datetime) else datetime.combine(first, time(), tzinfo=zone)
    if not isinstance(last, datetime):
        return begins, datetime.combine(last + timedelta(days=1), time(), tzinfo=zone)
    return begins, last + timedelta(hours=1) if at is not None else last


@click.command("holidays")
@click.option("--year", "years", type=click.IntRange(1900, 2100), multiple=True, help="This one if left out.")
@click.option(
    "--country", "countries", multiple=True, required=True, help="ISO 3166 code, such as NL or DE-BW."
)
@click.option("--timezone", type=_Zone(), help="Of their days; FLEXMEASURES_TIMEZONE if left out.")
@_subject_options
@with_appcontext
def add_holidays_(
    years: tuple[int, ...], countries: tuple[str, ...], timezone: str | None, **fields: Any
) -> None:
    """Annotate accounts, assets or sensors with public holidays, which are special days for forecasts."""
    zone = timezone or current_app.config["FLEXMEASURES_TIMEZONE"]
    chosen = years or (datetime.now(find_zone(zone)).year,)
    about = _read_subjects(**fields)

    @as_transaction
    def in_transaction(session: Any) -> int:
        return add_holidays(session, chosen, countries, about, zone, datetime.now(UTC))

    click.echo(f"Successfully added {in_transaction(db.session)} holidays of {', '.join(countries)}.")


@click.command("annotations")
@_subject_options
@click.option("--limit", type=click.IntRange(1, _MOST), default=1000, show_default=True, help="Rows at most.")
@json_option
@with_appcontext
def show_annotations(limit: int, as_json: bool, **fields: Any) -> None:
    """Show annotations, with their ids."""
    rows = [
        {
            "id": row.id,
            "start": format_instant(row.start),
            "end": format_instant(row.end),
            "type": row.type,
            "content": row.content,
            "account_id": row.account_id,
            "asset_id": row.asset_id,
            "sensor_id": row.sensor_id,
        }
        for row in list_annotations(db.session(), _read_subjects(**fields), limit)
    ]
    print_rows(rows, as_json, "There are no such annotations: add annotation.")


@click.command("audit-log")
@click.option("--account", help="What concerns this account, its users and its assets, by its id or name.")
@click.option("--user", "user_id", type=int, help="What concerns this user, by id.")
@click.option("--asset", "asset_id", type=int, help="What concerns this asset or its sensors, by id.")
@click.option("--sensor", "sensor_id", type=int, help="What concerns this sensor, by id.")
@click.option("--start", "--from", "start", type=InstantOrDay(), help="From this instant or day (UTC) on.")
@click.option("--end", "--until", "end", type=InstantOrDay(), help="Before this instant or day (UTC).")
@click.option("--limit", type=click.IntRange(1, _MOST), default=100, show_default=True, help="Rows at most.")
@json_option
@with_appcontext
def show_audit_log(account: str | None, limit: int, as_json: bool, **fields: Any) -> None:
    """Show who changed which account, user, asset or sensor, and which logins failed; the newest first.

    Entries without a user were made by a command, a program, or somebody who was not logged in.
    """
    account_id = None if account is None else find_account(db.session(), account).id
    for name in ("start", "end"):
        if isinstance(fields[name], date) and not isinstance(fields[name], datetime):
            fields[name] = datetime.combine(fields[name], time(), tzinfo=UTC)
    entries = list_audit_entries(db.session(), AuditQuestion(account_id, **fields), limit)
    rows = [
        {
            "event_datetime": format_instant(entry.at),
            "event": entry.event,
            "active_user_id": entry.active_user_id,
            "active_user_name": entry.active_user_name,
            "account_id": entry.account_id,
            "user_id": entry.user_id,
            "asset_id": entry.asset_id,
            "sensor_id": entry.sensor_id,
        }
        for entry in entries
    ]
    print_rows(rows, as_json, "The audit log holds nothing of that.")

"""``flexmeasures coordination``: what an operator of coordination does and sees."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from rich.box import SIMPLE_HEAD
from rich.table import Table

from flexmeasures.cli.parameters import Duration, Instant
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.coordination.congestion import CongestionRules
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import next_midnight, parse_instant
from flexmeasures.services.coordination.areas import NewArea, add_area, program_named
from flexmeasures.services.coordination.clients import ENVIRONMENTS
from flexmeasures.services.coordination.compensation import Settlement, month_of, settle
from flexmeasures.services.coordination.congestion import CongestionOrder, send_congestion_curve
from flexmeasures.services.coordination.curves import Curve, Point, send_curve
from flexmeasures.services.coordination.operations import (
    list_deliveries,
    list_late_acknowledgements,
    list_missing_reports,
)
from flexmeasures.services.find import find_sensor_row

__all__ = ["coordination"]

coordination = AppGroup(
    "coordination", help="Send price curves; see deliveries, acknowledgements and reports; settle."
)

environment_option = click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default="sandbox",
    show_default=True,
    help="Whose clients and events.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


@coordination.command("send-curve")
@click.option("--program", required=True, help="Name of the programme; made if there is none.")
@click.option("--target", "targets", multiple=True, help="Whom it is for; may be given several times.")
@click.option("--resolution", type=int, default=60, show_default=True, help="Length of a slot [minutes].")
@click.option("--currency", default="EUR", show_default=True, help="Of the price differences, per kWh.")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@environment_option
@json_option
def send_price_curve(  # the options of the command
    program: str,
    targets: tuple[str, ...],
    resolution: int,
    currency: str,
    file: Any,
    environment: str,
    as_json: bool,
) -> None:
    """Send a price curve from FILE, a CSV file with the columns start and price; - for standard input."""
    points = _read_points(file)
    curve = Curve(points, timedelta(minutes=resolution), currency)

    @as_transaction
    def send() -> str:
        now = datetime.now(UTC)
        made = send_curve(
            db.session, program_named(db.session, environment, program, now), targets, curve, now
        )
        return str(made.id)

    event_id = send()
    shown = {"event_id": event_id, "slots": len(points)}
    click.echo(json.dumps(shown) if as_json else f"Sent event {event_id} with {len(points)} slots.")


@coordination.command("send-congestion-curve")
@click.option("--program", required=True, help="Name of the programme; made if there is none.")
@click.option("--target", "targets", multiple=True, help="Whom it is for; may be given several times.")
@click.option("--sensor", "sensor_id", type=int, required=True, help="Id of the sensor of the load.")
@click.option("--capacity-in-mw", "capacity_mw", type=float, required=True, help="More load is congestion.")
@click.option(
    "--feed-in-capacity-in-mw", "feed_in_capacity_mw", type=float, help="More feed-in is congestion."
)
@click.option(
    "--surcharge", type=float, default=0.1, show_default=True, help="On prices of too much load [/kWh]."
)
@click.option(
    "--reward", type=float, default=0.1, show_default=True, help="For using too much feed-in [/kWh]."
)
@click.option("--start", type=Instant(), help="From when on; the next midnight of the sensor if left out.")
@click.option("--duration", type=Duration(), default="P1D", show_default=True, help="How long.")
@click.option("--currency", default="EUR", show_default=True, help="Of the price differences, per kWh.")
@environment_option
@json_option
def send_curve_of_congestion(
    program: str,
    targets: tuple[str, ...],
    sensor_id: int,
    environment: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Send a price curve for the hours in which our forecast of a load sees congestion, if there are any."""
    start, duration, currency = (options.pop(name) for name in ("start", "duration", "currency"))
    rules = CongestionRules(**options)

    @as_transaction
    def send() -> str | None:
        now = datetime.now(UTC)
        sensor = find_sensor_row(db.session(), sensor_id)
        first = start or next_midnight(now, sensor.timezone)
        order = CongestionOrder(start=first, duration=duration, rules=rules, currency=currency)
        to = program_named(db.session, environment, program, now)
        made = send_congestion_curve(db.session(), to, targets, sensor, order, now)
        return None if made is None else str(made.id)

    event_id = send()
    said = (
        "No congestion is forecast, so nothing was sent." if event_id is None else f"Sent event {event_id}."
    )
    click.echo(json.dumps({"event_id": event_id}) if as_json else said)


def _read_points(file: Iterable[str]) -> list[Point]:
    points = []
    for number, row in enumerate(csv.DictReader(file), 2):
        try:
            points.append(Point(parse_instant(row.get("start"), "start"), float(row["price"])))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"Line {number}: the price is {quote(row.get('price'))}. Write two columns, start and price."
            ) from error
    if not points:
        raise InvalidInput("The file has no rows. Write a header start,price and a row for each slot.")
    return sorted(points, key=lambda point: point.start)


@coordination.command("add-area")
@click.option("--name", required=True, help="Its name.")
@click.option("--program", required=True, help="Name of the programme of its events; made if there is none.")
@click.option("--corners", help="JSON: a list of [longitude, latitude].")
@click.option("--meter-points", help="Ids of meter points, separated by commas, instead of corners.")
@click.option("--price-area", default="NO1", show_default=True, help="Its price area.")
@click.option("--timezone", default="Europe/Oslo", show_default=True, help="Its time zone.")
@click.option("--daily-at", help="HH:MM local: a price curve is drawn and sent every day; for test areas.")
@environment_option
def add_an_area(environment: str, corners: str | None, meter_points: str | None, **options: Any) -> None:
    """Add an area of the grid; users with a location in it become eligible."""
    try:
        read = None if corners is None else json.loads(corners)
    except ValueError as error:
        raise click.BadParameter("It is not JSON.", param_hint="--corners") from error
    meters = tuple(meter_points.split(",")) if meter_points else ()
    new = NewArea(environment=environment, corners=read, meter_point_ids=meters, **options)
    area = as_transaction(add_area)(db.session, new, datetime.now(UTC))
    click.echo(f"Added area {area.name}; its events have the target {area.target}.")


@coordination.command("deliveries")
@click.option("--event-id", help="Of one event; all if left out.")
@environment_option
@json_option
def show_deliveries(event_id: str | None, environment: str, as_json: bool) -> None:
    """Show which clients were told of events, and what their endpoints answered."""
    _show([one.as_data() for one in list_deliveries(db.session(), environment, event_id)], as_json)


@coordination.command("late-acknowledgements")
@environment_option
@json_option
def show_late(environment: str, as_json: bool) -> None:
    """Show power limits that partners have not acknowledged for five minutes; ends with 1 if there are any."""
    late = list_late_acknowledgements(db.session(), environment, datetime.now(UTC))
    _show([one.as_data() for one in late], as_json)
    if late:
        raise SystemExit(1)


@coordination.command("missing-reports")
@environment_option
@json_option
def show_missing(environment: str, as_json: bool) -> None:
    """Show price curves that are over and about which partners have not reported everything."""
    missing = list_missing_reports(db.session(), environment, datetime.now(UTC))
    _show([one.as_data() for one in missing], as_json)


@coordination.command("settlement")
@click.option("--month", help="Such as 2026-03; the current one if left out.")
@environment_option
@json_option
def show_settlement(month: str | None, environment: str, as_json: bool) -> None:
    """Export what is paid for each reported slot of a month, as CSV."""
    zone = current_app.config["FLEXMEASURES_TIMEZONE"]
    at = datetime.now(UTC) if month is None else parse_instant(f"{month}-15T00:00:00+00:00", "month")
    start, end = month_of(at, zone)
    rows = [_settled(line) for line in settle(db.session(), environment, start, end, zone)]
    if as_json:
        click.echo(json.dumps(rows))
        return
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(_COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    click.echo(out.getvalue(), nl=False)


_COLUMNS = (
    "client_id",
    "user_id",
    "event_id",
    "location_id",
    "resource_id",
    "meter_point_id",
    "slot_start",
    "kilowatt_hours",
    "price_delta",
    "currency",
    "is_in_time",
    "has_meter_point",
    "amount",
    "baseline",
)


def _settled(line: Settlement) -> dict[str, Any]:
    row = {name: getattr(line, name) for name in _COLUMNS}
    decimals = ("kilowatt_hours", "price_delta", "amount")
    return row | {
        "slot_start": line.slot_start.isoformat(),
        **{name: str(row[name]) for name in decimals},
        "baseline": None if line.baseline is None else str(line.baseline),
    }


def _show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("There are none.")
        return
    table = Table(*rows[0], box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    open_console().print(table)

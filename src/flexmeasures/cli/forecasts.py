"""``flexmeasures add forecasts`` and ``flexmeasures show accuracy``."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flexmeasures.cli.parameters import Day, Instant
from flexmeasures.cli.terminal import open_console
from flexmeasures.data.database import db, redis_connection
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.forecasting import find_model
from flexmeasures.domain.time import find_zone
from flexmeasures.jobs.forecasts import enqueue_forecasts, run_forecast
from flexmeasures.services.forecasts.batch import KINDS, Wish, batch_orders, find_thing
from flexmeasures.services.forecasts.measure import SourceAccuracy, measure_sensor

__all__ = ["add_forecasts", "show_accuracy"]

_HORIZONS = ("1", "6", "24", "48")
_MONTH = timedelta(days=30)


@click.command("forecasts")
@click.option(
    "--asset-type",
    "kind",
    type=click.Choice([kind.name for kind in KINDS], case_sensitive=False),
    help="Forecast only these; all if left out.",
)
@click.option(
    "--asset-id", "--asset", "named", help="Id or name of the one that is forecast; needs --asset-type."
)
@click.option(
    "--from-date",
    type=Day(),
    default="2015-02-08",
    show_default=True,
    help="First day that is forecast, in FLEXMEASURES_TIMEZONE.",
)
@click.option(
    "--to-date",
    type=Day(),
    default="2015-12-31",
    show_default=True,
    help="The day before which forecasts end, in FLEXMEASURES_TIMEZONE.",
)
@click.option(
    "--horizon",
    "hours",
    type=click.Choice(_HORIZONS),
    multiple=True,
    default=_HORIZONS,
    show_default=True,
    help="How far ahead [h]; may be given several times.",
)
@click.option("--model", help="By which model; FLEXMEASURES_FORECASTER if left out.")
@click.option("--as-job", is_flag=True, help="Let workers do it.")
@with_appcontext
def add_forecasts(
    kind: str | None,
    named: str | None,
    from_date: date,
    to_date: date,
    hours: tuple[str, ...],
    model: str | None,
    as_job: bool,
) -> None:
    """Forecast a period from what was known at each time, as if it were forecast event by event.

    Weather sensors come first, then assets, then markets. What has too little data is skipped with a message.
    """
    if named is not None and kind is None:
        click.echo("If you specify --asset-name, please also specify --asset-type, so we can look it up.")
        return
    find_model(model or current_app.config["FLEXMEASURES_FORECASTER"])
    if to_date <= from_date:
        raise click.UsageError(f"--to-date {to_date} must lie after --from-date {from_date}.")
    zone = find_zone(current_app.config["FLEXMEASURES_TIMEZONE"])
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (from_date, to_date))
    horizons = tuple(timedelta(hours=int(one)) for one in dict.fromkeys(hours))
    thing_id = None if named is None or kind is None else find_thing(db.session(), kind, named)
    is_unknown = named is not None and thing_id is None
    wish = Wish(start, end, horizons, kind, thing_id, model)
    orders = [] if is_unknown else batch_orders(db.session(), wish)
    db.session.rollback()  # the transaction ends here: each forecast has its own
    if not orders:
        click.echo("No such assets in db, so I will not add any forecasts.")
        return
    if as_job:
        count = enqueue_forecasts(redis_connection(current_app), [order for _, order in orders])
        click.echo(
            f"{count} jobs wait in the queue forecasting. To run them: "
            "flexmeasures jobs run-worker --queue forecasting"
        )
        return
    made: Counter[str] = Counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for thing, order in progress.track(orders, description="Forecasting"):
            try:
                made[thing.table] += run_forecast(order)
            except FlexError as error:
                ahead = order.horizon // timedelta(hours=1)
                click.echo(f"Skipping sensor {order.sensor_id}, {ahead} h ahead: {error}")
    for thing in KINDS:
        click.echo(f"{made[thing.table]} {thing.table} Forecasts were made")


@click.command("accuracy")
@click.option("--sensor", "sensor_id", type=int, required=True, help="Id of the sensor.")
@click.option(
    "--from", "start", type=Instant(), help="Start of the period; 30 days before its end if left out."
)
@click.option("--until", "end", type=Instant(), help="End of the period; now if left out.")
@click.option(
    "--horizon",
    "hours",
    type=click.IntRange(min=0, max=24 * 366),
    multiple=True,
    default=tuple(int(one) for one in _HORIZONS),
    show_default=True,
    help="How far ahead [h]; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_appcontext
def show_accuracy(
    sensor_id: int, start: datetime | None, end: datetime | None, hours: tuple[int, ...], as_json: bool
) -> None:
    """Show how accurate forecasts of a sensor were, by source and horizon: our own and posted ones."""
    end = end or datetime.now(UTC)
    start = start or end - _MONTH
    if end <= start:
        raise click.UsageError("--until must lie after --from.")
    horizons = [timedelta(hours=one) for one in dict.fromkeys(hours)]
    found = measure_sensor(db.session(), sensor_id, (start, end), horizons)
    if as_json:
        rows = [
            {"source": one.source, "horizon": f"PT{one.horizon // timedelta(hours=1)}H", "unit": one.unit}
            | one.accuracy.as_data()
            for one in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2, allow_nan=False))
        return
    if not found:
        click.echo("Nothing was forecast of this sensor in this period.")
        return
    open_console().print(_table(found))


def _table(found: list[SourceAccuracy]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Source")
    unit = escape(f"[{found[0].unit}]")
    titles = (
        *("Ahead", "Events", f"MAE\n{unit}", "WAPE", "1 − WAPE", f"Bias\n{unit}", "Coverage", "rCRPS"),
        *("Peak rCRPS", "Peaks met"),
    )
    for title in titles:
        table.add_column(title, justify="right")
    for one in found:
        data = one.accuracy.as_data()
        names = (
            *("mae", "wape", "accuracy", "bias", "coverage", "rcrps", "peak_weighted_rcrps"),
            "peak_hit_rate",
        )
        cells = ("–" if data[name] is None else f"{data[name]:.4g}" for name in names)
        hours = one.horizon // timedelta(hours=1)
        table.add_row(escape(one.source), f"{hours} h", str(one.accuracy.count), *cells)
    return table

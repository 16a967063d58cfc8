"""``flexmeasures add beliefs`` and ``dev-add``: beliefs from CSV files and Excel workbooks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from flexmeasures.cli.add_accounts import create_told
from flexmeasures.cli.mapping_files import MappedFile, read_mapping_file
from flexmeasures.cli.parameters import Instant
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.time import format_instant, is_timezone
from flexmeasures.services.file_beliefs import (
    Claim,
    FileOrder,
    SensorColumn,
    StoredColumn,
    read_columns,
    store_columns,
)
from flexmeasures.services.reading_files import Layout, open_table
from flexmeasures.services.sensors import create_series_sensor

__all__ = ["add_beliefs", "dev_add"]

_MOST_ROWS = 20_000_000
_LARGEST_WORKBOOK = 2**30
_PROBABILITY = click.FloatRange(0, 1, min_open=True, max_open=True)

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_common = (
    click.option(
        "--horizon", type=int, help="How long before the end of each event it was believed [minutes]."
    ),
    click.option(
        "--cp",
        "probability",
        type=_PROBABILITY,
        default=0.5,
        show_default=True,
        help="Cumulative probability.",
    ),
    click.option(
        "--allow-overwrite/--do-not-allow-overwrite",
        "overwrite",
        default=False,
        show_default=True,
        help="Whether other values of the same source and horizon are replaced.",
    ),
    click.option(
        "--nrows", type=click.IntRange(min=1), help="Only so many lines of values; all if left out."
    ),
    click.option(
        "--sheet_number",
        "--sheet-number",
        "sheet",
        type=click.IntRange(0, 1000),
        default=0,
        help="Of a workbook, from 0 on.",
    ),
)


def _common_options(command: Any) -> Any:
    for option in reversed(_common):
        command = option(command)
    return command


@click.command("beliefs")
@file_argument
@click.option("--sensor", "--sensor-id", "sensor_id", type=int, help="Id of the sensor; or give --mapping.")
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON or YAML file that says which column is of which sensor; see the how-to page.",
)
@click.option(
    "--source", default="CLI script", show_default=True, help="Name of the source, or the id of one."
)
@click.option(
    "--unit",
    help="Of the values; energy of each event, such as kWh, becomes power. The sensor's if left out.",
)
@click.option("--cumulative", is_flag=True, help="The values are readings of a meter that counts up.")
@click.option(
    "--production-positive", is_flag=True, help="Production is positive in the file; consumption if left out."
)
@click.option("--belief-time", type=Instant(), help="When it was believed; now if left out.")
@click.option("--timezone", help="Of times that name none; the sensor's if left out.")
@click.option("--datecol", help="Column of the times: its name, or its number from 0 on; found if left out.")
@click.option("--valuecol", default="", help="Column of the values, likewise.")
@click.option("--delimiter", help='Between cells, such as ";" or "tab"; found if left out.')
@click.option(
    "--decimal", type=click.Choice([",", ".", "comma", "point"]), help="Before decimals; found if left out."
)
@click.option("--month-first", is_flag=True, help="03/04/2021 is 4 March.")
@click.option(
    "--skiprows", type=click.IntRange(0, 10_000), help="Lines before the values, the last being the head."
)
@click.option(
    "--na-values", "empty", multiple=True, help="Texts for no value; such lines and empty ones are left out."
)
@_common_options
@with_appcontext
def add_beliefs(file: Path, sensor_id: int | None, mapping: Path | None, **given: Any) -> None:
    """Add beliefs from a CSV FILE or an Excel workbook (.xlsx): all of them, or none if any line is wrong.

    Local times are read over changes of the clock: of the hour that comes twice the first lines are the first one.
    Delimiter, decimal sign, encoding and columns are found where they are not given. What the source has said before is
    not stored again.
    """
    if (sensor_id is None) == (mapping is None):
        raise click.UsageError("Give either --sensor or --mapping.")
    if given["horizon"] is not None and given["belief_time"] is not None:
        raise click.UsageError("Give either --horizon or --belief-time.")
    if given["timezone"] is not None and not is_timezone(given["timezone"]):
        raise click.BadParameter(f"{given['timezone']!r} is not a time zone.", param_hint="--timezone")
    mapped = MappedFile(_read_order(sensor_id or 0, given)) if mapping is None else read_mapping_file(mapping)
    layout = Layout(
        skipped=mapped.skipped if given["skiprows"] is None else given["skiprows"],
        most_rows=_MOST_ROWS,
        taken=given["nrows"],
        separator=_read_separator(given["delimiter"] or mapped.separator),
        sheet=given["sheet"],
        largest_unpacked=_LARGEST_WORKBOOK,
    )
    with _without_garbage_collection():
        loaded = _load(file, layout, mapped.order, _read_claim(given))
    for stored in loaded:
        click.echo(_tell(stored))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Do not look for cycles among millions of cells, which have none: that takes longer than making them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _read_order(sensor_id: int, given: dict[str, Any]) -> FileOrder:
    column = SensorColumn(
        given["valuecol"], sensor_id, given["unit"], given["cumulative"], given["production_positive"]
    )
    return FileOrder(
        columns=(column,),
        time=given["datecol"],
        zone=given["timezone"],
        decimal_comma=None if given["decimal"] is None else given["decimal"] in (",", "comma"),
        month_first=given["month_first"],
        empty=frozenset(given["empty"]) or None,
    )


def _read_claim(given: dict[str, Any]) -> Claim:
    horizon = given["horizon"]
    return Claim(
        source=given["source"],
        now=datetime.now(UTC),
        belief_time=given.get("belief_time"),
        horizon=None if horizon is None else timedelta(minutes=horizon),
        probability=given["probability"],
        overwrite=given["overwrite"],
    )


def _read_separator(text: str | None) -> str | None:
    """Read what stands between cells."""
    if text is None:
        return None
    sign = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(sign) != 1 or sign in "\r\n":
        raise click.BadParameter(f"{text!r} is not one sign, such as ; or tab.", param_hint="--delimiter")
    return sign


def _load(file: Path, layout: Layout, order: FileOrder, claim: Claim) -> list[StoredColumn]:
    """Read a file and store what is in it, in one transaction; show how far that is."""
    from rich.console import Console  # noqa: PLC0415 - programs that ask for --help need no bar
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Opening {file.name}", total=2 + len(order.columns))
        table = open_table(file.read_bytes(), file.name, layout)
        progress.update(task, advance=1, description=f"Reading {len(table.rows):,} lines")
        read = read_columns(db.session(), table, order)
        db.session.rollback()  # no transaction stays open while lines are read
        progress.update(task, advance=1, description="Storing")

        @as_transaction
        def in_transaction(session: Any) -> list[StoredColumn]:
            return store_columns(session(), read, claim, lambda: progress.advance(task))

        stored: list[StoredColumn] = in_transaction(db.session)
    return stored


def _tell(stored: StoredColumn) -> str:
    """Say in a sentence what became of a column."""
    text = (
        f"Successfully created {stored.stored:,} beliefs about sensor {stored.sensor} "
        f"from {format_instant(stored.first)} to {format_instant(stored.last)}"
    )
    if stored.known:
        text += f"; {stored.known:,} more were known"
    if stored.resets:
        text += f"; the meter began anew {stored.resets} times"
    if stored.spread:
        text += f"; the energy of gaps was spread over {stored.spread:,} events"
    return f"{text}."


dev_add = AppGroup("dev-add", help="Experimental commands of 0.4.0: add sensors, and beliefs from files.")


@dev_add.command("sensor")
@click.option("--name", required=True, help="Name of the sensor.")
@click.option("--unit", required=True, help="In which its values are stored.")
@click.option(
    "--event-resolution",
    type=click.IntRange(0, 60 * 24 * 366),
    required=True,
    help="Length of its events [minutes].",
)
@click.option("--timezone", required=True, help="Time zone, such as Europe/Amsterdam.")
def dev_add_sensor(event_resolution: int, **fields: str) -> None:
    """Add a sensor that belongs to nothing else."""

    def create(session: Any, _: Any) -> int:
        return create_series_sensor(
            session, event_resolution=timedelta(minutes=event_resolution), **fields
        ).id

    click.echo(f"Successfully created sensor with ID {create_told(db.session, create, None)}")


_counted = partial(click.option, type=click.IntRange(0, 10_000), show_default=True)


@dev_add.command("beliefs")
@file_argument
@click.option("--sensor-id", type=click.IntRange(min=1), required=True, help="Id of the sensor.")
@click.option("--source", required=True, help="Name of the source, or the id of one.")
@_counted("--skiprows", default=1, help="Lines before the values.")
@_counted("--datecol", default=0, help="Column of the times, from 0 on.")
@_counted("--valuecol", default=1, help="Column of the values, likewise.")
@_common_options
def dev_add_beliefs(file: Path, sensor_id: int, **given: Any) -> None:
    """Add beliefs from a CSV FILE or an Excel workbook, whose times are UTC; add beliefs can do more."""
    order = FileOrder((SensorColumn(given["valuecol"], sensor_id),), time=given["datecol"], zone="UTC")
    layout = Layout(
        given["skiprows"],
        _MOST_ROWS,
        given["nrows"],
        sheet=given["sheet"],
        largest_unpacked=_LARGEST_WORKBOOK,
    )
    try:
        [stored] = _load(file, layout, order, _read_claim(given))
    except NotFound as error:
        missing = f"no sensor found with id {sensor_id}." if "sensor" in str(error) else str(error)
        raise click.ClickException(f"Failed to create beliefs: {missing}") from None
    except FlexError as error:
        raise click.ClickException(f"Failed to create beliefs due to the following error: {error}") from None
    click.echo("Successfully created beliefs")
    click.echo(_tell(stored))

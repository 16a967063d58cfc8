"""Beliefs in files: CSV for people and spreadsheets, Parquet for programs."""

from __future__ import annotations

import csv
from pathlib import Path

import click

from flexmeasures.services.listings import BeliefColumns

__all__ = ["write_beliefs"]


def write_beliefs(beliefs: BeliefColumns, file: Path) -> int:
    """Write beliefs to a file of the kind that its name says, and count them.

    Raises:
        click.UsageError: If it is neither CSV nor Parquet.
        click.ClickException: If the file cannot be written, or pyarrow is missing.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    write = writers.get(file.suffix.lower())
    if write is None:
        raise click.UsageError(
            f"{file.name} is of no kind that can be written. Write to a file ending in .csv or .parquet."
        )
    partial = file.with_name(f".{file.name}.part")
    try:
        write(beliefs, partial)
        partial.replace(file)  # so that a file that is there is a whole one
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return len(beliefs)


def _write_csv(beliefs: BeliefColumns, file: Path) -> None:
    columns = beliefs.by_name
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_parquet(beliefs: BeliefColumns, file: Path) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise click.ClickException(
            "Parquet needs pyarrow: pip install 'flexmeasures[parquet]'. Or write to a file ending in .csv."
        ) from None
    instant = pa.timestamp("us", tz="UTC")
    columns = {"event_start": pa.array(beliefs.event_starts, type=instant)}
    if beliefs.belief_times is not None:
        columns["belief_time"] = pa.array(beliefs.belief_times, type=instant)
        columns["source"] = pa.array(beliefs.sources, type=pa.string())
        columns["cumulative_probability"] = pa.array(beliefs.probabilities)
    columns["event_value"] = pa.array(beliefs.values)
    table = pa.table(columns).replace_schema_metadata({"unit": beliefs.unit})
    pq.write_table(table, file)

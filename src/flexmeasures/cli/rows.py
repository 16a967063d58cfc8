"""Rows on the command line: as a table for people, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from flexmeasures.cli.terminal import open_console

__all__ = ["json_option", "print_rows"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool, nothing: str) -> None:
    """Print rows.

    Args:
        rows: Values by the names of their columns, ready for JSON.
        as_json: Whether a program reads them.
        nothing: What people are told if there are no rows.
    """
    if as_json:
        click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2, allow_nan=False))
        return
    if not rows:
        click.echo(nothing)
        return
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - programs read JSON, which needs none of it
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD)
    for name in rows[0]:
        heading = name.replace("_", " ")
        # A narrow terminal breaks lines between words of a heading, and not within them.
        table.add_column(escape(heading), overflow="fold", min_width=max(map(len, heading.split())))
    for row in rows:
        table.add_row(*(escape(_shown(value)) for value in row.values()))
    console = open_console()
    needed = console.measure(table, options=console.options.update(max_width=1000)).minimum
    console.width = max(console.width, needed)  # nothing is cut off
    console.print(table)


def _shown(value: Any) -> str:
    if value is None or value in ([], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)

"""Readings in tables as people keep them: where the times and the values are, and what is wrong in which line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.quoting import quote
from flexmeasures.domain.reading_times import parse_time, parse_times
from flexmeasures.domain.time import Instants, to_microseconds

__all__ = [
    "Column",
    "LineFault",
    "Mapping",
    "Readings",
    "ValueColumn",
    "guess_mapping",
    "parse_columns",
    "parse_number",
    "parse_readings",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

MOST_FAULTS = 20
"""So many faults are told; who has more of them has one of the mapping."""

_NUMBERS = {
    False: re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE),
    True: re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE),
}
"""Numbers with a decimal point, and with a decimal comma; the other sign may part thousands."""

_PLAIN = {False: re.compile(r"[0-9eE+\-.\n]*"), True: re.compile(r"[0-9eE+\-,\n]*")}

Column = int


@dataclass(frozen=True)
class Mapping:
    """How a table is to be read.

    Attributes:
        time: Number of the column with the start of each event ...
        value: ... and of that with its value.
        zone: IANA name of the time zone of times that name none.
        decimal_comma: Whether a comma stands before decimals.
        month_first: Whether 03/04/2021 is 4 March.
    """

    time: Column
    value: Column
    zone: str
    decimal_comma: bool = False
    month_first: bool = False


@dataclass(frozen=True)
class ValueColumn:
    """A column with the values of a sensor.

    Attributes:
        resolution: Length of the events; each must start on a multiple of it. Zero: the values are instantaneous.
        may_be_empty: Whether a line without a value is left out; otherwise it is a fault.
        empty: Texts that stand for no value.
    """

    column: Column
    resolution: timedelta
    may_be_empty: bool = False
    empty: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LineFault:
    """What is wrong in a line of a file; the head is line 1."""

    line: int
    text: str


@dataclass(frozen=True)
class Readings:
    """What was read, in the order of time.

    Attributes:
        starts: Starts of events (n,), UTC.
        values: Shape (n,).
        faults: What could not be read; then nothing should be stored.
    """

    starts: Instants
    values: Values
    faults: tuple[LineFault, ...] = ()


def parse_number(text: str, decimal_comma: bool) -> float:
    """Read a number as people write it.

    Raises:
        ValueError: If it is not one.

    >>> parse_number("1.234,5", True), parse_number("1,234.5", False), parse_number("-0,25", True)
    (1234.5, 1234.5, -0.25)
    >>> parse_number("1,5", False)
    Traceback (most recent call last):
    ValueError: 1,5
    """
    kept = text.strip().replace("\u2212", "-").replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
    kept = kept.replace("'", "")
    if not _NUMBERS[decimal_comma].fullmatch(kept):
        raise ValueError(text)
    kept = kept.replace(".", "").replace(",", ".") if decimal_comma else kept.replace(",", "")
    number = float(kept)
    if not np.isfinite(number):
        raise ValueError(text)
    return number


def guess_mapping(header: Sequence[str], rows: Sequence[Sequence[Any]], zone: str) -> Mapping:
    """Find the first column that holds times, and the first other one that holds numbers."""
    sample = [row for row in rows[:20] if any(cell not in (None, "") for cell in row)]
    width = max((len(row) for row in sample), default=0)

    def share(column: int, reads: Callable[[Any], Any]) -> float:
        good = 0
        for row in sample:
            try:
                reads(row[column])
                good += 1
            except (ValueError, IndexError):
                continue
        return good / len(sample) if sample else 0.0

    time = next((n for n in range(width) if share(n, lambda cell: parse_time(cell, zone)) > 0.5), 0)
    for comma in (_looks_like_comma(sample, time), True, False):
        for n in range(width):
            if n != time and share(n, lambda cell, comma=comma: parse_number(_text(cell), comma)) > 0.5:  # type: ignore[misc]
                return Mapping(time, n, zone, comma)
    return Mapping(time, 1 if time == 0 else 0, zone)


def _looks_like_comma(sample: Sequence[Sequence[Any]], time: int) -> bool:
    texts = [str(cell) for row in sample for n, cell in enumerate(row) if n != time]
    return any("," in one and "." not in one[one.rfind(",") :] for one in texts)


def parse_readings(
    rows: Sequence[Sequence[Any]], mapping: Mapping, resolution: timedelta, lines: Sequence[int] | None = None
) -> Readings:
    """Read the rows of a table (without its head): one column of values; see `parse_columns`."""
    [readings] = parse_columns(rows, mapping, [ValueColumn(mapping.value, resolution)], lines)
    return readings


def parse_columns(
    rows: Sequence[Sequence[Any]],
    mapping: Mapping,
    columns: Sequence[ValueColumn],
    lines: Sequence[int] | None = None,
) -> list[Readings]:
    """Read the rows of a table (without its head): the values of one or several sensors.

    A local hour that comes twice when clocks go back is the first one until time would stand still or run backwards.

    Args:
        rows: Cells of each line; lines without any are skipped.
        mapping: How to read them; its column of values is not looked at.
        columns: Where the values are.
        lines: Number of the line of each row; counted from 2 on if left out, since the head is line 1.

    Returns:
        Of each column what was read, and the first faults of the times and of the column.
    """
    times = _cells(rows, mapping.time)
    blank = {row for row, cell in enumerate(times) if cell in ("", None) and _is_blank(rows[row])}
    parsed = parse_times(times, mapping.zone, mapping.month_first)
    numbers = range(2, len(rows) + 2) if lines is None else lines
    wrong = {
        row: f"{quote(str(times[row]))} is not a time: {reason}."
        for row, reason in parsed.reasons.items()
        if row not in blank
    }
    _note_repeated(parsed.instants, numbers, wrong)
    return [
        _read_column(rows, mapping, column, (times, parsed.instants, blank, wrong, numbers))
        for column in columns
    ]


_Times = tuple[Sequence[Any], Instants, set[int], dict[int, str], Sequence[int]]


def _read_column(
    rows: Sequence[Sequence[Any]], mapping: Mapping, column: ValueColumn, times: _Times
) -> Readings:
    cells, instants, blank, wrong_times, lines = times
    wrong = dict(wrong_times)
    texts = _cells(rows, column.column)
    values, unread = _parse_numbers(texts, mapping.decimal_comma)
    kept = ~np.isnat(instants)
    for row in unread:
        text = _text(texts[row]).strip()
        if row not in blank and column.may_be_empty and (not text or text in column.empty):
            kept[row] = False
        elif row not in blank:
            wrong.setdefault(row, f"{quote(text)} is not a number.")
    if column.resolution:
        step = to_microseconds(column.resolution)
        for row in np.flatnonzero(kept & (instants.astype(np.int64) % step != 0)).tolist()[:MOST_FAULTS]:
            wrong.setdefault(
                row, f"{quote(str(cells[row]))} is not the start of a slot of {column.resolution}."
            )
    faults = tuple(LineFault(lines[row], wrong[row]) for row in sorted(wrong)[:MOST_FAULTS])
    kept[sorted(wrong)] = False
    order = np.argsort(instants[kept], kind="stable")
    return Readings(instants[kept][order], values[kept][order], faults)


def _note_repeated(instants: Instants, lines: Sequence[int], wrong: dict[int, str]) -> None:
    """Note the rows whose time stands in an earlier row already."""
    _, first, which = np.unique(instants, return_index=True, return_inverse=True, equal_nan=False)
    rows = np.arange(len(instants))
    for row in np.flatnonzero((first[which] != rows) & ~np.isnat(instants)).tolist():
        wrong[row] = f"its time is that of line {lines[first[which[row]]]}: keep one of them."


def _parse_numbers(cells: Sequence[Any], decimal_comma: bool) -> tuple[Values, list[int]]:
    """Read a column of numbers, and list the rows that hold none; those that are written plainly all at once."""
    if all(type(cell) is str for cell in cells):
        joined = "\n".join(cells)
        if _PLAIN[decimal_comma].fullmatch(joined) and joined.count("\n") == max(len(cells) - 1, 0):
            try:
                values = np.array(list(map(float, (joined.replace(",", ".")).split("\n"))), dtype=float)
            except ValueError:
                pass
            else:
                if np.isfinite(values).all():
                    return values, []
    values, unread = np.full(len(cells), np.nan), []
    for row, cell in enumerate(cells):
        try:
            values[row] = parse_number(_text(cell), decimal_comma) if type(cell) is str else _finite(cell)
        except (ValueError, TypeError):
            unread.append(row)
    return values, unread


def _finite(cell: Any) -> float:
    """Take a number of a workbook; truth values and dates are none."""
    if isinstance(cell, bool) or not isinstance(cell, int | float) or not np.isfinite(cell):
        raise ValueError(cell)
    return float(cell)


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _cells(rows: Sequence[Sequence[Any]], column: Column) -> list[Any]:
    """Take a column; what short lines lack is empty."""
    try:
        return [row[column] for row in rows]
    except IndexError:
        return [row[column] if column < len(row) else "" for row in rows]


def _is_blank(row: Sequence[Any]) -> bool:
    return not any(_text(cell).strip() for cell in row)

"""Readings in tables as people keep them: where the times and the values are, and what is wrong in which line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import Instants, find_zone

__all__ = [
    "Column",
    "LineFault",
    "Mapping",
    "Readings",
    "guess_mapping",
    "parse_number",
    "parse_readings",
    "parse_time",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

MOST_FAULTS = 20
"""So many faults are told; who has more of them has one of the mapping."""

_PATTERNS = (
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
)

Column = int


@dataclass(frozen=True)
class Mapping:
    """How a table is to be read.

    Attributes:
        time: Number of the column with the start of each event ...
        value: ... and of that with its value.
        zone: IANA name of the time zone of times that name none.
        decimal_comma: Whether a comma stands before decimals.
    """

    time: Column
    value: Column
    zone: str
    decimal_comma: bool = False


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
        ValueError: If it is none.

    >>> parse_number("1.234,5", True), parse_number("1,234.5", False), parse_number("-0,25", True)
    (1234.5, 1234.5, -0.25)
    """
    kept = text.strip().replace("\u2212", "-").replace("\u00a0", "").replace(" ", "")
    kept = kept.replace(".", "").replace(",", ".") if decimal_comma else kept.replace(",", "")
    number = float(kept)
    if not np.isfinite(number):
        raise ValueError(text)
    return number


def parse_time(value: Any, zone: str) -> datetime:
    """Read a time as people write it, on the clock of a zone unless it says otherwise.

    Raises:
        ValueError: If it is none, or falls into the hour that a clock change skips.

    >>> parse_time("29.03.2021 14:15", "Europe/Berlin").isoformat()
    '2021-03-29T12:15:00+00:00'
    """
    read = value if isinstance(value, datetime) else _parse_text(str(value).strip())
    if read.tzinfo is not None:
        return read.astimezone(UTC)
    local = read.replace(tzinfo=find_zone(zone))
    instant = local.astimezone(UTC)
    if instant.astimezone(find_zone(zone)).replace(tzinfo=None) != read:
        raise ValueError("this hour does not exist: clocks go forward")
    return instant


def _parse_text(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        for pattern in _PATTERNS:
            try:
                return datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone comes with the mapping
            except ValueError:
                continue
    raise ValueError("not a time")


def guess_mapping(header: Sequence[str], rows: Sequence[Sequence[Any]], zone: str) -> Mapping:
    """Find the first column that holds times, and the first other one that holds numbers."""
    sample = [row for row in rows[:20] if row]
    width = max((len(row) for row in sample), default=0)

    def share(column: int, reads: Any) -> float:
        good = 0
        for row in sample:
            try:
                reads(row[column])
                good += 1
            except (ValueError, IndexError):
                continue
        return good / len(sample) if sample else 0.0

    time = next((n for n in range(width) if share(n, lambda v: parse_time(v, zone)) > 0.5), 0)
    for comma in (_looks_like_comma(sample, time), True, False):
        for n in range(width):
            if n != time and share(n, lambda v, c=comma: parse_number(str(v), c)) > 0.5:
                return Mapping(time, n, zone, comma)
    return Mapping(time, min(1, max(width - 1, 0)), zone)


def _looks_like_comma(sample: Sequence[Sequence[Any]], time: int) -> bool:
    texts = [str(v) for row in sample for n, v in enumerate(row) if n != time]
    return any("," in one and "." not in one[one.rfind(",") :] for one in texts)


def parse_readings(rows: Sequence[Sequence[Any]], mapping: Mapping, resolution: timedelta) -> Readings:
    """Read the rows of a table (without its head).

    A local hour that comes twice when clocks go back is the first one until time would stand still or run backwards.

    Args:
        rows: Cells of each line; lines without any are skipped.
        mapping: How to read them.
        resolution: Length of the events; each must start on a multiple of it.
    """
    starts: list[datetime] = []
    values: list[float] = []
    faults: list[LineFault] = []
    seen: dict[datetime, int] = {}
    for number, row in enumerate(rows, start=2):
        if len(faults) >= MOST_FAULTS:
            break
        if not any(str(cell).strip() for cell in row if cell is not None):
            continue
        try:
            start = parse_time(_cell(row, mapping.time), mapping.zone)
        except (ValueError, OverflowError) as error:
            reason = (
                str(error) if "clocks" in str(error) else "write it as 2021-04-29 14:15 or 29.04.2021 14:15"
            )
            faults.append(
                LineFault(number, f"{quote(str(_cell(row, mapping.time)))} is not a time: {reason}.")
            )
            continue
        if start in seen and starts and start <= starts[-1]:
            start += timedelta(hours=1) if _comes_twice(start, mapping.zone) else timedelta(0)
        if start in seen:
            faults.append(LineFault(number, f"its time is that of line {seen[start]}: keep one of them."))
            continue
        if resolution and (start - datetime(1970, 1, 1, tzinfo=UTC)) % resolution:
            faults.append(
                LineFault(
                    number,
                    f"{quote(str(_cell(row, mapping.time)))} is not the start of a slot of {resolution}.",
                )
            )
            continue
        try:
            value = parse_number(str(_cell(row, mapping.value)), mapping.decimal_comma)
        except ValueError:
            faults.append(LineFault(number, f"{quote(str(_cell(row, mapping.value)))} is not a number."))
            continue
        seen[start] = number
        starts.append(start)
        values.append(value)
    order = np.argsort(np.array([one.timestamp() for one in starts])) if starts else np.empty(0, dtype=int)
    instants = np.array([one.replace(tzinfo=None) for one in starts], dtype="datetime64[us]")
    return Readings(instants[order], np.array(values, dtype=float)[order], tuple(faults))


def _cell(row: Sequence[Any], column: int) -> Any:
    return row[column] if column < len(row) and row[column] is not None else ""


def _comes_twice(instant: datetime, zone: str) -> bool:
    """Tell whether the local time of an instant comes again an hour later."""
    local = find_zone(zone)
    later = (instant + timedelta(hours=1)).astimezone(local).replace(tzinfo=None)
    return instant.astimezone(local).replace(tzinfo=None) == later

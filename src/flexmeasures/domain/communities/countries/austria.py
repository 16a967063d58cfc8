"""Austria: participation factors, and the energy report of the operators' exchange (EDA) as a workbook."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import numpy as np

from flexmeasures.domain.errors import Conflict, InvalidInput

__all__ = [
    "FACTOR_REFUSED",
    "EnergyReport",
    "ReportColumn",
    "check_factor_change",
    "check_factors",
    "read_energy_report",
    "residual_of_producer",
]

FACTOR_REFUSED = 82
"""Code with which operators refuse a change of the participation factor."""

_MOST_BYTES = 50_000_000
_MOST_UNPACKED_BYTES = 600_000_000
_SHEET = "Energiedaten"
_LABEL_ROWS = 40


def check_factors(factors: Sequence[int], most: int = 5) -> None:
    """Check the participation factors [%] of one metering point in its communities.

    Raises:
        InvalidInput: If one is not a whole percentage from 1 to 100.
        Conflict: If there are too many, or they add up to more than 100 %.
    """
    for factor in factors:
        if isinstance(factor, bool) or not isinstance(factor, int) or not 1 <= factor <= 100:
            raise InvalidInput(f"Participation factor {factor!r} is not a whole percentage from 1 to 100.")
    if len(factors) > most:
        raise Conflict(f"A metering point may belong to {most} communities, not to {len(factors)}.")
    if sum(factors) > 100:
        raise Conflict(
            f"The participation factors of a metering point add up to {sum(factors)} %; at most 100 %."
        )


def check_factor_change(received: datetime, changed_today: bool) -> None:
    """Check that a change of a participation factor is accepted; it takes effect on the next day.

    Args:
        received: Local time at which the operator gets it.
        changed_today: Whether the factor of this point and community was changed on that day already.

    Raises:
        Conflict: With the operator's refusal code in its details.
    """
    on_time = received.weekday() < 5 and time(9) <= received.time() <= time(17)
    if not on_time or changed_today:
        raise Conflict(
            "A participation factor is changed once a day, on weekdays between 09:00 and 17:00 "
            f"(code {FACTOR_REFUSED}).",
            {"code": FACTOR_REFUSED},
        )


def residual_of_producer(generation: Any, own_cover: Any) -> Any:
    """Work out each producer's surplus: ``P.01T_p = G.01T_p - ΣG.03 · G.01T_p / ΣG.01T``.

    Args:
        generation: Offered generation, shape ``(n_intervals, n_producers)`` [kWh].
        own_cover: What members were allotted, shape ``(n_intervals, n_members)`` [kWh].
    """
    total = generation.sum(axis=1, keepdims=True)
    share = np.divide(generation, total, out=np.zeros_like(generation), where=total > 0)
    return generation - own_cover.sum(axis=1, keepdims=True) * share


@dataclass(frozen=True)
class ReportColumn:
    """One value column of a report.

    Attributes:
        metering_point: Its id.
        direction: "CONSUMPTION" or "GENERATION".
        meter_code: What the values are, as the report says it.
        values: Shape ``(n_intervals,)`` [kWh]; NaN for gaps.
        quality: Of each value: "L1", "L2", "L3" or "".
    """

    metering_point: str
    direction: str
    meter_code: str
    values: np.ndarray[Any, np.dtype[np.float64]]
    quality: tuple[str, ...]


@dataclass(frozen=True)
class EnergyReport:
    """A report of quarter-hours. Names of people in the workbook are not taken over.

    Attributes:
        starts: Local starts of intervals as the workbook writes them, without a time zone.
        columns: One for each metering point and code.
    """

    starts: tuple[datetime, ...]
    columns: tuple[ReportColumn, ...]


def read_energy_report(content: bytes) -> EnergyReport:
    """Read the XLSX energy report of the EDA portal.

    The sheet "Energiedaten" has label rows, each with one value column and one quality column (``MM``) for each point
    and code, then one row for each quarter-hour, stamped with its start.

    Raises:
        InvalidInput: If it is not such a workbook; names the row and column.
    """
    rows = _rows(content)
    labels, first = _labels(rows)
    ids = _label(labels, "MeteringpointID")
    directions, codes = _label(labels, "Energy direction"), _label(labels, "Metercode")
    positions = [n for n, text in enumerate(ids) if n and text and str(text).strip().upper() != "MM"]
    positions = [n for n in positions if _cell(codes, n)]
    if not positions:
        raise InvalidInput("The workbook names no metering point with a meter code in its label rows.")
    body = [row for row in rows[first:] if row and isinstance(row[0], datetime)]
    columns = tuple(
        ReportColumn(
            str(ids[n]).strip(),
            str(_cell(directions, n) or "").strip().upper(),
            str(_cell(codes, n)).strip(),
            np.array([_number(row, n, first + k + 1) for k, row in enumerate(body)], dtype=np.float64),
            tuple(_quality(row, n + 1) for row in body),
        )
        for n in positions
    )
    return EnergyReport(tuple(row[0] for row in body), columns)


def _rows(content: bytes) -> list[tuple[Any, ...]]:
    """Unpack the sheet, after a look at how large it will get."""
    from openpyxl import load_workbook  # noqa: PLC0415 - slow to load, seldom needed
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    if len(content) > _MOST_BYTES:
        raise InvalidInput(f"The workbook has {len(content)} bytes; at most {_MOST_BYTES} are read.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MOST_UNPACKED_BYTES:
                raise InvalidInput("The workbook unpacks to too much data. Export a shorter period.")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        if _SHEET not in book.sheetnames:
            raise InvalidInput(f"The workbook has no sheet {_SHEET!r}. Export the energy report.")
        return [tuple(row) for row in book[_SHEET].iter_rows(values_only=True)]
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        raise InvalidInput("The file is not an XLSX workbook. Export the energy report as XLSX.") from error


def _labels(rows: list[tuple[Any, ...]]) -> tuple[dict[str, tuple[Any, ...]], int]:
    """Collect the label rows by name, and find where the quarter-hours begin."""
    labels: dict[str, tuple[Any, ...]] = {}
    for number, row in enumerate(rows[:_LABEL_ROWS]):
        if row and isinstance(row[0], datetime):
            return labels, number
        if row and isinstance(row[0], str):
            labels[row[0].strip().lower()] = row
    raise InvalidInput(f"The first {_LABEL_ROWS} rows hold no quarter-hour: dates are expected in column A.")


def _label(labels: dict[str, tuple[Any, ...]], name: str) -> tuple[Any, ...]:
    found = [row for text, row in labels.items() if text.startswith(name.lower())]
    if not found:
        raise InvalidInput(f"The workbook has no label row {name!r}.")
    return found[0]


def _cell(row: Iterable[Any], number: int) -> Any:
    cells = tuple(row)
    return cells[number] if number < len(cells) else None


def _number(row: tuple[Any, ...], column: int, line: int) -> float:
    cell = _cell(row, column)
    if cell is None or cell == "":
        return float("nan")
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise InvalidInput(f"Row {line}, column {column + 1}: {str(cell)[:40]!r} is not a number.")
    return float(cell)


def _quality(row: tuple[Any, ...], column: int) -> str:
    cell = _cell(row, column)
    return cell.strip() if isinstance(cell, str) else ""

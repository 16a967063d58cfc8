"""Files of coefficients: two CSV forms on the way in, the distributor's text file on the way out."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.communities.allocation import WHOLE, Energies
from flexmeasures.domain.communities.coefficients import HOURS_OF_YEAR, Coefficients, to_parts
from flexmeasures.domain.communities.identifiers import read_supply_point
from flexmeasures.domain.errors import InvalidInput

__all__ = ["DistributorFileForm", "read_coefficients", "write_distributor_file"]

_LARGEST_FILE = 200_000_000
_MOST_POINTS = 20_000


def read_coefficients(content: bytes, known: Collection[str] | None = None) -> Coefficients:
    """Read a CSV file of coefficients.

    Two forms: columns ``CUPS,Coefficient`` (fixed), or ``hour`` and one column for each CUPS with 8,760 rows (hourly,
    in leap years as well). Decimal point, comma between columns, UTF-8.

    Args:
        content: The file.
        known: Supply points that may stand in it; None: any.

    Raises:
        InvalidInput: Names the line, and where it applies the hour and the sum. Nothing of the file is to be used then.
    """
    lines = _lines(content)
    header = [cell.strip() for cell in lines[0].split(",")]
    lowered = [cell.lower() for cell in header]
    if lowered == ["cups", "coefficient"]:
        return _read_fixed(lines, known)
    if lowered[0] == "hour" and len(header) > 1:
        return _read_hourly(lines, header[1:], known)
    raise InvalidInput(
        f"Line 1: the header {lines[0][:80]!r} is unknown. "
        "Write CUPS,Coefficient, or hour and one column for each CUPS."
    )


def _lines(content: bytes) -> list[str]:
    """Divide a file into lines, and refuse what is not plain text."""
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput("Line 1: the file begins with a byte-order mark. Save it as UTF-8 without one.")
    if len(content) > _LARGEST_FILE:
        raise InvalidInput(f"The file has {len(content)} bytes; at most {_LARGEST_FILE} are read.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"Line {line}: the file is not UTF-8. Save it as UTF-8.") from None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if not lines[0].strip():
        raise InvalidInput(
            "Line 1: the header is missing. Write CUPS,Coefficient, or hour and a column per CUPS."
        )
    return lines


def _cups(text: str, line: int, known: Collection[str] | None) -> str:
    try:
        cups = read_supply_point(text)
    except InvalidInput as error:
        raise InvalidInput(f"Line {line}: {error}") from None
    if known is not None and cups not in known:
        raise InvalidInput(
            f"Line {line}: supply point {cups} is unknown here. Name supply points of this service."
        )
    return cups


def _cells(text: str, line: int, count: int) -> list[str]:
    cells = text.split(",")
    if len(cells) != count:
        raise InvalidInput(
            f"Line {line}: there are {len(cells)} columns, not {count}. "
            "Write a comma between columns and a decimal point in numbers, not a decimal comma."
        )
    return cells


def _part(text: str, line: int, hour: int | None = None) -> int:
    try:
        return to_parts(text)
    except InvalidInput as error:
        where = f"Line {line}" if hour is None else f"Line {line}, hour {hour}"
        raise InvalidInput(f"{where}: {error}") from None


def _read_fixed(lines: list[str], known: Collection[str] | None) -> Coefficients:
    parts: dict[str, int] = {}
    for number, text in enumerate(lines[1:], start=2):
        cups_text, coefficient = _cells(text, number, 2)
        cups = _cups(cups_text, number, known)
        if cups in parts:
            raise InvalidInput(
                f"Line {number}: supply point {cups} stands twice. Name each supply point once."
            )
        parts[cups] = _part(coefficient, number)
    if parts and abs(sum(parts.values()) - WHOLE) > 1:
        raise InvalidInput(
            f"Lines 2 to {len(lines)}: the coefficients add up to {sum(parts.values()) / WHOLE:.6f} "
            "in every hour. They must add up to 1."
        )
    return Coefficients(tuple(parts), np.array(list(parts.values()), dtype=np.int64))


def _read_hourly(lines: list[str], names: list[str], known: Collection[str] | None) -> Coefficients:
    if len(names) > _MOST_POINTS:
        raise InvalidInput(f"Line 1: there are {len(names)} supply points; at most {_MOST_POINTS} are read.")
    points: dict[str, None] = {}
    for name in names:
        cups = _cups(name, 1, known)
        if cups in points:
            raise InvalidInput(f"Line 1: supply point {cups} stands twice. Name each supply point once.")
        points[cups] = None
    if len(lines) - 1 != HOURS_OF_YEAR:
        raise InvalidInput(
            f"Line {len(lines)}: the file has {len(lines) - 1} hours (the last is hour {len(lines) - 1}); it must "
            f"have {HOURS_OF_YEAR}, in leap years too (29 February takes the coefficients of 28 February)."
        )
    parts = _read_plain(lines[1:], len(points))
    if parts is not None:
        return Coefficients(tuple(points), parts)
    parts = np.empty((HOURS_OF_YEAR, len(points)), dtype=np.int64)
    for hour, text in enumerate(lines[1:], start=1):
        cells = _cells(text, hour + 1, len(points) + 1)
        if cells[0].strip() != str(hour):
            raise InvalidInput(
                f"Line {hour + 1}: hour {cells[0].strip()[:20]!r} stands where hour {hour} belongs. "
                f"Write the hours 1 to {HOURS_OF_YEAR} in order, each once."
            )
        row = [_part(cell, hour + 1, hour) for cell in cells[1:]]
        if abs(sum(row) - WHOLE) > 1:
            raise InvalidInput(
                f"Line {hour + 1}, hour {hour}: the coefficients add up to {sum(row) / WHOLE:.6f}. "
                "They must add up to 1.",
                {"line": hour + 1, "hour": hour, "sum": sum(row) / WHOLE},
            )
        parts[hour - 1] = row
    return Coefficients(tuple(points), parts)


_PLAIN = re.compile(r"[0-9]{1,4}(?:,(?:0|1|[01]\.[0-9]{1,6}))+", re.ASCII)


def _read_plain(rows: list[str], count: int) -> Energies | None:
    """Read a file in which all is as it should be, at once; None if anything is not, and must be looked at closely."""
    if not all(_PLAIN.fullmatch(row) for row in rows):
        return None
    cells = np.array(",".join(rows).split(","), dtype=np.float64)
    if len(cells) != len(rows) * (count + 1):
        return None
    table = cells.reshape(len(rows), count + 1)
    parts: Energies = np.rint(table[:, 1:] * WHOLE).astype(np.int64)
    hours_are_right = (table[:, 0] == np.arange(1, len(rows) + 1)).all()
    sums_are_right = (np.abs(parts.sum(axis=1) - WHOLE) <= 1).all() and parts.max() <= WHOLE
    return parts if hours_are_right and sums_are_right else None


@dataclass(frozen=True)
class DistributorFileForm:
    """Options that the law leaves open for the file to the distributor.

    Attributes:
        header: Whether a line with the names of the columns comes first.
        sort: Whether lines are sorted by supply point (then hour), or keep the order of the table.
        line_end: Between lines.
        final_line_end: Whether the last line ends with it as well.
        encoding: Of the text.
        padded_hours: Whether hours have four digits.
    """

    header: bool = False
    sort: bool = True
    line_end: str = "\r\n"
    final_line_end: bool = False
    encoding: str = "ascii"
    padded_hours: bool = False


def write_distributor_file(
    coefficients: Coefficients, group: str, year: int, form: DistributorFileForm | None = None
) -> tuple[str, bytes]:
    """Write coefficients for the distributor (RD 244/2019, annex I, as changed by Orden TED/1247/2021).

    Semicolons between columns, decimal comma, six decimals: ``CUPS;0,500000``, or hourly ``CUPS;523;0,135464`` with
    hours from 1 to 8760.

    Args:
        coefficients: The table.
        group: The CAU of the self-consumption group.
        year: The calendar year that the file covers.
        form: What the law leaves open.

    Returns:
        The file's name and its bytes.
    """
    form = form or DistributorFileForm()
    order = sorted(range(len(coefficients.supply_points)), key=lambda n: coefficients.supply_points[n])
    if not form.sort:
        order.sort()
    rows = [_header(coefficients)] if form.header else []
    for column in order:
        cups = coefficients.supply_points[column]
        values = coefficients.parts[..., column]
        if not coefficients.is_hourly:
            rows.append(f"{cups};{_with_comma(int(values))}")
            continue
        width = 4 if form.padded_hours else 0
        rows += [f"{cups};{n:0{width}d};{_with_comma(v)}" for n, v in enumerate(values.tolist(), start=1)]
    text = form.line_end.join(rows) + (form.line_end if form.final_line_end else "")
    return f"{group}_{year:04d}.txt", text.encode(form.encoding)


def _header(coefficients: Coefficients) -> str:
    return "CUPS;Hora;Coeficiente" if coefficients.is_hourly else "CUPS;Coeficiente"


def _with_comma(parts: int) -> str:
    return f"{parts // WHOLE},{parts % WHOLE:06d}"

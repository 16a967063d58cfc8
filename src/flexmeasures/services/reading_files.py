"""CSV files and Excel workbooks as lines of cells; what is in the cells, `domain.reading_tables` reads."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.quoting import quote

__all__ = ["Layout", "Table", "open_table"]

_WORKBOOK = b"PK\x03\x04"
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_SEPARATORS = (";", "\t", ",", "|")


@dataclass(frozen=True)
class Table:
    """A file as lines of cells.

    Attributes:
        header: Names of the columns.
        rows: The other lines, blank ones included.
        lines: Number of the line of each row in the file; the first line is 1.
    """

    header: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    lines: Sequence[int]


@dataclass(frozen=True)
class Layout:
    """Layout of a file.

    Attributes:
        skipped: How many lines come before the values; the last of them is the head. None: the first line with cells.
        most_rows: So many lines of values at most; others are refused.
        taken: Only so many lines of values are read; None: all.
        separator: Between cells of CSV; None: the one that the first lines have most of.
        sheet: Which sheet of a workbook, counted from 0.
        largest_unpacked: A workbook may not unfold to more than this [bytes].
    """

    skipped: int | None = None
    most_rows: int = 200_000
    taken: int | None = None
    separator: str | None = None
    sheet: int = 0
    largest_unpacked: int = 64 * 1024 * 1024


def open_table(content: bytes, name: str, layout: Layout | None = None) -> Table:
    """Open a CSV file or an Excel workbook.

    Raises:
        InvalidInput: If it is neither, empty, or too long.
    """
    layout = layout or Layout()
    if not content.strip():
        raise InvalidInput("The file is empty. Choose one with a head and a line for each value.")
    if content.startswith(_OLD_WORKBOOK):
        raise InvalidInput(f"{quote(name)} is a workbook of Excel 97 to 2003. Save it as .xlsx or as CSV.")
    if content.startswith(_WORKBOOK):
        cells, lines = _read_workbook(content, layout)
    else:
        cells, lines = _read_csv(content, name, layout)
    head = layout.skipped if layout.skipped is not None else _find_head(cells)
    header = tuple(_named(cell) for cell in cells[head - 1]) if 0 < head <= len(cells) else ()
    end = len(cells)
    while end > head and not any(_named(cell) for cell in cells[end - 1]):
        end -= 1
    if layout.taken is not None:
        end = min(end, head + layout.taken)
    if end <= head:
        raise InvalidInput("The file has no lines below its head. It needs a head and a line for each value.")
    if end - head > layout.most_rows:
        raise InvalidInput(f"The file has more than {layout.most_rows:,} lines. Send it in parts.")
    return Table(header, cells[head:end], lines[head:end])


def _find_head(cells: Sequence[Sequence[Any]]) -> int:
    """Count the lines up to the first one that has anything in it."""
    return next(
        (n for n, line in enumerate(cells, start=1) if any(_named(cell) for cell in line)), len(cells)
    )


def _named(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()


def _read_workbook(content: bytes, layout: Layout) -> tuple[list[Sequence[Any]], Sequence[int]]:
    from openpyxl import load_workbook  # noqa: PLC0415 - half a second, which only those wait who send one

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(part.file_size for part in archive.infolist()) > layout.largest_unpacked:
                raise InvalidInput("The workbook is too large. Send it as CSV, in parts.")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        if layout.sheet >= len(book.worksheets):
            raise InvalidInput(
                f"The workbook has {len(book.worksheets)} sheets, and none with number {layout.sheet}."
            )
        most = layout.most_rows + (layout.skipped or 1) + 1
        lines: list[Sequence[Any]] = []
        for line in book.worksheets[layout.sheet].iter_rows(values_only=True):
            lines.append(line)
            if len(lines) > most:
                break
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, OSError, TypeError) as error:
        raise InvalidInput(
            "The file looks like a workbook, but cannot be opened. Save it anew, or as CSV."
        ) from error
    return lines, range(1, len(lines) + 1)


def _read_csv(content: bytes, name: str, layout: Layout) -> tuple[list[Sequence[Any]], Sequence[int]]:
    text = _decode(content)
    if "\0" in text:
        raise InvalidInput(
            f"{quote(name)} is neither CSV nor an Excel workbook (.xlsx). Save it as one of them."
        )
    separator = layout.separator or _guess_separator(text[:5000])
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        cells: list[Sequence[Any]] = list(reader)
    except csv.Error as error:
        raise InvalidInput(f"{quote(name)} cannot be read as CSV: {error}.") from None
    if reader.line_num == len(cells):
        return cells, range(1, len(cells) + 1)
    # Some cells go over several lines: the number of a row is that of its last line.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return cells, [reader.line_num for _ in reader]


def _decode(content: bytes) -> str:
    """Decode a text as its byte-order mark says; otherwise it is UTF-8, or else that of Western Europe."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _guess_separator(head: str) -> str:
    """Find what parts the cells: a comma may as well stand in numbers, so it counts half."""
    return max(_SEPARATORS, key=lambda sign: head.count(sign) * (0.5 if sign == "," else 1))

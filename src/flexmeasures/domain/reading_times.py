"""Times in tables as people write them, whole columns at once: formats, local clocks and their changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from flexmeasures.domain.time import Instants, find_zone, utc_offsets

__all__ = ["BadTime", "ParsedTimes", "parse_time", "parse_times"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_PATTERNS = tuple(
    f"{day} %H:%M{seconds}"
    for day in ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%Y/%m/%d")
    for seconds in ("", ":%S")
)
_MONTH_FIRST = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")

# Y, M, D, h, m, s: digits; o, p: digits of an offset from UTC; T: "T" or a space; ±: its sign; others: themselves.
_DAYS = ("YYYY-MM-DD", "YYYY/MM/DD", "DD.MM.YYYY", "DD/MM/YYYY", "DD-MM-YYYY")
_CLOCKS = ("Thh:mm", "Thh:mm:ss")
_TEMPLATES = (
    tuple(day + clock for day in _DAYS for clock in _CLOCKS)
    + tuple(f"YYYY-MM-DDThh:mm:ss{offset}" for offset in ("Z", "±oo:pp", "±oopp"))
    + ("YYYY-MM-DDThh:mmZ", "YYYY-MM-DDThh:mm±oo:pp")
)

_LONGEST = 40
"""No time is written longer than this."""

_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - the zone comes with the table
_EXCEL_DAYS = (20_000, 80_000)
"""Numbers of days that Excel would show as dates of 1954 to 2119."""

NOT_A_TIME = "write it as 2021-04-29 14:15 or 29.04.2021 14:15"
SKIPPED = "this hour does not exist: clocks go forward"


class BadTime(ValueError):
    """A text that is not a time, or one that clocks skip; says why."""


@dataclass(frozen=True)
class ParsedTimes:
    """A column of times.

    Attributes:
        instants: Shape (n,), UTC; not a time where `reasons` says why.
        reasons: What is wrong, by row.
    """

    instants: Instants
    reasons: dict[int, str]


def parse_time(value: Any, zone: str, month_first: bool = False) -> datetime:
    """Read a time as people write it, on the clock of a zone unless it says otherwise.

    The first one, if the clock shows it twice.

    Raises:
        BadTime: If it is not a time, or falls into the hour that a clock change skips.

    >>> parse_time("29.03.2021 14:15", "Europe/Berlin").isoformat()
    '2021-03-29T12:15:00+00:00'
    >>> parse_time(44284.5, "UTC").isoformat()  # as Excel counts days
    '2021-03-29T12:00:00+00:00'
    """
    read = _read_one(value, month_first)
    if read.tzinfo is not None:
        return read.astimezone(UTC)
    local = read.replace(tzinfo=find_zone(zone))
    instant = local.astimezone(UTC)
    if instant.astimezone(find_zone(zone)).replace(tzinfo=None) != read:
        raise BadTime(SKIPPED)
    return instant


def _read_one(value: Any, month_first: bool) -> datetime:
    """Read a time, with its zone where it names one."""
    if isinstance(value, datetime):
        return _to_whole_seconds(value)
    text = str(value).strip()
    if len(text) > _LONGEST:
        raise BadTime(NOT_A_TIME)
    try:
        days = float(text.replace(",", "."))
    except ValueError:
        return _parse_text(text, month_first)
    if "_" in text or not _EXCEL_DAYS[0] <= days <= _EXCEL_DAYS[1]:
        raise BadTime(NOT_A_TIME)
    return _to_whole_seconds(_EXCEL_EPOCH + timedelta(days=days))


def _to_whole_seconds(read: datetime) -> datetime:
    """Mend what the fractions of days lose in which spreadsheets count."""
    near = (read + timedelta(milliseconds=500)).replace(microsecond=0)
    return near if abs(near - read) <= timedelta(milliseconds=50) else read


def _parse_text(text: str, month_first: bool) -> datetime:
    for pattern in _MONTH_FIRST if month_first else ():
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone comes with the table
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for pattern in _PATTERNS:
        if month_first and pattern.startswith("%d/%m"):
            continue
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007
        except ValueError:
            continue
    raise BadTime(NOT_A_TIME)


def parse_times(cells: Sequence[Any], zone: str, month_first: bool = False) -> ParsedTimes:
    """Read a column of times, see `parse_time`.

    A local hour that comes twice when clocks go back is the first one until time would stand still or run backwards,
    then the second one; likewise in a table that begins with the newest line.

    Args:
        cells: Texts, or dates and numbers of a workbook.
        zone: IANA name of the time zone of times that name none.
        month_first: Whether 03/04/2021 is 4 March.
    """
    local, named, rest = _parse_templates(cells, month_first)
    reasons: dict[int, str] = {}
    for row in np.flatnonzero(rest).tolist():
        try:
            read = _read_one(cells[row], month_first)
            if read.tzinfo is not None:
                read, named[row] = read.astimezone(UTC).replace(tzinfo=None), True
            local[row] = np.datetime64(read, "us")
        except BadTime as error:
            reasons[row] = str(error)
        except (ValueError, OverflowError):
            reasons[row] = NOT_A_TIME
    instants = local.copy()
    bare = np.flatnonzero(~named & ~np.isnat(local))
    if len(bare):
        early, late, exists = _candidates(local[bare], zone)
        instants[bare] = _in_order(early, late)
        for row in bare[~exists].tolist():
            reasons[row] = SKIPPED
            instants[row] = np.datetime64("NaT")
    return ParsedTimes(instants, reasons)


def _candidates(local: Instants, zone: str) -> tuple[Instants, Instants, Mask]:
    """Find the first and the last instant at which a clock shows a time, and whether it ever does."""
    offsets = np.unique(utc_offsets(np.concatenate([local - _DAY, local, local + _DAY]), zone))
    early = np.full(len(local), np.datetime64("NaT"), dtype="datetime64[us]")
    late = early.copy()
    for offset in sorted(offsets, reverse=True):  # the clock that is further ahead shows a time first
        instants = local - offset
        shows = utc_offsets(instants, zone) == offset
        early = np.where(shows & np.isnat(early), instants, early)
        late = np.where(shows, instants, late)
    return early, late, ~np.isnat(early)


_DAY = np.timedelta64(1, "D")


def _in_order(early: Instants, late: Instants) -> Instants:
    """Choose of two instants each so that time goes on in one direction."""
    chosen = early.copy()
    steps = np.diff(early[~np.isnat(early)])
    backwards = bool(len(steps)) and np.count_nonzero(steps < np.timedelta64(0)) > len(steps) / 2
    rows = np.flatnonzero((early != late) & ~np.isnat(early))
    if backwards:
        chosen[rows] = late[rows]
    for row in rows.tolist():
        if row == 0 or np.isnat(chosen[row - 1]):
            continue
        if not backwards and early[row] <= chosen[row - 1]:
            chosen[row] = late[row]
        if backwards and late[row] >= chosen[row - 1]:
            chosen[row] = early[row]
    return chosen


def _parse_templates(cells: Sequence[Any], month_first: bool) -> tuple[Instants, Mask, Mask]:
    """Read the cells that are written in a usual way, all of one way at once.

    Returns:
        Local times, or UTC of those that name an offset; which ones do; and which cells are left to be read.
    """
    texts = [cell if type(cell) is str and len(cell) <= _LONGEST else "" for cell in cells]
    local = np.full(len(texts), np.datetime64("NaT"), dtype="datetime64[us]")
    named, rest = np.zeros(len(texts), dtype=bool), np.ones(len(texts), dtype=bool)
    table = np.array(texts)
    if not texts or table.dtype.itemsize == 0:
        return local, named, rest
    codes = table.view(np.uint32).reshape(len(texts), -1)
    lengths = np.count_nonzero(codes, axis=1)
    for template in _TEMPLATES:
        rows = np.flatnonzero(rest & (lengths == len(template)))
        if not len(rows):
            continue
        read_as = template.replace("DD/MM", "MM/DD") if month_first else template
        read, fits = _read_template(codes[rows, : len(template)], read_as)
        local[rows[fits]] = read[fits]
        named[rows[fits]] = template[-1] in "Zp"
        rest[rows[fits]] = False
    return local, named, rest


def _read_template(codes: np.ndarray[Any, Any], template: str) -> tuple[Instants, Mask]:
    """Read texts by the places of their digits."""
    digits = codes.astype(np.int64) - ord("0")
    fits = np.ones(len(codes), dtype=bool)
    fields = dict.fromkeys("YMDhmsop", np.zeros(len(codes), dtype=np.int64))
    for place, letter in enumerate(template):
        if letter in fields:
            fits &= (digits[:, place] >= 0) & (digits[:, place] <= 9)
            fields[letter] = fields[letter] * 10 + digits[:, place]
        else:
            allowed = {"T": "T ", "±": "+-"}.get(letter, letter)
            fits &= np.isin(codes[:, place], [ord(sign) for sign in allowed])
    fits &= (fields["M"] >= 1) & (fields["M"] <= 12) & (fields["D"] >= 1) & (fields["Y"] >= 1)
    fits &= (
        (fields["h"] < 24) & (fields["m"] < 60) & (fields["s"] < 60) & (fields["o"] < 24) & (fields["p"] < 60)
    )
    months = np.where(fits, (fields["Y"] - 1970) * 12 + fields["M"] - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (fields["D"] - 1).astype("timedelta64[D]")
    fits &= days.astype("datetime64[M]") == months
    seconds = fields["h"] * 3600 + fields["m"] * 60 + fields["s"]
    if "±" in template:
        sign = np.where(codes[:, template.index("±")] == ord("-"), -1, 1)
        seconds = seconds - sign * (fields["o"] * 3600 + fields["p"] * 60)
    read: Instants = days.astype("datetime64[us]") + seconds.astype("timedelta64[s]")
    return read, fits

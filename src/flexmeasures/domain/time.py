"""Instants, durations, resolutions and calendars: the only place that knows about time zones.

Inside the platform an instant is an aware ``datetime`` or a ``numpy.datetime64[us]`` in UTC, an interval is
half-open and keyed by its start. Calendar rules (days, months) are worked out in a local zone and turned back into
UTC at once, because adding a ``timedelta`` to a local time goes wrong when clocks change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import isodate
import numpy as np

from flexmeasures.domain.errors import InvalidDuration, InvalidInput, InvalidTime, NaiveTime
from flexmeasures.domain.quoting import quote

__all__ = [
    "EPOCH",
    "Instants",
    "add_duration",
    "daily_periods",
    "event_grid",
    "find_zone",
    "format_duration",
    "format_in_zone",
    "format_instant",
    "from_datetime64",
    "is_timezone",
    "local_midnights",
    "local_wall_clock",
    "next_event_start",
    "next_midnight",
    "parse_duration",
    "parse_horizon",
    "parse_instant",
    "to_datetime64",
    "to_microseconds",
    "utc_offsets",
    "word_instants",
]

Instants = np.ndarray[Any, np.dtype[np.datetime64]]
"""An array of instants, ``datetime64[us]`` in UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LONGEST_DURATION = 100
"""More characters no duration needs."""

LONGEST_HORIZON = timedelta(days=36525)
"""Nobody knows or corrects anything for longer, and times a century from any year lie in the calendar."""

_DATE_AND_TIME = re.compile(r"^\d{4}-?\d{2}-?\d{2}[T ]\d{2}", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)
_REPEAT = re.compile(r"(-?)R\d{0,9}/(.*)", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")


def parse_instant(text: object, name: str = "start") -> datetime:
    """Read an ISO 8601 date and time with a time zone.

    Args:
        text: For example ``"2021-03-28T02:00:00+01:00"``.
        name: What it is called in the message, should it be wrong.

    Raises:
        InvalidTime: If it is something else; a date alone is not an instant.
        NaiveTime: If the time zone is missing.

    >>> parse_instant("2015-01-01T00:00:00+01:00").isoformat()
    '2015-01-01T00:00:00+01:00'
    """
    if text is None:
        raise InvalidTime(f"'{name}' is missing. Write it like 2021-06-01T12:00:00+02:00.")
    if not isinstance(text, str) or not _DATE_AND_TIME.match(text):
        raise InvalidTime(
            f"'{name}' is {quote(text)}, which is not an ISO 8601 date and time. "
            "Write it like 2021-06-01T12:00:00+02:00."
        )
    try:
        # In a query string an unescaped plus sign arrives as a space.
        instant = datetime.fromisoformat(re.sub(r" (\d{2}:?\d{2})$", r"+\1", text))
        instant.astimezone(UTC)
        _check_year(instant)
    except (ValueError, OverflowError):
        raise InvalidTime(
            f"'{name}' is {quote(text)}, which is not an existing date and time. "
            "Write it like 2021-06-01T12:00:00+02:00."
        ) from None
    if instant.tzinfo is None:
        raise NaiveTime(
            f"'{name}' is {quote(text)}, which has no time zone. Add one, for example {text[:30]}Z for UTC."
        )
    return instant


def _check_year(instant: datetime) -> None:
    """Refuse the first and the last year of the calendar, so that neighbouring days can be reckoned with.

    Raises:
        ValueError: If it lies in one of them.
    """
    if not MINYEAR < instant.year < MAXYEAR:
        raise ValueError


def format_instant(instant: datetime) -> str:
    """Write an instant in ISO 8601, UTC as ``Z``.

    >>> format_instant(datetime(2021, 6, 1, 12, tzinfo=UTC))
    '2021-06-01T12:00:00Z'
    """
    return instant.isoformat().replace("+00:00", "Z")


def format_in_zone(instant: datetime, zone: str) -> str:
    """Write an instant in ISO 8601 with the offset of a time zone, such as that of an asset.

    >>> format_in_zone(datetime(2021, 6, 1, 6, tzinfo=UTC), "Europe/Amsterdam")
    '2021-06-01T08:00:00+02:00'
    """
    return format_instant(instant.astimezone(find_zone(zone)))


def word_instants(text: str, zone: str, start: datetime, resolution: timedelta) -> str:
    """Write the instants in a text for people: local times, those of the first day without their date.

    Args:
        text: With instants in ISO 8601.
        zone: IANA name of the time zone.
        start: An instant of the first day; the midnight that ends this day is called 24:00.
        resolution: To whose nearest multiple from midnight on times are rounded.

    >>> noon = datetime(2021, 6, 1, 12, tzinfo=UTC)
    >>> word_instants("from 2021-06-01T16:00:00Z to 2021-06-02T06:00:00Z", "UTC", noon, timedelta(hours=1))
    'from 16:00 to 2021-06-02 06:00'
    """
    tz = find_zone(zone)
    first = start.astimezone(tz).date()

    def word(match: re.Match[str]) -> str:
        local = parse_instant(match[0]).astimezone(tz)
        since = timedelta(
            hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        rounded = round(since / resolution) * resolution if resolution <= timedelta(hours=1) else since
        day = local.date() + rounded // timedelta(days=1) * timedelta(days=1)
        minutes = rounded % timedelta(days=1) // timedelta(minutes=1)
        if day == first + timedelta(days=1) and minutes == 0:
            return "24:00"
        clock = f"{minutes // 60:02}:{minutes % 60:02}"
        return clock if day == first else f"{day.isoformat()} {clock}"

    return _INSTANT.sub(word, text)


def parse_duration(text: object, name: str = "duration") -> timedelta | isodate.Duration:
    """Read an ISO 8601 duration; one with months or years stays nominal until `add_duration` grounds it.

    Raises:
        InvalidDuration: If it is not a duration.

    >>> parse_duration("PT1H30M")
    datetime.timedelta(seconds=5400)
    """
    if text is None:
        raise InvalidDuration(f"'{name}' is missing. Write it like PT15M, PT1H30M or P1D.")
    try:
        if not isinstance(text, str) or not text.isascii() or len(text) > LONGEST_DURATION:
            raise TypeError
        return isodate.parse_duration(text.strip())
    except (isodate.ISO8601Error, TypeError, ValueError, OverflowError, ArithmeticError):
        raise InvalidDuration(
            f"'{name}' is {quote(text)}, which is not an ISO 8601 duration. Write it like PT15M, PT1H30M or P1D."
        ) from None


def parse_horizon(text: object, name: str = "horizon") -> tuple[timedelta, bool]:
    """Read a belief horizon: a duration, perhaps negative, perhaps with the repetition prefix ``R/`` or ``R<n>/``.

    Returns:
        The horizon, and whether the prefix was there.

    Raises:
        InvalidDuration: If it is not a duration of fixed length.

    >>> parse_horizon("-R/PT5M")
    (datetime.timedelta(days=-1, seconds=86100), True)
    """
    repeated = _REPEAT.fullmatch(text) if isinstance(text, str) else None
    duration = parse_duration(repeated[1] + repeated[2] if repeated else text, name)
    if not isinstance(duration, timedelta):
        raise InvalidDuration(
            f"'{name}' is {quote(text)}; months and years have no fixed length. Use days or hours."
        )
    if abs(duration) > LONGEST_HORIZON:
        raise InvalidDuration(f"'{name}' is {quote(text)}; it must be shorter than a hundred years.")
    return duration, repeated is not None


def format_duration(duration: timedelta | isodate.Duration) -> str:
    """Write a duration in ISO 8601.

    >>> format_duration(timedelta(minutes=90)), format_duration(timedelta(days=2))
    ('PT1H30M', 'P2D')
    """
    return str(isodate.duration_isoformat(duration))


def add_duration(
    start: datetime, duration: timedelta | isodate.Duration, zone: str | None = None
) -> datetime:
    """Find the end of a period.

    Args:
        start: Where it starts (inclusive).
        duration: How long it lasts. Months, years and nothing smaller follow the calendar; they come first.
        zone: Time zone of that calendar; the zone of ``start`` if left out.

    Returns:
        Where it ends (exclusive), in the zone of ``start``.

    Raises:
        InvalidTime: If the end lies beyond the calendar.
    """
    try:
        instant, rest = start, duration
        if not isinstance(rest, timedelta):
            # The sum must be taken in local time, and only then turned into an instant: months differ by DST.
            local = start.astimezone(find_zone(zone)) if zone else start
            instant = local + isodate.Duration(years=rest.years, months=rest.months)
            rest = rest.tdelta
        end = (instant.astimezone(UTC) + rest).astimezone(start.tzinfo)
        _check_year(end)
    except (OverflowError, ValueError):
        raise InvalidTime(
            f"{format_instant(start)} plus {format_duration(duration)} lies outside the calendar."
        ) from None
    return end


@lru_cache(maxsize=256)
def find_zone(name: str) -> ZoneInfo:
    """Look up a time zone of the IANA database.

    Raises:
        InvalidInput: If there is none of that name.
    """
    if name not in _zone_names():
        raise InvalidInput(f"Timezone {quote(name)} is unknown. Use a name like Europe/Amsterdam.")
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    """List the names of zones; those that mean something else on each machine, or nothing, are none."""
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def is_timezone(name: str) -> bool:
    """Tell whether the IANA database has a zone of that name."""
    try:
        find_zone(name)
    except InvalidInput:
        return False
    return True


def to_datetime64(instant: datetime) -> np.datetime64:
    """Turn an aware instant into ``datetime64[us]`` in UTC.

    Raises:
        NaiveTime: If it has no time zone.
    """
    if instant.tzinfo is None:
        raise NaiveTime(f"{instant.isoformat()} has no time zone. Add one.")
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


def from_datetime64(instant: np.datetime64) -> datetime:
    """Turn ``datetime64`` in UTC into an aware instant in UTC."""
    return EPOCH + timedelta(microseconds=int(instant.astype("datetime64[us]").astype(np.int64)))


def to_microseconds(duration: timedelta) -> int:
    """Express a duration in microseconds, exactly."""
    return duration // _MICROSECOND


def event_grid(start: datetime, resolution: timedelta, count: int) -> Instants:
    """List the starts of consecutive events.

    Returns:
        Shape ``(count,)``, ``datetime64[us]`` in UTC.
    """
    steps = np.arange(count, dtype=np.int64) * to_microseconds(resolution)
    return to_datetime64(start) + steps.astype("timedelta64[us]")


def next_event_start(instant: datetime, resolution: timedelta) -> datetime:
    """Find the first event that starts at an instant or after it, of events that are counted from the epoch.

    >>> next_event_start(datetime(2021, 6, 1, 12, 1, tzinfo=UTC), timedelta(minutes=15)).isoformat()
    '2021-06-01T12:15:00+00:00'
    """
    return EPOCH - ((EPOCH - instant) // resolution) * resolution


def next_midnight(instant: datetime, zone: str) -> datetime:
    """Return the first local midnight after the day of an instant.

    >>> next_midnight(datetime(2026, 3, 28, 23, 30, tzinfo=UTC), "Europe/Amsterdam").isoformat()
    '2026-03-30T00:00:00+02:00'
    """
    following = instant.astimezone(find_zone(zone)) + timedelta(days=1)
    return following.replace(hour=0, minute=0, second=0, microsecond=0)


def local_midnights(first: np.datetime64, last: np.datetime64, zone: str) -> tuple[list[date], Instants]:
    """List the local days that touch a period.

    Args:
        first: An instant in the first day, UTC.
        last: An instant in the last day, UTC.
        zone: IANA name of the time zone.

    Returns:
        The dates, and the instants at which they start: shape ``(n_days,)``. A day may have 23, 24 or 25 hours; one
        that a zone skipped to change sides of the date line is left out.
    """
    tz = find_zone(zone)
    day = from_datetime64(first).astimezone(tz).date()
    final = from_datetime64(last).astimezone(tz).date()
    days = [day + timedelta(days=n) for n in range((final - day).days + 1)]
    starts = np.array(
        [to_datetime64(datetime(d.year, d.month, d.day, tzinfo=tz)) for d in days], dtype="datetime64[us]"
    )
    exists = np.append(starts[1:] > starts[:-1], True)
    return [d for d, kept in zip(days, exists, strict=True) if kept], starts[exists]


def local_wall_clock(instants: Instants, zone: str) -> Instants:
    """Read instants off a clock on the wall.

    Args:
        instants: Shape ``(n,)``, UTC.
        zone: IANA name of the time zone.

    Returns:
        Local dates and times without a zone, shape ``(n,)``: for days, months and hours of the clock, not for sums.
    """
    local: Instants = instants.astype("datetime64[us]") + utc_offsets(instants, zone)
    return local


def daily_periods(
    start: datetime, end: datetime, zone: str, since: time, until: time
) -> list[tuple[datetime, datetime]]:
    """List the periods between two times of each local day that touch a window.

    Args:
        start: Start of the window.
        end: End of the window (exclusive).
        zone: IANA name of the time zone.
        since: When a period starts; a time that clocks skip counts as if they had not been changed yet.
        until: When it ends, on the next day if that is not later.

    Returns:
        Start and end (exclusive) of each period in UTC, in time order.

    >>> [str(p[0]) for p in daily_periods(EPOCH, EPOCH + timedelta(days=1), "UTC", time(22), time(6))]
    ['1969-12-31 22:00:00+00:00', '1970-01-01 22:00:00+00:00']
    """
    tz = find_zone(zone)
    first, last = start.astimezone(tz).date() - timedelta(days=1), end.astimezone(tz).date()
    periods = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        ending = day if until > since else day + timedelta(days=1)
        opens = datetime.combine(day, since, tz).astimezone(UTC)
        closes = datetime.combine(ending, until, tz).astimezone(UTC)
        if closes > start and opens < end and closes > opens:
            periods.append((opens, closes))
    return periods


def utc_offsets(instants: Instants, zone: str) -> np.ndarray[Any, np.dtype[np.timedelta64]]:
    """Find how far local clocks are ahead of UTC.

    Args:
        instants: In UTC, in any order.
        zone: IANA name of the time zone.

    Returns:
        The shape of the instants, ``timedelta64[us]``.

    >>> days = np.array(["2026-01-01", "2026-07-01"], "datetime64[us]")
    >>> (utc_offsets(days, "Europe/Amsterdam") // np.timedelta64(1, "h")).tolist()
    [1, 2]
    """
    tz = find_zone(zone)
    # Clocks change at most once a quarter of an hour: one look-up each is enough.
    quarters, position = np.unique(
        instants.astype("datetime64[m]").astype(np.int64) // 15, return_inverse=True
    )
    if len(quarters) > _MANY and (quarters[-1] - quarters[0]) // _QUARTERS_A_DAY < len(quarters) // 4:
        since, ahead = _offset_changes(int(quarters[0]), int(quarters[-1]), tz)
        return ahead[np.searchsorted(since, quarters, side="right") - 1][position.reshape(-1)]
    return _offsets_at(quarters, tz)[position.reshape(-1)]


_MANY = 1000
_QUARTERS_A_DAY = 96


def _offsets_at(quarters: Iterable[int], tz: ZoneInfo) -> np.ndarray[Any, np.dtype[np.timedelta64]]:
    """Look offsets up, one by one; quarters of an hour are counted from the epoch."""
    ahead = [
        (EPOCH + timedelta(minutes=15 * int(q))).astimezone(tz).utcoffset() or timedelta(0) for q in quarters
    ]
    return np.array(ahead, dtype="timedelta64[us]")


def _offset_changes(
    first: int, last: int, tz: ZoneInfo
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, np.dtype[np.timedelta64]]]:
    """Find the quarters of an hour from which on an offset holds, by looking at each day and then within it."""
    days = np.append(np.arange(first, last, _QUARTERS_A_DAY), last)
    ahead = _offsets_at(days, tz)
    since, held = [first], [ahead[0]]
    for place in np.flatnonzero(ahead[1:] != ahead[:-1]):
        within = np.arange(days[place], days[place + 1] + 1)
        offsets = _offsets_at(within, tz)
        for change in np.flatnonzero(offsets[1:] != offsets[:-1]):
            since.append(int(within[change + 1]))
            held.append(offsets[change + 1])
    return np.array(since), np.array(held, dtype="timedelta64[us]")

"""The ISP calendar: instants, local days and the numbered settlement periods of a day.

A period is one local calendar day. ISP n covers [T0 + (n-1) D, T0 + n D) in *elapsed* time, where T0 is the instant at
which the local day starts and D the ISP duration. So a day has as many ISPs as its real length holds: 96 quarter-hours
on most days, 92 and 100 in Europe when the clock changes, 94 and 98 on Lord Howe Island, none on 30 December 2011 in
Apia. Instants are aware datetimes; intervals include their start and exclude their end.

Source: UFTP specification 3.1.0, "ISPs" and "Period".
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shapeshifter_uftp.exceptions import InvalidValue

__all__ = ["IspCalendar", "day_bounds", "instant_of", "isp_count", "same_offsets"]

UTC = dt.UTC
_END_OF_DAY = re.compile(r"T24:00:00(?:\.0+)?(?=$|Z|[+-])")
"""Spelling of the midnight at the end of a day in xs:dateTime."""


@lru_cache(maxsize=128)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidValue(
            f"{name!r} is not a known time zone: give an IANA name, as Europe/Amsterdam"
        ) from error


def _start_of_day(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Find the first instant whose local date is ``day`` or later.

    Midnight may be skipped by a clock change (Beirut, Sao Paulo), or happen twice: fold 0 is the first. A skipped
    midnight read with fold 0 lands at the same instant as the first moment after the gap.
    """
    midnight = dt.datetime.combine(day, dt.time(), tzinfo=zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    # Midnight does not exist: with fold 0 the offset before the gap applies, with fold 1 the one after it. The day
    # starts when the gap ends; the clock jumps at the instant where both readings meet.
    before, after = instant, midnight.replace(fold=1).astimezone(UTC)
    low, high = min(before, after), max(before, after)
    while high - low > dt.timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


@lru_cache(maxsize=1024)
def day_bounds(day: dt.date, time_zone: str) -> tuple[dt.datetime, dt.datetime]:
    """Give start and end of a local day as instants in UTC; a day that a zone skipped ends where it starts.

    >>> start, end = day_bounds(dt.date(2030, 3, 31), "Europe/Amsterdam")
    >>> (end - start).total_seconds() / 3600
    23.0
    """
    zone = _zone(time_zone)
    return _start_of_day(day, zone), _start_of_day(day + dt.timedelta(days=1), zone)


def isp_count(day: dt.date, time_zone: str, isp_duration: dt.timedelta) -> int:
    """Count the ISPs of a day.

    >>> isp_count(dt.date(2030, 10, 27), "Europe/Amsterdam", dt.timedelta(minutes=15))
    100
    """
    if not isinstance(isp_duration, dt.timedelta) or isp_duration <= dt.timedelta():
        raise InvalidValue(f"{isp_duration!r} is not an ISP duration: it must be longer than nothing")
    start, end = day_bounds(day, time_zone)
    return (end - start) // isp_duration


def same_offsets(day: dt.date, one: str, other: str) -> bool:
    """Tell whether two zones have the same UTC offset throughout a day: then either name may stand for the other."""
    if one == other:
        return True
    first, second = _zone(one), _zone(other)
    start, end = day_bounds(day, one)
    if day_bounds(day, other) != (start, end):
        return False
    hours = range(int((end - start) / dt.timedelta(hours=1)) + 1)
    instants = [start + dt.timedelta(hours=hour) for hour in hours]
    return all(at.astimezone(first).utcoffset() == at.astimezone(second).utcoffset() for at in instants)


def instant_of(text: str, time_zone: str | None = None) -> dt.datetime:
    """Read an xs:dateTime. One without zone (allowed by the schemas of 3.x) is local time of the message's zone.

    >>> instant_of("2030-06-11T24:00:00+02:00").isoformat()
    '2030-06-11T22:00:00+00:00'

    Raises:
        InvalidValue: It is not an instant.
    """
    cleaned, midnights = _END_OF_DAY.subn("T00:00:00", text.strip())
    if "." in cleaned:  # datetime knows six decimals, the wire up to nine
        head, _, tail = cleaned.partition(".")
        digits = len(tail) - len(tail.lstrip("0123456789"))
        cleaned = f"{head}.{tail[:digits][:6]}{tail[digits:]}"
    try:
        instant = dt.datetime.fromisoformat(cleaned) + dt.timedelta(days=midnights)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=_zone(time_zone) if time_zone else UTC)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(
            f"{text!r} is not an instant: write yyyy-mm-ddThh:mm:ss and a zone, as +02:00"
        ) from error


@dataclass(frozen=True, slots=True)
class IspCalendar:
    """The ISPs of one market: its time zone and its ISP duration.

    Attributes:
        time_zone: IANA name of the zone whose days are the periods.
        isp_duration: Length of an ISP.
    """

    time_zone: str = "Europe/Amsterdam"
    isp_duration: dt.timedelta = dt.timedelta(minutes=15)

    def count(self, period: dt.date) -> int:
        """Count the ISPs of a day."""
        return isp_count(period, self.time_zone, self.isp_duration)

    def start_of(self, period: dt.date, isp: int) -> dt.datetime:
        """Give the instant (UTC) at which an ISP starts.

        Raises:
            InvalidValue: The day has no such ISP.
        """
        last = self.count(period)
        if not 1 <= isp <= last:
            raise InvalidValue(f"{period} has ISPs 1 to {last} in {self.time_zone}, no {isp}")
        return day_bounds(period, self.time_zone)[0] + (isp - 1) * self.isp_duration

    def end_of(self, period: dt.date, isp: int) -> dt.datetime:
        """Give the instant (UTC) at which an ISP ends; it does not belong to the ISP any more."""
        return self.start_of(period, isp) + self.isp_duration

    def isp_at(self, instant: dt.datetime) -> tuple[dt.date, int]:
        """Give day and number of the ISP to which an instant belongs.

        Invariants:
            ``start_of(*isp_at(t)) <= t < end_of(*isp_at(t))``

        Raises:
            InvalidValue: The instant has no time zone.
        """
        if instant.tzinfo is None:
            raise InvalidValue(f"{instant!r} has no time zone: give an aware datetime")
        period = instant.astimezone(_zone(self.time_zone)).date()
        start, _ = day_bounds(period, self.time_zone)
        return period, (instant - start) // self.isp_duration + 1

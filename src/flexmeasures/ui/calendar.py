"""Plans as a calendar, after RFC 5545: what a device does and when, for the calendars that people use anyway."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Entry", "write_calendar"]

_FOLD = 75
"""Longest line [bytes], without its end."""


@dataclass(frozen=True)
class Entry:
    """An entry of a calendar.

    Attributes:
        uid: The same for the same entry, whenever it is written.
        start: Inclusive.
        end: Exclusive.
    """

    uid: str
    start: datetime
    end: datetime
    summary: str
    description: str = ""


def write_calendar(name: str, entries: Iterable[Entry], now: datetime) -> str:
    """Write a calendar.

    Args:
        name: What it is called.
        entries: What is in it.
        now: When it is written.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//FlexMeasures//Plans//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{_escape(name)}",
        f"X-WR-CALNAME:{_escape(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT15M",
    ]
    for one in entries:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{one.uid}",
            f"DTSTAMP:{_instant(now)}",
            f"DTSTART:{_instant(one.start)}",
            f"DTEND:{_instant(one.end)}",
            f"SUMMARY:{_escape(one.summary)}",
            f"DESCRIPTION:{_escape(one.description)}",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escape(text: str) -> str:
    r"""Write a text as a value (section 3.3.11).

    >>> _escape("Now; then, a\\b\nnext")
    'Now\\; then\\, a\\\\b\\nnext'
    """
    text = re.sub(r"([\\;,])", r"\\\1", text)
    text = re.sub(r"\r\n|\r|\n", r"\\n", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)


def _folded(line: str) -> Iterator[str]:
    """Cut a line into pieces of at most 75 bytes that begin with a space from the second on (section 3.1).

    A character of several bytes stays whole.
    """
    piece = ""
    for character in line:
        if len((piece + character).encode()) > _FOLD:
            yield piece
            piece = " "
        piece += character
    yield piece

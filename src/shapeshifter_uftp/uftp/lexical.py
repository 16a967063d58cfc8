"""The lexical types of UFTP: how a value is read from text, taken from a caller, checked and written.

Source: UFTP schemas 3.0.0 and 3.1.0 (``UFTP-common.xsd``, ``UFTP-metering.xsd``); the prose where it is
narrower (seven-bit entity addresses, at most four decimals in an amount).
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import Any

from shapeshifter_uftp.exceptions import InvalidValue
from shapeshifter_uftp.uftp import enumerations

__all__ = ["Kind"]

_ILLEGAL_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEEDS_ESCAPE = re.compile('[&<>"\t\n\r]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A lexical type.

    Attributes:
        name: Its name in the documentation.
        rule: What it allows, in one line.
        python: The Python type that a value has after reading.
        read: Text of a schema-valid message to value.
        accept: Anything that a caller may reasonably give to value.
        write: Value to checked text, already escaped for an XML attribute; raises ValueError.
    """

    name: str
    rule: str
    python: type
    read: Callable[[str], Any]
    accept: Callable[[Any], Any]
    write: Callable[[Any], str]


def _escape(text: str) -> str:
    if text.isascii() and text.isprintable() and not _NEEDS_ESCAPE.search(text):
        return text
    if _ILLEGAL_IN_XML.search(text):
        raise InvalidValue(f"{text!r} has a character that XML 1.0 does not allow")
    if _NEEDS_ESCAPE.search(text):
        return _NEEDS_ESCAPE.sub(lambda match: _ESCAPES[match.group()], text)
    return text


class _SmallNumbers(dict[str, int]):
    """Texts of the ISP numbers that occur, read three times faster than by `int`; any other text goes to `int`."""

    def __missing__(self, text: str) -> int:
        return int(text)


_read_isp_number = _SmallNumbers((str(number), number) for number in range(301)).__getitem__


def _text(
    name: str, rule: str, pattern: str | None = None, longest: int | None = None, *, recurring: bool = True
) -> Kind:
    """Make a kind of text: any text, or text that a pattern describes; what recurs is checked once for many times."""
    matches = re.compile(pattern).fullmatch if pattern else None

    def write(value: Any) -> str:
        text = value if type(value) is str else str(value)
        if matches and (not matches(text) or (longest and len(text) > longest)):
            raise InvalidValue(f"{text!r} is no {name}: {rule}")
        return _escape(text)

    return Kind(name, rule, str, str, str, lru_cache(maxsize=256)(write) if pattern and recurring else write)


def _enumeration(enumeration: type[StrEnum]) -> Kind:
    rule = " or ".join(f"`{member}`" for member in enumeration)

    def accept(value: Any) -> StrEnum:
        return enumeration(str(value))

    return Kind(
        enumeration.__name__,
        rule,
        enumeration,
        lambda text: enumeration(text.strip()),
        accept,
        lambda value: str(accept(value)),
    )


def _accept_integer(value: Any) -> int:
    return int(value) if isinstance(value, str) else operator.index(value)


def _integer(name: str, rule: str, lowest: int | None = None, highest: int | None = None) -> Kind:
    def write(value: Any) -> str:
        number = _accept_integer(value)
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            raise InvalidValue(f"{number} is no {name}: {rule}")
        return str(number)

    return Kind(name, rule, int, _read_isp_number if lowest == 1 else int, _accept_integer, write)


def _accept_decimal(value: Any) -> Decimal:
    # A float goes by its shortest text: 12.5 is meant, not the binary neighbour of 12.1.
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError):
        number = Decimal(str(value)) if not isinstance(value, str) else Decimal("NaN")
    if not number.is_finite():
        raise InvalidValue(f"{value!r} is not a decimal number")
    return number


def _decimal(
    name: str, rule: str, digits: int | None = None, lowest: str | None = None, highest: str | None = None
) -> Kind:
    low, high = (Decimal(bound) if bound else None for bound in (lowest, highest))

    def write(value: Any) -> str:
        number = _accept_decimal(value)
        if (low is not None and number < low) or (high is not None and number > high):
            raise InvalidValue(f"{number} is no {name}: {rule}")
        text = format(number, "f")
        if digits is not None and len(text.partition(".")[2].rstrip("0")) > digits:
            raise InvalidValue(f"{number} is no {name}: {rule}")
        return text if digits != 2 else format(number.quantize(Decimal("0.01")), "f")

    return Kind(name, rule, Decimal, Decimal, _accept_decimal, write)


_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def _accept_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    try:
        return _TRUTH[str(value).strip().lower()]
    except KeyError:
        raise InvalidValue(f"{value!r} is not a boolean: true, false, 1 or 0") from None


def _read_period(text: str) -> dt.date | str:
    # A zone suffix is lexically allowed and has no meaning; a year that Python's calendar does not reach
    # stays text, and no day that a market trades equals it.
    try:
        return dt.date.fromisoformat(text.strip()[:10])
    except ValueError:
        return text


_PERIOD = re.compile(r"((?:\d{4}|([1-9]\d{4,8}))-\d\d-\d\d)(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


def _accept_period(value: Any) -> dt.date | str:
    if isinstance(value, dt.datetime):
        raise InvalidValue(f"{value!r} is an instant; a period is a day: give a date")
    if isinstance(value, dt.date):
        return value
    match = _PERIOD.fullmatch(str(value).strip())
    try:
        if match and match[2]:
            return match[
                1
            ]  # beyond Python's calendar, see `_read_period`: only to be given back in an answer
        if match:
            return dt.date.fromisoformat(match[1])
    except ValueError:
        pass
    raise InvalidValue(f"{value!r} is not a period: a day as yyyy-mm-dd")


def _write_period(value: Any) -> str:
    day = _accept_period(value)
    return day if isinstance(day, str) else day.isoformat()


_DURATION = re.compile(r"(-)?P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII)


def _parse_duration(text: str) -> dt.timedelta:
    match = _DURATION.fullmatch(text.strip())
    if not match or text.strip().lstrip("-") == "P":
        raise InvalidValue(f"{text!r} is not an ISP duration: write minutes, as PT15M")
    sign, days, hours, minutes, seconds = match.groups()
    length = dt.timedelta(
        days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0)
    )
    return -length if sign else length


@lru_cache(maxsize=64)
def _read_duration(text: str) -> dt.timedelta | str:
    # Months and years have no fixed length: such a duration stays text, and equals no duration a market
    # agreed on.
    try:
        return _parse_duration(text)
    except (InvalidValue, OverflowError):
        return text


def _accept_duration(value: Any) -> dt.timedelta:
    return value if isinstance(value, dt.timedelta) else _parse_duration(str(value))


def _write_duration(value: Any) -> str:
    seconds = _accept_duration(value).total_seconds()
    if seconds < 0:
        raise InvalidValue(f"{value} is not an ISP duration: it must not be negative")
    minutes, rest = divmod(seconds, 60)
    return f"PT{minutes:.0f}M" if not rest else f"PT{seconds:g}S"


_DATE_TIME = re.compile(
    r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)


def _accept_date_time(value: Any) -> str:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise InvalidValue(f"{value!r} has no time zone: give an aware datetime")
        return value.isoformat()
    return str(value)


def _write_date_time(value: Any) -> str:
    text = _accept_date_time(value).strip()
    if not _DATE_TIME.fullmatch(text):
        raise InvalidValue(f"{text!r} is not an instant: write yyyy-mm-ddThh:mm:ss and a zone, as +02:00")
    return text


_LONG = 2**63

STRING = _text("text", "any text")
VERSION = _text("version", "three numbers with points, as 3.1.0", r"\d+\.\d+\.\d+")
UUID = _text(
    "message id",
    "a UUID, 8-4-4-4-12 hexadecimal digits",
    "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    recurring=False,
)
DOMAIN = _text(
    "domain",
    "lower-case internet domain with a top label of letters",
    r"([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}",
)
ENTITY_ADDRESS = _text(
    "entity address",
    "`ean.` and 12 to 34 digits, or `ea1.yyyy-mm.reversed-domain:local-part`; at most 255 ASCII characters",
    r"ea1\.[0-9]{4}-[0-9]{2}\.[ -~]{1,244}:[ -~]{1,244}|ean\.[0-9]{12,34}",
    longest=255,
)
EAN = _text(
    "meter EAN", "`E` and 18 digits (16 in the schemas of 3.0.0 and 3.1.0)", "[Ee]([0-9]{16}|[0-9]{18})"
)
TIME_ZONE = _text(
    "time zone",
    "IANA name in Africa, America, Australia, Europe or Pacific, without hyphen",
    "(Africa|America|Australia|Europe|Pacific)/[a-zA-Z0-9_/]{3,}",
)
CURRENCY = _text("currency", "three upper-case letters, ISO 4217", "[A-Z]{3}")
LARGEST_NUMBER = 10**15
"""Largest plausible power [W], amount or measurement: fifty times what all power stations of the world give [W]."""

POWER = _integer(
    "power",
    "whole watts [W], mean over the ISP; positive is consumption, negative is production; at most 10^15",
    lowest=-LARGEST_NUMBER,
    highest=LARGEST_NUMBER,
)
ISP_START = _integer("ISP number", "counted from 1 at the start of the local day", lowest=1)
ISP_COUNT = _integer("number of ISPs", "1 or more", lowest=1)
REVISION = _integer("revision", "a 64-bit number that grows", lowest=-_LONG, highest=_LONG - 1)
DECIMAL = _decimal("number", "a decimal number")
AMOUNT = _decimal("amount", "in the message's currency, at most four decimals", digits=4)
FACTOR = _decimal(
    "activation factor", "0.01 to 1.00, at most two decimals", digits=2, lowest="0.01", highest="1.00"
)
BOOLEAN = Kind(
    "boolean",
    "`true` or `false`",
    bool,
    lambda text: _TRUTH[text.strip()],
    _accept_boolean,
    lambda value: "true" if _accept_boolean(value) else "false",
)
PERIOD = Kind(
    "period",
    "one calendar day in the message's time zone, yyyy-mm-dd",
    dt.date,
    _read_period,
    _accept_period,
    _write_period,
)
DURATION = Kind(
    "duration",
    "length of one ISP in minutes, as PT15M",
    dt.timedelta,
    _read_duration,
    _accept_duration,
    _write_duration,
)
DATE_TIME = Kind(
    "instant", "date, time and UTC offset, ISO 8601", str, str.strip, _accept_date_time, _write_date_time
)
RESULT = _enumeration(enumerations.AcceptedRejected)
DISPUTE = _enumeration(enumerations.AcceptedDisputed)
DISPOSITION = _enumeration(enumerations.AvailableRequested)
REDISPATCH_BY = _enumeration(enumerations.RedispatchBy)
PROFILE_TYPE = _enumeration(enumerations.MeteringProfileEnum)
UNIT = _enumeration(enumerations.MeteringUnit)
ROLE = _enumeration(enumerations.UsefRole)

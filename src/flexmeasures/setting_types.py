"""Types of the values of settings, with what must be true of them."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from math import inf
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import is_timezone

__all__ = [
    "CONFIG_FILE",
    "RATE",
    "DatabaseAddress",
    "LogLevel",
    "NotNegative",
    "NotNegativeDuration",
    "PositiveDuration",
    "PositiveNumber",
    "Rate",
    "RedisAddress",
    "SettingsError",
    "ZoneName",
]

CONFIG_FILE = "flexmeasures.cfg"
"""Name of the configuration file in the instance folder."""

RATE = re.compile(r"([1-9]\d{0,8}) per (second|minute|hour|day)")
"""How settings write how often something may happen."""


class SettingsError(InvalidInput):
    """A setting is missing or has a wrong type; the message says which one and what to do."""

    code = "bad-setting"


def _as_level(value: object) -> object:
    """Read a level of logging by number or by name."""
    if isinstance(value, str) and not value.strip().isdigit():
        levels = logging.getLevelNamesMapping()
        if value.strip().upper() not in levels:
            raise ValueError(f"it should be a number, or one of {', '.join(levels)}")
        return levels[value.strip().upper()]
    return value


def _as_zone(name: str) -> str:
    if not is_timezone(name):
        raise ValueError("it should be the name of a time zone like Europe/Amsterdam")
    return name


def _as_rate(text: str) -> str:
    if text and not RATE.fullmatch(text):
        raise ValueError('it should be a rate like "10 per minute"; of a second, minute, hour or day')
    return text


def _as_not_negative(number: float) -> float:
    if not 0 <= number < inf:
        raise ValueError("it should be a finite number from 0 up")
    return number


def _as_positive(number: int) -> int:
    if number < 1:
        raise ValueError("it should be a number from 1 up")
    return number


def _as_not_negative_duration(duration: timedelta) -> timedelta:
    if duration < timedelta(0):
        raise ValueError("it should be a duration of zero or more")
    return duration


def _as_positive_duration(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("it should be a duration longer than zero")
    return duration


def _with_scheme(*schemes: str) -> AfterValidator:
    """Check how an address begins; without "://" it is no address but a host."""

    def check(text: str) -> str:
        scheme, separator, _ = text.partition("://")
        if separator and scheme not in schemes:
            raise ValueError(f"it should begin with {' or '.join(f'{one}://' for one in schemes)}")
        return text

    return AfterValidator(check)


def _as_address(text: str) -> str:
    if "://" not in text:
        raise ValueError("it should be an address like postgresql://user:password@host/database")
    return text


DatabaseAddress = Annotated[
    str, AfterValidator(_as_address), _with_scheme("postgresql", "postgres", "postgresql+psycopg")
]
RedisAddress = Annotated[str, _with_scheme("redis", "rediss", "unix")]

Rate = Annotated[str, AfterValidator(_as_rate)]
LogLevel = Annotated[int, BeforeValidator(_as_level)]
NotNegative = Annotated[float, AfterValidator(_as_not_negative)]
NotNegativeDuration = Annotated[timedelta, AfterValidator(_as_not_negative_duration)]
PositiveDuration = Annotated[timedelta, AfterValidator(_as_positive_duration)]
PositiveNumber = Annotated[int, AfterValidator(_as_positive)]
ZoneName = Annotated[str, AfterValidator(_as_zone)]

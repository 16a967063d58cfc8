"""What a setting is, and the types of the values of settings, with what must be true of them."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import is_timezone

__all__ = [
    "CONFIG_FILE",
    "RATE",
    "DatabaseAddress",
    "ListenAddress",
    "LogLevel",
    "Mode",
    "MqttAddress",
    "NotNegative",
    "NotNegativeDuration",
    "PositiveDuration",
    "PositiveNumber",
    "Rate",
    "RedisAddress",
    "Setting",
    "SettingsError",
    "ZoneName",
]

CONFIG_FILE = "flexmeasures.cfg"
"""Name of the configuration file in the instance folder."""

RATE = re.compile(r"([1-9]\d{0,8}) per (second|minute|hour|day)")
"""Syntax of rates in settings."""


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
    """Check how an address begins; without "://" it is not an address but a host."""

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
Mode = Annotated[str, AfterValidator(str.strip)]  # its documented default is a space
NotNegative = Annotated[float, AfterValidator(_as_not_negative)]
NotNegativeDuration = Annotated[timedelta, AfterValidator(_as_not_negative_duration)]
PositiveDuration = Annotated[timedelta, AfterValidator(_as_positive_duration)]
PositiveNumber = Annotated[int, AfterValidator(_as_positive)]
ZoneName = Annotated[str, AfterValidator(_as_zone)]


def _check_broker(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise ValueError("it should be mqtt://host[:port] or mqtts://host[:port]")
    return address


MqttAddress = Annotated[str, AfterValidator(_check_broker)]
"""Where an MQTT broker listens, with user and password where it wants them."""


def _check_listen_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError("it should be host:port, such as 127.0.0.1:5001")
    return address


ListenAddress = Annotated[str, AfterValidator(_check_listen_address)]
"""Where a server listens, as host:port."""

_SECRETS = ("_CLIENTS", "_DSN", "_KEY", "_SALT", "PASSWORD", "_TOKEN", "_URI", "_URL")
"""Endings of the names of settings whose values are not shown, because they are or may hold a secret."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: As written in the configuration file and in the environment.
        type: What its values are, as a type annotation.
        default: Its value where nobody says otherwise.
        meaning: What it does, in a sentence, with its unit where it has one.
        by_environment: Other defaults for some values of ``FLASK_ENV``.
    """

    name: str
    type: Any
    default: Any
    meaning: str
    by_environment: Mapping[str, Any] = field(default_factory=dict)

    def parse(self, value: Any) -> Any:
        """Read a value, from a file as it is or from the environment as text.

        Raises:
            SettingsError: If it is not of the setting's type.
        """
        adapter = TypeAdapter(self.type)
        if isinstance(value, str) and value.lstrip().startswith(("[", "{", "(")):
            value = self._prefer_literal(adapter, value)
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            if isinstance(value, str):
                literal = _read_literal(value)
                if literal is not value:
                    return self.parse(literal)
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            shown = "a value" if self.name.endswith(_SECRETS) else repr(value)
            raise SettingsError(
                f"{self.name} is set to {shown}, but {reason[0].lower()}{reason[1:]}. "
                f"It means: {self.meaning} Default: {self.default!r}.",
                {"setting": self.name},
            ) from None

    @staticmethod
    def _prefer_literal(adapter: TypeAdapter[Any], text: str) -> Any:
        """Take what looks like a list or mapping for one, also where a text would do as well."""
        literal = _read_literal(text)
        try:
            adapter.validate_python(literal)
        except ValidationError:
            return text
        return literal


def _read_literal(text: str) -> Any:
    """Read JSON or a Python literal; anything else comes back as it is."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text

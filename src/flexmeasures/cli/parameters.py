"""Kinds of values on the command line."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import click

from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.time import parse_duration, parse_instant

__all__ = ["Day", "Duration", "Instant", "InstantOrDay", "JsonObject"]


class JsonObject(click.ParamType[Any]):
    """A JSON object, or the name of a file with one."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if isinstance(value, dict):
            return value
        text = str(value)
        try:
            if not text.lstrip().startswith("{"):
                text = Path(text).read_text(encoding="utf-8")
            read = json.loads(text)
        except (OSError, ValueError) as error:
            self.fail(f"neither a JSON object nor a file with one: {error}", param, ctx)
        if not isinstance(read, dict):
            self.fail("it must be a JSON object", param, ctx)
        return read


class Day(click.ParamType[Any]):
    """A date such as 2024-01-31."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date. Write it like 2024-01-31.", param, ctx)


class Instant(click.ParamType[Any]):
    """An ISO 8601 date and time with a time zone."""

    name = "INSTANT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        try:
            return parse_instant(value, param.name if param and param.name else "time")
        except FlexError as error:
            self.fail(str(error), param, ctx)


class InstantOrDay(click.ParamType[Any]):
    """An ISO 8601 date and time with a time zone, or a date alone."""

    name = "INSTANT|DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            return Instant().convert(value, param, ctx)


class Duration(click.ParamType[Any]):
    """An ISO 8601 duration of fixed length, longer than zero."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        name = param.name if param and param.name else "duration"
        try:
            duration = parse_duration(value, name)
        except FlexError as error:
            self.fail(str(error), param, ctx)
        if not hasattr(duration, "total_seconds") or duration.total_seconds() <= 0:
            self.fail(
                f"'{name}' is {value!r}; use days, hours or minutes, and more than none of them.", param, ctx
            )
        return duration

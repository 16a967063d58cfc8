"""Console for tables: as wide as the terminal; in a file or a pipe, lines are not wrapped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["open_console"]

_NOT_WRAPPED = 1000
"""Columns where no terminal wraps lines: a program that reads them wants a row on each."""


def open_console() -> Console:
    """Open the console on standard output."""
    from rich.console import Console  # noqa: PLC0415 - programs read JSON, which needs none of it

    is_read_by_people = sys.stdout is not None and sys.stdout.isatty()
    return Console() if is_read_by_people else Console(width=_NOT_WRAPPED)

"""Checks of fields that several use cases of communities share."""

from __future__ import annotations

from datetime import date

from flexmeasures.domain.errors import InvalidInput

__all__ = ["check_days", "check_power", "clean_name"]


def clean_name(text: str, what: str) -> str:
    """Trim a name.

    Raises:
        InvalidInput: If it is empty, too long or not printable.
    """
    name = text.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise InvalidInput(f"The {what} {name[:80]!r} must be a text of 1 to 80 printable characters.")
    return name


def check_power(power_kw: float | None) -> None:
    """Check a power [kW], if there is one.

    Raises:
        InvalidInput: If it is not above zero.
    """
    if power_kw is not None and not 0 < power_kw < 1e9:
        raise InvalidInput(f"A power of {power_kw} kW does not exist. Give a number above 0.")


def check_days(first: date, last: date | None) -> None:
    """Check that a last day, if there is one, is not before the first.

    Raises:
        InvalidInput: If it is.
    """
    if last is not None and last < first:
        raise InvalidInput(f"The last day, {last}, is before the first, {first}.")

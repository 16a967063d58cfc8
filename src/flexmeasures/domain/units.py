"""Units of measurement: the only place that converts them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from flexmeasures.domain.errors import IncompatibleUnits, UnknownUnit

if TYPE_CHECKING:
    import pint

__all__ = ["conversion_factor", "is_unit"]

# The parser of pint would work out any formula, such as 10**10**10, which takes it for ever.
_TERM = r"(?:[^\W\d]|[°%€$])+(?:(?:\*\*|\^)-?\d)?"
_UNIT = re.compile(rf"{_TERM}(?: ?[*/·] ?{_TERM})*")

_CURRENCIES = ("EUR", "USD", "GBP", "KRW", "AUD", "CHF", "DKK", "NOK", "SEK", "PLN", "CZK")


@cache
def _registry() -> pint.UnitRegistry[float]:
    # Loading the registry takes a quarter of a second, which only those who convert should pay.
    import pint  # noqa: PLC0415

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    for currency in _CURRENCIES:
        registry.define(f"{currency} = [currency_{currency}]")
    return registry


def is_unit(name: str) -> bool:
    """Tell whether the text names a unit, such as MW, EUR/MWh or °C."""
    try:
        _parse(name)
    except UnknownUnit:
        return False
    return True


def _parse(name: str) -> pint.Unit:
    import pint  # noqa: PLC0415

    try:
        if len(name) > 80 or not _UNIT.fullmatch(name):
            raise ValueError("a unit is written in letters, with * and / between them")
        return _registry().Unit(name)
    except (pint.errors.PintError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise UnknownUnit(f"Unit {name!r} is unknown. Use one like MW, kWh, EUR/MWh or °C.") from error


@cache
def conversion_factor(from_unit: str, to_unit: str) -> float:
    """Find the number by which values in one unit are multiplied to get values in another.

    Raises:
        UnknownUnit: If one of them is no unit.
        IncompatibleUnits: If they measure different quantities, or differ by an offset as °C and K do.

    >>> conversion_factor("kWh", "MWh"), conversion_factor("MW", "MW")
    (0.001, 1.0)
    """
    if from_unit == to_unit:
        return 1.0
    import pint  # noqa: PLC0415

    origin, target = _parse(from_unit), _parse(to_unit)
    try:
        zero, one = (_registry().Quantity(value, origin).to(target).magnitude for value in (0, 1))
    except pint.DimensionalityError as error:
        raise IncompatibleUnits(f"{from_unit} cannot be converted to {to_unit}: {error}.") from error
    if zero != 0:
        raise IncompatibleUnits(
            f"{from_unit} and {to_unit} have different zero points: no factor converts them."
        )
    return float(f"{one:.15g}")

"""Units of measurement: the only place that converts them."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from flexmeasures.domain.errors import IncompatibleUnits, UnknownUnit
from flexmeasures.domain.quoting import quote

if TYPE_CHECKING:
    import pint

__all__ = [
    "CURRENCIES",
    "KWH_PER_MWH",
    "KW_PER_MW",
    "POWER_UNITS",
    "conversion_factor",
    "is_power_unit",
    "is_price_unit",
    "is_unit",
    "power_factor",
]

HOUR = timedelta(hours=1)

# The parser of pint would work out any formula, such as 10**10**10, which takes it for ever.
_TERM = r"(?:[^\W\d]|[°%€$])+(?:(?:\*\*|\^)-?\d)?"
_UNIT = re.compile(rf"{_TERM}(?: ?[*/·] ?{_TERM})*")

# As people of the field write them: m2 and m3, and masses of carbon dioxide.
_POWER_OF_METRE = re.compile(r"(?<![^\W\d])([kcdm]?m)([23])(?![\w])")
_CARBON_DIOXIDE = re.compile(r"(?<![^\W\d])([kMµm]?g|t) ?CO(?:2|₂)(?:eq|e)?(?![\w])")

_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD
HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD
LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK
PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
"""Codes of the currencies in use. Source: ISO 4217, list one, without funds, metals and test codes."""

_PRICE = re.compile(r"([A-Z]{3})/[kM]Wh")

_POWER_OF_ENERGY = {"kWh": "kW", "MWh": "MW"}

KW_PER_MW = 1000.0
KWH_PER_MWH = 1000.0
"""For what is worked out in MW and MWh, and shown or entered in the units of homes; a price is divided by it."""

POWER_UNITS = ("MW", "kW", "MWh", "kWh")
"""In which power may be sent and asked for: as such, or as the energy of each interval."""


@cache
def _registry() -> pint.UnitRegistry[float]:
    # Loading the registry takes a quarter of a second, which only those who convert should pay.
    import pint  # noqa: PLC0415

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    for currency in CURRENCIES:
        registry.define(f"{currency} = [currency_{currency}]")
    # Reactive power is not converted to active power, though both are volts times amperes.
    registry.define("volt_ampere_reactive = [reactive_power] = var")
    registry.define("volt_ampere_reactive_hour = var * hour = varh")
    return registry


def is_unit(name: str) -> bool:
    """Tell whether the text names a unit, such as MW, EUR/MWh or °C."""
    try:
        _parse(name)
    except UnknownUnit:
        return False
    return True


def is_price_unit(unit: str) -> bool:
    """Tell whether a text names a currency (ISO 4217) per kWh or MWh.

    >>> is_price_unit("AUD/kWh"), is_price_unit("ABC/kWh"), is_price_unit("EUR")
    (True, False, False)
    """
    found = _PRICE.fullmatch(unit)
    return found is not None and found[1] in CURRENCIES


def is_power_unit(unit: str) -> bool:
    """Tell whether values in a unit are power, as in W, kW or MW."""
    try:
        conversion_factor(unit, "MW")
    except (IncompatibleUnits, UnknownUnit):
        return False
    return True


def power_factor(unit: str, interval: timedelta, stored: str = "MW") -> float:
    """Find the number by which power, or the energy of intervals, is multiplied to get power in another unit.

    Args:
        unit: One of `POWER_UNITS`.
        interval: How long each value stands for; longer than zero.
        stored: The other unit, one of power.

    Raises:
        IncompatibleUnits: If the other unit is not one of power.

    A quarter of an hour with 1 kWh has a power of 4 kW:

    >>> power_factor("kWh", timedelta(minutes=15)), power_factor("kWh", timedelta(minutes=15), "kW")
    (0.004, 4.0)
    """
    if unit in _POWER_OF_ENERGY:
        return float(f"{conversion_factor(_POWER_OF_ENERGY[unit], stored) * (HOUR / interval):.15g}")
    return conversion_factor(unit, stored)


def _parse(name: str) -> pint.Unit:
    import pint  # noqa: PLC0415

    try:
        plain = _CARBON_DIOXIDE.sub(r"\1", _POWER_OF_METRE.sub(r"\1**\2", name))
        if len(name) > 80 or not _UNIT.fullmatch(plain):
            raise ValueError("a unit is written in letters, with * and / between them")
        return _registry().Unit(plain)
    except (
        pint.errors.PintError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise UnknownUnit(f"Unit {quote(name)} is unknown. Use one like MW, kWh, EUR/MWh or °C.") from error


@cache
def conversion_factor(from_unit: str, to_unit: str) -> float:
    """Find the number by which values in one unit are multiplied to get values in another.

    Raises:
        UnknownUnit: If one of them is not a unit.
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

"""Flex contexts: what concerns the connection of a site, kept with the asset that has the devices below it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from flexmeasures.domain.errors import BadFlexContext, FlexError, IncompatibleUnits
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.scheduling.references import SensorReference
from flexmeasures.domain.scheduling.site import Direction
from flexmeasures.domain.units import CURRENCIES, conversion_factor

__all__ = [
    "ExclusionRule",
    "FlexContext",
    "Quantity",
    "context_references",
    "misfit_of_unit",
    "read_flex_context",
]

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>\S.*?)\s*")


class Quantity(BaseModel):
    """A fixed amount, or a sensor with one for each slot.

    Attributes:
        sensor: Id of the sensor; None: it is fixed.
        amount: The amount, or what holds where the sensor says nothing; None: nothing holds there.
        unit: Of the amount; "": there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sensor: int | None = Field(default=None, strict=True, gt=0, lt=2**31)
    amount: float | None = None
    unit: str = ""

    def amount_in(self, unit: str) -> float | None:
        """Give the amount in another unit; None if there is none."""
        return None if self.amount is None else self.amount * conversion_factor(self.unit, unit)

    @property
    def currency(self) -> str | None:
        """Currency of the amount; None if it is not money."""
        code = self.unit.partition("/")[0]
        return code if code in CURRENCIES else None


def _read_quantity(value: Any) -> Any:
    """Read "15 kW", {"sensor": 5} or {"sensor": 5, "default": "15 kW"}."""
    if isinstance(value, Mapping) and "sensor" in value:
        unknown = sorted(set(value) - {"sensor", "default"})
        if unknown:
            raise ValueError(f"a sensor has no field {unknown[0]}: give sensor and, if need be, default")
        default = _read_quantity(value["default"]) if value.get("default") is not None else {}
        return {**default, "sensor": value["sensor"]}
    if isinstance(value, str):
        found = _QUANTITY.fullmatch(value)
        if found is not None and isfinite(float(found["number"])):
            return {"amount": float(found["number"]), "unit": found["unit"]}
    raise ValueError('write a quantity with its unit, such as "15 kW", or {"sensor": 5}')


def _in(unit: str, least: float | None = None) -> BeforeValidator:
    """Take quantities that can be converted to a unit; money stands for any currency."""

    def check(value: Any) -> Any:
        read = _read_quantity(value)
        amount, own = read.get("amount"), read.get("unit", "")
        if amount is None:
            return read
        currency = own.partition("/")[0]
        try:
            if "money" in unit and currency not in CURRENCIES:
                raise IncompatibleUnits(f"{currency} is not a currency")
            conversion_factor(own, unit.replace("money", currency))
        except FlexError as error:
            raise ValueError(f"its unit must be one like {unit.replace('money', 'EUR')}") from error
        if least is not None and amount < least:
            raise ValueError(f"it must be {least:g} or more")
        return read

    return BeforeValidator(check)


EnergyPrice = Annotated[Quantity, _in("money/MWh")]
Power = Annotated[Quantity, _in("MW", least=0)]
PowerPrice = Annotated[Quantity, _in("money/MW", least=0)]
Intensity = Annotated[Quantity, _in("kg/MWh")]
EmissionPrice = Annotated[Quantity, _in("money/t", least=0)]


AssetId = Annotated[int, Field(strict=True, gt=0, lt=2**31)]


class ExclusionRule(BaseModel):
    """Two assets of a site that must not run at once.

    Attributes:
        first: Id of an asset.
        second: Id of another.
        first_use: Which use of the first excludes ...
        second_use: ... which use of the second: running, consuming or producing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: AssetId
    second: AssetId
    first_use: Direction = Direction.ANY
    second_use: Direction = Direction.ANY

    @model_validator(mode="after")
    def _of_two(self) -> ExclusionRule:
        if self.first == self.second:
            raise ValueError("an asset cannot exclude itself: name two")
        return self


class FlexContext(BaseModel):
    """What concerns the connection of a site; each field with its name as sent, in which - stands for _.

    Attributes:
        consumption_price: Of what the site consumes; None: the market of the site, or of its devices.
        production_price: What is paid for its production, such as a feed-in tariff; None: as for consumption.
        consumption_surcharge: What each unit consumed costs on top: grid fee, tax.
        production_surcharge: What each unit produced is paid on top; negative: it costs.
        site_power_capacity: Limit in both directions.
        site_consumption_capacity: Limit of consumption.
        site_production_capacity: Limit of production.
        reserve_margin: How far below these limits plans stay.
        margin_probability: With which probability the limits hold although forecasts of what nobody controls err.
        site_peak_consumption_price: What the highest consumption of the window costs ...
        site_peak_consumption: ... above the peak so far.
        co2_intensity: Emissions of a unit from the grid.
        co2_price: Of emissions, within the cost.
        inflexible_consumption: Sensors of power or of energy flows that nobody controls, consumption positive.
        inflexible_production: The same, production positive.
        count_rest: Whether what the forecast of the site's own meter has beyond its parts counts as well.
        exclusions: Which assets must not run at once.
        no_export_of_grid_energy: Whether the site never exports more than it produces at the time.
        no_charging_from_grid: Whether stores charge only from what the site produces at the time.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )

    consumption_price: EnergyPrice | None = None
    production_price: EnergyPrice | None = None
    consumption_surcharge: EnergyPrice | None = None
    production_surcharge: EnergyPrice | None = None
    site_power_capacity: Power | None = None
    site_consumption_capacity: Power | None = None
    site_production_capacity: Power | None = None
    reserve_margin: Power | None = None
    margin_probability: Annotated[float, Field(strict=True, ge=0.5, lt=1)] | None = None
    site_peak_consumption_price: PowerPrice | None = None
    site_peak_consumption: Power | None = None
    co2_intensity: Intensity | None = None
    co2_price: EmissionPrice | None = None
    inflexible_consumption: tuple[Power, ...] = ()
    inflexible_production: tuple[Power, ...] = ()
    count_rest: StrictBool = False
    exclusions: tuple[ExclusionRule, ...] = ()
    no_export_of_grid_energy: StrictBool = False
    no_charging_from_grid: StrictBool = False

    @model_validator(mode="after")
    def _fields_agree(self) -> FlexContext:
        named = {name: one for name, one in self.quantities if one.currency is not None}
        currencies = sorted({one.currency or "" for one in named.values()})
        if len(currencies) > 1:
            raise ValueError(f"it has prices in {' and '.join(currencies)}: give all in one currency")
        for name in ("reserve_margin", "site_peak_consumption_price", "site_peak_consumption", "co2_price"):
            one = getattr(self, name)
            if one is not None and one.sensor is not None:
                raise ValueError(f"{name.replace('_', '-')} must be fixed, not a sensor")
        if self.co2_price is not None and self.co2_intensity is None:
            raise ValueError("a co2-price needs a co2-intensity")
        if self.site_peak_consumption is not None and self.site_peak_consumption_price is None:
            raise ValueError("a site-peak-consumption needs a site-peak-consumption-price")
        return self

    @property
    def quantities(self) -> tuple[tuple[str, Quantity], ...]:
        """All quantities, with the names of their fields as sent; those of lists are numbered."""
        found = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            for place, one in enumerate(value if isinstance(value, tuple) else (value,)):
                if isinstance(one, Quantity):
                    shown = name.replace("_", "-")
                    found.append((f"{shown}.{place}" if isinstance(value, tuple) else shown, one))
        return tuple(found)


def misfit_of_unit(field: str, unit: str) -> str:
    """Say what is wrong with the unit of a sensor that a field names; empty if nothing is.

    >>> misfit_of_unit("consumption-price", "kW")
    'its unit is kW, but must be one like EUR/MWh'
    >>> misfit_of_unit("site-power-capacity", "kW")
    ''
    """
    name = field.partition(".")[0]
    wanted = "money/MWh" if name.endswith("price") else "kg/MWh" if name == "co2-intensity" else "MW"
    currency = unit.partition("/")[0]
    try:
        if wanted.startswith("money") and currency not in CURRENCIES:
            raise IncompatibleUnits(f"{currency} is not a currency")
        conversion_factor(unit, wanted.replace("money", currency))
    except FlexError:
        return f"its unit is {unit}, but must be one like {wanted.replace('money', 'EUR')}"
    return ""


def context_references(context: FlexContext) -> tuple[SensorReference, ...]:
    """List the sensors that a flex context names.

    >>> [one.field for one in context_references(read_flex_context({"consumption-price": {"sensor": 3}}))]
    ['consumption-price']
    """
    return tuple(
        SensorReference(name, one.sensor, name.partition(".")[0].replace("-", " "))
        for name, one in context.quantities
        if one.sensor is not None
    )


def read_flex_context(fields: Mapping[str, Any], name: str = "the site") -> FlexContext:
    """Check the fields of a flex context.

    Args:
        fields: As stored or sent: field → value.
        name: Whose flex context it is, for messages.

    Raises:
        BadFlexContext: If any are wrong; names each of them, and what it must be.

    >>> read_flex_context({"site-power-capacity": "17 kW"}).site_power_capacity.amount_in("MW")
    0.017
    """
    twice = sorted(field for field in fields if "_" in field and field.replace("_", "-") in fields)
    if twice:
        raise BadFlexContext(
            f"The flex context of {name} says {quote(twice[0])} twice, with _ and with -: leave one out.",
            {"fields": dict.fromkeys(twice, "is said twice")},
        )
    try:
        return FlexContext.model_validate(fields)
    except ValidationError as error:
        texts = {_place(one): _word(one) for one in error.errors(include_url=False)}
    listed = "; ".join(f"{place} {text}" for place, text in texts.items())
    raise BadFlexContext(f"The flex context of {name} is wrong: {listed}.", {"fields": texts})


def _place(error: ErrorDetails) -> str:
    return ".".join(str(step) for step in error["loc"]) or "it"


def _word(error: ErrorDetails) -> str:
    """Say what a value is and what it must be."""
    if error["type"] == "extra_forbidden":
        return "is not a field: leave it out"
    rule = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return rule if not error["loc"] else f"is {quote(str(error['input']))}, but {rule[:1].lower()}{rule[1:]}"

"""Flex models: what is kept about a flexible asset, or about a type of assets, to schedule it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from math import sqrt
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.quoting import quote

__all__ = [
    "DOCUMENTED_FLEX_MODELS",
    "KINDS",
    "CurtailableModel",
    "CustomModel",
    "DailyBand",
    "DailyStay",
    "EvseModel",
    "FlexModel",
    "HeatBufferModel",
    "ShiftableLoadModel",
    "StorageModel",
    "merge_flex_models",
    "read_flex_model",
]


def _local(at: time) -> time:
    if at.tzinfo is not None:
        raise ValueError("write it without a time zone: it is a time in the zone of the asset")
    return at


LocalTime = Annotated[time, AfterValidator(_local)]
Share = Annotated[float, Field(gt=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class _Fields(BaseModel):
    """Values which are checked one by one; a field that does not exist is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DailyBand(_Fields):
    """A state of charge that is wished for at the same time of each day, in the time zone of the asset.

    Attributes:
        since: When it begins to hold.
        until: When it ends, on the next day if that is not later; the whole day if both are the same.
        soc_mwh: The state of charge [MWh].
    """

    since: LocalTime = time(0)
    until: LocalTime = time(0)
    soc_mwh: Amount


class DailyStay(_Fields):
    """A car's stay at a charging point that repeats each day, in the time zone of the asset.

    Attributes:
        arrival: When it comes.
        departure: When it leaves, on the next day if that is not later.
        soc_at_arrival_mwh: What it brings [MWh].
        soc_wanted_mwh: State of charge wanted on departure [MWh]; this or `energy_wanted_mwh`.
        energy_wanted_mwh: Energy wanted on top of what it brings [MWh].
    """

    arrival: LocalTime
    departure: LocalTime
    soc_at_arrival_mwh: Amount = 0.0
    soc_wanted_mwh: Amount | None = None
    energy_wanted_mwh: Amount | None = None

    @model_validator(mode="after")
    def _wants_one_thing(self) -> DailyStay:
        if (self.soc_wanted_mwh is None) == (self.energy_wanted_mwh is None):
            raise ValueError("give either soc_wanted_mwh or energy_wanted_mwh")
        return self


class _FlexModel(_Fields):
    """Fields of all kinds of flexible assets.

    Attributes:
        scheduler: Name of a scheduler of a plugin; None: the built-in one.
        parameters: What that scheduler wants to know.
        replanning_price: What must be gained by a change of the previous plan [currency/MWh]; None: as configured.
        prefer_charging_sooner: Whether to charge early among equal prices; None: as configured.
        prefer_charging_later: Whether to charge as late as possible among equal prices.
        objective: Whether to minimise cost or emissions.
        export_market_id: Market whose prices are paid for production; None: those of consumption.
        co2_sensor_id: Sensor with the CO₂ intensity of the grid, in a unit such as kg/MWh.
        co2_price: Price of emissions within the cost [currency/t].
    """

    scheduler: str | None = Field(default=None, min_length=1, max_length=120)
    parameters: dict[str, Any] = Field(default_factory=dict)
    replanning_price: Amount | None = None
    prefer_charging_sooner: bool | None = None
    prefer_charging_later: bool = False
    objective: Literal["cost", "co2"] = "cost"
    export_market_id: int | None = Field(default=None, gt=0, lt=2**31)
    co2_sensor_id: int | None = Field(default=None, gt=0, lt=2**31)
    co2_price: Amount = 0.0

    @model_validator(mode="after")
    def _emissions_are_known(self) -> _FlexModel:
        if self.co2_sensor_id is None and (self.objective == "co2" or self.co2_price > 0):
            raise ValueError("name the sensor of the CO₂ intensity as co2_sensor_id")
        return self

    @model_validator(mode="after")
    def _prefers_one_time(self) -> _FlexModel:
        if self.prefer_charging_sooner and self.prefer_charging_later:
            raise ValueError("set either prefer_charging_sooner or prefer_charging_later, not both")
        return self


class StorageModel(_FlexModel):
    """A battery, or another store; fields as in `StorageDevice` and `StorageUse`.

    Attributes:
        max_consumption_mw: Highest charging power [MW]; None: the capacity of the asset.
        max_production_mw: Highest discharging power [MW]; None: the capacity of the asset.
        min_consumption_mw: Least charging power: it charges at this or more, or not at all [MW].
        min_production_mw: Least discharging power likewise [MW].
        wear_price: What a MWh that is discharged wears the store [currency/MWh].
        soc_min_mwh: Lowest state of charge [MWh]; None: that of the asset, or else 0.
        soc_max_mwh: Highest state of charge [MWh]; None: that of the asset.
        roundtrip_efficiency: Of charging and discharging together; instead of one for each.
        soc_minima: States of charge to have at least at times of the day.
        soc_maxima: States of charge to have at most at times of the day.
    """

    kind: Literal["storage"] = "storage"
    max_consumption_mw: Amount | None = None
    max_production_mw: Amount | None = None
    soc_min_mwh: Amount | None = None
    soc_max_mwh: Amount | None = None
    charge_efficiency: Share = 1.0
    discharge_efficiency: Share = 1.0
    roundtrip_efficiency: Share | None = None
    loss_per_hour: float = Field(default=0.0, ge=0, lt=1)
    usage_mw: float = 0.0
    charge_taper: tuple[tuple[float, Amount], ...] = ()
    discharge_taper: tuple[tuple[float, Amount], ...] = ()
    soc_minima: tuple[DailyBand, ...] = ()
    soc_maxima: tuple[DailyBand, ...] = ()
    min_consumption_mw: Amount = 0.0
    min_production_mw: Amount = 0.0
    wear_price: Amount = 0.0
    value_of_energy_left: float = 0.0
    preferred_final_soc_mwh: Amount | None = None
    final_soc_price: Amount = 0.0

    @model_validator(mode="after")
    def _limits_agree(self) -> StorageModel:
        low, high = self.soc_min_mwh, self.soc_max_mwh
        if low is not None and high is not None and low > high:
            raise ValueError(f"soc_min_mwh ({low:g}) is above soc_max_mwh ({high:g}): lower it")
        for way in ("consumption", "production"):
            least, most = getattr(self, f"min_{way}_mw"), getattr(self, f"max_{way}_mw")
            if most is not None and 0 < most < least:
                raise ValueError(f"min_{way}_mw ({least:g}) is above max_{way}_mw ({most:g}): lower it")
        if self.roundtrip_efficiency is not None and (self.charge_efficiency, self.discharge_efficiency) != (
            1,
            1,
        ):
            raise ValueError("give either roundtrip_efficiency or charge_efficiency and discharge_efficiency")
        return self

    @property
    def efficiencies(self) -> tuple[float, float]:
        """Share of energy that is kept when charging, and when discharging."""
        if self.roundtrip_efficiency is None:
            return self.charge_efficiency, self.discharge_efficiency
        return sqrt(self.roundtrip_efficiency), sqrt(self.roundtrip_efficiency)


class EvseModel(StorageModel):
    """A charging point with a car; fields as in `StorageModel`.

    Attributes:
        soc_max_mwh: Highest state of charge [MWh]; None: that of the asset, or else the highest one wanted.
        stays: When a car is there, if no UDI event says what is wanted.
    """

    kind: Literal["evse"] = "evse"  # type: ignore[assignment]
    stays: tuple[DailyStay, ...] = ()


class HeatBufferModel(_FlexModel):
    """A buffer that a heat pump heats; energy in it is heat. Fields as in `HeatBuffer`.

    Attributes:
        max_consumption_mw: Highest electric power [MW]; None: the capacity of the asset.
        min_consumption_mw: Least electric power at which it runs [MW].
        capacity_mwh: Heat it can hold above its coldest [MWh]; None: the highest state of charge of the asset.
        usage_sensor_id: Sensor with the heat that is drawn [MW], on top of `usage_mw`.
        soc_minima: Lower edge of comfort at times of the day.
        soc_maxima: Upper edge of comfort at times of the day.
    """

    kind: Literal["heat_buffer"] = "heat_buffer"
    max_consumption_mw: Amount | None = None
    min_consumption_mw: Amount = 0.0
    gain: float = Field(gt=0)
    usage_mw: Amount = 0.0
    usage_sensor_id: int | None = Field(default=None, gt=0, lt=2**31)
    capacity_mwh: float | None = Field(default=None, gt=0)
    loss_per_hour: float = Field(default=0.0, ge=0, lt=1)
    soc_minima: tuple[DailyBand, ...] = ()
    soc_maxima: tuple[DailyBand, ...] = ()
    value_of_energy_left: float = 0.0


class ShiftableLoadModel(_FlexModel):
    """A load that runs once a day; fields as in `ShiftableLoad`.

    Attributes:
        profile_mw: Power of each slot of the run [MW], one value for each slot of the asset's resolution.
        earliest: From when on it may run each day, in the time zone of the asset.
        latest: By when it must have finished, on the next day if that is not later.
        interruptible: Whether it may run in pieces; its power must then be the same in every slot.
    """

    kind: Literal["shiftable_load"] = "shiftable_load"
    profile_mw: tuple[float, ...] = Field(min_length=1)
    earliest: LocalTime = time(0)
    latest: LocalTime = time(0)
    interruptible: bool = False

    @model_validator(mode="after")
    def _pieces_are_alike(self) -> ShiftableLoadModel:
        if self.interruptible and len(set(self.profile_mw)) > 1:
            raise ValueError("an interruptible load needs the same power in each slot of profile_mw")
        return self


class CurtailableModel(_FlexModel):
    """Production or consumption that can be lowered from its forecast; fields as in `Curtailable`.

    Attributes:
        minimum_mw: Size of the power that must remain [MW].
        price: What curtailing costs [currency/MWh].
    """

    kind: Literal["curtailable"] = "curtailable"
    minimum_mw: Amount = 0.0
    price: float = 0.0


class CustomModel(_FlexModel):
    """Something that only a scheduler of a plugin knows."""

    kind: Literal["custom"] = "custom"
    scheduler: str = Field(min_length=1, max_length=120)


FlexModel = StorageModel | EvseModel | HeatBufferModel | ShiftableLoadModel | CurtailableModel | CustomModel

KINDS = ("storage", "evse", "heat_buffer", "shiftable_load", "curtailable", "custom")
"""Kinds of flexible assets."""

DOCUMENTED_FLEX_MODELS: Mapping[str, Mapping[str, Any]] = {
    "battery": {"kind": "storage"},
    "one-way_evse": {"kind": "evse", "max_production_mw": 0},
    "two-way_evse": {"kind": "evse"},
}
"""Flex models of the documented asset types."""

_ADAPTER: TypeAdapter[FlexModel] = TypeAdapter(Annotated[FlexModel, Field(discriminator="kind")])


def merge_flex_models(
    of_type: Mapping[str, Any] | None, own: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Lay an asset's own fields over those of its type; fields of another kind do not mix.

    >>> merge_flex_models({"kind": "storage", "loss_per_hour": 0.1}, {"loss_per_hour": 0.2})
    {'kind': 'storage', 'loss_per_hour': 0.2}
    """
    if own is None or of_type is None or own.get("kind", of_type.get("kind")) != of_type.get("kind"):
        merged = of_type if own is None else own
        return None if merged is None else dict(merged)
    return {**of_type, **own}


def read_flex_model(fields: Mapping[str, Any], name: str = "the asset") -> FlexModel:
    """Check the fields of a flex model.

    Args:
        fields: As stored or sent: field → value, with its ``kind``.
        name: Whose flex model it is, for messages.

    Raises:
        BadFlexModel: If any are wrong; names each of them, and what it must be.

    >>> read_flex_model({"kind": "storage", "roundtrip_efficiency": 0.81}).efficiencies
    (0.9, 0.9)
    """
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        texts = {_place(one): _word(one) for one in error.errors(include_url=False)}
    listed = "; ".join(f"{place} {text}" for place, text in texts.items())
    raise BadFlexModel(f"The flex model of {name} is wrong: {listed}.", {"fields": texts})


def _place(error: ErrorDetails) -> str:
    """Name a field as it was written: without the kind, by which the rules were chosen."""
    steps = [str(step) for step in error["loc"] if step not in KINDS]
    return ".".join(steps) or ("kind" if "union_tag" in error["type"] else "it")


def _word(error: ErrorDetails) -> str:
    """Say what a value is and what it must be."""
    kind, value = error["type"], error["input"]
    if kind == "missing":
        return "is missing: give it"
    if kind == "extra_forbidden":
        return "is not a field of this kind: leave it out"
    if "union_tag" in kind:
        return f"must be one of {', '.join(KINDS)}"
    if kind == "value_error":
        return f"cannot be: {error['ctx']['error']}"
    rule = error["msg"].removeprefix("Input ").removeprefix("Value ")
    return f"is {quote(value)}, but {rule[:1].lower()}{rule[1:]}"

"""Devices as values: what they can do and what is wanted of them. Power is consumption-positive [MW]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.scheduling.linear import FloatArray, spread

__all__ = ["StorageDevice", "StorageUse", "TaperPoint"]

TaperPoint = tuple[float, float]
"""State of charge [MWh] and the power that is possible there [MW]."""


@dataclass(frozen=True)
class StorageDevice:
    """A battery, car, or other store of energy behind a power limit each way.

    All of these are limits of the device: no plan exceeds them. A number holds always; a sequence has one
    value a slot (n,), or for states of charge one value a boundary between slots (n+1,), the first at the
    start.

    Args:
        name: How messages call it.
        max_consumption_mw: Highest charging power, ≥ 0 [MW].
        max_production_mw: Highest discharging power, ≥ 0 [MW].
        soc_min_mwh: Lowest state of charge [MWh].
        soc_max_mwh: Highest state of charge [MWh]; may be inf.
        charge_efficiency: Share of the consumed energy that is stored, above 0 up to 1.
        discharge_efficiency: Share of the energy taken out that is delivered, above 0 up to 1.
        gain: Useful energy a unit of stored electric energy gives, > 0: the coefficient of performance of
            a heat pump, 1 for a battery.
        loss_per_hour: Share of the state of charge that is lost in an hour, 0 up to below 1.
        usage_mw: What is drawn from the store for other uses, such as heating or driving [MW].
        charge_taper: Points (soc [MWh], highest charging power [MW]) of a concave curve. Its first and last pieces
            go on in a straight line and stay above 0 as far as the states of charge go.
        discharge_taper: The same for discharging power.
        min_consumption_mw: Least charging power: it charges at this or more, or not at all, ≥ 0 [MW].
        min_production_mw: Least discharging power likewise [MW].
        wear_price: What a unit of energy that is discharged wears the device, ≥ 0 [currency/MWh].

    Raises:
        BadFlexModel: A value contradicts these rules.
    """

    name: str
    max_consumption_mw: ArrayLike
    max_production_mw: ArrayLike
    soc_min_mwh: ArrayLike = 0.0
    soc_max_mwh: ArrayLike = inf
    charge_efficiency: ArrayLike = 1.0
    discharge_efficiency: ArrayLike = 1.0
    gain: ArrayLike = 1.0
    loss_per_hour: float = 0.0
    usage_mw: ArrayLike = 0.0
    charge_taper: tuple[TaperPoint, ...] = ()
    discharge_taper: tuple[TaperPoint, ...] = ()
    min_consumption_mw: ArrayLike = 0.0
    min_production_mw: ArrayLike = 0.0
    wear_price: float = 0.0

    def __post_init__(self) -> None:
        _check(self.name, "maximum consumption [MW]", self.max_consumption_mw, 0.0, inf)
        _check(self.name, "maximum production [MW]", self.max_production_mw, 0.0, inf)
        _check(self.name, "least consumption [MW]", self.min_consumption_mw, 0.0, inf)
        _check(self.name, "least production [MW]", self.min_production_mw, 0.0, inf)
        _check(self.name, "price of wear [currency/MWh]", self.wear_price, 0.0, inf)
        _check(self.name, "usage [MW]", self.usage_mw, -inf, inf)
        _check(self.name, "charge efficiency", self.charge_efficiency, 0.0, 1.0, above=True)
        _check(self.name, "discharge efficiency", self.discharge_efficiency, 0.0, 1.0, above=True)
        _check(self.name, "gain (coefficient of performance)", self.gain, 0.0, inf, above=True)
        _check(self.name, "loss per hour", self.loss_per_hour, 0.0, 1.0)
        if self.loss_per_hour == 1.0:
            raise BadFlexModel(
                f"The loss per hour of {self.name} is 1: it stores nothing. Give a share below 1."
            )
        _check_band(self.name, self.soc_min_mwh, self.soc_max_mwh)
        edges = float(np.min(self.soc_min_mwh)), float(np.max(self.soc_max_mwh))
        _check_taper(self.name, "charge taper", self.charge_taper, edges)
        _check_taper(self.name, "discharge taper", self.discharge_taper, edges)

    @property
    def is_lossless_both_ways(self) -> bool:
        """Tell whether a unit of energy consumed and a unit produced move the state of charge equally."""
        exchange = np.asarray(self.charge_efficiency, dtype=float) * np.asarray(self.gain, dtype=float)
        return bool(np.all(exchange * np.asarray(self.discharge_efficiency, dtype=float) == 1.0))

    @property
    def needs_both_ways(self) -> bool:
        """Tell whether charging and discharging must be told apart although nothing is lost."""
        return self.wear_price > 0 or bool(
            np.any(np.asarray(self.min_consumption_mw) > 0) or np.any(np.asarray(self.min_production_mw) > 0)
        )

    def per_slot(self, value: ArrayLike, slots: int) -> FloatArray:
        """Spread a limit over the slots (n,).

        Raises:
            BadFlexModel: It has another number of values.
        """
        return _spread(self.name, value, slots, "slots")

    def per_boundary(self, value: ArrayLike, slots: int) -> FloatArray:
        """Spread a limit over the boundaries between slots (n+1,).

        Raises:
            BadFlexModel: It has another number of values.
        """
        return _spread(self.name, value, slots + 1, "boundaries")


@dataclass(frozen=True)
class StorageUse:
    """Use of a storage device in a planning window of n slots.

    Boundary k is the end of slot k−1; boundary 0 is the start of the window.

    Args:
        device: The device.
        soc_at_start_mwh: State of charge at boundary 0 [MWh].
        targets: Boundary (1 … n) → state of charge to be met exactly [MWh].
        soc_minima: Boundary → state of charge to have at least [MWh], such as a reserve or the lower edge
            of comfort.
        soc_maxima: Boundary → state of charge to have at most [MWh].
        value_of_energy_left: What a unit of energy left at the end is worth [currency/MWh].
        preferred_final_soc_mwh: State of charge wished for at the end [MWh].
        final_soc_price: What missing it costs, either way [currency/MWh].

    Raises:
        BadFlexModel: A wish lies outside the window or is not a finite number.
    """

    device: StorageDevice
    soc_at_start_mwh: float = 0.0
    targets: Mapping[int, float] = field(default_factory=dict)
    soc_minima: Mapping[int, float] = field(default_factory=dict)
    soc_maxima: Mapping[int, float] = field(default_factory=dict)
    value_of_energy_left: float = 0.0
    preferred_final_soc_mwh: float | None = None
    final_soc_price: float = 0.0

    def __post_init__(self) -> None:
        name = self.device.name
        _check(name, "state of charge at the start [MWh]", self.soc_at_start_mwh, -inf, inf)
        _check(name, "value of energy left [currency/MWh]", self.value_of_energy_left, -inf, inf)
        _check(
            name, "price of missing the preferred final soc [currency/MWh]", self.final_soc_price, 0.0, inf
        )
        for wish in (self.targets, self.soc_minima, self.soc_maxima):
            for soc in wish.values():
                _check(name, "wished state of charge [MWh]", soc, -inf, inf)

    @property
    def name(self) -> str:
        """Return the device's name in messages."""
        return self.device.name

    def check_window(self, slots: int) -> None:
        """Refuse wishes for instants that the window of n slots does not have.

        Raises:
            BadFlexModel: A boundary lies outside 1 … n, or between two of them.
        """
        for boundary in (*self.targets, *self.soc_minima, *self.soc_maxima):
            if not 1 <= boundary <= slots:
                raise BadFlexModel(
                    f"A wish for {self.name} at boundary {boundary} lies outside the planning window: use 1 … {slots}."
                )
            if boundary != int(boundary):
                raise BadFlexModel(
                    f"A wish for {self.name} at boundary {boundary} lies within a slot: snap it to the grid first."
                )


def _check(
    device: str, quantity: str, value: ArrayLike, lowest: float, highest: float, *, above: bool = False
) -> None:
    """Refuse values that are not numbers, infinite or out of range."""
    low = lowest if above else None
    if isinstance(value, float | int) and -inf < value < inf and lowest <= value <= highest and value != low:
        return  # as nearly always, and without an array
    numbers = np.asarray(value, dtype=float)
    good = (
        np.isfinite(numbers) & (numbers <= highest) & ((numbers > lowest) if above else (numbers >= lowest))
    )
    if not good.all():
        wrong = float(np.atleast_1d(numbers)[np.flatnonzero(~np.atleast_1d(good))[0]])
        edge = "above" if above else "from"
        raise BadFlexModel(
            f"The {quantity} of {device} is {wrong:g}: give a finite number {edge} {lowest:g} up to {highest:g}.",
            {"device": device, "quantity": quantity, "value": str(wrong)},
        )


def _check_band(device: str, lowest: ArrayLike, highest: ArrayLike) -> None:
    low, high = np.asarray(lowest, dtype=float), np.asarray(highest, dtype=float)
    if np.any(np.isnan(low)) or np.any(np.isnan(high)) or np.any(low == inf) or np.any(high == -inf):
        raise BadFlexModel(f"The limits of state of charge of {device} must be numbers [MWh].")
    if np.any(low > high):
        raise BadFlexModel(
            f"The lowest state of charge of {device} ({np.max(low):g} MWh) is above its highest "
            f"({np.min(high):g} MWh): give a lower minimum or a higher maximum."
        )


def _check_taper(
    device: str, quantity: str, points: tuple[TaperPoint, ...], edges: tuple[float, float]
) -> None:
    """A taper must be concave, or the highest power would not be the least of straight lines.

    It must not end within the states of charge of the device, for a highest power below 0 would force the other way.
    """
    if not points:
        return
    soc, power = np.asarray(points, dtype=float).T
    if len(points) < 2 or np.any(np.diff(soc) <= 0) or np.any(power < 0) or not np.all(np.isfinite(points)):
        raise BadFlexModel(
            f"The {quantity} of {device} needs two or more points of rising soc and power ≥ 0."
        )
    if np.any(np.diff(np.diff(power) / np.diff(soc)) > 1e-9):
        raise BadFlexModel(
            f"The {quantity} of {device} must bend downwards only: its power falls ever faster with soc."
        )
    slopes = np.diff(power) / np.diff(soc)
    at_edges = ((edges[0], slopes[0], soc[0], power[0]), (edges[1], slopes[-1], soc[-1], power[-1]))
    for edge, slope, point, height in at_edges:
        if np.isfinite(edge) and height + slope * (edge - point) < -1e-9:
            raise BadFlexModel(
                f"The {quantity} of {device} falls to 0 MW before a state of charge of {edge:g} MWh: end the range of "
                "the store where its power ends, or add a point there."
            )


def _spread(device: str, value: ArrayLike, count: int, what: str) -> FloatArray:
    numbers = np.asarray(value, dtype=float)
    if numbers.shape not in ((), (1,), (count,)):
        raise BadFlexModel(
            f"A limit of {device} has {numbers.size} values for {count} {what}: give one each, or one."
        )
    return spread(numbers, count)

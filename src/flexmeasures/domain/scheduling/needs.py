"""Common needs as storage in use: a car's stay at a charging point, a heated buffer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse

__all__ = ["ChargingSession", "HeatBuffer", "heat_buffer", "session"]


@dataclass(frozen=True)
class ChargingSession:
    """A car's stay at a charging point.

    Args:
        arrival: Boundary at which it arrives (0 … n−1).
        departure: Boundary at which it leaves, after arrival (… n).
        soc_at_arrival_mwh: State of charge on arrival [MWh].
        soc_wanted_mwh: State of charge wanted on departure [MWh]; give this or `energy_wanted_mwh`.
        energy_wanted_mwh: Energy wanted on top of what it brings [MWh].
    """

    arrival: int
    departure: int
    soc_at_arrival_mwh: float = 0.0
    soc_wanted_mwh: float | None = None
    energy_wanted_mwh: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.arrival < self.departure:
            raise BadFlexModel(
                f"A car arrives at boundary {self.arrival} and leaves at {self.departure}: it must stay."
            )
        if (self.soc_wanted_mwh is None) == (self.energy_wanted_mwh is None):
            raise BadFlexModel("Give what a car wants either as a state of charge or as energy [MWh].")
        if self.energy_wanted_mwh is not None and not self.energy_wanted_mwh >= 0:
            raise BadFlexModel(f"A car wants {self.energy_wanted_mwh} MWh of energy: give a number from 0.")

    @property
    def target_mwh(self) -> float:
        """State of charge wanted on departure [MWh]."""
        if self.soc_wanted_mwh is not None:
            return self.soc_wanted_mwh
        return self.soc_at_arrival_mwh + (self.energy_wanted_mwh or 0.0)


def session(point: StorageDevice, stay: ChargingSession, slots: int) -> StorageUse:
    """Describe a session: the charging point works only while the car is there, and the car leaves with its target.

    Args:
        point: Charging point and car; its highest state of charge may be unknown (inf).
        stay: When the car is there and what it wants.
        slots: Length of the planning window.

    Raises:
        BadFlexModel: The stay lies outside the window.
    """
    if stay.departure > slots:
        raise BadFlexModel(
            f"A car leaves at boundary {stay.departure} of a window of {slots} slots: plan for longer."
        )
    present = np.zeros(slots)
    present[stay.arrival : stay.departure] = 1.0
    highest = np.asarray(point.soc_max_mwh, dtype=float)
    device = replace(
        point,
        max_consumption_mw=point.per_slot(point.max_consumption_mw, slots) * present,
        max_production_mw=point.per_slot(point.max_production_mw, slots) * present,
        soc_max_mwh=highest if np.all(highest < inf) else max(stay.target_mwh, stay.soc_at_arrival_mwh),
    )
    return StorageUse(device, stay.soc_at_arrival_mwh, {stay.departure: stay.target_mwh})


@dataclass(frozen=True)
class HeatBuffer:
    """A buffer, such as a boiler or a house, that a heat pump heats. Its energy is counted as heat.

    Args:
        name: How messages call it.
        max_consumption_mw: Highest electric power [MW].
        coefficient_of_performance: Heat a unit of electricity gives, a number or one a slot, > 0.
        demand_mw: Heat drawn from it (n,) [MW].
        capacity_mwh: Heat it can hold above its coldest [MWh].
        loss_per_hour: Share of the heat that is lost in an hour.
    """

    name: str
    max_consumption_mw: float
    coefficient_of_performance: ArrayLike
    demand_mw: ArrayLike
    capacity_mwh: float
    loss_per_hour: float = 0.0


def heat_buffer(
    buffer: HeatBuffer, heat_at_start_mwh: float, comfort: Mapping[int, tuple[float, float]] | None = None
) -> StorageUse:
    """Describe a heated buffer as storage that takes electricity and is emptied by use and losses.

    Args:
        buffer: What it is.
        heat_at_start_mwh: Heat in it at the start [MWh].
        comfort: Boundary → lowest and highest heat wished for there [MWh].
    """
    device = StorageDevice(
        buffer.name,
        buffer.max_consumption_mw,
        0.0,
        0.0,
        buffer.capacity_mwh,
        gain=buffer.coefficient_of_performance,
        loss_per_hour=buffer.loss_per_hour,
        usage_mw=buffer.demand_mw,
    )
    band = comfort or {}
    return StorageUse(
        device,
        heat_at_start_mwh,
        soc_minima={boundary: edges[0] for boundary, edges in band.items()},
        soc_maxima={boundary: edges[1] for boundary, edges in band.items()},
    )

"""A battery that a community shares: charged with what nobody uses, discharged into what members take from the grid.

It stands behind the meter of the plant, so that to the sharing it is like generation that comes at another time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flexmeasures.domain.communities.allocation import UNITS_PER_KWH, WHOLE, Energies
from flexmeasures.domain.communities.optimise import best_grouped
from flexmeasures.domain.scheduling import (
    HighsSolver,
    PlanOptions,
    Profile,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    plan_site,
)
from flexmeasures.domain.scheduling.linear import FloatArray

__all__ = [
    "BatteryProposal",
    "SharedBattery",
    "plan_shared_battery",
    "propose_with_battery",
    "reachable_load",
]

_KWH_PER_MWH = 1000.0


@dataclass(frozen=True)
class SharedBattery:
    """A battery, and what energy is worth to the community.

    Attributes:
        power_kw: Highest power either way.
        capacity_kwh: Usable size.
        efficiency: Of charging and of discharging, each above 0 up to 1.
        energy_price: What a kWh from the grid costs members.
        surplus_price: What a kWh of surplus is worth; less than energy costs.
    """

    power_kw: float
    capacity_kwh: float
    efficiency: float = 0.95
    energy_price: float = 0.20
    surplus_price: float = 0.05

    @property
    def device(self) -> StorageDevice:
        """The same for the scheduling core."""
        return StorageDevice(
            "shared battery",
            self.power_kw / _KWH_PER_MWH,
            self.power_kw / _KWH_PER_MWH,
            0.0,
            self.capacity_kwh / _KWH_PER_MWH,
            self.efficiency,
            self.efficiency,
        )


def plan_shared_battery(
    generation: Energies,
    consumption: Energies,
    battery: SharedBattery,
    step_hours: float,
    window: int = 168,
    stored_kwh: float = 0.0,
) -> FloatArray:
    """Plan a shared battery for the self-consumption of the community as a whole.

    It only stores generation and only delivers to members: it neither charges from the grid nor discharges into it,
    which would be trading, not sharing. Windows follow each other, each with the energy that the last one left and two
    days of outlook, so that a battery is not emptied for an end that is none.

    Args:
        generation: Of all plants, shape ``(n_intervals,)`` [micro-kWh].
        consumption: Of all members, shape ``(n_intervals,)`` [micro-kWh].
        battery: The battery.
        step_hours: Length of an interval [h].
        window: Intervals that are planned and kept at once.
        stored_kwh: Energy in it at the start.

    Returns:
        Power of the battery in each interval, shape ``(n_intervals,)`` [kW, charging positive].
    """
    mw = 1.0 / UNITS_PER_KWH / step_hours / _KWH_PER_MWH
    load: FloatArray = (consumption * mw).astype(np.float64)
    sun: FloatArray = (generation * mw).astype(np.float64)
    outlook = window + round(48 / step_hours)
    power = np.zeros(len(load))
    stored = min(max(stored_kwh, 0.0), battery.capacity_kwh) / _KWH_PER_MWH
    for begin in range(0, len(load), window):
        seen = slice(begin, min(begin + outlook, len(load)))
        planned, levels = _plan(load[seen], sun[seen], battery, step_hours, stored)
        kept = min(window, len(load) - begin)
        power[begin : begin + kept] = planned[:kept]
        stored = float(levels[kept])
    return power * _KWH_PER_MWH


def _plan(
    load: FloatArray, sun: FloatArray, battery: SharedBattery, step_hours: float, stored: float
) -> tuple[FloatArray, FloatArray]:
    """Plan a window: power [MW] and states of charge [MWh]."""
    surplus, need = np.maximum(sun - load, 0.0), np.maximum(load - sun, 0.0)
    most = battery.power_kw / _KWH_PER_MWH
    device = replace(
        battery.device,
        max_consumption_mw=np.minimum(surplus, most),
        max_production_mw=np.minimum(need, most),
    )
    prices = np.full(len(load), battery.energy_price * _KWH_PER_MWH)
    tariff = Tariff(prices, np.full(len(load), battery.surplus_price * _KWH_PER_MWH))
    site = Site((StorageUse(device, stored), Profile("community", load - sun)), tariff)
    plan = plan_site(
        site,
        resolution_hours=step_hours,
        options=PlanOptions(solver=HighsSolver(), prefer_charging_sooner=False),
    )
    device_plan = plan.devices["shared battery"]
    assert device_plan.soc_mwh is not None  # noqa: S101 - it is a storage
    return np.asarray(device_plan.power_mw), np.asarray(device_plan.soc_mwh)


_REACH = 0.6
"""Share of the coefficients whose members must still be in need for energy to be worth delivering; the best of a few
tried on a year of nine homes, and not sensitive: 0.5 and 0.7 give 1 % less."""

_ROUNDS = 3


def reachable_load(keys: Energies, consumption: Energies, share: float = _REACH) -> Energies:
    """Find up to which energy sharing by coefficients makes good use of it.

    Sharing by coefficients wastes what it offers to members who are satisfied already. Up to this energy at least a
    share of each further kWh is used.

    Args:
        keys: Millionths, shape ``(n_intervals, n_members)``.
        consumption: Shape ``(n_intervals, n_members)``.
        share: From 0 to 1.

    Returns:
        Shape ``(n_intervals,)`` [micro-kWh].
    """
    ratios = np.where(keys > 0, consumption / np.maximum(keys, 1), np.inf)
    order = np.argsort(ratios, axis=1)
    in_need = 1.0 - np.cumsum(np.take_along_axis(keys, order, axis=1), axis=1) / WHOLE
    passed = np.minimum((in_need >= share).sum(axis=1), keys.shape[1] - 1)
    reached = np.take_along_axis(ratios, order, axis=1)[np.arange(len(passed)), passed] * WHOLE
    return np.rint(np.where(np.isfinite(reached), reached, 0.0)).astype(np.int64)


@dataclass(frozen=True)
class BatteryProposal:
    """Coefficients and the use of a shared battery that go together.

    Attributes:
        table: Coefficients by group of hours, shape ``(n_groups, n_members)``.
        net: Generation after the battery, shape ``(n_intervals,)`` [micro-kWh].
        power_kw: Of the battery, charging positive, shape ``(n_intervals,)``.
    """

    table: Energies
    net: Energies
    power_kw: FloatArray


def propose_with_battery(
    generation: Energies,
    consumption: Energies,
    groups: np.ndarray[tuple[int], np.dtype[np.int64]],
    battery: SharedBattery,
    step_hours: float,
    count: int | None = None,
) -> BatteryProposal:
    """Propose coefficients by group of hours together with the use of a battery, in a few rounds of each in turn.

    Args:
        generation: Of all plants, shape ``(n_intervals,)`` [micro-kWh].
        consumption: Of each member, shape ``(n_intervals, n_members)`` [micro-kWh].
        groups: Number of each interval's group, see `optimise.profile_groups`.
        battery: The battery, empty at the start.
        step_hours: Length of an interval [h].
        count: How many groups there are; as many as occur if left out.
    """
    table, net, power = (
        best_grouped(generation, consumption, groups, count),
        generation,
        np.zeros(len(generation)),
    )
    for _ in range(_ROUNDS):
        load = reachable_load(table[groups], consumption)
        power = plan_shared_battery(generation, load, battery, step_hours)
        stored = np.rint(power * step_hours * UNITS_PER_KWH).astype(np.int64)
        net = np.maximum(generation - stored, 0)
        table = best_grouped(net, consumption, groups, count)
    return BatteryProposal(table, net, power)

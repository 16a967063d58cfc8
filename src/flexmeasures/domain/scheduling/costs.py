"""Costs of given powers at a site, and the simple plans beside which a schedule is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.reach import Dynamics, missed_by, simulate_soc
from flexmeasures.domain.scheduling.site import (
    Curtailable,
    Device,
    Profile,
    ShiftableLoad,
    Site,
    finite_per_slot,
)
from flexmeasures.domain.scheduling.wishes import soft_limits

__all__ = [
    "Baseline",
    "Cost",
    "charge_at_once",
    "cost_of",
    "cost_of_agreements",
    "do_nothing",
    "unplanned_powers",
]


@dataclass(frozen=True)
class Cost:
    """Costs of a plan by cause [currency], and its emissions.

    Args:
        energy: Imported energy less what exported energy earns.
        peaks: Power above the floors of peak prices.
        co2: Emissions at their price.
        curtailment: Curtailed energy at its price.
        commitments: Deviations from agreed profiles.
        wear: Discharged energy at the price of the wear of its store.
        final_soc: Missing the preferred final soc, less the value of energy left.
        co2_kg: Emissions of the imported less the exported energy [kg].
    """

    energy: float = 0.0
    peaks: float = 0.0
    co2: float = 0.0
    curtailment: float = 0.0
    commitments: float = 0.0
    final_soc: float = 0.0
    co2_kg: float = 0.0
    wear: float = 0.0

    @property
    def total(self) -> float:
        """All of it [currency]."""
        in_money = self.energy + self.peaks + self.co2 + self.curtailment + self.commitments
        return in_money + self.wear + self.final_soc


@dataclass(frozen=True)
class Baseline:
    """A simple plan to compare with.

    Args:
        name: What it does.
        power_mw: Power of each device (n,) [MW].
        cost: What it costs.
        keeps_wishes: Whether it keeps the wishes and limits of all devices and of the connection.
    """

    name: str
    power_mw: Mapping[str, FloatArray]
    cost: Cost
    keeps_wishes: bool


def cost_of(
    site: Site, hours: FloatArray, powers: Mapping[str, FloatArray], soc: Mapping[str, FloatArray]
) -> Cost:
    """Cost of given powers (n,) [MW] and states of charge (n+1,) [MWh] of the devices of a site."""
    bought, sold = site.tariff.prices
    net = sum(powers.values(), np.zeros(hours.size))
    imported, exported = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    co2_kg = float(np.sum(site.tariff.co2(hours.size) * net * hours))
    return Cost(
        energy=float(np.sum((bought * imported - sold * exported) * hours)),
        peaks=sum(
            peak.price
            * max(0.0, float(np.max(np.asarray(peak.weight, dtype=float) * imported)) - peak.floor_mw)
            for peak in site.tariff.peaks
        ),
        co2=co2_kg / 1000.0 * site.tariff.co2_price,
        curtailment=sum(
            one.price
            * float(np.sum(np.abs(np.asarray(one.forecast_mw, dtype=float) - powers[one.name]) * hours))
            for one in site.devices
            if isinstance(one, Curtailable)
        ),
        commitments=cost_of_agreements(site, hours, powers, paid=True),
        final_soc=sum(_cost_of_final_soc(one, soc) for one in site.devices if isinstance(one, StorageUse)),
        co2_kg=co2_kg,
        wear=sum(
            one.device.wear_price * float(np.sum(np.maximum(-powers[one.name], 0.0) * hours))
            for one in site.devices
            if isinstance(one, StorageUse) and one.device.wear_price > 0
        ),
    )


def cost_of_agreements(
    site: Site, hours: FloatArray, powers: Mapping[str, FloatArray], *, paid: bool
) -> float:
    """Price of all deviations from agreed profiles [currency]: of those that are paid, or of mere preferences."""
    net = sum(powers.values(), np.zeros(hours.size))
    total = 0.0
    for one in site.commitments:
        if one.is_paid is paid:
            used = net if one.device is None else powers[one.device]
            deviation = used - np.asarray(one.power_mw, dtype=float)
            price = np.where(deviation > 0, one.price_above, -one.price_below)
            total += float(np.nansum(price * deviation * hours))
    return total


def _cost_of_final_soc(use: StorageUse, soc: Mapping[str, FloatArray]) -> float:
    final = float(soc[use.name][-1])
    missed = 0.0 if use.preferred_final_soc_mwh is None else abs(final - use.preferred_final_soc_mwh)
    return use.final_soc_price * missed - use.value_of_energy_left * final


def unplanned_powers(site: Site, hours: FloatArray, *, charging: bool) -> dict[str, FloatArray]:
    """Device → power (n,) [MW] if nobody plans it: storage stands still, or charges at once what is wanted of it."""
    return {one.name: _unplanned(one, hours, charging=charging) for one in site.devices}


def do_nothing(site: Site, hours: FloatArray) -> Baseline:
    """Leave storage alone, curtail nothing, run loads at once."""
    powers = unplanned_powers(site, hours, charging=False)
    return _baseline("doing nothing", site, hours, powers)


def charge_at_once(site: Site, hours: FloatArray) -> Baseline:
    """Charge storage at full power as soon as anything is wanted of it; the rest as when doing nothing."""
    powers = unplanned_powers(site, hours, charging=True)
    return _baseline("charging at once", site, hours, powers)


def _baseline(name: str, site: Site, hours: FloatArray, powers: Mapping[str, FloatArray]) -> Baseline:
    storages = [one for one in site.devices if isinstance(one, StorageUse)]
    soc = {one.name: simulate_soc(one, hours, powers[one.name]) for one in storages}
    kept = not any(missed_by(one, hours, soc[one.name]) for one in storages)
    net = sum(powers.values(), np.zeros(hours.size))
    most_imported, most_exported = site.connection.per_slot(hours.size)
    kept &= bool(np.all(net <= most_imported + 1e-9) and np.all(-net <= most_exported + 1e-9))
    return Baseline(name, powers, cost_of(site, hours, powers, soc), kept)


def _unplanned(device: Device, hours: FloatArray, *, charging: bool) -> FloatArray:
    """Power of a device that nobody plans (n,) [MW]."""
    slots = hours.size
    if isinstance(device, Curtailable):
        return finite_per_slot(device.name, device.forecast_mw, slots)
    if isinstance(device, Profile):
        return finite_per_slot(device.name, device.power_mw, slots)
    power = np.zeros(slots)
    if isinstance(device, ShiftableLoad):
        earliest, _ = device.window(slots)
        power[earliest : earliest + len(device.profile_mw)] = device.profile_mw
    elif charging:
        power = _charging_at_once(device, hours)
    return power


def _charging_at_once(use: StorageUse, hours: FloatArray) -> FloatArray:
    """Charge at full power to the highest state of charge that is still wanted, and never discharge."""
    dynamics = Dynamics(use, hours)
    wanted = np.full(hours.size, -np.inf)
    for wish in soft_limits(use):
        if np.isfinite(wish.lower):
            wanted[: wish.boundary] = np.maximum(wanted[: wish.boundary], wish.lower)
    if use.preferred_final_soc_mwh is not None:
        wanted = np.maximum(wanted, use.preferred_final_soc_mwh)
    goals = np.minimum(np.maximum(wanted, dynamics.soc_min[1:]), dynamics.soc_max[1:])
    if np.all(simulate_soc(use, hours, np.zeros(hours.size))[1:] >= goals):
        return np.zeros(hours.size)
    power = []
    soc = float(use.soc_at_start_mwh)
    for slot, goal in enumerate(goals.tolist()):
        power.append(max(0.0, dynamics.power_towards(slot, soc, goal)))
        soc = dynamics.step(slot, soc, power[-1])
    return np.array(power)

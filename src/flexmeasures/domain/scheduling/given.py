"""Plans whose powers are given: their states of charge, their cost, and what they do not keep."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling.costs import cost_of
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.missed import Missed
from flexmeasures.domain.scheduling.reach import missed_by, simulate_soc
from flexmeasures.domain.scheduling.schedule import DevicePlan, Outcome, SitePlan
from flexmeasures.domain.scheduling.site import Direction, Exclusion, ShiftableLoad, Site

__all__ = ["is_used", "plan_of_powers"]

_TOLERANCE_MW = 1e-9


def plan_of_powers(
    site: Site,
    hours: FloatArray,
    powers: Mapping[str, FloatArray],
    outcome: Outcome,
    remark: str,
    soc: Mapping[str, FloatArray] | None = None,
) -> SitePlan:
    """Describe given powers as a plan; how far it is from the optimum is not known.

    Args:
        site: The site.
        hours: Duration of each slot (n,) [h].
        powers: Device → power of each slot (n,) [MW].
        outcome: How they came about.
        remark: The first note, before what is missed.
        soc: Storage device → its state of charge at each boundary (n+1,) [MWh]; None: worked out from the powers.
    """
    storages = [one for one in site.devices if isinstance(one, StorageUse)]
    if soc is None:
        soc = {one.name: simulate_soc(one, hours, powers[one.name]) for one in storages}
    missed = [one for use in storages for one in missed_by(use, hours, soc[use.name])]
    missed += [
        Missed("run", one.name, one.earliest, 1.0, 0.0, "run")
        for one in site.devices
        if isinstance(one, ShiftableLoad) and not np.any(is_used(powers[one.name], Direction.ANY))
    ]
    missed += _exceeded_limits(site, np.asarray(sum(powers.values(), np.zeros(hours.size))))
    missed += [one for exclusion in site.exclusions for one in _meetings(exclusion, powers)]
    devices = {name: DevicePlan(name, power, soc.get(name)) for name, power in powers.items()}
    notes = (remark, *(str(one) for one in missed))
    return SitePlan(devices, cost_of(site, hours, powers, soc), outcome, tuple(missed), notes, inf)


def is_used(power: FloatArray, direction: Direction) -> NDArray[np.bool_]:
    """Say in which slots a power (n,) [MW] is a use in a direction (n,)."""
    if direction is Direction.CONSUMING:
        return power > _TOLERANCE_MW
    if direction is Direction.PRODUCING:
        return power < -_TOLERANCE_MW
    return np.abs(power) > _TOLERANCE_MW


def _meetings(exclusion: Exclusion, powers: Mapping[str, FloatArray]) -> list[Missed]:
    """List the slots in which excluded devices meet all the same."""
    first, second = powers[exclusion.first], powers[exclusion.second]
    both = is_used(first, exclusion.first_use) & is_used(second, exclusion.second_use)
    name = f"not together with {exclusion.first}"
    return [
        Missed(name, exclusion.second, slot, 0.0, float(second[slot]), "MW")
        for slot in np.flatnonzero(both).tolist()
    ]


def _exceeded_limits(site: Site, net: FloatArray) -> list[Missed]:
    """List the slots in which a site's power (n,) [MW] exceeds the limits of its connection."""
    exceeded = []
    most_imported, most_exported = site.connection.per_slot(net.size)
    for name, most, used in (("import limit", most_imported, net), ("export limit", most_exported, -net)):
        for slot in np.flatnonzero(used > most + 1e-9).tolist():
            exceeded.append(Missed(name, site.name, slot, float(most[slot]), float(used[slot]), "MW"))
    return exceeded

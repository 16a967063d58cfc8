"""The plan without a solver: full power towards the first wish that cannot be kept, then idle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import numpy as np

from flexmeasures.domain.scheduling.costs import cost_of, do_nothing
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.linear import FloatArray, Status
from flexmeasures.domain.scheduling.missed import Missed
from flexmeasures.domain.scheduling.reach import follow_fallback, missed_by, simulate_soc
from flexmeasures.domain.scheduling.schedule import DevicePlan, Outcome, SitePlan
from flexmeasures.domain.scheduling.site import Direction, Exclusion, Site

__all__ = ["fall_back"]

_TOLERANCE_MW = 1e-9


def fall_back(site: Site, hours: FloatArray, ended: Status) -> SitePlan:
    """Follow the fallback policy and say why, and what it misses.

    Args:
        site: The site.
        hours: Duration of each slot (n,) [h].
        ended: How the solver ended.

    Invariants:
        Limits of the devices are kept. Of two excluded devices one waits if it is storage; else the slot is listed.
    """
    powers = dict(do_nothing(site, hours).power_mw)
    storages = [one for one in site.devices if isinstance(one, StorageUse)]
    powers |= {one.name: follow_fallback(one, hours) for one in storages}
    for exclusion in site.exclusions:
        _let_one_wait(exclusion, {one.name: one for one in storages}, powers, hours)
    soc = {one.name: simulate_soc(one, hours, powers[one.name]) for one in storages}
    missed = [one for use in storages for one in missed_by(use, hours, soc[use.name])]
    missed += _exceeded_limits(site, np.asarray(sum(powers.values(), np.zeros(hours.size))))
    missed += [one for exclusion in site.exclusions for one in _meetings(exclusion, powers)]
    if ended is Status.INFEASIBLE:
        reason = "Not all limits can be kept together; the fallback policy is followed."
    else:
        reason = f"The solver found no plan ({ended.value}); the fallback policy is followed."
    devices = {name: DevicePlan(name, power, soc.get(name)) for name, power in powers.items()}
    notes = (reason, *(str(one) for one in missed))
    return SitePlan(devices, cost_of(site, hours, powers, soc), Outcome.FALLBACK, tuple(missed), notes, inf)


def _is_used(power: FloatArray, direction: Direction) -> np.ndarray:
    if direction is Direction.CONSUMING:
        return power > _TOLERANCE_MW
    if direction is Direction.PRODUCING:
        return power < -_TOLERANCE_MW
    return np.abs(power) > _TOLERANCE_MW


def _let_one_wait(
    exclusion: Exclusion, storages: Mapping[str, StorageUse], powers: dict[str, FloatArray], hours: FloatArray
) -> None:
    """Let the second device stand still where the first is used; the first, if only that can wait."""
    waiting, other, use = exclusion.second, exclusion.first, exclusion.first_use
    if waiting not in storages:
        waiting, other, use = exclusion.first, exclusion.second, exclusion.second_use
    if waiting not in storages:
        return
    free = np.where(_is_used(powers[other], use), 0.0, 1.0)
    wish, device = storages[waiting], storages[waiting].device
    still = replace(
        device,
        max_consumption_mw=device.per_slot(device.max_consumption_mw, hours.size) * free,
        max_production_mw=device.per_slot(device.max_production_mw, hours.size) * free,
    )
    powers[waiting] = follow_fallback(replace(wish, device=still), hours)


def _meetings(exclusion: Exclusion, powers: Mapping[str, FloatArray]) -> list[Missed]:
    """List the slots in which excluded devices meet all the same."""
    first, second = powers[exclusion.first], powers[exclusion.second]
    both = _is_used(first, exclusion.first_use) & _is_used(second, exclusion.second_use)
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

"""The plan without a solver: full power towards the first wish that cannot be kept, then idle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from flexmeasures.domain.scheduling.costs import do_nothing
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.given import is_used, plan_of_powers
from flexmeasures.domain.scheduling.linear import FloatArray, Status
from flexmeasures.domain.scheduling.reach import follow_fallback
from flexmeasures.domain.scheduling.schedule import Outcome, SitePlan
from flexmeasures.domain.scheduling.site import Exclusion, Site

__all__ = ["fall_back"]


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
    if ended is Status.INFEASIBLE:
        reason = "Not all limits can be kept together; the fallback policy is followed."
    else:
        reason = f"The solver found no plan ({ended.value}); the fallback policy is followed."
    return plan_of_powers(site, hours, powers, Outcome.FALLBACK, reason)


def _let_one_wait(
    exclusion: Exclusion, storages: Mapping[str, StorageUse], powers: dict[str, FloatArray], hours: FloatArray
) -> None:
    """Let the second device stand still where the first is used; the first, if only that can wait."""
    waiting, other, use = exclusion.second, exclusion.first, exclusion.first_use
    if waiting not in storages:
        waiting, other, use = exclusion.first, exclusion.second, exclusion.second_use
    if waiting not in storages:
        return
    free = np.where(is_used(powers[other], use), 0.0, 1.0)
    wish, device = storages[waiting], storages[waiting].device
    still = replace(
        device,
        max_consumption_mw=device.per_slot(device.max_consumption_mw, hours.size) * free,
        max_production_mw=device.per_slot(device.max_production_mw, hours.size) * free,
    )
    powers[waiting] = follow_fallback(replace(wish, device=still), hours)

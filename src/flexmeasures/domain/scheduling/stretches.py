"""Plans of windows that are too long to be solved as one: stretch by stretch, each with a look at what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from flexmeasures.domain.scheduling.budget import Budget
from flexmeasures.domain.scheduling.cut import Past, Stretch, cut_site, needed_band
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.explain import Explanation
from flexmeasures.domain.scheduling.given import plan_of_powers
from flexmeasures.domain.scheduling.linear import FloatArray, Status
from flexmeasures.domain.scheduling.schedule import DevicePlan, Outcome, SitePlan
from flexmeasures.domain.scheduling.simple import best_of_cut_off
from flexmeasures.domain.scheduling.site import Site
from flexmeasures.domain.scheduling.sitemodel import Objective

__all__ = ["PlanStretch", "join", "plan_in_stretches"]

PlanStretch = Callable[[Site, FloatArray, Budget], SitePlan | None]
"""Plans a site whose slots last some hours (n,) within a budget; None if the time was too short."""

_LOOK_H = 48.0
"""Length of the window that each stretch looks ahead [h]."""
_KEPT = 0.75
"""Share of it that is kept; the rest is planned anew from there."""
_FEWEST_SLOTS = 96
_REMARK = (
    "The window is too long for one plan: it was planned in stretches, each with a look at what follows."
)


def plan_in_stretches(
    site: Site, hours: FloatArray, budget: Budget, objective: Objective, plan: PlanStretch
) -> tuple[SitePlan, ...]:
    """Plan a long window in stretches of two days, of each of which the first 36 h are kept.

    States of charge at the end of each are such that what is wanted later stays within reach; peaks count from the
    highest before. A load that may run at any time of the window runs in the first stretch that it fits into.

    Args:
        site: The site.
        hours: Duration of each slot (n,) [h].
        budget: The time for all of them. When it is over, the rest follows the best of the simple rules.
        objective: What the plan makes as small as possible.
        objective: What the plan makes as small as possible.
        plan: Plans one.

    Returns:
        What was kept of each plan, in order of time; see `join`.
    """
    slots = hours.size
    look = min(slots, max(_FEWEST_SLOTS, round(_LOOK_H / float(np.median(hours)))))
    step = max(1, round(look * _KEPT))
    bands = {one.name: needed_band(one, hours) for one in site.devices if isinstance(one, StorageUse)}
    powers = {one.name: np.zeros(slots) for one in site.devices}
    past = Past()
    pieces: list[SitePlan] = []
    first = 0
    while first < slots:
        stretch = Stretch(first, min(first + look, slots), slots)
        left = 1 + max(0, -(-(slots - first - look) // step))
        found = None
        if not budget.is_over:
            part = cut_site(site, stretch, past, bands)
            found = plan(part, hours[first : stretch.until], budget.with_search(1.0 / left))
        if found is None:
            stretch = Stretch(first, slots, slots)
            rest = cut_site(site, stretch, past, bands)
            found = best_of_cut_off(rest, hours[first:], Status.LIMIT, objective)
        kept = stretch.until - first if stretch.is_last else step
        piece = _first_slots(found, kept)
        pieces.append(piece)
        for name, one in piece.devices.items():
            powers[name][first : first + kept] = one.power_mw
            past.power_mw[name] = powers[name][: first + kept]
            if one.soc_mwh is not None:
                past.soc_mwh[name] = float(one.soc_mwh[-1])
        first += kept
    return tuple(pieces)


def join(site: Site, hours: FloatArray, pieces: Sequence[SitePlan]) -> SitePlan:
    """Put the plans of stretches together into that of the whole window; its gap is not known."""
    powers, soc = {}, {}
    for name, first in pieces[0].devices.items():
        parts = [piece.devices[name] for piece in pieces]
        powers[name] = np.concatenate([one.power_mw for one in parts])
        if first.soc_mwh is not None:
            known = [one.soc_mwh[1:] for one in parts if one.soc_mwh is not None]
            soc[name] = np.concatenate([first.soc_mwh[:1], *known])
    whole = plan_of_powers(site, hours, powers, Outcome.BEST_FOUND, _REMARK, soc)
    return replace(whole, explanation=_join_reasons([one.explanation for one in pieces]))


def _first_slots(plan: SitePlan, kept: int) -> SitePlan:
    """Cut a plan after some slots; its cost and notes stay those of all of it."""
    devices = {
        name: DevicePlan(name, one.power_mw[:kept], None if one.soc_mwh is None else one.soc_mwh[: kept + 1])
        for name, one in plan.devices.items()
    }
    why = plan.explanation
    if why is not None:
        stored = {name: value[:kept] for name, value in why.stored_value.items()}
        binding = {name: slots[:kept] for name, slots in why.binding.items()}
        why = Explanation(why.marginal_price[:kept], stored, binding)
    return replace(plan, devices=devices, explanation=why)


def _join_reasons(reasons: Sequence[Explanation | None]) -> Explanation | None:
    known = [one for one in reasons if one is not None]
    if len(known) < len(reasons):
        return None
    stored = {
        name: np.concatenate([one.stored_value[name] for one in known]) for name in known[0].stored_value
    }
    names = dict.fromkeys(name for one in known for name in one.binding)
    binding = {
        name: tuple(slot for one in known for slot in one.binding.get(name, ((),) * one.marginal_price.size))
        for name in names
    }
    return Explanation(np.concatenate([one.marginal_price for one in known]), stored, binding)

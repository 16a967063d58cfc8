"""Why a plan is as it is: which rule bound in each slot, and what a unit of energy is worth there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flexmeasures.domain.scheduling.costs import Baseline
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.sitemodel import SiteModel
from flexmeasures.domain.scheduling.solving import Answer, bound_limits
from flexmeasures.domain.scheduling.storage import StoragePart

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """The reasons of a plan.

    Args:
        marginal_price: What one more unit of consumption would cost in each slot (n,) [currency/MWh].
        stored_value: Storage device → what a unit of energy in it is worth at the end of each slot (n,)
            [currency/MWh].
        binding: Device or connection → for each slot the names of the limits without which the plan would be better.
            A limit of state of charge at a boundary is named with the slot that ends there.
        baselines: Simple plans beside it.
    """

    marginal_price: FloatArray
    stored_value: Mapping[str, FloatArray]
    binding: Mapping[str, tuple[tuple[str, ...], ...]]
    baselines: tuple[Baseline, ...] = field(default=())

    def as_data(self) -> dict[str, Any]:
        """Give it as plain lists and numbers, ready for JSON."""
        return {
            "marginal_price": self.marginal_price.tolist(),
            "stored_value": {name: value.tolist() for name, value in self.stored_value.items()},
            "binding": {name: [list(names) for names in slots] for name, slots in self.binding.items()},
            "baselines": {
                one.name: {
                    "cost": one.cost.total,
                    "co2_kg": one.cost.co2_kg,
                    "keeps_wishes": one.keeps_wishes,
                }
                for one in self.baselines
            },
        }


def explain(answer: Answer, stated: SiteModel, baselines: tuple[Baseline, ...]) -> Explanation:
    """Read the reasons of a plan from the duals of its model; nan where a solver gave none."""
    hours, weight = stated.statement.hours, stated.statement.weight
    duals = answer.solution.row_duals
    unknown = np.full(hours.size, np.nan)
    if stated.balance is None:
        marginal = stated.prices[0].copy()
    else:
        # the balance says: devices − import + export = −fixed, so a higher right-hand side frees a unit
        marginal = -duals[stated.balance.rows] / (hours * weight) if duals.size else unknown
    stored = {
        name: -duals[part.balance] / weight if duals.size else unknown
        for name, part in stated.parts.items()
        if isinstance(part, StoragePart)
    }
    return Explanation(marginal, stored, _binding(answer, stated), baselines)


def _binding(answer: Answer, stated: SiteModel) -> dict[str, tuple[tuple[str, ...], ...]]:
    slots = stated.statement.hours.size
    names: dict[str, list[tuple[str, ...]]] = {}
    for limit, edge, places in bound_limits(answer.solution, stated):
        by_slot = names.setdefault(limit.device, [()] * slots)
        when = limit.when(places) - (1 if limit.unit == "MWh" else 0)
        for slot in np.unique(np.minimum(when, slots - 1)).tolist():
            if edge not in by_slot[slot]:
                by_slot[slot] = (*by_slot[slot], edge)
    return {device: tuple(by_slot) for device, by_slot in names.items()}

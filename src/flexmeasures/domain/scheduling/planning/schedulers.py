"""The interface of schedulers that plugins bring, and the name of the built-in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadValues
from flexmeasures.domain.scheduling import PlanOptions, Site, SitePlan, plan_site
from flexmeasures.domain.scheduling.linear import FloatArray

__all__ = ["BUILT_IN", "Scheduler", "SchedulingTask"]


@dataclass(frozen=True)
class SchedulingTask:
    """The task of a scheduler: one asset in a window of n slots. Power is consumption-positive [MW].

    Attributes:
        asset: Name of the asset.
        asset_type: Name of its type.
        capacity_mw: Its largest power [MW].
        start: Start of the first slot.
        resolution: Length of a slot.
        prices: Price of consumption in each slot (n,) [currency/MWh].
        soc_mwh: State of charge at the start [MWh]; None: unknown.
        site: The asset as the built-in scheduler sees it: devices, tariff and what was agreed. An asset of the kind
            ``custom`` has no devices.
        parameters: As they stand in the asset's flex model.
        options: How the built-in scheduler would plan.
    """

    asset: str
    asset_type: str
    capacity_mw: float
    start: datetime
    resolution: timedelta
    prices: FloatArray
    soc_mwh: float | None
    site: Site
    parameters: Mapping[str, Any]
    options: PlanOptions

    def plan(self) -> SitePlan:
        """Ask the built-in scheduler."""
        return plan_site(
            self.site, resolution_hours=self.resolution / timedelta(hours=1), options=self.options
        )


@dataclass(frozen=True)
class Scheduler:
    """A scheduler and where its schedules come from.

    Attributes:
        name: Its name, which becomes the model of the data source.
        version: Its version, likewise.
        plan: Returns the power of each slot (n,) [MW, consumption positive].
        asset_types: Types whose assets it schedules without being named in their flex models.
    """

    name: str
    version: str
    plan: Callable[[SchedulingTask], ArrayLike]
    asset_types: tuple[str, ...] = ()

    def power_of(self, task: SchedulingTask) -> FloatArray:
        """Let it plan.

        Raises:
            BadValues: If it does not return one finite number a slot.
        """
        power = np.asarray(self.plan(task), dtype=float)
        if power.shape != task.prices.shape or not np.all(np.isfinite(power)):
            raise BadValues(
                f"The scheduler {self.name} returned {power.size} values for {task.asset}: it must return "
                f"{task.prices.size} finite numbers [MW], one for each slot."
            )
        return power


BUILT_IN = ("storage", "1")
"""Model and version of the built-in scheduler, as its data source has them."""

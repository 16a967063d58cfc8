"""Schedulers that plugins add beside the built-in one."""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import ArrayLike

from flexmeasures.domain.errors import BadFlexModel, Conflict
from flexmeasures.domain.scheduling.planning.assets import Plan, plan_asset
from flexmeasures.domain.scheduling.planning.inputs import PlanInput
from flexmeasures.domain.scheduling.planning.schedulers import Scheduler, SchedulingTask

__all__ = ["Scheduler", "SchedulingTask", "find_scheduler", "plan_with_scheduler", "scheduler"]

_REGISTERED: dict[str, Scheduler] = {}


def scheduler(
    name: str, *, version: str, asset_types: tuple[str, ...] = ()
) -> Callable[[Callable[[SchedulingTask], ArrayLike]], Callable[[SchedulingTask], ArrayLike]]:
    """Register a function as a scheduler; for plugins.

    Args:
        name: Its name, for the field ``scheduler`` of flex models.
        version: Its version; change it when its schedules change.
        asset_types: Types whose assets it schedules without being named.

    Raises:
        Conflict: If another plugin has a scheduler of that name, or one for such a type.
    """

    def register(
        plan: Callable[[SchedulingTask], ArrayLike],
    ) -> Callable[[SchedulingTask], ArrayLike]:
        for other in _REGISTERED.values():
            # A plugin that is loaded once more replaces what it has registered before.
            if other.plan.__module__ == plan.__module__:
                continue
            if other.name == name or set(other.asset_types) & set(asset_types):
                raise Conflict(
                    f"The scheduler {name} of {plan.__module__} gets in the way of {other.name} of "
                    f"{other.plan.__module__}: give it another name or other asset types."
                )
        _REGISTERED[name] = Scheduler(name, version, plan, asset_types)
        return plan

    return register


def find_scheduler(name: str | None, asset_type: str) -> Scheduler | None:
    """Find the scheduler of a plugin that a flex model names, or that there is for a type; None: the built-in one.

    Raises:
        BadFlexModel: If there is none of that name.
    """
    if name is None:
        return next((one for one in _REGISTERED.values() if asset_type in one.asset_types), None)
    if name not in _REGISTERED:
        known = ", ".join(sorted(_REGISTERED)) or "none"
        raise BadFlexModel(
            f"There is no scheduler {name!r}; plugins have registered: {known}. See FLEXMEASURES_PLUGIN_PATHS."
        )
    return _REGISTERED[name]


def plan_with_scheduler(known: PlanInput) -> Plan:
    """Schedule an asset with the scheduler that it has.

    Raises:
        BadFlexModel: If it names a scheduler that is not there, or contradicts itself.
        BadValues: If a scheduler of a plugin returns no power for each slot.
    """
    return plan_asset(known, find_scheduler(known.model.scheduler, known.asset_type))

"""Schedules of flexible devices: devices and limits as values, a small labelled linear model, a solver, a
schedule.

Pure numbers: no clock, no database, no settings. Slots are counted, power is consumption-positive [MW].
"""

from flexmeasures.domain.scheduling.asset_types import (
    ASSET_TYPES,
    battery,
    charging_station,
    storage_of_asset_type,
)
from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.linear import SolverOptions
from flexmeasures.domain.scheduling.plan import PlanOptions, plan_storage
from flexmeasures.domain.scheduling.schedule import Missed, Outcome, Schedule

__all__ = [
    "ASSET_TYPES",
    "Missed",
    "Outcome",
    "PlanOptions",
    "Schedule",
    "SolverOptions",
    "StorageDevice",
    "StorageUse",
    "battery",
    "charging_station",
    "plan_storage",
    "storage_of_asset_type",
]

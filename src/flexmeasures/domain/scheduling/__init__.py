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
from flexmeasures.domain.scheduling.command import CommandSolver, solver_named
from flexmeasures.domain.scheduling.costs import Baseline, Cost, charge_at_once, cost_of, do_nothing
from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.explain import Explanation
from flexmeasures.domain.scheduling.highs import HighsSolver
from flexmeasures.domain.scheduling.linear import SolverOptions
from flexmeasures.domain.scheduling.missed import Missed
from flexmeasures.domain.scheduling.needs import ChargingSession, HeatBuffer, heat_buffer, session
from flexmeasures.domain.scheduling.plan import PlanOptions, plan_futures, plan_site, plan_storage
from flexmeasures.domain.scheduling.schedule import DevicePlan, Outcome, Schedule, SitePlan
from flexmeasures.domain.scheduling.site import (
    Commitment,
    Connection,
    Curtailable,
    Direction,
    Exclusion,
    PeakPrice,
    Profile,
    ShiftableLoad,
    Site,
    Tariff,
    stay_with,
)
from flexmeasures.domain.scheduling.sitemodel import Objective

__all__ = [
    "ASSET_TYPES",
    "Baseline",
    "ChargingSession",
    "CommandSolver",
    "Commitment",
    "Connection",
    "Cost",
    "Curtailable",
    "DevicePlan",
    "Direction",
    "Exclusion",
    "Explanation",
    "HeatBuffer",
    "HighsSolver",
    "Missed",
    "Objective",
    "Outcome",
    "PeakPrice",
    "PlanOptions",
    "Profile",
    "Schedule",
    "ShiftableLoad",
    "Site",
    "SitePlan",
    "SolverOptions",
    "StorageDevice",
    "StorageUse",
    "Tariff",
    "battery",
    "charge_at_once",
    "charging_station",
    "cost_of",
    "do_nothing",
    "heat_buffer",
    "plan_futures",
    "plan_site",
    "plan_storage",
    "session",
    "solver_named",
    "stay_with",
    "storage_of_asset_type",
]

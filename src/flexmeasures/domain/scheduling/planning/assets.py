"""The schedule of one asset, its value beside a baseline, and its reasons; computed without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from flexmeasures.domain.flexibility.activation import ActivationValue, EnergyLeft, effect_of, value_of
from flexmeasures.domain.scheduling import (
    Baseline,
    Commitment,
    Cost,
    Curtailable,
    Explanation,
    Missed,
    Outcome,
    Profile,
    Site,
    SitePlan,
    StorageUse,
    charge_at_once,
    cost_of,
    do_nothing,
    plan_site,
)
from flexmeasures.domain.scheduling.asset_site import soc_of_asset
from flexmeasures.domain.scheduling.planning.inputs import PlanInput
from flexmeasures.domain.scheduling.planning.schedulers import BUILT_IN, Scheduler, SchedulingTask
from flexmeasures.domain.scheduling.reach import missed_by, simulate_soc
from flexmeasures.domain.time import format_in_zone

__all__ = ["CUSTOM", "Plan", "are_alike", "left_by_powers", "plan_asset", "reasons_as_data"]

Values = np.ndarray[Any, np.dtype[np.float64]]

CUSTOM = "custom"
"""Outcome of schedules that a scheduler of a plugin made."""

_TOLERANCE_MW = 1e-9
_DEVIATION_MW = 1e-6
"""Solvers keep wishes only so closely."""


@dataclass(frozen=True)
class Plan:
    """A schedule with its place in time, its value and its reasons.

    Attributes:
        asset_id: Whose schedule it is.
        model: Name and version of the scheduler.
        start: Start of the first slot.
        resolution: Length of a slot.
        power_mw: Average power in each slot (n,) [MW, consumption positive].
        soc_mwh: State of charge at each boundary (n+1,) [MWh]; None if nothing is stored.
        targets: Instant → state of charge that was wanted [MWh].
        outcome: How it came about.
        gap: Proven relative distance from the lowest cost; inf if nothing is proven.
        missed: What could not be kept.
        notes: What the owner should know: limits that could not be kept, prices that were not known.
        currency: Of all costs.
        baseline: What the schedule is compared with: the asset's forecast, doing nothing or charging at once.
        value: What it costs, saves, shifts and curtails beside the baseline.
        has_co2: Whether emissions are known.
        explanation: Marginal prices and values, what bound in each slot, and the costs of simple plans.
        zone: Time zone of the asset.
        asked: Device and boundary → the instant for which something was asked there.
    """

    asset_id: int
    model: tuple[str, str]
    start: datetime
    resolution: timedelta
    power_mw: Values
    soc_mwh: Values | None
    targets: Mapping[datetime, float]
    outcome: str
    gap: float
    missed: tuple[Missed, ...]
    notes: tuple[str, ...]
    currency: str
    baseline: str
    value: ActivationValue
    has_co2: bool
    explanation: Mapping[str, Any]
    zone: str = "UTC"
    asked: Mapping[tuple[str, int], datetime] = field(default_factory=dict)

    def word_time(self, device: str, place: int) -> str:
        """Write when a slot of a device starts, or what boundary it is: as it was asked for, in the asset's zone."""
        return format_in_zone(
            self.asked.get((device, place), self.start + place * self.resolution), self.zone
        )

    @property
    def missed_sentences(self) -> list[str]:
        """List what could not be kept, a sentence each."""
        return [
            one.sentence(self.word_time(one.device, one.index), partial(self.word_time, one.device))
            for one in self.missed
        ]

    @property
    def missed_as_data(self) -> list[dict[str, Any]]:
        """List what could not be kept, with its time, ready for JSON."""
        return [
            {
                "limit": one.limit,
                "device": one.device,
                "at": self.word_time(one.device, one.index),
                "wanted": one.wanted,
                "reached": one.reached,
                "unit": one.unit,
                "clashes": one.clashes_at(partial(self.word_time, one.device)),
            }
            for one in self.missed
        ]


def plan_asset(known: PlanInput, custom: Scheduler | None = None) -> Plan:
    """Schedule an asset.

    Args:
        known: What is known of it.
        custom: The scheduler of a plugin; None: the built-in one.

    Raises:
        BadFlexModel: If it contradicts itself.
        BadValues: If a scheduler of a plugin returns no power for each slot.
    """
    return _plan_built_in(known) if custom is None else _plan_custom(known, custom)


def _plan_built_in(known: PlanInput) -> Plan:
    site, at = known.site.site, known.situation
    if site.devices:
        plan = plan_site(site, resolution_hours=at.hours, options=known.options)
    else:  # a load that has run already
        plan = SitePlan({}, cost_of(site, _hours(known), {}, {}), Outcome.OPTIMAL)
    explanation = plan.explanation
    simple = _simple_plans(site, _hours(known)) if explanation is None else explanation.baselines
    # Limits are reported by time instead of by the number of a slot.
    power = plan.net_mw if site.devices else np.zeros(at.slots)
    other = sorted(set(plan.notes) - {str(missed) for missed in plan.missed})
    return _evaluated(
        known,
        BUILT_IN,
        (power, soc_of_asset(known.site, plan), _left_by_plan(plan)),
        (plan.outcome.value, plan.gap, plan.cost),
        (plan.missed, tuple(other)),
        simple,
        reasons_as_data(explanation, simple),
    )


def _left_by_plan(plan: SitePlan) -> float | None:
    """Energy left in all stores at the end of a plan [MWh]; None if nothing is stored."""
    ends = [one.soc_mwh[-1] for one in plan.devices.values() if one.soc_mwh is not None]
    return float(sum(ends)) if ends else None


def _plan_custom(known: PlanInput, scheduler: Scheduler) -> Plan:
    at, site = known.situation, known.site.site
    task = SchedulingTask(
        at.name,
        known.asset_type,
        at.capacity_mw,
        at.start,
        at.resolution,
        site.tariff.prices[0],
        at.soc_mwh,
        site,
        known.model.parameters,
        known.options,
    )
    power = scheduler.power_of(task)
    cost, soc, missed = _judge(site, _hours(known), power, at.capacity_mw)
    simple = _simple_plans(site, _hours(known))
    return _evaluated(
        known,
        (scheduler.name, scheduler.version),
        (power, soc, None if soc is None else float(soc[-1])),
        (CUSTOM, float("inf"), cost),
        (missed, ()),
        simple,
        reasons_as_data(None, simple),
    )


def _hours(known: PlanInput) -> Values:
    return np.full(known.situation.slots, known.situation.hours)


def _simple_plans(site: Site, hours: Values) -> tuple[Baseline, ...]:
    return do_nothing(site, hours), charge_at_once(site, hours)


def _judge(
    site: Site, hours: Values, power: Values, capacity_mw: float
) -> tuple[Cost, Values | None, tuple[Missed, ...]]:
    """Cost and states of charge of a given power, and what it does not keep."""
    device = site.devices[0] if len(site.devices) == 1 else None
    if not isinstance(device, StorageUse):
        stand_in = replace(
            site, devices=(Profile(site.name, power),), commitments=_of_whole_site(site), exclusions=()
        )
        cost = cost_of(stand_in, hours, {site.name: power}, {})
        return cost, None, _beyond(site.name, power, np.full(power.size, capacity_mw), -capacity_mw)
    soc = simulate_soc(device, hours, power)
    high = device.device.per_slot(device.device.max_consumption_mw, power.size)
    low = -device.device.per_slot(device.device.max_production_mw, power.size)
    missed = (*_beyond(device.name, power, high, low), *missed_by(device, hours, soc))
    return cost_of(site, hours, {device.name: power}, {device.name: soc}), soc, missed


def _of_whole_site(site: Site) -> tuple[Any, ...]:
    return tuple(one for one in site.commitments if one.device is None)


def _beyond(name: str, power: Values, high: Values, low: Any) -> tuple[Missed, ...]:
    """List the slots in which power lies outside its limits."""
    lowest = np.broadcast_to(np.asarray(low, dtype=float), power.shape)
    outside = np.flatnonzero((power > high + _TOLERANCE_MW) | (power < lowest - _TOLERANCE_MW))
    return tuple(
        Missed(
            "maximum consumption" if power[slot] > 0 else "maximum production",
            name,
            slot,
            float(high[slot] if power[slot] > 0 else lowest[slot]),
            float(power[slot]),
            "MW",
        )
        for slot in outside.tolist()
    )


def _deviations(agreed: Commitment, name: str, power: Values) -> list[Missed]:
    """List the slots in which power is not as agreed."""
    wanted = agreed.per_slot(power.size)
    slots = np.flatnonzero(np.abs(np.nan_to_num(wanted - power)) > _DEVIATION_MW)
    return [
        Missed(agreed.name, name, slot, float(wanted[slot]), float(power[slot]), "MW")
        for slot in slots.tolist()
    ]


def _evaluated(
    known: PlanInput,
    model: tuple[str, str],
    profile: tuple[Values, Values | None, float | None],
    ending: tuple[str, float, Cost],
    remarks: tuple[tuple[Missed, ...], tuple[str, ...]],
    simple: tuple[Baseline, ...],
    reasons: Mapping[str, Any],
) -> Plan:
    """Put a schedule beside its baseline."""
    at = known.situation
    power, soc, left_mwh = profile
    outcome, gap, cost = ending
    missed, other = remarks
    missed += tuple(one for agreed in known.agreements for one in _deviations(agreed, at.name, power))
    baseline, expected, baseline_cost, expected_mwh = _baseline(known, simple)
    left = _energy_left(known, left_mwh, expected_mwh)
    kinds = {type(device) for device in known.site.site.devices}
    plan = Plan(
        known.asset_id,
        model,
        at.start,
        at.resolution,
        power,
        soc,
        at.targets,
        outcome,
        gap,
        missed,
        (*known.notes, *other),
        known.currency,
        baseline,
        value_of(
            effect_of(power, expected, at.hours, can_curtail=not kinds or Curtailable in kinds),
            (cost.total, baseline_cost.total),
            (cost.co2_kg, baseline_cost.co2_kg),
            left,
        ),
        at.tariff.co2_kg_per_mwh is not None,
        reasons,
        at.zone,
        known.site.asked,
    )
    if left is not None:
        counted = {"energy_left": {**asdict(left), "worth": left.worth}}
        plan = replace(plan, explanation={**plan.explanation, **counted})
    return replace(plan, notes=(*plan.notes, *plan.missed_sentences))


def _baseline(known: PlanInput, simple: tuple[Baseline, ...]) -> tuple[str, Values, Cost, float | None]:
    """Choose what a schedule is compared with: its name, power, cost and the energy that it leaves [MWh].

    The forecast is what would have happened. Without one it is doing nothing, unless wishes are missed by that: a car
    that is not charged costs nothing, and yet nobody would do it.
    """
    at, site = known.situation, known.site.site
    forecast = at.forecast_mw
    if forecast is not None and np.all(np.isfinite(forecast)):
        cost, soc, _ = _judge(site, _hours(known), forecast, at.capacity_mw)
        return "forecast", forecast, cost, None if soc is None else float(soc[-1])
    chosen = simple[0] if simple[0].keeps_wishes or are_alike(simple) else simple[-1]
    power = np.asarray(sum(chosen.power_mw.values(), np.zeros(at.slots)))
    return chosen.name, power, chosen.cost, left_by_powers(site, _hours(known), chosen.power_mw)


def are_alike(simple: tuple[Baseline, ...]) -> bool:
    """Tell whether all simple plans do the same: a battery of which nothing is wanted is not charged at once."""
    first, *others = simple
    return all(
        np.allclose(one.power_mw[name], first.power_mw[name]) for one in others for name in first.power_mw
    )


def left_by_powers(site: Site, hours: Values, powers: Mapping[str, Values]) -> float | None:
    """Energy left in all stores at the end of given powers [MWh]; None if nothing is stored."""
    ends = [
        simulate_soc(one, hours, powers[one.name])[-1] for one in site.devices if isinstance(one, StorageUse)
    ]
    return float(sum(ends)) if ends else None


def _energy_left(known: PlanInput, left_mwh: float | None, baseline_mwh: float | None) -> EnergyLeft | None:
    """Count what is left in stores: as the flex model says, else by what the same energy costs on average."""
    use = next((one for one in known.site.site.devices if isinstance(one, StorageUse)), None)
    if use is None or left_mwh is None or baseline_mwh is None:
        return None
    if use.value_of_energy_left:
        return EnergyLeft(left_mwh, baseline_mwh, use.value_of_energy_left, in_costs=True)
    device, slots = use.device, known.situation.slots
    stored = float(
        (device.per_slot(device.charge_efficiency, slots) * device.per_slot(device.gain, slots)).mean()
    )
    price = float(known.situation.tariff.prices[0].mean()) / stored
    return EnergyLeft(left_mwh, baseline_mwh, max(0.0, price))


def reasons_as_data(explanation: Explanation | None, simple: tuple[Baseline, ...]) -> dict[str, Any]:
    """Write reasons as plain lists and numbers, with null for what is not known, ready for JSON."""
    reasons: dict[str, Any] = {
        "baselines": {
            one.name: {"cost": one.cost.total, "co2_kg": one.cost.co2_kg, "keeps_wishes": one.keeps_wishes}
            for one in (simple[:1] if are_alike(simple) else simple)
        }
    }
    if explanation is not None:
        reasons["marginal_price"] = _numbers(explanation.marginal_price)
        reasons["stored_value"] = {name: _numbers(value) for name, value in explanation.stored_value.items()}
        reasons["binding"] = {name: list(map(list, slots)) for name, slots in explanation.binding.items()}
    return reasons


def _numbers(values: Values) -> list[float | None]:
    """Round to what is exact; nan becomes None."""
    rounded: list[float | None] = np.round(values, 9).tolist()
    if np.all(np.isfinite(values)):
        return rounded
    return [number if known else None for number, known in zip(rounded, np.isfinite(values), strict=True)]

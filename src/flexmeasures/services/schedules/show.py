"""Recorded schedules, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from sqlalchemy.orm import Session

from flexmeasures.data.stores.plans import find_device_plan
from flexmeasures.data.tables import Asset, PlanDevice
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.time import format_duration, format_instant, word_instants

__all__ = ["ShownPlan", "ShownSchedule", "find_shown_schedule"]


@dataclass(frozen=True)
class ShownPlan:
    """Costs of a plan: the schedule itself, its baseline or a simple plan.

    Attributes:
        name: What it does.
        cost: What it costs [currency].
        co2_kg: What it emits [kg]; None: unknown.
        keeps_wishes: Whether it keeps all wishes; None: unknown.
    """

    name: str
    cost: float
    co2_kg: float | None
    keeps_wishes: bool | None


@dataclass(frozen=True)
class ShownSchedule:
    """A schedule with its value and its reasons; see `PlanRecord` and `PlanDevice` for the fields.

    Attributes:
        asset: Name of the asset.
        zone: Its time zone.
        model: Name and version of the scheduler.
        gap: Proven relative distance from the lowest cost; None: nothing is proven.
        plans: The schedule and the plans beside it, with their costs.
        left: What is left in stores at the end, by the schedule and its baseline, and what that is worth: the fields of
            `EnergyLeft`; None: nothing is stored.
        effect: Energy shifted, curtailed and added [MWh], and shifted times duration [MWh·h].
        reasons: Marginal prices and values, and what bound in each slot.
    """

    asset_id: int
    asset: str
    zone: str
    model: str
    udi_event_id: int | None
    recorded_at: datetime
    start: datetime
    resolution: timedelta
    power_mw: Sequence[float]
    soc_mwh: Sequence[float | None] | None
    outcome: str
    gap: float | None
    currency: str
    baseline: str
    plans: tuple[ShownPlan, ...]
    saving: float
    left: Mapping[str, Any] | None
    co2_saving_kg: float | None
    effect: Mapping[str, float]
    missed: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    reasons: Mapping[str, Any]

    def marginal_price_at(self, slot: int) -> float | None:
        """Return the cost of one more unit of consumption in a slot [currency/MWh]; None: unknown."""
        prices = self.reasons.get("marginal_price") or [None] * len(self.power_mw)
        price: float | None = prices[slot]
        return price

    def stored_value_at(self, slot: int) -> float | None:
        """Return the value of a unit of energy in the store at the end of a slot [currency/MWh]; None: unknown."""
        values = list(self.reasons.get("stored_value", {}).values())
        value: float | None = values[0][slot] if len(values) == 1 else None
        return value

    def binding_at(self, slot: int) -> list[str]:
        """Names of the limits that bound in a slot, with their device where there are several."""
        binding = self.reasons.get("binding", {})
        prefix = len(binding) > 1
        return [
            f"{name} of {device}" if prefix else name
            for device, slots in binding.items()
            for name in slots[slot]
        ]

    @property
    def notes_for_people(self) -> list[str]:
        """The notes with local times, rounded to slots."""
        return [word_instants(note, self.zone, self.start, self.resolution) for note in self.notes]

    def as_data(self) -> dict[str, Any]:
        """Give it as plain lists and numbers, ready for JSON."""
        return {
            **asdict(self),
            "recorded_at": format_instant(self.recorded_at),
            "start": format_instant(self.start),
            "resolution": format_duration(self.resolution),
        }


def find_shown_schedule(session: Session, asset_id: int, at: datetime | None = None) -> ShownSchedule:
    """Find the newest schedule of an asset; of those that cover an instant, if one is given.

    Raises:
        NotFound: If there is no such asset, or no such schedule.
    """
    asset = session.get(Asset, asset_id) if is_id(asset_id) else None
    if asset is None:
        raise NotFound(f"There is no asset with id {asset_id}.")
    device = None if asset.sensor is None else find_device_plan(session, asset.sensor.id, at)
    if device is None:
        when = "" if at is None else f" that covers {format_instant(at)}"
        raise NotFound(
            f"There is no schedule of {asset.name}{when}. Make one: flexmeasures add schedules --asset {asset_id}"
        )
    return _as_shown(asset, device)


def _as_shown(asset: Asset, device: PlanDevice) -> ShownSchedule:
    record = device.plan
    has_co2 = record.co2_kg is not None
    apart = ("baselines", "energy_left")
    reasons = {name: part for name, part in record.explanation.items() if name not in apart}
    left = record.explanation.get("energy_left")
    baselines = record.explanation.get("baselines", {})
    plans = [ShownPlan("this schedule", record.cost, record.co2_kg, not (device.missed or record.missed))]
    if record.baseline not in baselines:
        plans.append(ShownPlan(record.baseline, record.baseline_cost, record.baseline_co2_kg, None))
    plans += [
        ShownPlan(name, one["cost"], one["co2_kg"] if has_co2 else None, one["keeps_wishes"])
        for name, one in baselines.items()
    ]
    co2_saving = None
    if record.co2_kg is not None and record.baseline_co2_kg is not None:
        co2_saving = record.baseline_co2_kg - record.co2_kg
    return ShownSchedule(
        asset_id=asset.id,
        asset=asset.display_name,
        zone=asset.sensor.timezone,
        model=f"{record.source.model} {record.source.version}",
        udi_event_id=device.udi_event_id,
        recorded_at=record.recorded_at,
        start=record.start,
        resolution=record.resolution,
        power_mw=device.power_mw,
        soc_mwh=None if device.soc_mwh is None else [s if isfinite(s) else None for s in device.soc_mwh],
        outcome=record.outcome,
        gap=record.gap if isfinite(record.gap) else None,
        currency=record.currency,
        baseline=record.baseline,
        plans=tuple(plans),
        saving=record.baseline_cost - record.cost + (0.0 if left is None else left["worth"]),
        left=left,
        co2_saving_kg=co2_saving,
        effect={
            name: getattr(record, name)
            for name in ("shifted_mwh", "shifted_mwh_h", "curtailed_mwh", "added_mwh")
        },
        missed=device.missed + record.missed,
        notes=record.notes,
        reasons=reasons,
    )

"""What assets do now and next by their schedules, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from flexmeasures.data.stores.plans import latest_device_plans, worth_of_energy_left
from flexmeasures.data.tables import Asset
from flexmeasures.domain.scheduling.actions import PlannedAction, list_actions
from flexmeasures.domain.scheduling.asset_types import ASSET_TYPES

__all__ = ["NextAction", "is_store", "read_next_actions"]


@dataclass(frozen=True)
class NextAction:
    """What an asset does at a moment, and what comes then.

    Attributes:
        asset: Which.
        action: What it does.
        following: What it does next; None: its schedule ends with this.
        saving: What the schedule saves beside its baseline [currency].
    """

    asset: Asset
    action: PlannedAction
    following: PlannedAction | None
    saving: float
    currency: str


def read_next_actions(session: Session, assets: Sequence[Asset], now: datetime) -> dict[int, NextAction]:
    """Find what assets do now by their newest plans, by id; those without one that is valid are left out."""
    plans = latest_device_plans(session, [asset.sensor.id for asset in assets]) if assets else {}
    worth = worth_of_energy_left(session, [device.plan_id for device in plans.values()])
    found = {}
    for asset in assets:
        device = plans.get(asset.sensor.id)
        if device is None:
            continue
        record = device.plan
        actions = list_actions(
            device.power_mw, record.start, record.resolution, is_store(asset, device.soc_mwh)
        )
        current = next((n for n, one in enumerate(actions) if one.start <= now < one.end), None)
        if current is None and actions and now < actions[0].start:
            current = 0
        if current is not None:
            following = actions[current + 1] if current + 1 < len(actions) else None
            saving = record.baseline_cost - record.cost + worth.get(record.id, 0.0)
            found[asset.id] = NextAction(asset, actions[current], following, saving, record.currency)
    return found


def is_store(asset: Asset, soc_mwh: Sequence[float | None] | None) -> bool:
    """Tell whether a plan is that of a store, which charges and discharges."""
    return soc_mwh is not None or asset.asset_type_name in ASSET_TYPES

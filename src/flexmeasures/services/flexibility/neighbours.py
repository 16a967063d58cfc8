"""Neighbours of assets in the plans of their sites, read for the broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.plans import latest_plans
from flexmeasures.data.stores.sites import site_ids
from flexmeasures.data.tables import Asset, PlanRecord
from flexmeasures.domain.flexibility import Room, room_beside

__all__ = ["Neighbours", "read_neighbours"]

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Neighbours:
    """The newest plan of the site of an asset.

    Attributes:
        site_id: The site.
        plan: Its plan.
        sensor_id: The sensor of the asset's power.
    """

    site_id: int
    plan: PlanRecord
    sensor_id: int

    def room(self, origin: datetime, resolution: timedelta, slots: int) -> Room | None:
        """Say what the plan leaves to the asset in slots from an instant on; None: their slots do not fit."""
        step = self.plan.resolution
        first, rest = divmod(origin - self.plan.start, step)
        if rest or resolution % step:
            return None
        width = resolution // step
        net = np.asarray(self.plan.net_mw, dtype=float)
        own = next(
            (np.asarray(one.power_mw) for one in self.plan.devices if one.sensor_id == self.sensor_id), 0.0
        )
        limits = self.plan.explanation.get("limits_mw", {})
        places = np.arange(first, first + slots * width)
        inside = (places >= 0) & (places < net.size)

        def on_slots(values: Values, outside: float) -> Values:
            return np.where(inside, values[np.clip(places, 0, net.size - 1)], outside)

        imported, exported = (_limit(limits.get(way), net.size) for way in ("import", "export"))
        return room_beside(
            on_slots(net - own, 0.0), on_slots(imported, np.inf), on_slots(exported, np.inf), width
        )


def _limit(values: Sequence[float | None] | None, slots: int) -> Values:
    if values is None:
        return np.full(slots, np.inf)
    return np.array([np.inf if one is None else one for one in values], dtype=float)


def read_neighbours(session: Session, assets: Sequence[Asset]) -> dict[int, Neighbours]:
    """Read the newest plans of the sites of assets, by asset; only of those with a site that has been planned."""
    sites = site_ids(session, [one.id for one in assets])
    plans = latest_plans(session, sorted(set(sites.values()))) if sites else {}
    return {
        one.id: Neighbours(sites[one.id], plan, one.sensor.id)
        for one in assets
        if (plan := plans.get(sites.get(one.id, 0))) is not None and plan.net_mw is not None
    }

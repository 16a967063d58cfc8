"""Sites ready to be shown: what belongs to them, what concerns their connection, and their newest plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.plans import find_plan, load_flexible_assets
from flexmeasures.data.stores.sites import parts_of_sites, site_ids
from flexmeasures.data.tables import Asset, PlanRecord
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.time import format_duration, format_instant

__all__ = ["ShownPart", "ShownSite", "ShownSitePlan", "find_shown_site", "find_shown_site_plan"]


@dataclass(frozen=True)
class ShownPart:
    """An asset of a site.

    Attributes:
        depth: How far below the site it is.
        energy_cost: What its energy costs by the newest plan [currency]; None: it is not planned.
    """

    asset_id: int
    name: str
    type_name: str
    depth: int
    energy_cost: float | None


@dataclass(frozen=True)
class ShownSitePlan:
    """The plan of a site; see `PlanRecord` for the fields.

    Attributes:
        zone: Time zone in which it is shown.
        net_mw: Power at the connection (n,) [MW, consumption positive].
        devices: Power of each device by name (n,) [MW].
        inflexible: What nobody controls, by name (n,) [MW].
        binding: What bound in each slot, by device.
        marginal_price: What one more unit of consumption would cost in each slot [currency/MWh]; None: unknown.
    """

    site_id: int
    site: str
    zone: str
    recorded_at: datetime
    start: datetime
    resolution: timedelta
    outcome: str
    gap: float | None
    currency: str
    cost: float
    baseline: str
    baseline_cost: float
    saving: float
    net_mw: Sequence[float]
    devices: Mapping[str, Sequence[float]]
    inflexible: Mapping[str, Sequence[float]]
    missed: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    binding: Mapping[str, Sequence[Sequence[str]]]
    marginal_price: Sequence[float | None]

    def binding_at(self, slot: int) -> list[str]:
        """Names of the limits that bound in a slot, with their device."""
        return [f"{name} of {device}" for device, slots in self.binding.items() for name in slots[slot]]

    def as_data(self) -> dict[str, Any]:
        """Give it as plain lists and numbers, ready for JSON."""
        return {
            **asdict(self),
            "recorded_at": format_instant(self.recorded_at),
            "start": format_instant(self.start),
            "resolution": format_duration(self.resolution),
        }


@dataclass(frozen=True)
class ShownSite:
    """A site.

    Attributes:
        context: Its flex context.
        parts: The site and what is below it, each part after what it is a part of.
        plan: Its newest plan; None: there is none.
    """

    site_id: int
    name: str
    context: Mapping[str, Any]
    parts: tuple[ShownPart, ...]
    plan: ShownSitePlan | None

    def as_data(self) -> dict[str, Any]:
        """Give it as plain lists and numbers, ready for JSON."""
        return {**asdict(self), "plan": None if self.plan is None else self.plan.as_data()}


def find_shown_site(session: Session, asset_id: int) -> ShownSite:
    """Find the site of an asset, or the asset itself if it is one.

    Raises:
        NotFound: If there is no such asset, or it has no site.
    """
    root = _root(session, asset_id)
    assets = load_flexible_assets(session, parts_of_sites(session, [root.id])[root.id])
    plan = find_plan(session, root.id)
    costs = {} if plan is None else plan.explanation.get("devices", {})
    by_asset = {one["asset_id"]: one["energy_cost"] for one in costs.values()}
    children: dict[int | None, list[Asset]] = {}
    for one in assets:
        children.setdefault(one.parent_id, []).append(one)
    parts: list[ShownPart] = []
    waiting = [(root, 0)]
    while waiting:
        asset, depth = waiting.pop()
        parts.append(ShownPart(asset.id, asset.name, asset.asset_type_name, depth, by_asset.get(asset.id)))
        waiting += [(one, depth + 1) for one in reversed(children.get(asset.id, []))]
    shown = None if plan is None else _as_shown(root, plan, assets)
    return ShownSite(root.id, root.name, root.flex_context or {}, tuple(parts), shown)


def find_shown_site_plan(session: Session, asset_id: int, at: datetime | None = None) -> ShownSitePlan:
    """Find the newest plan of the site of an asset; of those that cover an instant, if one is given.

    Raises:
        NotFound: If there is no such asset, site or plan.
    """
    root = _root(session, asset_id)
    plan = find_plan(session, root.id, at)
    if plan is None:
        when = "" if at is None else f" that covers {format_instant(at)}"
        raise NotFound(
            f"There is no plan of the site {root.name}{when}. Make one: flexmeasures add schedules --asset {root.id}"
        )
    return _as_shown(root, plan, load_flexible_assets(session, parts_of_sites(session, [root.id])[root.id]))


def _root(session: Session, asset_id: int) -> Asset:
    if not is_id(asset_id) or session.get(Asset, asset_id) is None:
        raise NotFound(f"There is no asset with id {asset_id}.")
    site_id = site_ids(session, [asset_id]).get(asset_id)
    if site_id is None:
        raise NotFound(
            f"Asset {asset_id} belongs to no site. Give it, or what it is a part of, a flex context: flexmeasures add "
            "flex-context"
        )
    return session.scalars(select(Asset).where(Asset.id == site_id)).one()


def _as_shown(root: Asset, plan: PlanRecord, assets: Sequence[Asset]) -> ShownSitePlan:
    by_sensor = {one.sensor.id: one for one in assets if one.sensor is not None}
    zone = next((one.sensor.timezone for one in (root, *by_sensor.values()) if one.sensor is not None), "UTC")
    devices = {
        by_sensor[one.sensor_id].name
        if one.sensor_id in by_sensor
        else f"sensor {one.sensor_id}": one.power_mw
        for one in plan.devices
    }
    net = plan.net_mw if plan.net_mw is not None else next(iter(devices.values()), [])
    left = plan.explanation.get("energy_left")
    return ShownSitePlan(
        root.id,
        root.name,
        zone,
        plan.recorded_at,
        plan.start,
        plan.resolution,
        plan.outcome,
        plan.gap if isfinite(plan.gap) else None,
        plan.currency,
        plan.cost,
        plan.baseline,
        plan.baseline_cost,
        plan.baseline_cost - plan.cost + (0.0 if left is None else left["worth"]),
        net,
        devices,
        plan.explanation.get("inflexible_mw", {}),
        [*plan.missed, *(missed for one in plan.devices for missed in one.missed)],
        plan.notes,
        plan.explanation.get("binding", {}),
        plan.explanation.get("marginal_price") or [None] * len(net),
    )

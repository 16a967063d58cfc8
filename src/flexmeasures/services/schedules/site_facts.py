"""Gathering what is known of a site: its flex context, its devices, and what nobody controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.flexibility import agreed_powers
from flexmeasures.data.stores.grid_signals import read_signals
from flexmeasures.data.stores.plans import load_flexible_assets
from flexmeasures.data.stores.portfolio import PortfolioWindow
from flexmeasures.data.stores.sites import parts_of_sites
from flexmeasures.data.tables import Asset
from flexmeasures.domain.coordination import GridSignals
from flexmeasures.domain.errors import BadFlexContext, NotFound
from flexmeasures.domain.scheduling.flex_context import (
    FlexContext,
    Quantity,
    context_references,
    read_flex_context,
)
from flexmeasures.domain.scheduling.flex_model import DOCUMENTED_FLEX_MODELS, CustomModel, FlexModel
from flexmeasures.domain.scheduling.planning.connection import InflexibleFacts, SiteFacts
from flexmeasures.domain.scheduling.planning.facts import MarketFacts, OnSlots
from flexmeasures.domain.time import find_zone, format_duration
from flexmeasures.services.power import read_power
from flexmeasures.services.schedules.gather import Known, Planning, PlanWish, SiteNames, flex_model_of
from flexmeasures.services.schedules.schedulers import find_scheduler

__all__ = ["DeviceEvent", "SiteParts", "floor_to", "gather_site", "parts_of_site"]


@dataclass(frozen=True)
class DeviceEvent:
    """What a UDI event says about a device of a site.

    Attributes:
        event_id: Its number.
        soc_mwh: State of charge [MWh].
        targets: Instant → state of charge wanted [MWh].
    """

    event_id: int
    soc_mwh: float
    targets: Mapping[datetime, float]


@dataclass(frozen=True)
class SiteParts:
    """A site as rows.

    Attributes:
        root: The asset with the flex context.
        context: What it says.
        devices: Assets that are planned, each with its flex model.
        inflexible: Assets whose power nobody controls, or that somebody else schedules.
    """

    root: Asset
    context: FlexContext
    devices: tuple[tuple[Asset, FlexModel], ...]
    inflexible: tuple[Asset, ...]

    @property
    def resolutions(self) -> tuple[timedelta, timedelta]:
        """The shortest event of the devices, which is a slot of their plan, and the longest."""
        all_of = [asset.sensor.event_resolution for asset, _ in self.devices]
        return min(all_of), max(all_of)


def parts_of_site(session: Session, site_id: int) -> SiteParts:
    """Load a site with its devices.

    Raises:
        NotFound: If it has nothing that can be planned.
        BadFlexContext: If its flex context is wrong, or the events of its devices do not fit each other.
        BadFlexModel: If the flex model of a device is wrong.
    """
    assets = load_flexible_assets(session, parts_of_sites(session, [site_id]).get(site_id, []))
    root = next((one for one in assets if one.id == site_id), None)
    if root is None or root.flex_context is None:
        raise NotFound(f"There is no site with id {site_id}: give the asset a flex context.")
    devices, inflexible = [], []
    for asset in assets:
        if asset.sensor is None:
            continue
        model = flex_model_of(asset) if asset.capacity_in_mw is not None else None
        if (
            model is None
            or isinstance(model, CustomModel)
            or find_scheduler(model.scheduler, asset.asset_type_name)
        ):
            if asset.id != root.id:
                inflexible.append(asset)
        else:
            devices.append((asset, model))
    if not devices:
        raise NotFound(f"{root.name} has no device that can be planned: add one below it, with a flex model.")
    parts = SiteParts(
        root, read_flex_context(root.flex_context, root.name), tuple(devices), tuple(inflexible)
    )
    shortest, longest = parts.resolutions
    for asset, _ in devices:
        own = asset.sensor.event_resolution
        if own % shortest or longest % own:
            raise BadFlexContext(
                f"Events of {asset.name} last {format_duration(own)}, which does not fit those of the other devices of "
                f"{root.name}, from {format_duration(shortest)} to {format_duration(longest)}: plan it apart, or give "
                "all of them lengths of which one is a multiple of the other."
            )
    return parts


def floor_to(instant: datetime, resolution: timedelta) -> datetime:
    """Find the start of the event that covers an instant."""
    whole = (instant - _EPOCH) // resolution
    return _EPOCH + whole * resolution


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def gather_site(
    session: Session,
    parts: SiteParts,
    window: tuple[datetime, timedelta],
    events: Mapping[int, DeviceEvent],
    planning: Planning,
) -> SiteFacts:
    """Read all that is known of a site; the number of queries does not depend on how many devices it has.

    Args:
        session: For reading.
        parts: The site.
        window: Start of the first slot, and how far ahead to plan.
        events: What UDI events say, by device.
        planning: How to plan.

    Raises:
        BadFlexContext: If it names a sensor that its owner may not read.
        BadFlexModel: The same for the flex model of a device.
    """
    start, horizon = window
    slot, _ = parts.resolutions
    agreed = agreed_powers(session, [asset.id for asset, _ in parts.devices], start, start + horizon)
    wanted = []
    for asset, model in parts.devices:
        event = events.get(asset.id)
        soc, targets = (None, None) if event is None else (event.soc_mwh, event.targets)
        wanted.append((PlanWish(asset, start, horizon, soc, targets, agreed.get(asset.id, ()), slot), model))
    references = context_references(parts.context)
    market_id = parts.root.market_id or next((a.market_id for a, _ in parts.devices if a.market_id), None)
    meters = [] if parts.root.sensor is None or parts.root in [a for a, _ in parts.devices] else [parts.root]
    names = SiteNames(
        frozenset(one.sensor_id for one in references) | ({market_id} if market_id else frozenset()),
        tuple(asset.sensor for asset in (*parts.inflexible, *meters)),
        _margin_quantiles(parts.context),
    )
    known = Known(session, wanted, planning.trusted_roles, names)
    first = wanted[0][0]
    known.check_context(parts.root, references, first.asset)
    site = _SiteReader(parts, known, first)
    context = parts.context
    bought = context.consumption_price
    return SiteFacts(
        parts.root.id,
        parts.root.display_name or parts.root.name,
        context,
        first.grid,
        tuple(replace(known.facts(wish, model), name=_name(wish.asset, parts)) for wish, model in wanted),
        known.market(market_id, first) if bought is None and market_id else site.market(bought),
        site.market(context.production_price),
        site.series(),
        (*site.inflexible(), *(site.rest(meters[0]) if meters and context.count_rest else ())),
        {asset.id: asset.sensor.event_resolution // slot for asset, _ in parts.devices},
        _signals(session, parts.root, start, start + horizon),
        _peak_so_far(session, parts, start),
    )


def _margin_quantiles(context: FlexContext) -> tuple[float, ...]:
    """Name the quantiles of forecasts that the margin of a connection needs: the low and the high one, or none."""
    probability = context.margin_probability
    return () if probability is None else (round(1.0 - probability, 6), probability)


def _peak_so_far(session: Session, parts: SiteParts, start: datetime) -> float | None:
    """Find the highest consumption that the meter of a site has measured in this local month [MW]; None: no meter."""
    meter = parts.root.sensor
    if parts.context.site_peak_consumption_price is None or meter is None:
        return None
    month = start.astimezone(find_zone(meter.timezone)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    window = PortfolioWindow(month, start, scheduled=False, max_horizon=timedelta(0))
    values = read_power(session, [meter], window)[meter.id].values
    return float(np.nanmax(values, initial=0.0))


def _name(asset: Asset, parts: SiteParts) -> str:
    """Call a device by its name, with its number where others have the same."""
    alike = sum(
        one.name == asset.name for one in (parts.root, *(a for a, _ in parts.devices), *parts.inflexible)
    )
    return asset.name if alike <= 1 else f"{asset.name} ({asset.id})"


def _signals(session: Session, root: Asset, start: datetime, end: datetime) -> GridSignals | None:
    # Of what is asked of a larger whole, a site whose size is known has its share.
    own = root.capacity_in_mw is None
    return read_signals(session, [root.id], (start, end), DOCUMENTED_FLEX_MODELS, own=own).get(root.id)


@dataclass(frozen=True)
class _SiteReader:
    """Series that concern the connection, on the slots of a wish."""

    parts: SiteParts
    known: Known
    wish: PlanWish

    def market(self, price: Quantity | None) -> MarketFacts | None:
        """Prices of a sensor; None: they are fixed, or not said."""
        return None if price is None or price.sensor is None else self.known.market(price.sensor, self.wish)

    def series(self) -> dict[str, OnSlots]:
        """Limits [MW] and the CO₂ intensity [kg/MWh], by field."""
        found = {}
        for name, one in self.parts.context.quantities:
            unit = "kg/MWh" if name == "co2-intensity" else "MW"
            if one.sensor is not None and (name.endswith("capacity") or name == "co2-intensity"):
                found[name] = self.known.on_slots(one.sensor, self.wish, unit)
        return found

    def inflexible(self) -> list[InflexibleFacts]:
        """What the context names, and the parts without a flex model."""
        found = []
        for name, one in self.parts.context.quantities:
            if not name.startswith("inflexible"):
                continue
            sign = -1.0 if name.startswith("inflexible-production") else 1.0
            if one.sensor is None:
                slots = self.wish.grid.slots
                power = OnSlots(np.full(slots, one.amount_in("MW") or 0.0), np.ones(slots, dtype=bool))
            else:
                power = self.known.on_slots(one.sensor, self.wish, "MW")
            found.append(InflexibleFacts(name, OnSlots(sign * power.values, power.known)))
        named = {one.sensor for _, one in self.parts.context.quantities}
        quantiles = _margin_quantiles(self.parts.context)
        for asset in self.parts.inflexible:
            if asset.sensor.id not in named:
                power = self.known.forecast_of(asset.sensor.id, self.wish)
                bounds = [self.known.quantile_of(asset.sensor.id, one, self.wish) for one in quantiles]
                name = _name(asset, self.parts)
                found.append(
                    InflexibleFacts(name, power, bounds_mw=(bounds[0], bounds[1]) if bounds else None)
                )
        return found

    def rest(self, root: Asset) -> list[InflexibleFacts]:
        """What the forecast of the site's meter has beyond those of its parts."""
        meter = self.known.forecast_of(root.sensor.id, self.wish)
        values = meter.values.copy()
        for asset in (*(asset for asset, _ in self.parts.devices), *self.parts.inflexible):
            part = self.known.forecast_of(asset.sensor.id, self.wish)
            values -= np.where(part.known, part.values, 0.0)
        return [InflexibleFacts(f"the rest of {root.name}", OnSlots(values, meter.known), is_rest=True)]

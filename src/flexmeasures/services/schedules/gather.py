"""Inputs of schedules: prices, forecasts, states of charge and earlier plans of many assets, read in bulk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.grid_signals import read_signals
from flexmeasures.data.stores.plans import latest_device_plans
from flexmeasures.data.stores.portfolio import PortfolioWindow, read_series
from flexmeasures.data.stores.sensors import find_sensors
from flexmeasures.data.stores.users import user_ids_with_role
from flexmeasures.data.tables import Asset, PlanDevice, Sensor
from flexmeasures.domain.beliefs import Series
from flexmeasures.domain.coordination import GridSignals
from flexmeasures.domain.errors import BadFlexContext, BadFlexModel, FlexError
from flexmeasures.domain.rights import Actor
from flexmeasures.domain.scheduling import PlanOptions
from flexmeasures.domain.scheduling.flex_model import (
    DOCUMENTED_FLEX_MODELS,
    FlexModel,
    HeatBufferModel,
    ShiftableLoadModel,
    merge_flex_models,
    read_flex_model,
)
from flexmeasures.domain.scheduling.planning.facts import (
    AssetFacts,
    MarketFacts,
    OnSlots,
    SlotGrid,
    StateFacts,
)
from flexmeasures.domain.scheduling.planning.inputs import PlanInput, judge
from flexmeasures.domain.scheduling.references import (
    NamedSensor,
    SensorReference,
    may_read,
    sensor_references,
)
from flexmeasures.domain.scheduling.rolling import AgreedPower, EarlierPlan
from flexmeasures.domain.time import event_grid, from_datetime64, parse_instant, to_datetime64
from flexmeasures.domain.units import is_price_unit
from flexmeasures.services.power import read_power
from flexmeasures.services.public_beliefs import PublicBeliefs, TrustedRoles, read_public_beliefs

__all__ = [
    "Known",
    "PlanWish",
    "Planning",
    "SiteNames",
    "earlier_plan",
    "flex_model_of",
    "read_plan_inputs",
    "unreadable",
    "unreadable_context",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Planning:
    """Settings of planning.

    Attributes:
        options: For the optimisation.
        replanning_price: What must be gained by a change of the previous plan [currency/MWh].
        kept: How many records of schedules an asset keeps.
        trusted_roles: Whose prices count, by the market.
    """

    options: PlanOptions = field(default_factory=PlanOptions)
    replanning_price: float = 0.0
    kept: int = 50
    trusted_roles: TrustedRoles = field(default_factory=dict)


@dataclass(frozen=True)
class PlanWish:
    """That an asset is to be scheduled.

    Attributes:
        asset: The asset.
        start: Start of the first slot.
        horizon: How far ahead to plan.
        soc_mwh: State of charge at the start [MWh]; None: as it is known, carried on by the last schedule.
        targets: Instant → state of charge wanted [MWh]; None: those of the last schedule that are still to come.
        agreed: Powers that the asset has agreed to, such as ordered activations.
        slot: Length of a slot; None: that of the asset's events.
    """

    asset: Asset
    start: datetime
    horizon: timedelta
    soc_mwh: float | None = None
    targets: Mapping[datetime, float] | None = None
    agreed: tuple[AgreedPower, ...] = ()
    slot: timedelta | None = None

    @property
    def resolution(self) -> timedelta:
        """Length of a slot."""
        return self.slot or self.asset.sensor.event_resolution

    @cached_property
    def grid(self) -> SlotGrid:
        """The slots, if all prices are known."""
        slots = max(1, self.horizon // self.resolution)
        return SlotGrid(self.start, self.resolution, slots, self.asset.sensor.timezone)

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.grid.end


def flex_model_of(asset: Asset) -> FlexModel | None:
    """Read the flex model of an asset, laid over that of its type; None if it has none.

    Raises:
        BadFlexModel: If it is wrong.
    """
    of_type = asset.asset_type.flex_model or DOCUMENTED_FLEX_MODELS.get(asset.asset_type_name)
    fields = merge_flex_models(of_type, asset.flex_model)
    return None if fields is None else read_flex_model(fields, asset.name)


def unreadable(reference: SensorReference, name: str) -> BadFlexModel:
    """Word the refusal of a sensor that an asset's plans may not read."""
    kind = "market" if reference.is_market else "sensor"
    return BadFlexModel(
        f"The {reference.meaning} of {name} is sensor {reference.sensor_id}, but there is no such {kind}, or it "
        f"belongs to somebody else: name a public {kind}{'' if reference.is_market else ' or one of its owner'} as "
        f"{reference.field}."
    )


def unreadable_context(reference: SensorReference, name: str) -> BadFlexContext:
    """Word the refusal of a sensor that the plans of a site may not read."""
    return BadFlexContext(
        f"The {reference.meaning} of {name} is sensor {reference.sensor_id}, but there is no such sensor, or it "
        f"belongs to somebody else: name a public sensor or one of its account as {reference.field}."
    )


def read_plan_inputs(
    session: Session, wishes: Sequence[PlanWish], planning: Planning
) -> list[PlanInput | FlexError]:
    """Read what it takes to schedule assets; the number of queries does not depend on how many they are.

    Returns:
        For each wish, in their order, either its input or why it cannot be scheduled.
    """
    models: list[FlexModel | FlexError] = [_attempt(_model_of, wish) for wish in wishes]
    read = [
        (wish, model) for wish, model in zip(wishes, models, strict=True) if not isinstance(model, FlexError)
    ]
    known = Known(session, read, planning.trusted_roles)

    def judged(wish: PlanWish, model: FlexModel) -> PlanInput:
        return judge(known.facts(wish, model), planning.options, planning.replanning_price)

    return [
        model if isinstance(model, FlexError) else _attempt(judged, wish, model)
        for wish, model in zip(wishes, models, strict=True)
    ]


def _attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Give what a function returns, or the error that it raises: one asset must not spoil the plans of others."""
    try:
        return function(*arguments)
    except FlexError as error:
        return error


def _model_of(wish: PlanWish) -> FlexModel:
    model = flex_model_of(wish.asset)
    if model is None:
        raise BadFlexModel(
            f"{wish.asset.name} is a {wish.asset.asset_type.display_name} and has no flex model, so it cannot be "
            "scheduled: set one for it or for its type."
        )
    return model


@dataclass(frozen=True)
class SiteNames:
    """What a site asks for beyond what its devices do.

    Attributes:
        sensor_ids: Sensors that its flex context names.
        powers: Sensors of power whose forecasts count.
        quantiles: Which quantiles of these forecasts count as well.
    """

    sensor_ids: frozenset[int] = frozenset()
    powers: tuple[Sensor, ...] = ()
    quantiles: tuple[float, ...] = ()


class Known:
    """Rows about some assets, and series from it on the grids of their slots."""

    def __init__(
        self,
        session: Session,
        wanted: Sequence[tuple[PlanWish, FlexModel]],
        trusted: TrustedRoles,
        site: SiteNames | None = None,
    ) -> None:
        named = {ref.sensor_id for _, model in wanted for ref in sensor_references(model)}
        beyond = SiteNames() if site is None else site
        found = find_sensors(
            session, named | beyond.sensor_ids | {wish.asset.market_id or 0 for wish, _ in wanted}
        )
        self.sensors = {number: one.sensor for number, one in found.items()}
        self.named = {
            number: NamedSensor(one.account_id, one.owner_id, one.is_market) for number, one in found.items()
        }
        self.admins: frozenset[int] = frozenset()
        if not all(one.is_public for one in self.named.values()):
            self.admins = frozenset(user_ids_with_role(session, ["admin"]).get("admin", ()))
        self.public = PublicBeliefs()
        self.measured: dict[int, Series] = {}
        self.forecasts: dict[int, Series] = {}
        self.quantiles: dict[float, dict[int, Series]] = {}
        self.executed: dict[int, Series] = {}
        self.latest: dict[int, PlanDevice] = {}
        self.signals: dict[int, GridSignals] = {}
        if wanted:
            start, end = min(wish.start for wish, _ in wanted), max(wish.end for wish, _ in wanted)
            window = PortfolioWindow(start, end, scheduled=False)
            of_assets = [number for number, one in self.named.items() if not one.is_public]
            public = [self.sensors[number] for number in self.named.keys() - set(of_assets)]
            self.public = read_public_beliefs(session, public, window, trusted)
            self.measured = read_series(session, [self.sensors[number] for number in of_assets], window)
            ahead = replace(window, min_horizon=timedelta(microseconds=1))
            powers = [wish.asset.sensor for wish, _ in wanted]
            self.forecasts = read_power(session, [*powers, *beyond.powers], ahead)
            self.quantiles = {
                one: read_power(session, beyond.powers, replace(ahead, probability=one))
                for one in beyond.quantiles
            }
            self.latest = latest_device_plans(session, [one.id for one in powers])
            ids = [wish.asset.id for wish, _ in wanted]
            self.signals = read_signals(
                session, ids, (start, end), DOCUMENTED_FLEX_MODELS, own=site is not None
            )
            if any(isinstance(model, ShiftableLoadModel) for _, model in wanted):
                past = PortfolioWindow(start - DAY, end, scheduled=True)
                self.executed = read_power(session, powers, past)
        self._binned: dict[Any, OnSlots] = {}
        self._markets: dict[Any, MarketFacts] = {}

    def facts(self, wish: PlanWish, model: FlexModel) -> AssetFacts:
        """Put together what is known about an asset.

        Raises:
            BadFlexModel: If it names a sensor that its owner may not read.
        """
        self._check_references(wish, model)
        asset, device = wish.asset, self.latest.get(wish.asset.sensor.id)
        usage = model.usage_sensor_id if isinstance(model, HeatBufferModel) else None
        return AssetFacts(
            asset.id,
            asset.name,
            asset.asset_type_name,
            asset.capacity_in_mw,
            model,
            wish.grid,
            StateFacts(
                asset.min_soc_in_mwh,
                asset.max_soc_in_mwh,
                asset.soc_in_mwh,
                asset.soc_datetime,
                wish.soc_mwh,
                wish.targets,
                None if device is None else earlier_plan(device),
                {} if device is None else {parse_instant(at): soc for at, soc in device.targets.items()},
            ),
            None if asset.market_id is None else self.market(asset.market_id, wish),
            None if model.export_market_id is None else self.market(model.export_market_id, wish),
            None if model.co2_sensor_id is None else self.on_slots(model.co2_sensor_id, wish, "kg/MWh"),
            self.forecast_of(asset.sensor.id, wish),
            None if usage is None else self.on_slots(usage, wish, "MW"),
            self._executed(wish),
            wish.agreed,
            self.signals.get(asset.id),
        )

    def forecast_of(self, sensor_id: int, wish: PlanWish) -> OnSlots:
        """Power that was expected of an asset before the fact [MW], on the slots of a wish."""
        return _on_slots(self.forecasts[sensor_id], wish.grid)

    def quantile_of(self, sensor_id: int, probability: float, wish: PlanWish) -> OnSlots:
        """Power that an asset was expected to stay below with a probability [MW], on the slots of a wish."""
        return _on_slots(self.quantiles[probability][sensor_id], wish.grid)

    def on_slots(self, sensor_id: int, wish: PlanWish, unit: str) -> OnSlots:
        """Values of a sensor on the slots of a wish, in a unit; worked out once a grid.

        Of a public sensor only what those say counts whom the sensor or the owner of the asset trusts.
        """
        sensor, sources = self.sensors[sensor_id], self._sources(sensor_id, wish)
        key = (sensor_id, sources, wish.grid, unit)
        if key not in self._binned:
            if sources is None:
                known = self.measured.get(sensor_id) or Series.empty(sensor.event_resolution, sensor.unit)
            else:
                known = Series(*self.public.latest(sensor_id, sources), sensor.event_resolution, sensor.unit)
            self._binned[key] = _on_slots(known.in_unit(unit), wish.grid)
        return self._binned[key]

    def market(self, market_id: int, wish: PlanWish) -> MarketFacts:
        """Prices of a market as an asset's owner knows them."""
        sensor, sources = self.sensors[market_id], self._sources(market_id, wish)
        key = (market_id, sources, wish.grid)
        if key not in self._markets:
            currency, _, energy = sensor.unit.partition("/")
            unit = f"{currency}/MWh" if energy and is_price_unit(sensor.unit) else sensor.unit
            prices = self.on_slots(market_id, wish, unit)
            until = None
            if sources is not None and prices.known.any():
                known = int(np.flatnonzero(prices.known)[-1]) + 1
                starts, _ = self.public.latest(market_id, sources)
                last = np.searchsorted(starts, to_datetime64(wish.grid.slot_start(known))) - 1
                until = from_datetime64(starts[last]) + sensor.event_resolution
            self._markets[key] = MarketFacts(sensor.name, currency, prices, until)
        return self._markets[key]

    def _sources(self, sensor_id: int, wish: PlanWish) -> frozenset[int] | None:
        """Return the sources whose beliefs count for the owner of an asset; None: it is not public."""
        if not self.named[sensor_id].is_public:
            return None
        return self.public.sources_for(sensor_id, wish.asset.owner_id)

    def _check_references(self, wish: PlanWish, model: FlexModel) -> None:
        """Refuse to read what the owner of the asset may not read; not to be told from what does not exist."""
        for ref in sensor_references(model):
            if not may_read(
                ref, self.named.get(ref.sensor_id), self._reader(wish.asset, wish.asset.owner_id)
            ):
                raise unreadable(ref, wish.asset.name)

    def check_context(self, root: Asset, references: Sequence[SensorReference], device: Asset) -> None:
        """Refuse a flex context that names what the owner of a site, or of its devices, may not read."""
        reader = self._reader(root, root.owner_id or device.owner_id)
        for ref in references:
            if not may_read(ref, self.named.get(ref.sensor_id), reader):
                raise unreadable_context(ref, root.name)

    def _reader(self, asset: Asset, owner_id: int) -> Actor:
        roles = frozenset({"admin"}) if owner_id in self.admins else frozenset()
        return Actor(owner_id, asset.account_id or 0, roles)

    def _executed(self, wish: PlanWish) -> Values | None:
        """Return the schedule of the asset in the day before the start."""
        executed = self.executed.get(wish.asset.sensor.id)
        if executed is None or not len(executed):
            return None
        slots = DAY // wish.resolution
        edges = event_grid(wish.start - slots * wish.resolution, wish.resolution, slots + 1)
        return executed.mean_per_bin(edges)[0]


def _on_slots(series: Series, grid: SlotGrid) -> OnSlots:
    values, covered = series.mean_per_bin(event_grid(grid.start, grid.resolution, grid.slots + 1))
    return OnSlots(values, covered >= 1)


def earlier_plan(device: PlanDevice) -> EarlierPlan:
    """Give what a stored plan says about a device."""
    soc = None if device.soc_mwh is None else np.asarray(device.soc_mwh, dtype=float)
    power = np.asarray(device.power_mw, dtype=float)
    return EarlierPlan(device.plan.start, device.plan.resolution, power, soc)

"""What schedules are made of: prices, forecasts, states of charge and earlier plans of many assets, read in bulk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.grid_signals import read_signals
from flexmeasures.data.stores.plans import latest_device_plans
from flexmeasures.data.stores.portfolio import PortfolioWindow, read_series
from flexmeasures.data.stores.sensors import find_sensors
from flexmeasures.data.stores.users import user_ids_with_role
from flexmeasures.data.tables import Asset, PlanDevice
from flexmeasures.domain.beliefs import Series
from flexmeasures.domain.coordination import GridSignals
from flexmeasures.domain.errors import BadFlexModel, FlexError, NotEnoughData, UnknownPrices
from flexmeasures.domain.rights import Actor
from flexmeasures.domain.scheduling import Commitment, Objective, PlanOptions, Tariff
from flexmeasures.domain.scheduling.asset_site import AssetSite, Situation, make_asset_site, with_usual_size
from flexmeasures.domain.scheduling.flex_model import (
    DOCUMENTED_FLEX_MODELS,
    CurtailableModel,
    FlexModel,
    HeatBufferModel,
    ShiftableLoadModel,
    merge_flex_models,
    read_flex_model,
)
from flexmeasures.domain.scheduling.prices import (
    PriceSeries,
    fill_prices,
    like_neighbours,
    needed_until,
    until_forecast,
)
from flexmeasures.domain.scheduling.references import (
    NamedSensor,
    SensorReference,
    may_read,
    sensor_references,
)
from flexmeasures.domain.scheduling.rolling import AgreedPower, EarlierPlan, carry_soc, power_on_grid
from flexmeasures.domain.time import (
    event_grid,
    format_in_zone,
    from_datetime64,
    parse_instant,
    to_datetime64,
)
from flexmeasures.domain.units import conversion_factor
from flexmeasures.services.grid_signals import as_asked
from flexmeasures.services.power import read_power
from flexmeasures.services.public_beliefs import PublicBeliefs, TrustedRoles, read_public_beliefs

__all__ = [
    "PlanInput",
    "PlanWish",
    "Planning",
    "earlier_plan",
    "flex_model_of",
    "read_plan_inputs",
    "unreadable",
]

Values = np.ndarray[Any, np.dtype[np.float64]]

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Planning:
    """How schedules are made, as configured.

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
    """

    asset: Asset
    start: datetime
    horizon: timedelta
    soc_mwh: float | None = None
    targets: Mapping[datetime, float] | None = None
    agreed: tuple[AgreedPower, ...] = ()

    @property
    def resolution(self) -> timedelta:
        """Length of a slot."""
        return self.asset.sensor.event_resolution

    def word(self, instant: datetime) -> str:
        """Write an instant with the offset of the asset's time zone."""
        return format_in_zone(instant, self.asset.sensor.timezone)

    @property
    def slots(self) -> int:
        """Number of slots, if all prices are known."""
        return max(1, self.horizon // self.resolution)

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.slot_start(self.slots)

    def slot_start(self, slot: int) -> datetime:
        """Start of a slot, or the end of the window for that after the last."""
        return self.start + slot * self.resolution


@dataclass(frozen=True)
class PlanInput:
    """All that it takes to schedule an asset; values of the domain, without a database.

    Attributes:
        asset_id: The asset.
        asset_type: Name of its type.
        model: Its flex model.
        situation: What is known of it.
        site: The asset as devices with wishes.
        options: How to plan.
        agreements: What the asset has agreed to, as commitments of the site.
        currency: Of the prices.
        notes: What the owner should know: prices that were not known, and the like.
    """

    asset_id: int
    asset_type: str
    model: FlexModel
    situation: Situation
    site: AssetSite
    options: PlanOptions
    agreements: tuple[Commitment, ...]
    currency: str
    notes: tuple[str, ...]


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
    known = _Known(session, read, planning.trusted_roles)
    return [
        model if isinstance(model, FlexError) else _attempt(known.input_for, wish, model, planning)
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


class _Known:
    """What the database knows about some assets, and series from it on the grids of their slots."""

    def __init__(
        self, session: Session, wanted: Sequence[tuple[PlanWish, FlexModel]], trusted: TrustedRoles
    ) -> None:
        named = {ref.sensor_id for _, model in wanted for ref in sensor_references(model)}
        found = find_sensors(session, named | {wish.asset.market_id or 0 for wish, _ in wanted})
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
            self.forecasts = read_power(session, powers, ahead)
            self.latest = latest_device_plans(session, [one.id for one in powers])
            ids = [wish.asset.id for wish, _ in wanted]
            self.signals = read_signals(session, ids, (start, end), DOCUMENTED_FLEX_MODELS)
            if any(isinstance(model, ShiftableLoadModel) for _, model in wanted):
                past = PortfolioWindow(start - DAY, end, scheduled=True)
                self.executed = read_power(session, powers, past)
        self._binned: dict[Any, tuple[Values, Values]] = {}

    def input_for(self, wish: PlanWish, model: FlexModel, planning: Planning) -> PlanInput:
        """Put together what is known about an asset.

        Raises:
            UnknownPrices: If it has no market, or no price is known for any part of the window.
            BadFlexModel: If its limits contradict each other, or it names a sensor that its owner may not read.
            BadValues: If its state of charge is needed and not known.
            NotEnoughData: If its forecast is needed and not known.
        """
        asset, resolution = wish.asset, wish.resolution
        self._check_references(wish, model)
        tariff, notes = self._tariff(wish, model)
        forecast = self._forecast(wish, np.size(tariff.import_price))
        if isinstance(model, CurtailableModel):
            tariff, forecast = until_forecast(tariff, forecast, notes)
        slots = np.size(tariff.import_price)
        tariff, connection = as_asked(self.signals.get(asset.id), tariff, wish.start, resolution)
        earlier = self._earlier(wish)
        agreements = _agreements(wish, slots)
        situation = Situation(
            asset.name,
            asset.capacity_in_mw,
            asset.sensor.timezone,
            wish.start,
            resolution,
            tariff,
            soc_mwh=wish.soc_mwh if wish.soc_mwh is not None else _soc_of(asset, earlier, wish.start),
            reported=_report_of(wish),
            soc_min_mwh=asset.min_soc_in_mwh,
            soc_max_mwh=asset.max_soc_in_mwh,
            targets=self._targets(wish),
            forecast_mw=forecast,
            usage_mw=self._usage(wish, model, slots, notes),
            executed_mw=self._executed(wish),
            connection=connection,
            commitments=(
                *agreements,
                *_previous_plan(earlier, wish, slots, _replanning_price(model, planning)),
            ),
        )
        situation, assumed = with_usual_size(model, situation)
        site = make_asset_site(model, situation)
        sooner = model.prefer_charging_sooner
        options = replace(
            planning.options,
            explain=True,
            objective=Objective.CO2 if model.objective == "co2" else planning.options.objective,
            prefer_charging_sooner=planning.options.prefer_charging_sooner if sooner is None else sooner,
            prefer_charging_later=model.prefer_charging_later,
        )
        currency = self.sensors[asset.market_id or 0].unit.partition("/")[0]
        return PlanInput(
            asset.id,
            asset.asset_type_name,
            model,
            situation,
            site,
            options,
            agreements,
            currency,
            (*notes, *assumed, *site.notes),
        )

    def _targets(self, wish: PlanWish) -> Mapping[datetime, float]:
        """States of charge that are wanted: what was asked for once holds until it is due, or asked for anew."""
        if wish.targets is not None:
            return wish.targets
        last = self.latest.get(wish.asset.sensor.id)
        wanted = {} if last is None else {parse_instant(at): soc for at, soc in last.targets.items()}
        return {at: soc for at, soc in wanted.items() if at > wish.start}

    def _on_grid(self, sensor_id: int, wish: PlanWish) -> tuple[Values, Values]:
        """Values of a sensor on the slots of a wish, and how much of each slot they cover; worked out once a grid.

        Of a public sensor only what those say counts whom the sensor or the owner of the asset trusts.
        """
        is_public = self.named[sensor_id].is_public
        sources = self.public.sources_for(sensor_id, wish.asset.owner_id) if is_public else None
        key = (sensor_id, sources, wish.start, wish.resolution, wish.slots)
        if key not in self._binned:
            sensor = self.sensors[sensor_id]
            if sources is None:
                known = self.measured.get(sensor_id) or Series.empty(sensor.event_resolution, sensor.unit)
            else:
                known = Series(*self.public.latest(sensor_id, sources), sensor.event_resolution, sensor.unit)
            edges = event_grid(wish.start, wish.resolution, wish.slots + 1)
            self._binned[key] = known.mean_per_bin(edges)
        return self._binned[key]

    def _check_references(self, wish: PlanWish, model: FlexModel) -> None:
        """Refuse to read what the owner of the asset may not read; not to be told from what does not exist."""
        asset = wish.asset
        roles = frozenset({"admin"}) if asset.owner_id in self.admins else frozenset()
        reader = Actor(asset.owner_id, asset.account_id or 0, roles)
        for ref in sensor_references(model):
            if not may_read(ref, self.named.get(ref.sensor_id), reader):
                raise unreadable(ref, wish.asset.name)

    def _tariff(self, wish: PlanWish, model: FlexModel) -> tuple[Tariff, list[str]]:
        """Prices exactly on the grid of the schedule, as far as they are known, and what to say about them."""
        asset = wish.asset
        if asset.market_id is None:
            raise UnknownPrices(
                f"Prices unknown for planning window: {asset.name!r} has no market. Give it one."
            )
        until = needed_until(model, self._targets(wish), (wish.start, wish.end), asset.sensor.timezone)
        least = 0 if until is None else -((wish.start - until) // wish.resolution)
        bought, notes = self._prices(asset.market_id, wish, least)
        price, sold, assumed = bought.price, None, bought.assumed
        if model.export_market_id is not None:
            paid, noted = self._prices(model.export_market_id, wish, least)
            slots = min(price.size, paid.price.size)
            price, sold, assumed = price[:slots], paid.price[:slots], (assumed[:slots] | paid.assumed[:slots])
            notes += [note for note in noted if note not in notes]
        tariff = Tariff(price, sold, co2_price=model.co2_price, assumed=assumed)
        if model.co2_sensor_id is None:
            return tariff, notes
        sensor = self.sensors[model.co2_sensor_id]
        values, covered = (one[: price.size] for one in self._on_grid(sensor.id, wish))
        known = np.flatnonzero(covered >= 1)
        if not known.size:
            if model.objective == "co2":
                raise NotEnoughData(
                    f"No CO₂ intensity is known for {wish.asset.name} from {wish.word(wish.start)} on: post it "
                    "first, or minimise cost."
                )
            return tariff, [*notes, "The CO₂ intensity of the grid is not known; emissions are not counted."]
        if known.size < price.size:
            notes.append("Missing CO₂ intensities were taken to be like the ones beside them.")
        factor = conversion_factor(sensor.unit, "kg/MWh")
        return replace(tariff, co2_kg_per_mwh=like_neighbours(values, known) * factor), notes

    def _prices(self, market_id: int, wish: PlanWish, least: int) -> tuple[PriceSeries, list[str]]:
        """Prices of a market [currency/MWh] as far as they are known, or for a least number of slots."""
        prices, covered = self._on_grid(market_id, wish)
        if not np.any(covered >= 1):
            raise UnknownPrices(
                f"Prices unknown for planning window: market {self.sensors[market_id].name!r} has none from "
                f"{wish.word(wish.start)} to {wish.word(wish.end)}. Post them and send a new UDI event."
            )
        series = fill_prices(prices * _per_mwh(self.sensors[market_id].unit), covered >= 1, least)
        slots, known = series.price.size, int(np.flatnonzero(~series.assumed)[-1]) + 1
        notes = []
        if known < wish.slots:
            last = wish.word(self._known_until(market_id, wish, known))
            end = "there" if slots == known else f"at {wish.word(wish.slot_start(slots))}"
            notes.append(f"Prices are known until {last}, so the schedule ends {end}.")
        notes += [
            f"Prices from {wish.word(wish.slot_start(first))} to {wish.word(wish.slot_start(until))} are not known: "
            f"the {'last known one before' if first else 'first known one'} was assumed."
            for first, until in Tariff(series.price, assumed=series.assumed).assumed_stretches
        ]
        return series, notes

    def _known_until(self, market_id: int, wish: PlanWish, slots: int) -> datetime:
        """Find when the last price ends that covers the end of so many slots; prices need not end with a slot."""
        sources = self.public.sources_for(market_id, wish.asset.owner_id)
        starts, _ = self.public.latest(market_id, sources)
        last = np.searchsorted(starts, to_datetime64(wish.start + slots * wish.resolution)) - 1
        return from_datetime64(starts[last]) + self.sensors[market_id].event_resolution

    def _forecast(self, wish: PlanWish, slots: int) -> Values | None:
        """Power that was expected of the asset before the fact, nan where nothing was; None if nothing at all."""
        forecast = self.forecasts[wish.asset.sensor.id]
        if not len(forecast):
            return None
        edges = event_grid(wish.start, wish.resolution, slots + 1)
        power, covered = forecast.mean_per_bin(edges)
        return np.where(covered >= 1, power, np.nan)

    def _usage(self, wish: PlanWish, model: FlexModel, slots: int, notes: list[str]) -> Values | None:
        if not isinstance(model, HeatBufferModel) or model.usage_sensor_id is None:
            return None
        sensor = self.sensors[model.usage_sensor_id]
        values, covered = (one[:slots] for one in self._on_grid(sensor.id, wish))
        known = np.flatnonzero(covered >= 1)
        if not known.size:
            raise NotEnoughData(
                f"Nothing is known about the usage of {wish.asset.name} from {wish.word(wish.start)} on: post "
                "or forecast it first."
            )
        if known.size < slots:
            notes.append("Missing values of usage were taken to be like the ones beside them.")
        return like_neighbours(values, known) * conversion_factor(sensor.unit, "MW")

    def _executed(self, wish: PlanWish) -> Values | None:
        """What the asset was scheduled to do in the day before the start."""
        executed = self.executed.get(wish.asset.sensor.id)
        if executed is None or not len(executed):
            return None
        slots = DAY // wish.resolution
        edges = event_grid(wish.start - slots * wish.resolution, wish.resolution, slots + 1)
        return executed.mean_per_bin(edges)[0]

    def _earlier(self, wish: PlanWish) -> EarlierPlan | None:
        device = self.latest.get(wish.asset.sensor.id)
        return None if device is None else earlier_plan(device)


def earlier_plan(device: PlanDevice) -> EarlierPlan:
    """Give what a stored plan says about a device."""
    soc = None if device.soc_mwh is None else np.asarray(device.soc_mwh, dtype=float)
    power = np.asarray(device.power_mw, dtype=float)
    return EarlierPlan(device.plan.start, device.plan.resolution, power, soc)


def _per_mwh(unit: str) -> float:
    """By what prices in a unit are multiplied to be per MWh; 1 for a unit that is no price of energy."""
    currency, _, energy = unit.partition("/")
    try:
        return conversion_factor(unit, f"{currency}/MWh") if energy else 1.0
    except FlexError:
        return 1.0


def _soc_of(asset: Asset, earlier: EarlierPlan | None, start: datetime) -> float | None:
    known = None
    if asset.soc_in_mwh is not None:
        known = (start if asset.soc_datetime is None else asset.soc_datetime, asset.soc_in_mwh)
        if asset.soc_datetime is None and earlier is not None and earlier.start <= start:
            known = (earlier.start, asset.soc_in_mwh)
    return carry_soc(known, earlier, start)


def _report_of(wish: PlanWish) -> tuple[datetime, float] | None:
    """When a state of charge was last reported, and how much [MWh]: by the event that is planned for, or before."""
    if wish.soc_mwh is not None:
        return wish.start, wish.soc_mwh
    asset = wish.asset
    if asset.soc_in_mwh is None or asset.soc_datetime is None:
        return None
    return asset.soc_datetime, asset.soc_in_mwh


def _replanning_price(model: FlexModel, planning: Planning) -> float:
    return planning.replanning_price if model.replanning_price is None else model.replanning_price


def _agreements(wish: PlanWish, slots: int) -> tuple[Commitment, ...]:
    stated = (one.on_grid(wish.start, wish.resolution, slots) for one in wish.agreed)
    return tuple(one for one in stated if one is not None)


def _previous_plan(
    earlier: EarlierPlan | None, wish: PlanWish, slots: int, price: float
) -> tuple[Commitment, ...]:
    """Prefer the previous plan of the asset, if changing it has a price."""
    power = None
    if earlier is not None and price > 0:
        power = power_on_grid(earlier, wish.start, wish.resolution, slots)
    if power is None:
        return ()
    return (Commitment(f"previous plan of {wish.asset.name}", power, price, price, is_paid=False),)

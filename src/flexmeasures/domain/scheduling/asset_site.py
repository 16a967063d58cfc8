"""From a flex model and what is known at a moment to devices with wishes, ready to be planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf

import numpy as np

from flexmeasures.domain.errors import BadFlexModel, BadValues, NotEnoughData
from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.flex_model import (
    CurtailableModel,
    DailyBand,
    DailyStay,
    EvseModel,
    FlexModel,
    HeatBufferModel,
    ShiftableLoadModel,
    StorageModel,
)
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.needs import ChargingSession, session
from flexmeasures.domain.scheduling.reach import within_reach
from flexmeasures.domain.scheduling.schedule import SitePlan
from flexmeasures.domain.scheduling.site import (
    Commitment,
    Connection,
    Curtailable,
    Device,
    ShiftableLoad,
    Site,
    Tariff,
)
from flexmeasures.domain.time import daily_periods, format_in_zone

__all__ = ["AssetSite", "Situation", "make_asset_site", "soc_of_asset", "with_usual_size"]

_LONGEST_GAP = timedelta(days=2)
"""Within this from any instant on, every daily stay is met."""

_RUNNING_MW = 1e-9
"""A load with more power than this runs."""


@dataclass(frozen=True)
class Situation:
    """State of an asset at the start of a planning window of n slots.

    Attributes:
        name: How messages call the asset.
        capacity_mw: Its largest power [MW].
        zone: Time zone of its daily times.
        start: Start of the first slot.
        resolution: Length of a slot.
        tariff: What energy costs; its prices fix n.
        soc_mwh: State of charge at the start [MWh]; None: unknown.
        reported: When a state of charge was last reported, and how much [MWh]; None: never. A report says that the
            car is there.
        soc_min_mwh: Lowest state of charge by the asset itself [MWh].
        soc_max_mwh: Highest state of charge by the asset itself [MWh].
        targets: Instant → state of charge wanted [MWh]; also after the window.
        forecast_mw: Expected power (n,) [MW], nan where unknown; None: unknown.
        usage_mw: What is expected to be drawn from its store (n,) [MW]; None: nothing.
        executed_mw: What it was scheduled to do in the last slots before the start (h,) [MW], h slots a day.
        commitments: What was agreed or is preferred for the asset as a whole.
        connection: Limits of its power that the grid asks for.
    """

    name: str
    capacity_mw: float
    zone: str
    start: datetime
    resolution: timedelta
    tariff: Tariff
    soc_mwh: float | None = None
    reported: tuple[datetime, float] | None = None
    soc_min_mwh: float | None = None
    soc_max_mwh: float | None = None
    targets: Mapping[datetime, float] = field(default_factory=dict)
    forecast_mw: FloatArray | None = None
    usage_mw: FloatArray | None = None
    executed_mw: FloatArray | None = None
    commitments: tuple[Commitment, ...] = ()
    connection: Connection = field(default_factory=Connection)

    @property
    def slots(self) -> int:
        """Number of slots n."""
        return int(np.size(self.tariff.import_price))

    @property
    def hours(self) -> float:
        """Length of a slot [h]."""
        return self.resolution / timedelta(hours=1)

    @property
    def end(self) -> datetime:
        """End of the last slot."""
        return self.start + self.slots * self.resolution

    def boundary_from(self, instant: datetime) -> int:
        """First boundary that does not lie before an instant; may be outside 0 … n."""
        return -((self.start - instant) // self.resolution)

    def word(self, instant: datetime) -> str:
        """Write an instant as its asset sees it."""
        return format_in_zone(instant, self.zone)

    def boundary_until(self, instant: datetime) -> int:
        """Last boundary that does not lie after an instant; may be outside 0 … n."""
        return (instant - self.start) // self.resolution


@dataclass(frozen=True)
class AssetSite:
    """An asset as a site of its own: most have one device, one with several stays or runs has one for each.

    Attributes:
        site: The devices, whose powers add up to that of the asset.
        stays: Device → boundaries at which a car comes and leaves.
        asked: Device and boundary → the instant for which something was asked there; it may lie within a slot.
        notes: What cannot be planned any more, as sentences.
    """

    site: Site
    stays: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    asked: Mapping[tuple[str, int], datetime] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def make_asset_site(model: FlexModel, at: Situation) -> AssetSite:
    """Describe an asset as devices with wishes.

    Args:
        model: What it can do, and what is always wanted of it.
        at: What is known now.

    Raises:
        BadFlexModel: Its limits contradict each other, or are not known.
        BadValues: Its state of charge is needed and not known.
        NotEnoughData: Its forecast is needed and not known.
    """
    stays: dict[str, tuple[int, int]] = {}
    notes: list[str] = []
    devices: tuple[Device, ...] = ()
    asked = {(at.name, _boundary_of(instant, at)): instant for instant in at.targets}
    if isinstance(model, EvseModel) and model.stays and not at.targets:
        devices = _cars(model, at, stays, asked)
    elif isinstance(model, StorageModel):
        devices = (_storage(model, at),)
    elif isinstance(model, HeatBufferModel):
        devices = (_heat_buffer(model, at),)
    elif isinstance(model, ShiftableLoadModel):
        devices = _loads(model, at, notes)
    elif isinstance(model, CurtailableModel):
        devices = (Curtailable(at.name, _forecast(at), model.minimum_mw, model.price),)
    hours = np.full(at.slots, at.hours)
    devices = tuple(within_reach(one, hours) if isinstance(one, StorageUse) else one for one in devices)
    site = Site(devices, at.tariff, at.connection, at.commitments, name=at.name)
    return AssetSite(site, stays, asked, tuple(notes))


def with_usual_size(model: FlexModel, at: Situation) -> tuple[Situation, tuple[str, ...]]:
    """Take a size for a store of which nobody has said how large it is, and say so.

    A battery or a heat buffer is taken to hold what it takes in an hour at its highest power, or the most that it is
    known to hold or wanted to. Other kinds of devices, and known sizes, stay as they are.
    """
    if isinstance(model, HeatBufferModel):
        field_name, size, factor, lowest = "capacity_mwh", model.capacity_mwh, model.gain, 0.0
    elif isinstance(model, StorageModel) and not isinstance(model, EvseModel):
        field_name, size, factor = "soc_max_mwh", model.soc_max_mwh, model.efficiencies[0]
        lowest = max(at.soc_min_mwh or 0.0, model.soc_min_mwh or 0.0, model.preferred_final_soc_mwh or 0.0)
    else:
        return at, ()
    if size is not None or at.soc_max_mwh is not None:
        return at, ()
    power = at.capacity_mw if model.max_consumption_mw is None else model.max_consumption_mw
    wanted = (*at.targets.values(), *(band.soc_mwh for band in model.soc_minima))
    taken = max(power * factor, lowest, at.soc_mwh or 0.0, *wanted)
    note = (
        f"Nobody has said how large the store of {at.name} is: {taken:.6g} MWh was taken, what it takes in an hour or "
        f"is known to hold. Set max_soc_in_mwh of the asset, or {field_name} of its flex model."
    )
    return replace(at, soc_max_mwh=taken), (note,)


def soc_of_asset(asset: AssetSite, plan: SitePlan) -> FloatArray | None:
    """State of charge at each boundary (n+1,) [MWh]; nan while no car is there, None if the asset stores nothing."""
    profiles = {name: one.soc_mwh for name, one in plan.devices.items() if one.soc_mwh is not None}
    if not asset.stays:
        return next(iter(profiles.values()), None)
    soc = np.full(plan.net_mw.size + 1, np.nan)
    for name, (arrival, departure) in asset.stays.items():
        soc[arrival : departure + 1] = profiles[name][arrival : departure + 1]
    return soc


def _storage(model: StorageModel, at: Situation) -> StorageUse:
    soc = at.soc_mwh
    if soc is None and isinstance(model, EvseModel):
        soc = 0.0
    if soc is None:
        raise _unknown_soc(at)
    targets: dict[int, float] = {}
    for instant, wanted in at.targets.items():
        targets[_boundary_of(instant, at)] = wanted
    device = _point(model, at)
    if np.isinf(device.soc_max_mwh) and isinstance(model, EvseModel):
        device = replace(device, soc_max_mwh=max([soc, *targets.values()]))
    elif np.isinf(device.soc_max_mwh):
        raise BadFlexModel(
            f"{at.name} has no maximum state of charge, and would buy without end: set soc_max_mwh of its flex "
            "model, or max_soc_in_mwh of the asset, to its usable size."
        )
    minima = _by_boundary(model.soc_minima, at, max)
    for boundary in [b for b in targets if b > at.slots]:
        _keep_in_reach(minima, device, at, boundary, targets.pop(boundary))
    return StorageUse(
        device,
        soc,
        targets,
        minima,
        _by_boundary(model.soc_maxima, at, min),
        model.value_of_energy_left,
        model.preferred_final_soc_mwh,
        model.final_soc_price,
    )


def _boundary_of(instant: datetime, at: Situation) -> int:
    """Find where a target is met: between two slots at the end of the earlier one, so that it holds at its time."""
    return max(1, at.boundary_until(instant))


def _unknown_soc(at: Situation) -> BadValues:
    return BadValues(
        f"The state of charge of {at.name} at {at.word(at.start)} is unknown: send a UDI event, or set its "
        "soc_in_mwh and soc_datetime."
    )


def _point(model: StorageModel, at: Situation) -> StorageDevice:
    charge, discharge = model.efficiencies
    low, high = model.soc_min_mwh, model.soc_max_mwh
    low, high = (at.soc_min_mwh if low is None else low), (at.soc_max_mwh if high is None else high)
    return StorageDevice(
        at.name,
        at.capacity_mw if model.max_consumption_mw is None else model.max_consumption_mw,
        at.capacity_mw if model.max_production_mw is None else model.max_production_mw,
        low or 0.0,
        inf if high is None else high,
        charge_efficiency=charge,
        discharge_efficiency=discharge,
        loss_per_hour=model.loss_per_hour,
        usage_mw=model.usage_mw if at.usage_mw is None else model.usage_mw + at.usage_mw,
        charge_taper=model.charge_taper,
        discharge_taper=model.discharge_taper,
        min_consumption_mw=model.min_consumption_mw,
        min_production_mw=model.min_production_mw,
        wear_price=model.wear_price,
    )


def _keep_in_reach(
    minima: dict[int, float], device: StorageDevice, at: Situation, boundary: int, wanted: float
) -> None:
    """Wish that what is wanted after the last known price stays within reach at full power."""
    stored = float(np.max(device.max_consumption_mw)) * float(np.max(device.charge_efficiency)) * at.hours
    needed = wanted - stored * (boundary - at.slots)
    if needed > 0:
        minima[at.slots] = max(minima.get(at.slots, 0.0), needed)


def _by_boundary(
    bands: tuple[DailyBand, ...], at: Situation, pick: Callable[[float, float], float]
) -> dict[int, float]:
    """Spread daily bands over the boundaries that lie in them, both ends included; of several the strictest counts."""
    wishes: dict[int, float] = {}
    for band in bands:
        for opens, closes in daily_periods(at.start, at.end + at.resolution, at.zone, band.since, band.until):
            first, last = max(1, at.boundary_from(opens)), min(at.slots, at.boundary_until(closes))
            for boundary in range(first, last + 1):
                wishes[boundary] = pick(wishes.get(boundary, band.soc_mwh), band.soc_mwh)
    return wishes


@dataclass(frozen=True)
class _Visit:
    """One stay of a car.

    Attributes:
        stay: What is wanted of it each day.
        opens: When it comes by habit.
        closes: When it leaves.
    """

    stay: DailyStay
    opens: datetime
    closes: datetime


def _cars(
    model: EvseModel,
    at: Situation,
    stays: dict[str, tuple[int, int]],
    asked: dict[tuple[str, int], datetime],
) -> tuple[StorageUse, ...]:
    reported = _reported_visit(model, at)
    visits = [
        _Visit(stay, *period)
        for stay in model.stays
        for period in daily_periods(at.start, at.end, at.zone, stay.arrival, stay.departure)
    ]
    if reported is not None and reported not in visits:  # it begins after the window, and yet the car is here
        visits.append(reported)
    uses = []
    for visit in visits:
        came, soc, brought = _arrival(visit, at, visit == reported)
        arrival, departure = max(0, at.boundary_from(came)), at.boundary_until(visit.closes)
        if arrival >= min(departure, at.slots):
            continue
        name = f"{at.name}, car from {at.word(came)}"
        uses.append(
            _car(replace(_point(model, at), name=name), at, visit, (arrival, departure), (soc, brought))
        )
        stays[name] = arrival, min(departure, at.slots)
        asked[name, departure] = visit.closes
    return tuple(uses)


def _reported_visit(model: EvseModel, at: Situation) -> _Visit | None:
    """Find the stay to which the last report belongs: the one that is on, or the next one if the car came early."""
    if at.reported is None:
        return None
    since, _ = at.reported
    visits = [
        _Visit(stay, *period)
        for stay in model.stays
        for period in daily_periods(since, since + _LONGEST_GAP, at.zone, stay.arrival, stay.departure)
    ]
    first = min(visits, key=lambda visit: visit.closes, default=None)
    return first if first is not None and first.closes > at.start else None


def _arrival(visit: _Visit, at: Situation, is_reported: bool) -> tuple[datetime, float, float]:
    """Tell when a car comes, with which state of charge the plan begins, and which one it has brought [MWh].

    What was reported beats what is usual.
    """
    usual = visit.stay.soc_at_arrival_mwh
    if is_reported and at.reported is not None:
        since, soc = at.reported
        brought = soc if since < visit.opens else usual
        came = min(visit.opens, max(since, at.start))
        return came, soc if at.soc_mwh is None or since > at.start else at.soc_mwh, brought
    is_here = visit.opens <= at.start and at.soc_mwh is not None
    return visit.opens, at.soc_mwh if is_here and at.soc_mwh is not None else usual, usual


def _car(
    point: StorageDevice,
    at: Situation,
    visit: _Visit,
    period: tuple[int, int],
    levels: tuple[float, float],
) -> StorageUse:
    """Describe a stay: its boundaries, the state of charge when it begins, and the one that the car has brought."""
    arrival, departure = period
    soc, brought = levels
    wanted = visit.stay.soc_wanted_mwh
    if wanted is None:
        wanted = brought + (visit.stay.energy_wanted_mwh or 0.0)
    use = session(point, ChargingSession(arrival, min(departure, at.slots), soc, max(wanted, 0.0)), at.slots)
    if departure <= at.slots:
        return use
    minima: dict[int, float] = {}
    _keep_in_reach(minima, point, at, departure, wanted)
    return replace(use, targets={}, soc_minima=minima)


def _heat_buffer(model: HeatBufferModel, at: Situation) -> StorageUse:
    if at.soc_mwh is None:
        raise _unknown_soc(at)
    capacity = at.soc_max_mwh if model.capacity_mwh is None else model.capacity_mwh
    if capacity is None:
        raise BadFlexModel(
            f"The size of the buffer {at.name} is unknown: set capacity_mwh of its flex model, or max_soc_in_mwh."
        )
    device = StorageDevice(
        at.name,
        at.capacity_mw if model.max_consumption_mw is None else model.max_consumption_mw,
        0.0,
        0.0,
        capacity,
        gain=model.gain,
        loss_per_hour=model.loss_per_hour,
        usage_mw=model.usage_mw if at.usage_mw is None else model.usage_mw + at.usage_mw,
        min_consumption_mw=model.min_consumption_mw,
    )
    return StorageUse(
        device,
        at.soc_mwh,
        soc_minima=_by_boundary(model.soc_minima, at, max),
        soc_maxima=_by_boundary(model.soc_maxima, at, min),
        value_of_energy_left=model.value_of_energy_left,
    )


def _forecast(at: Situation) -> FloatArray:
    forecast = at.forecast_mw
    if forecast is None or not np.all(np.isfinite(forecast)):
        raise NotEnoughData(
            f"The power of {at.name} is not forecast from {at.word(at.start)} to {at.word(at.end)}: "
            "make forecasts first, or plan for a shorter time."
        )
    return forecast


def _loads(model: ShiftableLoadModel, at: Situation, notes: list[str]) -> tuple[ShiftableLoad, ...]:
    """One load for each daily run that ends within the window; the next one in any case."""
    loads: list[ShiftableLoad] = []
    for opens, closes in daily_periods(at.start, at.end, at.zone, model.earliest, model.latest):
        done = _slots_done(at, opens)
        rest = model.profile_mw[done:]
        if not rest or (closes > at.end and loads):
            continue
        earliest, latest = max(0, at.boundary_from(opens)), min(at.slots, at.boundary_until(closes))
        if done and not model.interruptible:
            latest = len(rest)  # it runs already, and must not be interrupted
        if earliest + len(rest) > min(latest, at.slots):
            if closes <= at.end:
                notes.append(
                    f"The run of {at.name} from {at.word(opens)} to {at.word(closes)} has no time left: "
                    f"{len(rest)} slots are to come."
                )
            continue
        name = f"{at.name}, run from {at.word(opens)}"
        loads.append(ShiftableLoad(name, rest, earliest, latest, model.interruptible))
    return tuple(loads)


def _slots_done(at: Situation, opens: datetime) -> int:
    """Count the slots of a run that lie behind, according to what was scheduled since the run could begin."""
    elapsed = at.boundary_until(at.start) - at.boundary_from(opens)
    if at.executed_mw is None or elapsed <= 0:
        return 0
    return int(np.count_nonzero(np.abs(np.nan_to_num(at.executed_mw[-elapsed:])) > _RUNNING_MW))

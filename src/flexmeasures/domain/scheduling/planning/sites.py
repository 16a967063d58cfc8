"""A site planned as one: what is known of its connection and its devices becomes one plan for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.flexibility.activation import ActivationValue, EnergyLeft, effect_of, value_of
from flexmeasures.domain.scheduling import (
    Baseline,
    Commitment,
    Curtailable,
    Exclusion,
    Missed,
    Outcome,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    SitePlan,
    StorageUse,
    charge_at_once,
    cost_of,
    do_nothing,
    plan_site,
)
from flexmeasures.domain.scheduling.asset_site import (
    AssetSite,
    make_asset_site,
    soc_of_asset,
    with_usual_size,
)
from flexmeasures.domain.scheduling.flex_context import FlexContext
from flexmeasures.domain.scheduling.flex_model import ShiftableLoadModel
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.planning.assets import are_alike, left_by_powers, reasons_as_data
from flexmeasures.domain.scheduling.planning.connection import (
    SiteFacts,
    forecast_bounds,
    inflexible_powers,
    limits_of,
    tariff_of,
)
from flexmeasures.domain.scheduling.planning.facts import AssetFacts, SlotGrid
from flexmeasures.domain.scheduling.planning.inputs import situation_of
from flexmeasures.domain.scheduling.planning.signals import as_asked
from flexmeasures.domain.scheduling.site import Connection, Device, Tariff

__all__ = ["DevicePlanned", "SitePlanned", "plan_whole_site"]


@dataclass(frozen=True)
class DevicePlanned:
    """What the plan of a site says about one device.

    Attributes:
        asset_id: The device.
        power_mw: Average power in each slot (n,) [MW, consumption positive].
        soc_mwh: State of charge at each boundary (n+1,) [MWh]; None if nothing is stored.
        targets: Instant → state of charge that was wanted [MWh].
        missed: What could not be kept, with its time, ready for JSON.
        energy_cost: What its energy costs at the prices of consumption and production [currency].
        notes: What its owner should know.
    """

    asset_id: int
    power_mw: FloatArray
    soc_mwh: FloatArray | None
    targets: Mapping[Any, float]
    missed: tuple[dict[str, Any], ...]
    energy_cost: float
    notes: tuple[str, ...]

    @property
    def missed_as_data(self) -> list[dict[str, Any]]:
        """The same as a list."""
        return list(self.missed)


@dataclass(frozen=True)
class SitePlanned:
    """The plan of a site with its value and its reasons; see `Plan` for fields of the same name.

    Attributes:
        net_mw: Average power at the connection (n,) [MW].
        devices: What it says about each device.
        missed: What the connection could not keep, ready for JSON.
    """

    asset_id: int
    grid: SlotGrid
    outcome: str
    gap: float
    net_mw: FloatArray
    devices: tuple[DevicePlanned, ...]
    missed: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    currency: str
    baseline: str
    value: ActivationValue
    has_co2: bool
    explanation: Mapping[str, Any]


@dataclass(frozen=True)
class _Member:
    """A device within the model of its site."""

    facts: AssetFacts
    asset: AssetSite
    targets: Mapping[Any, float]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.asset.site.devices)


def plan_whole_site(facts: SiteFacts, options: PlanOptions, replanning_price: float) -> SitePlanned:
    """Plan a site with all its devices in one model.

    A device of which too little is known is left out, and it is said: the others get their plan all the same.

    Args:
        facts: What is known.
        options: How to plan, as configured.
        replanning_price: What must be gained by a change of the previous plan [currency/MWh], as configured.

    Raises:
        UnknownPrices: If no price of consumption is known for any part of the window.
        FlexError: What is wrong with the only device, or with all.
    """
    notes: list[str] = []
    tariff, currency = tariff_of(facts, notes)
    slots = int(np.size(tariff.import_price))
    tariff, asked = as_asked(facts.signals, tariff, facts.grid.start, facts.grid.resolution)
    grid = replace(facts.grid, slots=slots)
    rest = inflexible_powers(facts, slots, notes)
    members = _members(facts, tariff, notes, replanning_price)
    site = _site(facts, tariff, asked, rest, members, notes)
    hours = np.full(slots, grid.resolution.total_seconds() / 3600)
    if all(isinstance(one, Profile) for one in site.devices):
        plan = SitePlan(
            {}, cost_of(site, hours, {one.name: rest[one.name] for one in site.devices}, {}), Outcome.OPTIMAL
        )
        net = np.asarray(sum(rest.values(), np.zeros(slots)))
    else:
        plan = plan_site(site, resolution_hours=float(hours[0]), options=replace(options, explain=True))
        net = plan.net_mw
    return _evaluated(facts, grid, (site, plan, net), members, rest, (currency, tuple(notes)))


def _members(facts: SiteFacts, tariff: Tariff, notes: list[str], replanning_price: float) -> list[_Member]:
    members, failures = [], []
    slots = int(np.size(tariff.import_price))
    for one in facts.devices:
        try:
            members.append(_member(facts, one, tariff, notes, replanning_price))
        except FlexError as error:
            failures.append(error)
            notes.append(f"{one.name} is left out: {error}")
    if failures and not members:
        raise failures[0]
    return [replace(one, asset=_bounded(one, slots)) for one in members]


def _member(
    facts: SiteFacts, one: AssetFacts, tariff: Tariff, notes: list[str], replanning_price: float
) -> _Member:
    slots = int(np.size(tariff.import_price))
    model, ratio = one.model, facts.slots_of_run.get(one.asset_id, 1)
    if isinstance(model, ShiftableLoadModel) and ratio > 1:
        model = model.model_copy(update={"profile_mw": tuple(np.repeat(model.profile_mw, ratio).tolist())})
    forecast = None if one.forecast_mw is None else one.forecast_mw.filled(slots)
    # Signals for the device limit it; the prices are those of its site.
    situation, _ = situation_of(replace(one, model=model), tariff, forecast, notes, replanning_price)
    situation, assumed = with_usual_size(model, replace(situation, tariff=tariff))
    asset = make_asset_site(model, situation)
    notes += [*assumed, *asset.notes]
    return _Member(one, asset, situation.targets)


def _bounded(member: _Member, slots: int) -> AssetSite:
    """Turn limits of an asset's own power into limits of its devices."""
    site = member.asset.site
    if not site.connection.is_limited:
        return member.asset
    most, least = site.connection.per_slot(slots)
    devices: list[Device] = []
    for one in site.devices:
        if isinstance(one, StorageUse):
            device = one.device
            high = np.minimum(device.per_slot(device.max_consumption_mw, slots), most)
            low = np.minimum(device.per_slot(device.max_production_mw, slots), least)
            device = replace(device, max_consumption_mw=high, max_production_mw=low)
            devices.append(replace(one, device=device))
        elif isinstance(one, Curtailable):
            devices.append(
                replace(one, forecast_mw=np.clip(np.asarray(one.forecast_mw, dtype=float), -least, most))
            )
        else:
            devices.append(one)
    return replace(member.asset, site=replace(site, devices=tuple(devices), connection=Connection()))


def _site(
    facts: SiteFacts,
    tariff: Tariff,
    asked: Connection,
    rest: Mapping[str, FloatArray],
    members: Sequence[_Member],
    notes: list[str],
) -> Site:
    slots = int(np.size(tariff.import_price))
    bounds = forecast_bounds(facts, rest, notes)
    devices: list[Device] = [Profile(name, power, *bounds.get(name, ())) for name, power in rest.items()]
    commitments: list[Commitment] = []
    for one in members:
        devices += _own_supply_only(facts.context, one, members, rest, slots)
        commitments += _commitments_of(one, slots)
    connection = limits_of(facts, asked, slots, notes)
    if facts.context.no_export_of_grid_energy:
        most = np.minimum(connection.per_slot(slots)[1], _local_production(members, rest, slots))
        connection = replace(connection, export_limit_mw=most)
    return Site(
        tuple(devices), tariff, connection, tuple(commitments), _exclusions(facts, members), name=facts.name
    )


def _local_production(members: Sequence[_Member], rest: Mapping[str, FloatArray], slots: int) -> FloatArray:
    """What the site is expected to produce in each slot without its stores, ≥ 0 (n,) [MW]."""
    total = np.asarray(sum((np.maximum(-power, 0.0) for power in rest.values()), np.zeros(slots)))
    for one in members:
        for device in one.asset.site.devices:
            if isinstance(device, Curtailable):
                total = total + np.maximum(
                    -np.broadcast_to(np.asarray(device.forecast_mw, float), slots), 0.0
                )
    return total


def _own_supply_only(
    context: FlexContext,
    member: _Member,
    members: Sequence[_Member],
    rest: Mapping[str, FloatArray],
    slots: int,
) -> list[Device]:
    """Let stores charge no more than what the site produces beyond its fixed consumption, if the grid is barred."""
    devices = list(member.asset.site.devices)
    if not context.no_charging_from_grid:
        return devices
    load = np.asarray(sum((np.maximum(power, 0.0) for power in rest.values()), np.zeros(slots)))
    surplus = np.maximum(_local_production(members, rest, slots) - load, 0.0)
    stores = sum(isinstance(one, StorageUse) for each in members for one in each.asset.site.devices)
    bounded: list[Device] = []
    for one in devices:
        if isinstance(one, StorageUse):
            # Several stores share the surplus equally: whichever of them charges, together they take no more.
            most = np.minimum(one.device.per_slot(one.device.max_consumption_mw, slots), surplus / stores)
            bounded.append(replace(one, device=replace(one.device, max_consumption_mw=most)))
        else:
            bounded.append(one)
    return bounded


def _commitments_of(member: _Member, slots: int) -> list[Commitment]:
    """Scope what was agreed for an asset to its devices: each takes the slots in which it may be used."""
    devices, stays = member.asset.site.devices, member.asset.stays
    if len(devices) <= 1:
        return [replace(c, device=one.name) for c in member.asset.site.commitments for one in devices]
    scoped = []
    for commitment in member.asset.site.commitments:
        power = commitment.per_slot(slots)
        for one in devices:
            first, last = stays.get(one.name, (0, slots))
            if isinstance(one, ShiftableLoad):
                first, last = one.window(slots)
            own = np.full(slots, np.nan)
            own[first:last] = power[first:last]
            scoped.append(
                replace(commitment, name=f"{commitment.name} ({one.name})", power_mw=own, device=one.name)
            )
    return scoped


def _exclusions(facts: SiteFacts, members: Sequence[_Member]) -> tuple[Exclusion, ...]:
    names = {one.facts.asset_id: one.names for one in members}
    return tuple(
        Exclusion(first, second, rule.first_use, rule.second_use)
        for rule in facts.context.exclusions
        for first in names.get(rule.first, ())
        for second in names.get(rule.second, ())
    )


def _evaluated(
    facts: SiteFacts,
    grid: SlotGrid,
    planned: tuple[Site, SitePlan, FloatArray],
    members: Sequence[_Member],
    rest: Mapping[str, FloatArray],
    said: tuple[str, tuple[str, ...]],
) -> SitePlanned:
    """Put the plan beside its baseline, and share out what it says among the devices."""
    site, plan, net = planned
    currency, notes = said
    hours = np.full(grid.slots, grid.resolution.total_seconds() / 3600)
    explanation = plan.explanation
    simple = (
        (do_nothing(site, hours), charge_at_once(site, hours))
        if explanation is None
        else explanation.baselines
    )
    chosen = simple[0] if simple[0].keeps_wishes or are_alike(simple) else simple[-1]
    expected = np.asarray(sum(chosen.power_mw.values(), np.zeros(grid.slots)))
    left = _energy_left(site, plan, chosen, hours)
    can_curtail = any(isinstance(one, Curtailable) for one in site.devices)
    value = value_of(
        effect_of(net, expected, float(hours[0]), can_curtail=can_curtail),
        (plan.cost.total, chosen.cost.total),
        (plan.cost.co2_kg, chosen.cost.co2_kg),
        left,
    )
    devices = tuple(_device(one, site, plan, grid) for one in members)
    of_devices = {name for one in members for name in one.names}
    at_connection = [one for one in plan.missed if one.device not in of_devices]
    sentences = [sentence for one in members for sentence in _sentences(one, plan, grid)]
    sentences += [one.sentence(grid.word(grid.slot_start(one.index))) for one in at_connection]
    other = sorted(set(plan.notes) - {str(one) for one in plan.missed})
    reasons = {
        **reasons_as_data(explanation, simple),
        "devices": {
            one.facts.name: {"asset_id": one.facts.asset_id, "energy_cost": device.energy_cost}
            for one, device in zip(members, devices, strict=True)
        },
        "costs": asdict(plan.cost),
        "limits_mw": _limits_as_data(site, grid.slots),
        "inflexible_mw": {name: np.round(power, 9).tolist() for name, power in rest.items()},
    }
    if left is not None:
        reasons["energy_left"] = {**asdict(left), "worth": left.worth}
    return SitePlanned(
        facts.asset_id,
        grid,
        plan.outcome.value,
        plan.gap,
        net,
        devices,
        tuple(_missed(one, grid, {}) for one in at_connection),
        (*notes, *other, *sentences),
        currency,
        chosen.name,
        value,
        site.tariff.co2_kg_per_mwh is not None,
        reasons,
    )


def _limits_as_data(site: Site, slots: int) -> dict[str, list[float | None]]:
    """Write the limits of the connection, with null where there is none, ready for JSON."""
    ways = zip(("import", "export"), site.connection.per_slot(slots), strict=True)
    return {way: [one if np.isfinite(one) else None for one in limit.tolist()] for way, limit in ways}


def _device(member: _Member, site: Site, plan: SitePlan, grid: SlotGrid) -> DevicePlanned:
    own = {name: plan.devices[name] for name in member.names if name in plan.devices}
    power = np.asarray(sum((one.power_mw for one in own.values()), np.zeros(grid.slots)))
    soc = soc_of_asset(member.asset, replace(plan, devices=own)) if own else None
    bought, sold = site.tariff.prices
    hours = grid.resolution.total_seconds() / 3600
    cost = float(np.sum(np.where(power > 0, bought, sold) * power) * hours)
    missed = [one for one in plan.missed if one.device in member.names]
    return DevicePlanned(
        member.facts.asset_id,
        power,
        soc,
        member.targets,
        tuple(_missed(one, grid, member.asset.asked) for one in missed),
        cost,
        tuple(_sentences(member, plan, grid)),
    )


def _word(grid: SlotGrid, asked: Mapping[tuple[str, int], Any], device: str, place: int) -> str:
    return grid.word(asked.get((device, place), grid.slot_start(place)))


def _sentences(member: _Member, plan: SitePlan, grid: SlotGrid) -> list[str]:
    asked = member.asset.asked
    return [
        one.sentence(_word(grid, asked, one.device, one.index), partial(_word, grid, asked, one.device))
        for one in plan.missed
        if one.device in member.names
    ]


def _missed(one: Missed, grid: SlotGrid, asked: Mapping[tuple[str, int], Any]) -> dict[str, Any]:
    return {
        "limit": one.limit,
        "device": one.device,
        "at": _word(grid, asked, one.device, one.index),
        "wanted": one.wanted,
        "reached": one.reached,
        "unit": one.unit,
        "clashes": one.clashes_at(partial(_word, grid, asked, one.device)),
    }


def _energy_left(site: Site, plan: SitePlan, chosen: Baseline, hours: FloatArray) -> EnergyLeft | None:
    """Count what is left in all stores: as flex models say, else by what the same energy costs on average."""
    stores = [one for one in site.devices if isinstance(one, StorageUse)]
    left = left_by_powers(site, hours, chosen.power_mw)
    if not stores or left is None or not plan.devices:
        return None
    ours = float(sum(one.soc_mwh[-1] for one in plan.devices.values() if one.soc_mwh is not None))
    stated = [one.value_of_energy_left for one in stores if one.value_of_energy_left]
    if stated:
        return EnergyLeft(ours, left, float(np.mean(stated)), in_costs=True)
    slots = hours.size
    kept = [
        one.device.per_slot(one.device.charge_efficiency, slots) * one.device.per_slot(one.device.gain, slots)
        for one in stores
    ]
    price = float(site.tariff.prices[0].mean()) / float(np.mean(kept))
    return EnergyLeft(ours, left, max(0.0, price))

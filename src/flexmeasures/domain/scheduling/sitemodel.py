"""A whole site as one linear model, and how to read a solution of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from flexmeasures.domain.scheduling.balance import (
    Balance,
    add_balance,
    add_commitment,
    add_peaks,
    limit_connection,
    needs_balance,
)
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.exclusions import (
    EitherOr,
    add_either_or,
    broken_slots,
    simple_use,
    use_of_part,
)
from flexmeasures.domain.scheduling.linear import FloatArray, LinearModel, Term
from flexmeasures.domain.scheduling.parts import (
    NamedLimit,
    Part,
    Slack,
    add_curtailable,
    add_profile,
    add_shiftable,
)
from flexmeasures.domain.scheduling.site import Curtailable, Device, ShiftableLoad, Site
from flexmeasures.domain.scheduling.storage import StoragePart, add_storage

__all__ = ["Objective", "SiteModel", "Statement", "Whole", "sooner_slope", "state_site"]

_INTEGRAL_TOLERANCE = 1e-6


class Objective(Enum):
    """What a plan makes as small as possible."""

    COST = "cost"
    CO2 = "CO₂"


@dataclass(frozen=True)
class Statement:
    """How to state a site.

    Args:
        hours: Duration of each slot (n,) [h].
        objective: What to minimise.
        prefer_charging_sooner: Whether to add the tiny price slope.
        elastic: Whether wishes may be missed.
        label: Begins the name of each block.
        weight: Share of this site's cost in the objective.
    """

    hours: FloatArray
    objective: Objective = Objective.COST
    prefer_charging_sooner: bool = True
    elastic: bool = False
    label: str = ""
    weight: float = 1.0


Whole = Mapping[str, frozenset[int]]
"""Name of an either-or rule, or of a device, → slots in which whole numbers are needed."""


@dataclass
class SiteModel:
    """A site within a model.

    Args:
        site: The site.
        statement: How it was stated.
        parts: Its devices by name.
        balance: Its connection, if devices influence each other's cost.
        rules: Either-or rules which a relaxed answer may break.
        prices: What a unit of import and of export adds to the objective, (n,) each, per MWh.
    """

    site: Site
    statement: Statement
    parts: dict[str, Part]
    balance: Balance | None
    prices: tuple[FloatArray, FloatArray]
    rules: list[EitherOr] = field(default_factory=list)

    def limits(self) -> Iterator[NamedLimit]:
        """Give every named limit of devices and connection."""
        for part in self.parts.values():
            yield from part.limits
        if self.balance:
            yield from self.balance.limits

    def slacks(self) -> Iterator[Slack]:
        """Give every kind of wish that may be missed."""
        for part in self.parts.values():
            yield from part.slacks
        if self.balance:
            yield from self.balance.slacks

    def broken(self, x: FloatArray) -> dict[str, frozenset[int]]:
        """Find where a relaxed answer breaks either-or rules or runs a load by halves."""
        found = {rule.name: broken_slots(rule, x) for rule in self.rules}
        for part in self.parts.values():
            values = x[part.whole]
            if np.any(np.abs(values - np.round(values)) > _INTEGRAL_TOLERANCE):
                found[f"{self.statement.label}{part.name}"] = np.array([0])
        return {name: frozenset(slots.tolist()) for name, slots in found.items() if slots.size}


def sooner_slope(prices: FloatArray) -> FloatArray:
    """Tiny artificial price rise over the window (n,), at most 1 per thousand of the price spread [currency/MWh].

    >>> sooner_slope(np.array([100.0, 100.0, 90.0])).round(6).tolist()
    [0.0, 0.005, 0.01]
    >>> sooner_slope(np.array([70.0, 70.0, 70.0])).round(6).tolist()
    [0.0, 0.0005, 0.001]
    """
    spread = float(np.max(prices) - np.min(prices))
    return np.linspace(0.0, spread * 0.001 if spread > 0 else 0.001, prices.size)


def state_site(model: LinearModel, site: Site, statement: Statement, whole: Whole) -> SiteModel:
    """State devices, connection, agreements and, where `whole` asks for it, whole numbers."""
    slots = statement.hours.size
    prices = objective_prices(site, statement)
    parts = {device.name: _add_device(model, device, statement) for device in site.devices}
    weighted = statement.hours * statement.weight
    balance = None
    if needs_balance(site):
        costs = (prices[0] * weighted, prices[1] * weighted)
        balance = add_balance(model, site, parts, costs, f"{statement.label}{site.name}: ")
        limit_connection(model, site, balance, f"{statement.label}{site.name}: ", elastic=statement.elastic)
        in_money = statement.weight if statement.objective is Objective.COST else 0.0
        add_peaks(model, site.tariff.peaks, balance, f"{statement.label}{site.name}: ", in_money)
    else:
        for part in parts.values():
            part.add_cost(model, prices[0] * weighted)
    if statement.prefer_charging_sooner:
        slope = sooner_slope(prices[0])
        for part in parts.values():
            part.add_preference(model, slope, weighted)
    stated = SiteModel(site, statement, parts, balance, prices)
    _add_commitments(model, stated, slots)
    stated.rules = list(_rules(stated))
    _add_whole_numbers(model, stated, whole)
    return stated


def objective_prices(site: Site, statement: Statement) -> tuple[FloatArray, FloatArray]:
    """What a unit of import, and one of export, adds to the objective, (n,) each [currency/MWh or kg/MWh]."""
    bought, sold = site.tariff.prices
    co2 = site.tariff.co2(bought.size)
    if statement.objective is Objective.CO2:
        return co2, co2
    emitted = co2 / 1000.0 * site.tariff.co2_price
    return bought + emitted, sold + emitted


def _add_device(model: LinearModel, device: Device, statement: Statement) -> Part:
    label = f"{statement.label}{device.name}: "
    if isinstance(device, StorageUse):
        apart = statement.prefer_charging_sooner
        return add_storage(model, device, statement.hours, label, elastic=statement.elastic, apart=apart)
    if isinstance(device, Curtailable):
        return add_curtailable(model, device, statement.hours, label)
    if isinstance(device, ShiftableLoad):
        return add_shiftable(model, device, statement.hours.size, label, elastic=statement.elastic)
    return add_profile(device, statement.hours.size)


def _add_commitments(model: LinearModel, stated: SiteModel, slots: int) -> None:
    label, weighted = stated.statement.label, stated.statement.hours * stated.statement.weight
    for commitment in stated.site.commitments:
        terms: list[Term]
        if commitment.device is not None:
            part = stated.parts[commitment.device]
            add_commitment(model, commitment, list(part.power), part.constant, (weighted, label))
        elif stated.balance is not None:
            terms = [(stated.balance.imported, 1.0), (stated.balance.exported, -1.0)]
            add_commitment(model, commitment, terms, np.zeros(slots), (weighted, label))


def _rules(stated: SiteModel) -> Iterator[EitherOr]:
    """Give the either-or rules of a site: asked for, or such that no device or meter runs both ways at once."""
    label = stated.statement.label
    for exclusion in stated.site.exclusions:
        first = use_of_part(stated.parts[exclusion.first], exclusion.first_use)
        second = use_of_part(stated.parts[exclusion.second], exclusion.second_use)
        name = f"{label}{exclusion.first} {exclusion.first_use.value}, {exclusion.second} {exclusion.second_use.value}"
        yield EitherOr(name, first, second)
    for part in stated.parts.values():
        if isinstance(part, StoragePart) and len(part.power) > 1:
            charging = simple_use(part.power[0][0], part.highest)
            discharging = simple_use(part.power[1][0], -part.lowest)
            yield EitherOr(f"{label}{part.name} charging, discharging", charging, discharging)
    if stated.balance:
        bought = simple_use(stated.balance.imported, stated.balance.most[0])
        sold = simple_use(stated.balance.exported, stated.balance.most[1])
        pays = (
            stated.prices[1] > stated.prices[0]
        )  # elsewhere nobody gains by importing and exporting at once
        yield EitherOr(f"{label}import, export", bought, sold, pays)


def _add_whole_numbers(model: LinearModel, stated: SiteModel, whole: Whole) -> None:
    for rule in stated.rules:
        if rule.name in whole:
            add_either_or(model, rule, np.array(sorted(whole[rule.name])))
    integer = model.column_arrays[3]
    for part in stated.parts.values():
        if f"{stated.statement.label}{part.name}" in whole:
            integer[part.whole] = True

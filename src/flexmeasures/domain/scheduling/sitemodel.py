"""A whole site as one linear model, and how to read a solution of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from flexmeasures.domain.errors import Impossible
from flexmeasures.domain.scheduling.balance import (
    Balance,
    add_balance,
    add_commitment,
    add_peaks,
    limit_connection,
    needs_balance,
    power_of_connection,
)
from flexmeasures.domain.scheduling.devices import StorageUse
from flexmeasures.domain.scheduling.exclusions import (
    AtMostOne,
    Choice,
    Rule,
    add_shares,
    rules_of,
    simple_use,
    use_of_part,
)
from flexmeasures.domain.scheduling.import_or_export import split_by_choice
from flexmeasures.domain.scheduling.least_power import OffOrAtLeast
from flexmeasures.domain.scheduling.linear import FloatArray, LinearModel
from flexmeasures.domain.scheduling.parts import (
    NamedLimit,
    Part,
    Slack,
    add_curtailable,
    add_profile,
    add_shiftable,
)
from flexmeasures.domain.scheduling.site import Curtailable, Device, Direction, ShiftableLoad, Site
from flexmeasures.domain.scheduling.storage import add_storage

__all__ = ["Objective", "SiteModel", "Statement", "Whole", "gains_by_both", "sooner_slope", "state_site"]

_INTEGRAL_TOLERANCE = 1e-6
_SHARE_OF_DIFFERENCE = 0.1
_RELUCTANCE = 3.0
"""Extra cost of moving energy at an assumed price, as a multiple of the tiny slope's largest value."""


class Objective(Enum):
    """Objective of a plan, to be minimised."""

    COST = "cost"
    CO2 = "CO₂"


@dataclass(frozen=True)
class Statement:
    """Options of the statement of a site.

    Args:
        hours: Duration of each slot (n,) [h].
        objective: What to minimise.
        prefer_charging_sooner: Whether to add the tiny price slope.
        prefer_charging_later: Whether to add it the other way round instead.
        elastic: Whether wishes may be missed.
        label: Begins the name of each block.
        weight: Share of this site's cost in the objective.
    """

    hours: FloatArray
    objective: Objective = Objective.COST
    prefer_charging_sooner: bool = True
    prefer_charging_later: bool = False
    elastic: bool = False
    label: str = ""
    weight: float = 1.0


Whole = Mapping[str, frozenset[int]]
"""Name of a rule, or of a device, → slots in which whole numbers are needed."""


@dataclass
class SiteModel:
    """A site within a model.

    Args:
        site: The site.
        statement: How it was stated.
        parts: Its devices by name.
        balance: Its connection, if devices influence each other's cost.
        rules: Rules which a relaxed answer may break.
        choices: Whole numbers that keep them in some slots.
        prices: What a unit of import and of export adds to the objective, (n,) each, per MWh.
    """

    site: Site
    statement: Statement
    parts: dict[str, Part]
    balance: Balance | None
    prices: tuple[FloatArray, FloatArray]
    rules: list[Rule] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)

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
        """Find where a relaxed answer breaks a rule or runs a load by halves.

        Where export pays more than import costs, what is forbidden in one slot is done in the next. So if import and
        export meet anywhere, all slots in which they could are given; and those in which it pays to waste energy by
        running a store both ways, for these come next.
        """
        found = {rule.name: rule.broken(x) for rule in self.rules}
        if any(rule.of_connection and found[rule.name].size for rule in self.rules):
            wasting_pays = self.prices[0] < 0
            for rule in self.rules:
                gainful = wasting_pays if rule.matters is None else rule.matters
                found[rule.name] = np.union1d(found[rule.name], np.flatnonzero(gainful))
        found = {f"{self.statement.label}{name}": slots for name, slots in found.items()}
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
    return np.linspace(0.0, _tiny(prices), prices.size)


def _tiny(prices: FloatArray) -> float:
    """A thousandth of the price spread; a thousandth of a unit if there is none."""
    spread = float(np.max(prices) - np.min(prices))
    return spread * 0.001 if spread > 0 else 0.001


def _slope(prices: FloatArray, statement: Statement) -> FloatArray:
    """Tiny artificial price of charging in each slot (n,) [currency/MWh] that chooses among equal plans.

    Without a wish for sooner or later it only keeps together what equal prices would leave to chance: it is too small
    to outweigh any difference between two prices, and nothing where no two are equal.
    """
    if statement.prefer_charging_later:
        return sooner_slope(prices)[::-1].copy()
    if statement.prefer_charging_sooner:
        return sooner_slope(prices)
    levels = np.unique(prices)
    if levels.size == prices.size:
        return np.zeros(prices.size)
    least = float(np.min(np.diff(levels))) if levels.size > 1 else np.inf
    return np.linspace(0.0, min(_tiny(prices), _SHARE_OF_DIFFERENCE * least), prices.size)


def state_site(model: LinearModel, site: Site, statement: Statement, whole: Whole) -> SiteModel:
    """State devices, connection, agreements and, where `whole` asks for it, whole numbers."""
    prices = objective_prices(site, statement)
    slope = _slope(prices[0], statement)
    apart = bool(np.any(slope) or np.any(site.tariff.assumed))
    parts = {device.name: _add_device(model, device, statement, apart=apart) for device in site.devices}
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
    if np.any(slope):
        for part in parts.values():
            part.add_preference(model, slope, weighted)
    if np.any(site.tariff.assumed):
        for part in parts.values():
            part.add_reluctance(
                model, _RELUCTANCE * _tiny(prices[0]) * np.asarray(site.tariff.assumed) * weighted
            )
    stated = SiteModel(site, statement, parts, balance, prices)
    _add_commitments(model, stated)
    _add_rules(model, stated)
    _add_whole_numbers(model, stated, whole)
    return stated


def objective_prices(site: Site, statement: Statement) -> tuple[FloatArray, FloatArray]:
    """Return the objective's coefficients of a unit of import and of export, (n,) each [currency/MWh or kg/MWh]."""
    bought, sold = site.tariff.prices
    co2 = site.tariff.co2(bought.size)
    if statement.objective is Objective.CO2:
        return co2, co2
    emitted = co2 / 1000.0 * site.tariff.co2_price
    return bought + emitted, sold + emitted


def gains_by_both(site: Site, statement: Statement) -> bool:
    """Tell whether export earns more than import costs in any slot: without whole numbers, a plan then does both."""
    bought, sold = objective_prices(site, statement)
    return bool(np.any(sold > bought))


def _add_device(model: LinearModel, device: Device, statement: Statement, *, apart: bool) -> Part:
    label = f"{statement.label}{device.name}: "
    if isinstance(device, StorageUse):
        return add_storage(
            model,
            device,
            statement.hours,
            label,
            elastic=statement.elastic,
            apart=apart,
            weight=statement.weight,
        )
    if isinstance(device, Curtailable):
        return add_curtailable(model, device, statement.hours * statement.weight, label)
    if isinstance(device, ShiftableLoad):
        return add_shiftable(model, device, statement.hours.size, label, elastic=statement.elastic)
    return add_profile(device, statement.hours.size)


def _add_commitments(model: LinearModel, stated: SiteModel) -> None:
    label, weighted = stated.statement.label, stated.statement.hours * stated.statement.weight
    for number, commitment in enumerate(stated.site.commitments):
        if commitment.device is not None:
            part = stated.parts[commitment.device]
        elif stated.balance is not None:
            part = power_of_connection(stated.site, stated.balance)
        else:
            raise Impossible(f"{commitment.name} speaks of a connection that was not stated.")
        add_commitment(model, commitment, part, weighted, f"{label}agreed {number}")


def _add_rules(model: LinearModel, stated: SiteModel) -> None:
    """Find the rules of a site, and state of the exclusions what can be said without whole numbers."""
    label = stated.statement.label
    meetings = list(rules_of(stated.parts, stated.site.exclusions))
    if stated.site.exclusions:
        for rule in meetings:
            add_shares(model, rule, label)
    stated.rules = [*meetings, *_least_powers(stated)]
    if stated.balance:
        possible = stated.balance.possible
        bought = simple_use("import", stated.balance.imported, possible[0])
        sold = simple_use("export", stated.balance.exported, possible[1])
        # elsewhere nobody gains by importing and exporting at once, or nobody can
        pays = (stated.prices[1] > stated.prices[0]) & (possible[0] > 0) & (possible[1] > 0)
        stated.rules.append(AtMostOne(f"{stated.site.name}: import, export", (bought, sold), pays, True))


def _least_powers(stated: SiteModel) -> Iterator[OffOrAtLeast]:
    """Give the least powers of stores."""
    slots = stated.statement.hours.size
    for one in stated.site.devices:
        if isinstance(one, StorageUse):
            for direction, power in (
                (Direction.CONSUMING, one.device.min_consumption_mw),
                (Direction.PRODUCING, one.device.min_production_mw),
            ):
                least = one.device.per_slot(power, slots)
                if np.any(least > 0):
                    use = use_of_part(stated.parts[one.name], direction)
                    yield OffOrAtLeast(f"least power of {use.name}", use, least)


def _add_whole_numbers(model: LinearModel, stated: SiteModel, whole: Whole) -> None:
    label = stated.statement.label
    for rule in stated.rules:
        if f"{label}{rule.name}" in whole:
            slots = np.array(sorted(whole[f"{label}{rule.name}"]))
            choice = rule.add_choice(model, slots, label)
            stated.choices.append(choice)
            if rule.of_connection and stated.balance:
                split_by_choice(model, stated.balance, stated.parts, choice, f"{label}{rule.name}: ")
    integer = model.column_arrays[3]
    for part in stated.parts.values():
        if f"{label}{part.name}" in whole:
            integer[part.whole] = True

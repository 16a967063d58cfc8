"""The connection of a site: what is imported and exported, what it costs, and what was agreed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Rows, Term
from flexmeasures.domain.scheduling.parts import NamedLimit, Part, Slack
from flexmeasures.domain.scheduling.site import Commitment, PeakPrice, Profile, Site, finite_per_slot

__all__ = [
    "Balance",
    "add_balance",
    "add_commitment",
    "add_peaks",
    "limit_connection",
    "needs_balance",
    "power_of_connection",
]

_TOLERANCE_MW = 1e-9
_ROOM = 1.25


@dataclass
class Balance:
    """Import and export of a site within a model.

    Args:
        imported: Columns of what is taken from the grid (n,) [MW].
        exported: Columns of what is given to it (n,) [MW].
        rows: Rows that make devices and connection add up.
        most: Import and export that are somewhat higher than the devices can cause, (n,) each [MW].
        possible: The highest import and export that devices and limits of the connection allow, (n,) each [MW].
        limits: What its bounds stand for.
        slacks: With elastic limits: by how much they are exceeded.
    """

    imported: Columns
    exported: Columns
    rows: Rows
    most: tuple[FloatArray, FloatArray]
    possible: tuple[FloatArray, FloatArray]
    limits: list[NamedLimit] = field(default_factory=list)
    slacks: list[Slack] = field(default_factory=list)


def needs_balance(site: Site) -> bool:
    """Tell whether devices influence each other's cost at all; if not, each can be charged its own energy."""
    tariff = site.tariff
    bought, sold = tariff.prices
    agreed = any(one.device is None for one in site.commitments)
    return bool(site.connection.is_limited or tariff.peaks or agreed or np.any(bought != sold))


def add_balance(
    model: LinearModel,
    site: Site,
    parts: Mapping[str, Part],
    costs: tuple[FloatArray, FloatArray],
    label: str,
) -> Balance:
    """State import and export: their sum is what the devices use; each has its cost a slot (n,) [currency/MW].

    Import and export may exceed what the forecast margins leave only by the slack that elastic limits get.
    """
    slots = costs[0].size
    fixed = sum((part.constant for part in parts.values()), np.zeros(slots))
    movable = [part for part in parts.values() if part.power]
    # a little more than devices can cause: a bound that they reach would take over the value of energy from the limit
    # of the device, and leave it to chance which of both is said to bind
    possible = (
        np.maximum(fixed + sum((part.highest for part in movable), np.zeros(slots)), 0.0),
        np.maximum(-fixed - sum((part.lowest for part in movable), np.zeros(slots)), 0.0),
    )
    highest, lowest = _ROOM * possible[0], _ROOM * possible[1]
    imported = model.add_variables(f"{label}import", slots, upper=highest, cost=costs[0])
    exported = model.add_variables(f"{label}export", slots, upper=lowest, cost=-costs[1])
    terms: list[Term] = [(imported, -1.0), (exported, 1.0)]
    terms += [term for part in movable for term in part.power]
    rows = model.add_constraints(f"{label}balance", terms, lower=-fixed, upper=-fixed)
    model.begin_with(np.where(fixed > 0, imported, exported), rows)
    return Balance(imported, exported, rows, (highest, lowest), possible)


def limit_connection(model: LinearModel, site: Site, balance: Balance, label: str, *, elastic: bool) -> None:
    """Keep import and export below their limits, less the margins for forecast errors.

    Where a margin is wider than its limit, the site must go the other way by as much.
    """
    slots = balance.imported.size
    margins = [device.margins(slots) for device in site.devices if isinstance(device, Profile)]
    above = sum((one[0] for one in margins), np.zeros(slots))
    below = sum((one[1] for one in margins), np.zeros(slots))
    most_imported, most_exported = site.connection.per_slot(slots)
    for name, bound, columns, opposite in (
        ("import limit", most_imported - above, balance.imported, balance.exported),
        ("export limit", most_exported - below, balance.exported, balance.imported),
    ):
        limited = np.flatnonzero(np.isfinite(bound))
        if not limited.size:
            continue
        beyond = np.where(bound[limited] < 0, -1.0, 0.0)
        terms: list[Term] = [(columns[limited], 1.0), (opposite[limited], beyond)]
        if elastic:
            slack = model.add_variables(f"{label}{name}: exceeded", limited.size)
            terms.append((slack, -1.0))
            balance.slacks.append(Slack(name, site.name, 4, slack))
        else:
            possible = balance.possible[0 if columns is balance.imported else 1]
            possible[limited] = np.clip(bound[limited], 0.0, possible[limited])
            model.column_arrays[1][columns[bound < 0]] = 0.0
        rows = model.add_constraints(f"{label}{name}", terms, upper=bound[limited])
        balance.limits.append(NamedLimit(site.name, rows, at_upper=name, are_rows=True, slots=limited))


def add_peaks(
    model: LinearModel, peaks: tuple[PeakPrice, ...], balance: Balance, label: str, weight: float
) -> None:
    """Let the highest import above the floor cost its price."""
    slots = balance.imported.size
    for number, peak in enumerate(peaks):
        counted = finite_per_slot("the weight of a peak price", peak.weight, slots)
        excess = model.add_variables(f"{label}peak {number}", 1, cost=peak.price * weight)
        terms: list[Term] = [(balance.imported, counted), (np.repeat(excess, slots), -1.0)]
        rows = model.add_constraints(f"{label}peak {number} of import", terms, upper=peak.floor_mw)
        balance.limits.append(NamedLimit("peak", rows, at_upper="peak price", are_rows=True))


def power_of_connection(site: Site, balance: Balance) -> Part:
    """Give what a site takes from the grid as the power of a part."""
    terms: tuple[Term, ...] = ((balance.imported, 1.0), (balance.exported, -1.0))
    highest, produced = balance.most
    return Part(site.name, terms, -produced, highest, np.zeros(highest.size))


def add_commitment(
    model: LinearModel, commitment: Commitment, part: Part, weighted: FloatArray, label: str
) -> None:
    """Let deviations from an agreed profile cost their price.

    Where the agreed power is the lowest or highest that is possible, or idleness of what has a variable for each
    direction, deviating is nothing but using these variables: their cost says it all. Variables for the deviation are
    added only for the other slots, so a plan that stays with another is found about as fast as that one was.

    Args:
        model: Receives the blocks.
        commitment: What was agreed.
        part: Whose power it speaks of.
        weighted: Hours a slot, weighted (n,) [h].
        label: Begins the name of each block.
    """
    agreed = commitment.per_slot(weighted.size)
    known = np.isfinite(agreed) & bool(part.power)
    above, below = commitment.price_above * weighted, commitment.price_below * weighted
    only_above = known & (agreed <= part.lowest + _TOLERANCE_MW)
    only_below = known & ~only_above & (agreed >= part.highest - _TOLERANCE_MW)
    part.add_cost(model, np.where(only_above, above, np.where(only_below, -below, 0.0)))
    bent = known & ~only_above & ~only_below
    if len(part.power) > 1:
        idle = bent & (np.abs(agreed) <= _TOLERANCE_MW)
        (consuming, _), (producing, _) = part.power
        cost = model.column_arrays[2]
        cost[consuming[idle]] += above[idle]
        cost[producing[idle]] += below[idle]
        bent &= ~idle
    if bent.any():
        _add_deviation(model, part, agreed, np.flatnonzero(bent), (above, below, label))


def _add_deviation(
    model: LinearModel,
    part: Part,
    agreed: FloatArray,
    slots: NDArray[np.int64],
    priced: tuple[FloatArray, FloatArray, str],
) -> None:
    """Add variables for the deviation either way in some slots, at their prices, (n,) each [currency/MW]."""
    price_above, price_below, name = priced
    most = (part.highest - agreed)[slots], (agreed - part.lowest)[slots]
    above = model.add_variables(f"{name}: above", slots.size, upper=most[0], cost=price_above[slots])
    below = model.add_variables(f"{name}: below", slots.size, upper=most[1], cost=price_below[slots])
    chosen: list[Term] = [
        (columns[slots], np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape)[slots])
        for columns, coefficient in part.power
    ]
    target = agreed[slots] - part.constant[slots]
    rows = model.add_constraints(name, [*chosen, (above, -1.0), (below, 1.0)], lower=target, upper=target)
    consuming, producing = part.power[0][0], part.power[-1][0]
    if consuming.ndim == 1:
        model.begin_with(np.where(target > 0, consuming[slots], producing[slots]), rows)

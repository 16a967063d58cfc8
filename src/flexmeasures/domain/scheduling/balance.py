"""The connection of a site: what is imported and exported, what it costs, and what was agreed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Rows, Term
from flexmeasures.domain.scheduling.parts import NamedLimit, Part, Slack
from flexmeasures.domain.scheduling.site import Commitment, PeakPrice, Profile, Site, finite_per_slot

__all__ = ["Balance", "add_balance", "add_commitment", "needs_balance"]


@dataclass
class Balance:
    """Import and export of a site within a model.

    Args:
        imported: Columns of what is taken from the grid (n,) [MW].
        exported: Columns of what is given to it (n,) [MW].
        rows: Rows that make devices and connection add up.
        most: Highest import and export that the devices can cause, (n,) each [MW].
        limits: What its bounds stand for.
        slacks: With elastic limits: by how much they are exceeded.
    """

    imported: Columns
    exported: Columns
    rows: Rows
    most: tuple[FloatArray, FloatArray]
    limits: list[NamedLimit] = field(default_factory=list)
    slacks: list[Slack] = field(default_factory=list)


def needs_balance(site: Site) -> bool:
    """Whether devices influence each other's cost at all; if not, each can be charged its own energy."""
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
    highest = np.maximum(fixed + sum((part.highest for part in movable), np.zeros(slots)), 0.0)
    lowest = np.maximum(-fixed - sum((part.lowest for part in movable), np.zeros(slots)), 0.0)
    imported = model.add_variables(f"{label}import", slots, upper=highest, cost=costs[0])
    exported = model.add_variables(f"{label}export", slots, upper=lowest, cost=-costs[1])
    terms: list[Term] = [(imported, -1.0), (exported, 1.0)]
    terms += [term for part in movable for term in part.power]
    rows = model.add_constraints(f"{label}balance", terms, lower=-fixed, upper=-fixed)
    return Balance(imported, exported, rows, (highest, lowest))


def limit_connection(model: LinearModel, site: Site, balance: Balance, label: str, *, elastic: bool) -> None:
    """Keep import and export below their limits, less the margins for forecast errors."""
    slots = balance.imported.size
    margins = [device.margins(slots) for device in site.devices if isinstance(device, Profile)]
    above = sum((one[0] for one in margins), np.zeros(slots))
    below = sum((one[1] for one in margins), np.zeros(slots))
    for name, limit, margin, columns in (
        ("import limit", site.connection.import_limit_mw, above, balance.imported),
        ("export limit", site.connection.export_limit_mw, below, balance.exported),
    ):
        bound = np.broadcast_to(np.asarray(limit, dtype=float), (slots,)) - margin
        limited = np.flatnonzero(np.isfinite(bound))
        if not limited.size:
            continue
        terms: list[Term] = [(columns[limited], 1.0)]
        if elastic:
            slack = model.add_variables(f"{label}{name}: exceeded", limited.size)
            terms.append((slack, -1.0))
            balance.slacks.append(Slack(name, site.name, 4, slack))
        rows = model.add_constraints(f"{label}{name}", terms, upper=np.maximum(bound[limited], 0.0))
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


def add_commitment(
    model: LinearModel,
    commitment: Commitment,
    terms: list[Term],
    constant: FloatArray,
    price: tuple[FloatArray, str],
) -> None:
    """Let deviations from an agreed profile cost their price.

    Args:
        model: Receives the blocks.
        commitment: What was agreed.
        terms: Terms of the power that it speaks of.
        constant: The part of that power that needs no variable (n,) [MW].
        price: Hours a slot, weighted (n,) [h], and the beginning of block names.
    """
    hours, label = price
    agreed = np.broadcast_to(np.asarray(commitment.power_mw, dtype=float), hours.shape)
    known = np.flatnonzero(np.isfinite(agreed))
    if not known.size:
        return
    name = f"{label}{commitment.name}"
    above = model.add_variables(f"{name}: above", known.size, cost=commitment.price_above * hours[known])
    below = model.add_variables(f"{name}: below", known.size, cost=commitment.price_below * hours[known])
    chosen: list[Term] = [
        (columns[known], np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape)[known])
        for columns, coefficient in terms
    ]
    target = agreed[known] - constant[known]
    model.add_constraints(name, [*chosen, (above, -1.0), (below, 1.0)], lower=target, upper=target)

"""Storage devices as variables and constraints: the one formulation behind every plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse, TaperPoint
from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Rows, Term

__all__ = ["NamedLimit", "SoftLimit", "StoragePart", "add_storage", "soft_limits"]


@dataclass(frozen=True)
class NamedLimit:
    """Which limit of which device the bounds of some columns or rows stand for.

    Args:
        device: Name of the device or connection.
        places: Columns or rows, one a slot or boundary.
        at_lower: Name of the limit at the lower bound; empty if that bound is no limit that anyone set.
        at_upper: The same at the upper bound.
        are_rows: Whether `places` are rows.
        first: Slot or boundary of the first place.
        unit: ``"MW"`` for slots, ``"MWh"`` for boundaries.
    """

    device: str
    places: Columns | Rows
    at_lower: str = ""
    at_upper: str = ""
    are_rows: bool = False
    first: int = 0
    unit: str = "MW"


@dataclass(frozen=True)
class SoftLimit:
    """A wish for a state of charge that may be missed when not all wishes can be kept.

    Args:
        limit: Its name.
        rank: Place in the order of relaxation: the lowest is given up first.
        boundary: When, 1 … n.
        lower: State of charge to have at least [MWh].
        upper: State of charge to have at most [MWh].
    """

    limit: str
    rank: int
    boundary: int
    lower: float = -inf
    upper: float = inf


@dataclass
class StoragePart:
    """A storage device within a model.

    Args:
        use: The device and what is wanted of it.
        power: Terms whose sum is the power of each slot [MW], consumption positive.
        soc: Columns of the states of charge at boundaries 1 … n.
        balance: Rows that carry the energy from boundary to boundary.
        limits: What its bounds stand for.
        slacks: With elastic wishes: each wish and its two columns (missing below, missing above).
    """

    use: StorageUse
    power: tuple[Term, ...]
    soc: Columns
    balance: Rows
    limits: list[NamedLimit]
    slacks: list[tuple[SoftLimit, Columns]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How messages call the device."""
        return self.use.name

    def power_of(self, x: FloatArray) -> FloatArray:
        """Read the power of each slot from a solution (n,) [MW]."""
        return np.asarray(sum(x[columns] * np.asarray(coefficient) for columns, coefficient in self.power))

    def soc_of(self, x: FloatArray) -> FloatArray:
        """Read the states of charge from a solution (n+1,) [MWh]."""
        return np.concatenate(([self.use.soc_at_start_mwh], x[self.soc]))


def soft_limits(use: StorageUse) -> Iterator[SoftLimit]:
    """List the wishes for a state of charge, with the order in which they are given up."""
    for boundary, soc in use.soc_minima.items():
        yield SoftLimit("soc minimum wished", 1, boundary, lower=soc)
    for boundary, soc in use.soc_maxima.items():
        yield SoftLimit("soc maximum wished", 1, boundary, upper=soc)
    for boundary, soc in use.targets.items():
        yield SoftLimit("soc target", 2, boundary, lower=soc, upper=soc)


def add_storage(
    model: LinearModel,
    use: StorageUse,
    hours: FloatArray,
    band: tuple[FloatArray, FloatArray],
    *,
    elastic: bool,
) -> StoragePart:
    """State a storage device: power limits, states of charge, energy balance, wishes.

    Args:
        model: Receives the blocks.
        use: The device and what is wanted of it.
        hours: Duration of each slot (n,) [h].
        band: Lowest and highest state of charge at each boundary (n+1,) [MWh].
        elastic: Whether wishes may be missed; else they are bounds.
    """
    slots = hours.size
    power, limits = _add_power(model, use.device, slots)
    lower, upper = band[0][1:].copy(), band[1][1:].copy()
    if not elastic:
        for wish in soft_limits(use):
            lower[wish.boundary - 1] = max(lower[wish.boundary - 1], wish.lower)
            upper[wish.boundary - 1] = min(upper[wish.boundary - 1], wish.upper)
    soc = model.add_variables(f"soc of {use.name}", slots, lower=lower, upper=upper)
    _value_final_soc(model, use, soc)
    limits.append(NamedLimit(use.name, soc, "soc minimum", "soc maximum", first=1, unit="MWh"))
    balance = _add_balance(model, use, hours, power, soc)
    part = StoragePart(use, power, soc, balance, limits)
    _add_tapers(model, part, slots)
    if elastic:
        part.slacks = [(wish, _add_slack(model, part, wish)) for wish in soft_limits(use)]
    return part


def _add_power(
    model: LinearModel, device: StorageDevice, slots: int
) -> tuple[tuple[Term, ...], list[NamedLimit]]:
    """Add power: one signed variable a slot where that is exact, else charging and discharging apart."""
    consumption = device.per_slot(device.max_consumption_mw, slots)
    production = device.per_slot(device.max_production_mw, slots)
    if device.is_lossless_both_ways:
        net = model.add_variables(f"power of {device.name}", slots, lower=-production, upper=consumption)
        return ((net, 1.0),), [NamedLimit(device.name, net, "maximum production", "maximum consumption")]
    charge = model.add_variables(f"charging of {device.name}", slots, upper=consumption)
    discharge = model.add_variables(f"discharging of {device.name}", slots, upper=production)
    return ((charge, 1.0), (discharge, -1.0)), [
        NamedLimit(device.name, charge, at_upper="maximum consumption"),
        NamedLimit(device.name, discharge, at_upper="maximum production"),
    ]


def _add_balance(
    model: LinearModel, use: StorageUse, hours: FloatArray, power: tuple[Term, ...], soc: Columns
) -> Rows:
    """soc[k] = kept[k] · soc[k−1] + hours[k] · (stored power − power taken out − usage)."""
    device, slots = use.device, hours.size
    kept = (1.0 - device.loss_per_hour) ** hours
    stored = hours * device.per_slot(device.charge_efficiency, slots) * device.per_slot(device.gain, slots)
    taken = hours / device.per_slot(device.discharge_efficiency, slots)
    known = -hours * device.per_slot(device.usage_mw, slots)
    known[0] += kept[0] * use.soc_at_start_mwh
    earlier = np.concatenate(([0.0], -kept[1:]))
    terms: list[Term] = [(soc, 1.0), (np.roll(soc, 1), earlier), (power[0][0], -stored)]
    if len(power) > 1:
        terms.append((power[1][0], taken))
    return model.add_constraints(f"energy balance of {use.name}", terms, lower=known, upper=known)


def _value_final_soc(model: LinearModel, use: StorageUse, soc: Columns) -> None:
    """Give the energy left at the end its value, and missing the preferred final soc its price."""
    cost = model.column_arrays[2]
    cost[soc[-1]] -= use.value_of_energy_left
    if use.preferred_final_soc_mwh is not None and use.final_soc_price > 0:
        miss = model.add_variables(f"final soc missed of {use.name}", 2, cost=use.final_soc_price)
        wanted = use.preferred_final_soc_mwh
        terms = [(soc[-1:], 1.0), (miss[:1], 1.0), (miss[1:], -1.0)]
        model.add_constraints(f"preferred final soc of {use.name}", terms, lower=wanted, upper=wanted)


def _add_slack(model: LinearModel, part: StoragePart, wish: SoftLimit) -> Columns:
    """Let a wish be missed: its two slack columns say by how much."""
    label = f"{wish.limit} of {part.name} at {wish.boundary}"
    slack = model.add_variables(f"missed: {label}", 2)
    place = part.soc[wish.boundary - 1 : wish.boundary]
    terms = [(place, 1.0), (slack[:1], 1.0), (slack[1:], -1.0)]
    rows = model.add_constraints(label, terms, lower=wish.lower, upper=wish.upper)
    part.limits.append(
        NamedLimit(part.name, rows, wish.limit, wish.limit, are_rows=True, first=wish.boundary, unit="MWh")
    )
    return slack


def _add_tapers(model: LinearModel, part: StoragePart, slots: int) -> None:
    """Keep power below each straight piece of a taper, at the start and at the end of every slot.

    The taper is concave, so a power that is allowed at both ends of a slot is allowed all the way between
    them.
    """
    device = part.use.device
    charging = part.power[0][0]
    discharging = part.power[-1][0]
    sign = 1.0 if len(part.power) > 1 else -1.0
    for label, taper, columns, direction in (
        ("charge taper", device.charge_taper, charging, 1.0),
        ("discharge taper", device.discharge_taper, discharging, sign),
    ):
        for piece, (slope, offset) in enumerate(straight_pieces(taper)):
            for edge in ("start", "end"):
                rows = _add_taper_rows(
                    model, part, (columns, direction), (slope, offset), f"{label} {piece} {edge}"
                )
                part.limits.append(NamedLimit(device.name, rows, at_upper=label, are_rows=True))


def _add_taper_rows(
    model: LinearModel, part: StoragePart, power: Term, line: tuple[float, float], label: str
) -> Rows:
    """Direction · power ≤ slope · soc + offset, with the soc at the start or the end of the slot."""
    slope, offset = line
    upper = np.full(part.soc.size, offset)
    if label.endswith("end"):
        terms = [power, (part.soc, -slope)]
    else:
        terms = [power, (np.roll(part.soc, 1), np.concatenate(([0.0], np.full(part.soc.size - 1, -slope))))]
        upper[0] += slope * part.use.soc_at_start_mwh
    return model.add_constraints(f"{label} of {part.name}", terms, upper=upper)


def straight_pieces(taper: tuple[TaperPoint, ...]) -> list[tuple[float, float]]:
    """Slope [MW/MWh] and offset [MW] of each straight piece of a taper.

    >>> straight_pieces(((4.0, 2.0), (5.0, 0.0)))
    [(-2.0, 10.0)]
    """
    pieces = []
    for (soc, power), (next_soc, next_power) in zip(taper, taper[1:], strict=False):
        slope = (next_power - power) / (next_soc - soc)
        pieces.append((slope, power - slope * soc))
    return pieces


def wishes_by_boundary(use: StorageUse) -> Mapping[int, list[SoftLimit]]:
    """Group the wishes by the boundary at which they hold, in time order."""
    grouped: dict[int, list[SoftLimit]] = {}
    for wish in sorted(soft_limits(use), key=lambda wish: wish.boundary):
        grouped.setdefault(wish.boundary, []).append(wish)
    return grouped

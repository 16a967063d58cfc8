"""Storage devices as variables and constraints: the one formulation behind every plan."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Rows, Term
from flexmeasures.domain.scheduling.parts import NamedLimit, Part, Slack
from flexmeasures.domain.scheduling.reach import exchange, reachable_band
from flexmeasures.domain.scheduling.wishes import SoftLimit, soft_limits, straight_pieces, wishes_by_boundary

__all__ = ["StoragePart", "add_storage"]


@dataclass(kw_only=True)
class StoragePart(Part):
    """A storage device within a model.

    Args:
        use: The device and what is wanted of it.
        soc: Columns of the states of charge at boundaries 1 … n.
        balance: Rows that carry the energy from boundary to boundary.
    """

    use: StorageUse
    soc: Columns
    balance: Rows

    def soc_of(self, x: FloatArray) -> FloatArray:
        """Read the states of charge from a solution (n+1,) [MWh]."""
        return np.concatenate(([self.use.soc_at_start_mwh], x[self.soc]))

    def add_preference(self, model: LinearModel, slope: FloatArray, weighted: FloatArray) -> None:
        """Make charging a little dearer the later it is and discharging the earlier it is, or the other way round.

        With one slope for both directions a device would buy early and sell late at the same price, and cycle for
        nothing: see decision 6.
        """
        if len(self.power) == 1:
            super().add_preference(model, slope, weighted)
            return
        (charging, _), (discharging, _) = self.power
        cost = model.column_arrays[2]
        cost[charging] += slope * weighted
        cost[discharging] += (np.max(slope) - slope) * weighted

    def add_reluctance(self, model: LinearModel, price: FloatArray) -> None:
        """Make it a little dearer to charge or discharge in some slots (n,) [currency/MW]."""
        cost = model.column_arrays[2]
        for columns, coefficient in self.power:  # a single variable has one direction only
            both_signs = np.where(self.lowest < 0, -1.0, 1.0) if len(self.power) == 1 else np.abs(coefficient)
            cost[columns] += price * both_signs


def add_storage(
    model: LinearModel,
    use: StorageUse,
    hours: FloatArray,
    label: str,
    *,
    elastic: bool,
    apart: bool = False,
    weight: float = 1.0,
) -> StoragePart:
    """State a storage device: power limits, states of charge, energy balance, wishes.

    Args:
        model: Receives the blocks.
        use: The device and what is wanted of it.
        hours: Duration of each slot (n,) [h].
        label: Begins the name of each block.
        elastic: Whether wishes may be missed; else they are bounds.
        apart: Whether charging and discharging have variables of their own even where nothing is lost.
        weight: Share of the prices of wishes in the objective.
    """
    device, slots = use.device, hours.size
    use.check_window(slots)
    power, limits = _add_power(model, device, slots, label, apart=apart or device.needs_both_ways)
    _price_wear(model, device, power, hours * weight)
    lower, upper = _band(use, hours, elastic=elastic)
    soc = model.add_variables(f"{label}soc", slots, lower=lower, upper=upper)
    _value_final_soc(model, use, soc, label, weight)
    limits.extend(_name_soc_limits(use, soc, elastic=elastic))
    part = StoragePart(
        use.name,
        power,
        -device.per_slot(device.max_production_mw, slots),
        device.per_slot(device.max_consumption_mw, slots),
        np.zeros(slots),
        limits,
        use=use,
        soc=soc,
        balance=_add_balance(model, use, hours, power, (soc, label)),
    )
    _add_tapers(model, part, _outside(use, hours), label)
    if elastic:
        part.slacks = [_add_slack(model, part, wish, label) for wish in soft_limits(use)]
    return part


def _band(use: StorageUse, hours: FloatArray, *, elastic: bool) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest soc at boundaries 1 … n [MWh], widened only as far as the start requires."""
    device, slots = use.device, hours.size
    lower = device.per_boundary(device.soc_min_mwh, slots)
    upper = device.per_boundary(device.soc_max_mwh, slots)
    if elastic or not lower[0] <= use.soc_at_start_mwh <= upper[0]:
        lower, upper = reachable_band(use, hours)
    if not elastic:
        for wish in soft_limits(use):
            lower[wish.boundary] = max(lower[wish.boundary], wish.lower)
            upper[wish.boundary] = min(upper[wish.boundary], wish.upper)
    return lower[1:], upper[1:]


def _name_soc_limits(use: StorageUse, soc: Columns, *, elastic: bool) -> list[NamedLimit]:
    """Say which bounds of the state of charge are the device's own, and which stand for a wish."""
    wishes = {} if elastic else wishes_by_boundary(use)
    own = np.array(
        [boundary for boundary in range(1, soc.size + 1) if boundary not in wishes], dtype=np.int64
    )
    named = [NamedLimit(use.name, soc[own - 1], "soc minimum", "soc maximum", unit="MWh", slots=own)]
    for boundary, together in wishes.items():
        at_lower = max(together, key=lambda wish: wish.lower)
        at_upper = min(together, key=lambda wish: wish.upper)
        names = (
            at_lower.limit if at_lower.lower > -inf else "soc minimum",
            at_upper.limit if at_upper.upper < inf else "soc maximum",
        )
        named.append(NamedLimit(use.name, soc[boundary - 1 : boundary], *names, first=boundary, unit="MWh"))
    return named


def _add_power(
    model: LinearModel, device: StorageDevice, slots: int, label: str, *, apart: bool
) -> tuple[tuple[Term, ...], list[NamedLimit]]:
    """Add power: one signed variable a slot where that is exact, else charging and discharging apart."""
    consumption = device.per_slot(device.max_consumption_mw, slots)
    production = device.per_slot(device.max_production_mw, slots)
    runs_both_ways = bool(np.any(consumption > 0) and np.any(production > 0))
    if device.is_lossless_both_ways and not (apart and runs_both_ways):
        net = model.add_variables(f"{label}power", slots, lower=-production, upper=consumption)
        return ((net, 1.0),), [NamedLimit(device.name, net, "maximum production", "maximum consumption")]
    charge = model.add_variables(f"{label}charging", slots, upper=consumption)
    discharge = model.add_variables(f"{label}discharging", slots, upper=production)
    return ((charge, 1.0), (discharge, -1.0)), [
        NamedLimit(device.name, charge, at_upper="maximum consumption"),
        NamedLimit(device.name, discharge, at_upper="maximum production"),
    ]


def _price_wear(
    model: LinearModel, device: StorageDevice, power: tuple[Term, ...], weighted: FloatArray
) -> None:
    """Give what is discharged its price of wear."""
    if device.wear_price > 0 and np.any(np.asarray(device.max_production_mw) > 0):
        columns, sign = power[-1]
        if len(power) > 1:
            model.column_arrays[2][columns] += device.wear_price * weighted
        else:  # a store that only discharges
            model.column_arrays[2][columns] -= device.wear_price * weighted * np.sign(sign)


def _add_balance(
    model: LinearModel,
    use: StorageUse,
    hours: FloatArray,
    power: tuple[Term, ...],
    labelled_soc: tuple[Columns, str],
) -> Rows:
    """soc[k] = kept[k] · soc[k−1] + hours[k] · (stored power − power taken out − usage)."""
    device, slots = use.device, hours.size
    soc, label = labelled_soc
    kept = (1.0 - device.loss_per_hour) ** hours
    stored, taken = (hours * share for share in exchange(device, slots))
    known = -hours * device.per_slot(device.usage_mw, slots)
    known[0] += kept[0] * use.soc_at_start_mwh
    earlier = np.concatenate(([0.0], -kept[1:]))
    terms: list[Term] = [(soc, 1.0), (np.roll(soc, 1), earlier), (power[0][0], -stored)]
    if len(power) > 1:
        terms.append((power[1][0], taken))
    rows = model.add_constraints(f"{label}energy balance", terms, lower=known, upper=known)
    model.begin_with(soc, rows)
    return rows


def _value_final_soc(model: LinearModel, use: StorageUse, soc: Columns, label: str, weight: float) -> None:
    """Give the energy left at the end its value, and missing the preferred final soc its price."""
    cost = model.column_arrays[2]
    cost[soc[-1]] -= use.value_of_energy_left * weight
    if use.preferred_final_soc_mwh is not None and use.final_soc_price > 0:
        miss = model.add_variables(f"{label}final soc missed", 2, cost=use.final_soc_price * weight)
        wanted = use.preferred_final_soc_mwh
        terms = [(soc[-1:], 1.0), (miss[:1], 1.0), (miss[1:], -1.0)]
        model.add_constraints(f"{label}preferred final soc", terms, lower=wanted, upper=wanted)


def _add_slack(model: LinearModel, part: StoragePart, wish: SoftLimit, label: str) -> Slack:
    """Let a wish be missed: two slack columns say by how much, below and above."""
    name = f"{label}{wish.limit} at {wish.boundary}"
    slack = model.add_variables(f"{name}: missed", 2)
    place = part.soc[wish.boundary - 1 : wish.boundary]
    terms: list[Term] = [(place, 1.0), (slack[:1], 1.0), (slack[1:], -1.0)]
    rows = model.add_constraints(name, terms, lower=wish.lower, upper=wish.upper)
    part.limits.append(
        NamedLimit(part.name, rows, wish.limit, wish.limit, are_rows=True, first=wish.boundary, unit="MWh")
    )
    return Slack(wish.limit, part.name, wish.rank, slack)


def _outside(use: StorageUse, hours: FloatArray) -> FloatArray:
    """States of charge at boundaries (n+1,) [MWh] at which a store that starts outside its limits is on its way back.

    Elsewhere nan. On its way it cannot be anywhere else, for it goes back as fast as it can.
    """
    device, slots = use.device, hours.size
    low, high = device.per_boundary(device.soc_min_mwh, slots), device.per_boundary(device.soc_max_mwh, slots)
    if low[0] <= use.soc_at_start_mwh <= high[0]:
        return np.full(slots + 1, np.nan)
    lower, upper = reachable_band(use, hours)
    return np.where(upper > high, upper, np.where(lower < low, lower, np.nan))


def _add_tapers(model: LinearModel, part: StoragePart, outside: FloatArray, label: str) -> None:
    """Keep power below each straight piece of a taper, at the start and at the end of every slot.

    The taper is concave, so a power that is allowed at both ends of a slot is allowed all the way between
    them. Outside the limits of state of charge, where a piece falls below 0, it allows a power of 0.
    """
    device = part.use.device
    charging = part.power[0][0]
    discharging = part.power[-1][0]
    sign = 1.0 if len(part.power) > 1 else -1.0
    for limit, taper, columns, direction in (
        ("charge taper", device.charge_taper, charging, 1.0),
        ("discharge taper", device.discharge_taper, discharging, sign),
    ):
        for piece, (slope, offset) in enumerate(straight_pieces(taper)):
            lifted = offset + np.nan_to_num(np.maximum(0.0, -(slope * outside + offset)))
            for edge in ("start", "end"):
                rows = _add_taper_rows(
                    model, part, (columns, direction), (slope, lifted), f"{label}{limit} {piece} {edge}"
                )
                part.limits.append(NamedLimit(device.name, rows, at_upper=limit, are_rows=True))


def _add_taper_rows(
    model: LinearModel, part: StoragePart, power: Term, line: tuple[float, FloatArray], label: str
) -> Rows:
    """Direction · power ≤ slope · soc + offset, with the soc at the start or the end of the slot.

    The offset has one value a boundary (n+1,) [MW].
    """
    slope, offset = line
    if label.endswith("end"):
        return model.add_constraints(label, [power, (part.soc, -slope)], upper=offset[1:])
    slopes = np.concatenate(([0.0], np.full(part.soc.size - 1, -slope)))
    upper = offset[:-1].copy()
    upper[0] += slope * part.use.soc_at_start_mwh
    return model.add_constraints(label, [power, (np.roll(part.soc, 1), slopes)], upper=upper)

"""Devices other than storage as variables and constraints."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Rows, Term
from flexmeasures.domain.scheduling.site import Curtailable, Profile, ShiftableLoad, finite_per_slot

__all__ = ["NamedLimit", "Part", "Slack", "add_curtailable", "add_profile", "add_shiftable"]


@dataclass(frozen=True)
class NamedLimit:
    """The limit and the device that the bounds of some columns or rows stand for.

    Args:
        device: Name of the device or connection.
        places: Columns or rows, one a slot or boundary.
        at_lower: Name of the limit at the lower bound; empty if that bound is not a limit that anyone set.
        at_upper: The same at the upper bound.
        are_rows: Whether `places` are rows.
        first: Slot or boundary of the first place.
        unit: ``"MW"`` for slots, ``"MWh"`` for boundaries.
        slots: Slot or boundary of each place, if they do not follow one another.
    """

    device: str
    places: Columns | Rows
    at_lower: str = ""
    at_upper: str = ""
    are_rows: bool = False
    first: int = 0
    unit: str = "MW"
    slots: NDArray[np.int64] | None = None

    def when(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the slots or boundaries that the bounds of these numbers belong to."""
        return self.first + places if self.slots is None else self.slots[places]


@dataclass(frozen=True)
class Slack:
    """Columns by which wishes of one kind may be missed.

    Args:
        limit: Name of the wish.
        device: Whose it is.
        rank: Place in the order of relaxation: the lowest is given up first.
        columns: By how much it is missed, ≥ 0.
        most: By how much it can be missed.
    """

    limit: str
    device: str
    rank: int
    columns: Columns
    most: float = inf


@dataclass
class Part:
    """A device within a model.

    Args:
        name: How messages call it.
        power: Terms whose sum, with `constant`, is the power of each slot [MW], consumption positive.
        lowest: Lowest power of each slot (n,) [MW].
        highest: Highest power of each slot (n,) [MW].
        constant: Power that needs no variable (n,) [MW].
        limits: What its bounds stand for.
        slacks: With elastic wishes: by how much they are missed.
        whole: Columns that must be whole numbers in the end.
    """

    name: str
    power: tuple[Term, ...]
    lowest: FloatArray
    highest: FloatArray
    constant: FloatArray
    limits: list[NamedLimit] = field(default_factory=list)
    slacks: list[Slack] = field(default_factory=list)
    whole: Columns = field(default_factory=lambda: np.empty(0, np.int32))

    def power_of(self, x: FloatArray) -> FloatArray:
        """Read the power of each slot from a solution (n,) [MW]."""
        power = self.constant.copy()
        for columns, coefficient in self.power:
            moved = x[columns] * np.asarray(coefficient, dtype=float)
            power += moved if moved.ndim == 1 else moved.sum(axis=1)
        return power

    def round_choices(self, x: FloatArray) -> FloatArray:
        """Round the columns that must be whole to as many ones as they add up to: the largest."""
        values = x[self.whole]
        rounded = np.zeros(values.size)
        rounded[np.argsort(-values, kind="stable")[: round(float(values.sum()))]] = 1.0
        return rounded

    def add_cost(self, model: LinearModel, price: FloatArray) -> None:
        """Let each unit of power cost something (n,) [currency/MW]."""
        cost = model.column_arrays[2]
        for columns, coefficient in self.power:
            values = np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape)
            np.add.at(cost, columns, values * (price if columns.ndim == 1 else price[:, None]))

    def add_preference(self, model: LinearModel, slope: FloatArray, weighted: FloatArray) -> None:
        """Make power a little dearer the later it is, or the earlier.

        Args:
            model: Holds the costs.
            slope: The tiny rise or fall of the price (n,) [currency/MWh].
            weighted: Duration of each slot times its weight (n,) [h].
        """
        self.add_cost(model, slope * weighted)

    def add_reluctance(self, model: LinearModel, price: FloatArray) -> None:
        """Make it a little dearer to run a load in some slots (n,) [currency/MW]; what produces is left alone."""
        if np.all(self.lowest >= 0):
            self.add_cost(model, price)


def add_profile(profile: Profile, slots: int) -> Part:
    """State what cannot be controlled: a constant."""
    power = finite_per_slot(profile.name, profile.power_mw, slots)
    return Part(profile.name, (), power, power, power)


def add_curtailable(model: LinearModel, device: Curtailable, weighted: FloatArray, label: str) -> Part:
    """State what can be lowered: its power lies between what must remain and the forecast.

    Args:
        model: Receives the blocks.
        device: What can be lowered.
        weighted: Duration of each slot times its weight in the objective (n,) [h].
        label: Begins the name of each block.
    """
    slots = weighted.size
    forecast = finite_per_slot(device.name, device.forecast_mw, slots)
    remaining = np.minimum(
        np.abs(forecast), finite_per_slot(device.name, device.minimum_mw, slots)
    ) * np.sign(forecast)
    lowest, highest = np.minimum(forecast, remaining), np.maximum(forecast, remaining)
    cost = -np.sign(forecast) * device.price * weighted
    columns = model.add_variables(f"{label}power", slots, lower=lowest, upper=highest, cost=cost)
    limits = [NamedLimit(device.name, columns, "minimum or forecast", "minimum or forecast")]
    return Part(device.name, ((columns, 1.0),), lowest, highest, np.zeros(slots), limits)


def add_shiftable(model: LinearModel, load: ShiftableLoad, slots: int, label: str, *, elastic: bool) -> Part:
    """State a load that runs once: by its start if uninterrupted, else by the slots in which it runs."""
    earliest, end = load.window(slots)
    profile = np.asarray(load.profile_mw, dtype=float)
    steps = 1 if load.interruptible else profile.size
    count = end - earliest - steps + 1
    choice = model.add_variables(f"{label}{'running' if load.interruptible else 'start'}", count, upper=1.0)
    shape = profile[:1] if load.interruptible else profile
    start = np.arange(slots)[:, None] - np.arange(steps)[None, :] - earliest
    possible = (start >= 0) & (start < count)
    power: Term = (choice[np.clip(start, 0, count - 1)], np.where(possible, shape[None, :], 0.0))
    reachable = np.where(possible, shape[None, :], 0.0)
    part = Part(
        load.name,
        (power,),
        np.minimum(reachable.min(axis=1), 0.0),
        np.maximum(reachable.max(axis=1), 0.0),
        np.zeros(slots),
        whole=choice,
    )
    needed = float(profile.size if load.interruptible else 1)
    terms: list[Term] = [(choice[None, :], 1.0)]
    if elastic:
        slack = model.add_variables(f"{label}not run", 1, upper=needed)
        terms.append((slack[None, :], 1.0))
        part.slacks.append(Slack("run", load.name, 3, slack, needed))
    rows = model.add_constraints(f"{label}run", terms, lower=needed, upper=needed)
    part.limits.append(NamedLimit(load.name, rows, "run once", "run once", are_rows=True, first=earliest))
    return part

"""What a plan has its asset do, in words: which action, until when, and why."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Action", "PlannedAction", "Reason", "list_actions"]

FloatArray = NDArray[np.float64]

_NOTHING_MW = 1e-6
"""Less power than this is nothing: a watt."""


class Action(Enum):
    """What an asset does."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    HOLD = "hold"
    RUN = "run"
    PRODUCE = "produce"
    STOP = "stop"


class Reason(Enum):
    """Why it does so."""

    PRICE = "price"
    TARGET = "target"
    LIMIT = "limit"
    NONE = ""


@dataclass(frozen=True)
class PlannedAction:
    """A stretch of a plan in which its asset does the same.

    Attributes:
        start: From this instant ...
        end: ... up to this one.
        power_mw: Mean power, consumption positive [MW].
        reason: Why.
    """

    action: Action
    start: datetime
    end: datetime
    power_mw: float
    reason: Reason

    @property
    def energy_mwh(self) -> float:
        """Energy of the stretch, without sign [MWh]."""
        return abs(self.power_mw) * ((self.end - self.start) / timedelta(hours=1))


def list_actions(
    power_mw: Sequence[float],
    start: datetime,
    resolution: timedelta,
    is_store: bool,
    prices: Sequence[float | None] | None = None,
    binding: Sequence[Iterable[str]] | None = None,
) -> list[PlannedAction]:
    """Cut a plan where its asset begins to do something else.

    Args:
        power_mw: Average power in each slot (n,) [MW, consumption positive].
        start: Start of the first slot.
        resolution: Length of a slot.
        is_store: Whether the asset stores energy: it charges and discharges then.
        prices: What one more unit of consumption would cost in each slot (n,) [currency/MWh]; None: unknown.
        binding: Names of the limits that bound in each slot (n,); None: unknown.

    >>> from datetime import UTC
    >>> day = datetime(2024, 5, 1, tzinfo=UTC)
    >>> [(one.action.value, one.end.hour) for one in list_actions([0, 0.5, 0.5, -1], day, timedelta(hours=1), True)]
    [('hold', 1), ('charge', 3), ('discharge', 4)]
    """
    power: FloatArray = np.asarray(power_mw, dtype=float)
    signs = np.sign(power) * (np.abs(power) > _NOTHING_MW)
    cuts = [0, *(np.flatnonzero(np.diff(signs)) + 1).tolist(), power.size]
    actions = []
    for first, last in itertools.pairwise(cuts):
        if first == last:
            continue
        sign = int(signs[first])
        actions.append(
            PlannedAction(
                _action(sign, is_store),
                start + first * resolution,
                start + last * resolution,
                float(power[first:last].mean()),
                _reason(sign, first, last, prices, binding),
            )
        )
    return actions


def _action(sign: int, is_store: bool) -> Action:
    if is_store:
        return {1: Action.CHARGE, 0: Action.HOLD, -1: Action.DISCHARGE}[sign]
    return {1: Action.RUN, 0: Action.STOP, -1: Action.PRODUCE}[sign]


def _reason(
    sign: int,
    first: int,
    last: int,
    prices: Sequence[float | None] | None,
    binding: Sequence[Iterable[str]] | None,
) -> Reason:
    """Choose the one reason that says most: a target that binds, a price that is better than the mean, a limit."""
    names: set[Any] = set()
    for slot in range(first, min(last, len(binding or ()))):
        names.update(binding[slot] if binding else ())
    if any("target" in str(name) or "stay" in str(name) for name in names):
        return Reason.TARGET
    known = np.array([np.nan if p is None else p for p in prices], dtype=float) if prices else np.empty(0)
    if sign and known.size and not np.isnan(known).all() and not np.isnan(known[first:last]).all():
        advantage = (np.nanmean(known) - np.nanmean(known[first:last])) * sign
        if advantage > 0:
            return Reason.PRICE
    return Reason.LIMIT if names else Reason.NONE

"""Least powers: what runs at less in the relaxed answer is told on or off with whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling.exclusions import Choice, Use
from flexmeasures.domain.scheduling.linear import FloatArray, LinearModel

__all__ = ["OffOrAtLeast"]

_TOLERANCE_MW = 1e-7


@dataclass(frozen=True)
class OffOrAtLeast:
    """A use that is either off or at least so much: semi-continuous.

    Args:
        name: Its name.
        use: The use.
        least: Its least power where it is on (n,) [MW].
        matters: Slots in which keeping it changes anything (n,); None means all.
        of_connection: It is never one of the connection.
    """

    name: str
    use: Use
    least: FloatArray
    matters: None = None
    of_connection: bool = False

    def broken(self, x: FloatArray) -> NDArray[np.int64]:
        """List the slots of a solution in which it runs at too little."""
        power = self.use.power(x)
        return np.flatnonzero((power > _TOLERANCE_MW) & (power < self.least - _TOLERANCE_MW))

    def largest(self, x: FloatArray) -> NDArray[np.int64]:
        """Give 0 for each slot in which it is better on, 1 where it is better off (n,)."""
        return np.where(self.use.power(x) >= self.least / 2 + _TOLERANCE_MW, 0, 1)

    def add_choice(self, model: LinearModel, slots: NDArray[np.int64], label: str) -> Choice:
        """Let whole numbers say in which of the given slots it is on."""
        label = f"{label}{self.name}"
        on = model.add_variables(f"{label}: on", slots.size, upper=1.0, integer=True)
        ones = np.ones(slots.size)
        power = self.use.terms_in(slots, ones)
        constant = self.use.constant[slots]
        model.add_constraints(f"{label}: most", [*power, (on, -self.use.most[slots])], upper=-constant)
        model.add_constraints(f"{label}: least", [*power, (on, -self.least[slots])], lower=-constant)
        return Choice(self, slots, on.reshape(1, slots.size))

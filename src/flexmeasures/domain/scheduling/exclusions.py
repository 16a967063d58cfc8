"""Either-or rules: found broken in the relaxed answer, then stated with whole numbers, slot by slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Term
from flexmeasures.domain.scheduling.parts import Part
from flexmeasures.domain.scheduling.site import Direction

__all__ = ["EitherOr", "Use", "add_either_or", "broken_slots", "use_of_part"]

_TOLERANCE_MW = 1e-7


@dataclass(frozen=True)
class Use:
    """A power that is to be zero or not: Σ terms ≤ most, and with `least` also ≥ −least.

    Args:
        terms: Terms of the power (n,) [MW].
        constant: The part that needs no variable (n,) [MW].
        most: How far it can rise (n,) [MW].
        least: How far it can fall below zero (n,) [MW]; None if falling is no use.
    """

    terms: tuple[Term, ...]
    constant: FloatArray
    most: FloatArray
    least: FloatArray | None = None

    def is_on(self, x: FloatArray) -> np.ndarray:
        """In which slots of a solution the power is used."""
        power = self.constant.copy()
        for columns, coefficient in self.terms:
            moved = x[columns] * np.asarray(coefficient, dtype=float)
            power += moved if moved.ndim == 1 else moved.sum(axis=1)
        return (np.abs(power) if self.least is not None else power) > _TOLERANCE_MW


@dataclass(frozen=True)
class EitherOr:
    """Two uses that must not meet in a slot.

    Args:
        name: Its name.
        first: A use.
        second: Another.
        matters: Slots in which meeting changes anything (n,); None means all.
    """

    name: str
    first: Use
    second: Use
    matters: np.ndarray | None = None


def use_of_part(part: Part, direction: Direction) -> Use:
    """State which power of a device an exclusion speaks of."""
    if direction is Direction.PRODUCING:
        turned = tuple(
            (columns, -np.asarray(coefficient, dtype=float)) for columns, coefficient in part.power
        )
        return Use(turned, -part.constant, np.maximum(-part.lowest, 0.0))
    most = np.maximum(part.highest, 0.0)
    least = np.maximum(-part.lowest, 0.0) if direction is Direction.ANY else None
    return Use(part.power, part.constant, most, least)


def simple_use(columns: Columns, most: FloatArray) -> Use:
    """State a non-negative block of variables as a use."""
    return Use(((columns, 1.0),), np.zeros(columns.size), most)


def broken_slots(rule: EitherOr, x: FloatArray) -> np.ndarray:
    """List the slots of a solution in which both uses meet."""
    both = rule.first.is_on(x) & rule.second.is_on(x)
    return np.flatnonzero(both if rule.matters is None else both & rule.matters)


def add_either_or(model: LinearModel, rule: EitherOr, slots: np.ndarray) -> None:
    """Forbid that both uses meet in the given slots, with one whole number a slot."""
    choice = model.add_variables(f"{rule.name}: choice", slots.size, upper=1.0, integer=True)
    for number, (terms, upper, sign) in enumerate(_bounds(rule, slots)):
        # first uses: power ≤ most · choice; second uses: power ≤ most · (1 − choice)
        on = (choice, -upper if sign > 0 else upper)
        model.add_constraints(
            f"{rule.name}: {number}", [*terms[0], on], upper=terms[1] + (0.0 if sign > 0 else upper)
        )


def _bounds(
    rule: EitherOr, slots: np.ndarray
) -> Iterator[tuple[tuple[list[Term], FloatArray], FloatArray, int]]:
    """Give for each direction of each use its terms and constant, its highest power, and which side it is on."""
    for use, side in ((rule.first, 1), (rule.second, -1)):
        for turn, most in ((1.0, use.most), (-1.0, use.least)):
            if most is None:
                continue
            terms = [
                (
                    columns[slots],
                    turn * np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape)[slots],
                )
                for columns, coefficient in use.terms
            ]
            yield (terms, -turn * use.constant[slots]), most[slots], side

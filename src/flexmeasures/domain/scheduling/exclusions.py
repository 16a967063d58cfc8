"""Uses that must not meet in a slot: found together in the relaxed answer, then told apart with whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flexmeasures.domain.scheduling.linear import Columns, FloatArray, LinearModel, Term
from flexmeasures.domain.scheduling.parts import Part
from flexmeasures.domain.scheduling.site import Direction, Exclusion

__all__ = ["AtMostOne", "Choice", "Rule", "Use", "add_shares", "rules_of", "simple_use", "use_of_part"]

_TOLERANCE_MW = 1e-7
_Node = tuple[str, Direction]
"""A device, and the direction in which it is used."""


@dataclass(frozen=True)
class Use:
    """A power that is in use where it is above zero.

    Args:
        name: How messages call it.
        terms: Terms of the power (n,) [MW].
        constant: The part that needs no variable (n,) [MW].
        most: How far it can rise (n,) [MW].
    """

    name: str
    terms: tuple[Term, ...]
    constant: FloatArray
    most: FloatArray

    def share(self, x: FloatArray) -> FloatArray:
        """Return the share of its highest power that a solution uses in each slot (n,)."""
        power = self.power(x)
        return np.divide(power, self.most, out=np.zeros(power.size), where=self.most > _TOLERANCE_MW)

    def is_on(self, x: FloatArray) -> NDArray[np.bool_]:
        """In which slots of a solution the power is used (n,)."""
        return self.power(x) > _TOLERANCE_MW

    def terms_in(self, slots: NDArray[np.int64], factor: FloatArray) -> list[Term]:
        """Give the terms of some slots, times a factor for each of them."""
        spread = [
            (columns, np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape))
            for columns, coefficient in self.terms
        ]
        return [
            (columns[slots], values[slots] * (factor if columns.ndim == 1 else factor[:, None]))
            for columns, values in spread
        ]

    def power(self, x: FloatArray) -> FloatArray:
        """Return the power in each slot of a solution (n,) [MW]."""
        power = self.constant.copy()
        for columns, coefficient in self.terms:
            moved = x[columns] * np.asarray(coefficient, dtype=float)
            power += moved if moved.ndim == 1 else moved.sum(axis=1)
        return power


@dataclass(frozen=True)
class AtMostOne:
    """Uses of which no two may meet in a slot.

    Args:
        name: Its name.
        uses: Two or more of them.
        matters: Slots in which meeting changes anything (n,); None means all.
        of_connection: Whether these are import and export, which follow from what the devices do.
    """

    name: str
    uses: tuple[Use, ...]
    matters: NDArray[np.bool_] | None = None
    of_connection: bool = False

    def largest(self, x: FloatArray) -> NDArray[np.int64]:
        """Number of the use that has the largest share of each slot in a solution (n,)."""
        return np.asarray(np.argmax([use.share(x) for use in self.uses], axis=0))

    def broken(self, x: FloatArray) -> NDArray[np.int64]:
        """List the slots of a solution in which uses meet."""
        meet = np.sum([use.is_on(x) for use in self.uses], axis=0) > 1
        return np.flatnonzero(meet if self.matters is None else meet & self.matters)

    def add_choice(self, model: LinearModel, slots: NDArray[np.int64], label: str) -> Choice:
        """Forbid that uses meet in the given slots: each slot belongs to one of them."""
        label = f"{label}{self.name}"
        *others, last = self.uses
        columns = model.add_variables(
            f"{label}: choice", slots.size * len(others), upper=1.0, integer=True
        ).reshape(len(others), slots.size)
        ones = np.ones(slots.size)
        for number, use in enumerate(others):
            terms = [*use.terms_in(slots, ones), (columns[number], -use.most[slots])]
            model.add_constraints(f"{label}: {number}", terms, upper=-use.constant[slots])
        terms = [*last.terms_in(slots, ones), *((column, last.most[slots]) for column in columns)]
        model.add_constraints(f"{label}: last", terms, upper=(last.most - last.constant)[slots])
        if len(others) > 1:
            model.add_constraints(f"{label}: one", [(columns.T, 1.0)], upper=1.0)
        return Choice(self, slots, columns)


class Rule(Protocol):
    """Exclusions that a relaxed solution may break, and whole numbers keep."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def matters(self) -> NDArray[np.bool_] | None:
        """Slots in which breaking it changes anything (n,); None means all."""

    @property
    def of_connection(self) -> bool:
        """Whether it is about import and export, which follow from what the devices do."""

    def broken(self, x: FloatArray) -> NDArray[np.int64]:
        """List the slots of a solution in which it is broken."""

    def largest(self, x: FloatArray) -> NDArray[np.int64]:
        """Number of the choice that a solution comes nearest to in each slot (n,)."""

    def add_choice(self, model: LinearModel, slots: NDArray[np.int64], label: str) -> Choice:
        """Keep it in the given slots."""


@dataclass(frozen=True)
class Choice:
    """Whole numbers that say which of the uses of a rule a slot belongs to.

    Args:
        rule: The rule.
        slots: The slots (k,).
        columns: For each use but the last, one a slot (m−1, k); the last use has the slot when all of them are 0.
    """

    rule: Rule
    slots: NDArray[np.int64]
    columns: Columns

    def give_to(self, uses: NDArray[np.int64]) -> FloatArray:
        """Values of the columns that give each slot of the window to the use of that number (n,) → (m−1, k)."""
        return np.asarray(np.arange(self.columns.shape[0])[:, None] == uses[self.slots], dtype=float)


def simple_use(name: str, columns: Columns, most: FloatArray) -> Use:
    """State a non-negative block of variables as a use."""
    return Use(name, ((columns, 1.0),), np.zeros(columns.size), most)


def rules_of(parts: Mapping[str, Part], exclusions: Iterable[Exclusion]) -> Iterator[AtMostOne]:
    """Give the rules of devices: no device runs both ways at once, and excluded devices do not meet.

    Uses that exclude each other pairwise become one rule: it is far stronger than their pairs, which a relaxed answer
    could all keep by running each use by half.
    """
    uses: dict[_Node, Use] = {}
    for part in parts.values():
        for direction in (Direction.CONSUMING, Direction.PRODUCING):
            use = use_of_part(part, direction)
            if np.any(use.most > 0):
                uses[part.name, direction] = use
    both_ways = [name for name in parts if all((name, way) in uses for way in _nodes(Direction.ANY))]
    own = [((name, Direction.CONSUMING), (name, Direction.PRODUCING)) for name in both_ways]
    asked = [
        ((one.first, way), (one.second, other))
        for one in exclusions
        for way, other in product(_nodes(one.first_use), _nodes(one.second_use))
        if (one.first, way) in uses and (one.second, other) in uses
    ]
    # a device with one signed power never runs both ways: true without a rule, yet it makes other rules stronger
    needed = asked + [pair for pair in own if len(parts[pair[0][0]].power) > 1]
    for clique in _cliques(needed, own + asked):
        together = tuple(uses[node] for node in clique)
        yield AtMostOne(", ".join(use.name for use in together), together)


def add_shares(model: LinearModel, rule: AtMostOne, label: str) -> None:
    """Let the shares of all uses in a slot add up to at most 1: what holds of whole numbers, without them."""
    slots = np.arange(rule.uses[0].most.size)
    terms: list[Term] = []
    upper = np.ones(slots.size)
    for use in rule.uses:
        factor = np.divide(1.0, use.most, out=np.zeros(slots.size), where=use.most > _TOLERANCE_MW)
        terms += use.terms_in(slots, factor)
        upper -= use.constant * factor
    if terms:
        model.add_constraints(f"{label}{rule.name}: shares", terms, upper=upper)


def _nodes(direction: Direction) -> tuple[Direction, ...]:
    both = (Direction.CONSUMING, Direction.PRODUCING)
    return both if direction is Direction.ANY else (direction,)


def use_of_part(part: Part, direction: Direction) -> Use:
    """State the power of a device in one direction."""
    consuming = direction is Direction.CONSUMING
    name = f"{part.name} {direction.value}"
    most = np.maximum(part.highest if consuming else -part.lowest, 0.0)
    if len(part.power) > 1:  # storage with a variable for each direction
        return simple_use(name, part.power[0 if consuming else 1][0], most)
    sign = 1.0 if consuming else -1.0
    turned = tuple(
        (columns, sign * np.asarray(coefficient, dtype=float)) for columns, coefficient in part.power
    )
    return Use(name, turned, sign * part.constant, most)


def _cliques(
    needed: list[tuple[_Node, _Node]], known: list[tuple[_Node, _Node]]
) -> Iterator[tuple[_Node, ...]]:
    """Cover the needed pairs with as few groups as a greedy search finds, all of whose pairs are known."""
    neighbours: dict[_Node, set[_Node]] = {}
    for first, second in known:
        neighbours.setdefault(first, set()).add(second)
        neighbours.setdefault(second, set()).add(first)
    left = list(dict.fromkeys(needed))
    while left:
        clique = list(left[0])
        for node, near in neighbours.items():
            if near.issuperset(clique):
                clique.append(node)
        left = [pair for pair in left if not set(pair) <= set(clique)]
        yield tuple(clique)

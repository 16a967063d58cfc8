"""A small labelled linear layer: named blocks of variables and constraints, kept as arrays.

The mathematics of a plan is stated here in whole vectors and handed to a solver as one sparse matrix. A
modelling language would spend far more time in stating a plan than a solver spends in finding it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flexmeasures.domain.errors import BadFlexModel, Impossible

__all__ = [
    "Columns",
    "FloatArray",
    "LinearModel",
    "LinearSolution",
    "LinearSolver",
    "Matrix",
    "Rows",
    "SolverOptions",
    "Status",
    "Term",
    "spread",
]

FloatArray = NDArray[np.float64]
Columns = NDArray[np.int32]
Rows = NDArray[np.int32]
Term = tuple[Columns, ArrayLike]
"""Columns (n,) or (n, k) and their coefficients (broadcast): row i receives Σ coefficient[i, :] ·
x[columns[i, :]]."""


class Status(Enum):
    """Status of a solver at its end. Only `OPTIMAL` and `LIMIT` may come with values."""

    OPTIMAL = "optimal"
    LIMIT = "stopped at a limit"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    FAILED = "failed"


@dataclass(frozen=True)
class SolverOptions:
    """Budget of a plan, or of a solver for one model.

    Args:
        time_limit_s: Wall-clock limit, above 0, may be inf [s].
        relative_gap: With integer variables: the proven distance to the optimum at which to stop, as a
            share of the objective, from 0.

    Raises:
        BadFlexModel: A value is out of range.
    """

    time_limit_s: float = 20.0
    relative_gap: float = 1e-6

    def __post_init__(self) -> None:
        if not (self.time_limit_s > 0 and 0 <= self.relative_gap < inf):
            raise BadFlexModel(
                f"A plan cannot be made within {self.time_limit_s} s to a gap of {self.relative_gap}: give a time "
                "limit above 0 [s] and a finite relative gap from 0."
            )


@dataclass(frozen=True)
class LinearSolution:
    """Answer of a solver.

    Args:
        status: How it ended.
        x: Value of each variable (n_columns,); empty when there is none.
        objective: Objective at ``x``, nan when there is none.
        gap: Proven relative distance to the optimum; 0 when optimal, inf when nothing is proven.
        row_duals: Change of the objective per unit of each row's right-hand side (n_rows,); empty without
            duals.
        column_duals: Reduced cost of each variable (n_columns,); empty without duals.
        message: The solver's own words.
    """

    status: Status
    x: FloatArray = field(default_factory=lambda: np.empty(0))
    objective: float = float("nan")
    gap: float = inf
    row_duals: FloatArray = field(default_factory=lambda: np.empty(0))
    column_duals: FloatArray = field(default_factory=lambda: np.empty(0))
    message: str = ""

    @property
    def has_values(self) -> bool:
        """Tell whether there is an answer to use, optimal or not; a model without variables has one without values."""
        return self.x.size > 0 or self.status is Status.OPTIMAL


@dataclass(frozen=True)
class Matrix:
    """A sparse matrix by columns: entries of column j are ``index[start[j]:start[j + 1]]`` and the same of
    value.
    """

    start: NDArray[np.int32]
    index: NDArray[np.int32]
    value: FloatArray


class LinearSolver(Protocol):
    """Something that minimises a `LinearModel`."""

    def solve(self, model: LinearModel, options: SolverOptions) -> LinearSolution:
        """Minimise the model's cost; the status is a value, not an exception."""
        ...


class LinearModel:
    """Minimise cost · x with lower ≤ x ≤ upper and row_lower ≤ A x ≤ row_upper, in named blocks.

    Invariants:
        Columns and rows are numbered in the order in which their blocks were added, so the same statements
        give the same model, and the same model the same solution.

    >>> model = LinearModel()
    >>> x = model.add_variables("x", 2, upper=[4.0, 4.0], cost=[1.0, 2.0])
    >>> rows = model.add_constraints("demand", [(x[None, :], 1.0)], lower=5.0)
    >>> model.column_name(x[1]), model.row_name(rows[0])
    ('x[1]', 'demand[0]')
    """

    def __init__(self) -> None:
        self.n_columns = 0
        self.n_rows = 0
        self.known: FloatArray = np.empty(0)
        """An answer that is known already, from which a search among integers may begin."""
        self._columns: dict[str, tuple[int, int]] = {}
        self._rows: dict[str, tuple[int, int]] = {}
        self._column_parts: list[tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]] = []
        self._row_parts: list[tuple[FloatArray, FloatArray]] = []
        self._triplets: list[tuple[Rows, Columns, FloatArray]] = []
        self._basis: list[tuple[Columns, Rows]] = []

    def add_variables(
        self,
        name: str,
        count: int,
        *,
        lower: ArrayLike = 0.0,
        upper: ArrayLike = inf,
        cost: ArrayLike = 0.0,
        integer: bool = False,
    ) -> Columns:
        """Add a block of variables and return their column numbers (count,)."""
        self._register(self._columns, name, self.n_columns, count)
        self._column_parts.append(
            (spread(lower, count), spread(upper, count), spread(cost, count), np.full(count, integer))
        )
        first, self.n_columns = self.n_columns, self.n_columns + count
        return np.arange(first, self.n_columns, dtype=np.int32)

    def add_constraints(
        self, name: str, terms: Sequence[Term], *, lower: ArrayLike = -inf, upper: ArrayLike = inf
    ) -> Rows:
        """Add a block of rows ``lower ≤ Σ terms ≤ upper`` and return their numbers.

        A coefficient of zero leaves its entry out, so a row that lacks a term can name any column for it.
        """
        count = terms[0][0].shape[0]
        self._register(self._rows, name, self.n_rows, count)
        rows = np.arange(self.n_rows, self.n_rows + count, dtype=np.int32)
        for columns, coefficients in terms:
            if columns.shape[0] != count:
                raise Impossible(f"Terms of constraint {name} have {columns.shape[0]} and {count} rows.")
            matching = rows if columns.ndim == 1 else np.repeat(rows, columns.shape[1])
            values = np.empty(columns.shape)
            values[...] = coefficients
            self._triplets.append((matching, columns.ravel(), values.ravel()))
        self._row_parts.append((spread(lower, count), spread(upper, count)))
        self.n_rows += count
        return rows

    def begin_with(self, columns: Columns, rows: Rows) -> None:
        """Suggest a basis to begin with: each column (k,) takes what its row asks for, all others are at a bound.

        Together the columns must solve their rows: as a state of charge solves its energy balance. A solver of
        equations would have to find them one by one.
        """
        self._basis.append((columns, rows))

    @property
    def longest_chain(self) -> int:
        """Number of equations in the largest block that was suggested to begin with."""
        return max((rows.size for _, rows in self._basis), default=0)

    @property
    def basis(self) -> tuple[Columns, Rows]:
        """Columns and rows that were suggested to begin with, (k,) each, no column twice."""
        if not self._basis:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        columns, rows = (np.concatenate(part) for part in zip(*self._basis, strict=True))
        _, first = np.unique(columns, return_index=True)  # a column can solve one row only
        return columns[first], rows[first]

    def column_name(self, column: int) -> str:
        """Name a variable by its block and place in it."""
        return _label(self._columns, int(column))

    def row_name(self, row: int) -> str:
        """Name a constraint by its block and place in it."""
        return _label(self._rows, int(row))

    @property
    def column_arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
        """Lower bounds, upper bounds, costs and integrality of all variables, (n_columns,) each; to be
        changed in place.
        """
        if not self._column_parts:
            self._column_parts = [(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=bool))]
        if len(self._column_parts) != 1:
            lower, upper, cost, integer = zip(*self._column_parts, strict=True)
            joined = (
                np.concatenate(lower),
                np.concatenate(upper),
                np.concatenate(cost),
                np.concatenate(integer),
            )
            self._column_parts = [joined]
        return self._column_parts[0]

    @property
    def row_arrays(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of all rows, (n_rows,) each; to be changed in place."""
        if not self._row_parts:
            return np.empty(0), np.empty(0)
        if len(self._row_parts) != 1:
            lower, upper = zip(*self._row_parts, strict=True)
            self._row_parts = [(np.concatenate(lower), np.concatenate(upper))]
        return self._row_parts[0]

    def with_choices(self, x: FloatArray) -> LinearModel:
        """Give the same model with its integer variables held at their rounded values in `x`: a linear one.

        Its rows are those of this model, not copies.
        """
        lower, upper, cost, integer = self.column_arrays
        rounded = np.round(x)
        held = copy(self)
        held._column_parts = [
            (
                np.where(integer, rounded, lower),
                np.where(integer, rounded, upper),
                cost,
                np.zeros_like(integer),
            )
        ]
        return held

    def without_whole_numbers(self) -> LinearModel:
        """Give the same model with its integer variables free to take any value: a linear one, whose rows are these."""
        lower, upper, cost, integer = self.column_arrays
        free = copy(self)
        free._column_parts = [(lower.copy(), upper.copy(), cost.copy(), np.zeros_like(integer))]
        return free

    def matrix(self) -> Matrix:
        """Put the coefficients into one sparse matrix by columns; entries of the same place add up."""
        if not self._triplets:
            return Matrix(np.zeros(self.n_columns + 1, np.int32), np.empty(0, np.int32), np.empty(0))
        rows, columns, values = (np.concatenate(part) for part in zip(*self._triplets, strict=True))
        kept = np.flatnonzero(values)
        place = columns[kept].astype(np.int64) * self.n_rows + rows[kept]
        order = np.argsort(place, kind="stable")
        place = place[order]
        first = np.flatnonzero(
            np.diff(place, prepend=-1)
        )  # where each place begins; equal places stand together
        sums = np.add.reduceat(values[kept][order], first) if first.size else np.empty(0)
        column, row = np.divmod(place[first], max(self.n_rows, 1))
        counts = np.bincount(column, minlength=self.n_columns)
        start = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        return Matrix(start, row.astype(np.int32), sums)

    @staticmethod
    def _register(names: dict[str, tuple[int, int]], name: str, first: int, count: int) -> None:
        if name in names:
            raise Impossible(f"The block {name} was added twice.")
        names[name] = (first, count)


def spread(value: ArrayLike, count: int) -> FloatArray:
    """Spread a number or a series over so many places, as a copy of its own (count,).

    Broadcasting costs five times as much, and each plan spreads a hundred limits.
    """
    vector = np.empty(count)
    vector[:] = value
    return vector


def _label(names: dict[str, tuple[int, int]], number: int) -> str:
    for name, (first, count) in names.items():
        if first <= number < first + count:
            return f"{name}[{number - first}]"
    raise Impossible(f"There is no block with number {number}.")

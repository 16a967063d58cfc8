"""The time that a plan may take: one limit for all the models that have to be solved on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite

from flexmeasures.domain.scheduling.linear import (
    LinearModel,
    LinearSolution,
    LinearSolver,
    SolverOptions,
    Status,
)

__all__ = ["Budget", "Timer"]

Timer = Callable[[], float]
"""Gives seconds that pass at the speed of a clock, from any beginning."""


_SHORTEST_S = 1e-3
_LEAST_RESERVE = 0.2
"""Share of the time limit that searches leave for the last step, which makes the best of what they found."""


@dataclass
class Budget:
    """Solves models one after another within one time limit.

    Args:
        solver: What minimises.
        options: Gap, and time limit for all models together.
        timer: Measures the time.
        searching: Share of the time limit after which no search among whole numbers goes on.
    """

    solver: LinearSolver
    options: SolverOptions
    timer: Timer
    searching: float = 1.0
    _search_end: float = field(init=False)
    _end: float = field(init=False)
    _reserve_s: float = field(init=False)

    def __post_init__(self) -> None:
        now = self.timer()
        self._end = now + self.options.time_limit_s
        self._search_end = now + self.options.time_limit_s * self.searching
        self._reserve_s = self.options.time_limit_s * _LEAST_RESERVE if isfinite(self._end) else 0.0

    def use_reserve(self) -> None:
        """Allow the last step to take what was kept back for it."""
        self._reserve_s = 0.0

    @property
    def left_s(self) -> float:
        """Return what is left of the time limit without the reserve, never below 0 [s]."""
        return max(0.0, self._end - self._reserve_s - self.timer())

    @property
    def left_for_search_s(self) -> float:
        """Return what is left for searches among whole numbers, never below 0 [s]."""
        return max(0.0, min(self.left_s, self._search_end - self.timer()))

    def part(self, share: float) -> Budget:
        """Give a budget that ends after a share of what is left, the reserve included."""
        return self._new(self._left_in_all_s * share, 1.0)

    def with_search(self, share: float) -> Budget:
        """Give a budget that ends with this one, and in which searches take no more than a share of what is left."""
        return self._new(self._left_in_all_s, share)

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left, not even of the reserve."""
        return self._left_in_all_s <= 0

    @property
    def _left_in_all_s(self) -> float:
        return self._end - self.timer()

    def _new(self, limit_s: float, searching: float) -> Budget:
        options = replace(self.options, time_limit_s=max(limit_s, _SHORTEST_S))
        return Budget(self.solver, options, self.timer, searching)

    def solve(self, model: LinearModel, share: float = 1.0) -> LinearSolution:
        """Minimise a model within a share of the time that is left; no time is not an answer.

        Integer variables are then held at their values and the model is solved once more: no tolerance of a whole
        number leaks into the answer, and duals come back for the choices made.
        """
        is_search = bool(model.column_arrays[3].any())
        solution = self._solve(model, (self.left_for_search_s if is_search else self.left_s) * share)
        if not is_search or not solution.has_values:
            return solution
        held = self._solve(model.with_choices(solution.x), self.left_s + self._reserve_s)
        if held.status is not Status.OPTIMAL:
            return solution
        return replace(held, status=solution.status, gap=solution.gap, message=solution.message)

    def _solve(self, model: LinearModel, limit_s: float) -> LinearSolution:
        if model.n_columns == 0:  # nothing can be decided, and not every solver takes that
            return LinearSolution(Status.OPTIMAL, objective=0.0, gap=0.0)
        if limit_s <= 0:
            return LinearSolution(Status.LIMIT, message="no time left")
        return self.solver.solve(model, replace(self.options, time_limit_s=limit_s))

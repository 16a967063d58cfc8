"""Solve stated sites: relaxed first, whole numbers where the answer needs them, wishes given up in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from flexmeasures.domain.scheduling.linear import (
    LinearModel,
    LinearSolution,
    LinearSolver,
    Rows,
    SolverOptions,
    Status,
    Term,
)
from flexmeasures.domain.scheduling.parts import NamedLimit
from flexmeasures.domain.scheduling.site import Site
from flexmeasures.domain.scheduling.sitemodel import SiteModel, Statement, state_site

__all__ = ["Answer", "Problem", "bound_limits", "solve"]

RANKS = (4, 3, 2, 1)
"""Order in which wishes are satisfied when not all can be; the last is given up first."""
_MOST_ROUNDS = 12
_DUAL_TOLERANCE = 1e-9
_SLACK_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Problem:
    """One site, or one site in several futures that share their first slots.

    Args:
        sites: The site in each future.
        statements: How to state each.
        shared_slots: In how many first slots all futures have the same powers.
        solver: What minimises.
        options: What it may spend.
    """

    sites: tuple[Site, ...]
    statements: tuple[Statement, ...]
    shared_slots: int
    solver: LinearSolver
    options: SolverOptions


@dataclass(frozen=True)
class Answer:
    """A solution and the models that it belongs to.

    Args:
        solution: Values and duals.
        stated: The site in each future.
        clashes: For each rank of wishes that had to be missed, the limits that stood against them.
    """

    solution: LinearSolution
    stated: tuple[SiteModel, ...]
    clashes: dict[int, tuple[str, ...]]


def solve(problem: Problem, *, elastic: bool) -> Answer | Status:
    """Find the best answer, or say how the solver ended without one.

    Whole numbers enter only for those slots in which an answer without them breaks an either-or rule. An answer that
    breaks none is optimal among all that keep them, for it is optimal among more.
    """
    whole: dict[str, frozenset[int]] = {}
    for attempt in range(_MOST_ROUNDS):
        answer = _solve_once(problem, whole, elastic=elastic)
        if isinstance(answer, Status):
            return answer
        broken: dict[str, frozenset[int]] = {}
        for stated in answer.stated:
            broken |= stated.broken(answer.solution.x)
        if not broken:
            return answer
        everywhere = frozenset(range(problem.statements[0].hours.size)) if attempt >= 3 else frozenset()
        for name, slots in broken.items():
            whole[name] = whole.get(name, frozenset()) | slots | everywhere
    return Status.FAILED


def _solve_once(problem: Problem, whole: dict[str, frozenset[int]], *, elastic: bool) -> Answer | Status:
    model = LinearModel()
    stated = tuple(
        state_site(model, site, replace(statement, elastic=elastic), whole)
        for site, statement in zip(problem.sites, problem.statements, strict=True)
    )
    _share_first_slots(model, stated, problem.shared_slots)
    clashes = _satisfy_by_rank(model, stated, problem) if elastic else {}
    if isinstance(clashes, Status):
        return clashes
    solution = problem.solver.solve(model, problem.options)
    return Answer(solution, stated, clashes) if solution.has_values else solution.status


def _share_first_slots(model: LinearModel, stated: tuple[SiteModel, ...], shared: int) -> None:
    """Let all futures have the same powers in the first slots, for only one of them will come."""
    first = stated[0]
    for number, other in enumerate(stated[1:], 1):
        for name, part in first.parts.items():
            if part.power and shared:
                same: list[Term] = []
                for terms, sign in ((part.power, 1.0), (other.parts[name].power, -1.0)):
                    for columns, coefficient in terms:
                        values = np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape)
                        same.append((columns[:shared], sign * values[:shared]))
                model.add_constraints(f"future {number} shares {name}", same, lower=0.0, upper=0.0)


def _satisfy_by_rank(
    model: LinearModel, stated: tuple[SiteModel, ...], problem: Problem
) -> dict[int, tuple[str, ...]] | Status:
    """Miss the most important wishes by as little as possible, then the next, and hold on to that.

    Returns:
        For each rank that is missed, the names of the limits that stand against it; without any answer, how
        the solver ended.
    """
    rows: dict[int, tuple[np.ndarray, Rows]] = {}
    for rank in RANKS:
        slacks = [slack.columns for one in stated for slack in one.slacks() if slack.rank == rank]
        if slacks:
            columns = np.concatenate(slacks)
            rows[rank] = (columns, model.add_constraints(f"missed of rank {rank}", [(columns[None, :], 1.0)]))
    cost = model.column_arrays[2]
    money = cost.copy()
    clashes = {}
    for rank, (columns, row) in rows.items():
        cost[:] = 0.0
        cost[columns] = 1.0
        solution = problem.solver.solve(model, problem.options)
        if not solution.has_values:
            return solution.status
        least = float(solution.x[columns].sum())
        model.row_arrays[1][row] = max(least, 0.0)
        if least > _SLACK_TOLERANCE:
            names = [
                _full_name(limit, edge) for one in stated for limit, edge, _ in bound_limits(solution, one)
            ]
            clashes[rank] = tuple(dict.fromkeys(names))
    cost[:] = money
    return clashes


def _full_name(limit: NamedLimit, edge: str) -> str:
    return f"{edge} of {limit.device}"


def bound_limits(solution: LinearSolution, stated: SiteModel) -> Iterator[tuple[NamedLimit, str, np.ndarray]]:
    """Give the limits that bind in a solution: the limit, the name of its edge, and where it binds.

    A limit binds where relaxing it would lower the objective: where its dual is not zero. Without duals, none is given.
    """
    if not solution.column_duals.size:
        return
    for limit in stated.limits():
        duals = (solution.row_duals if limit.are_rows else solution.column_duals)[limit.places]
        for edge, active in (
            (limit.at_lower, duals > _DUAL_TOLERANCE),
            (limit.at_upper, duals < -_DUAL_TOLERANCE),
        ):
            if edge and active.any():
                yield limit, edge, np.flatnonzero(active)

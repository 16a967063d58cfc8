"""Solve stated sites: relaxed first, whole numbers where the answer needs them, wishes given up in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf

import numpy as np

from flexmeasures.domain.scheduling.budget import Budget
from flexmeasures.domain.scheduling.linear import Columns, LinearModel, LinearSolution, Rows, Status, Term
from flexmeasures.domain.scheduling.parts import NamedLimit
from flexmeasures.domain.scheduling.site import Site
from flexmeasures.domain.scheduling.sitemodel import SiteModel, Statement, state_site

__all__ = ["Answer", "Problem", "bound_limits", "breaks_rules", "solve", "solve_relaxed"]

RANKS = (4, 3, 2, 1)
"""Order in which wishes are satisfied when not all can be; the last is given up first."""
_MOST_ROUNDS = 12
_LEAST_SEARCH_S = 0.3
"""A search among whole numbers that has less time than this finds nothing better than what is nearest [s]."""
_DUAL_TOLERANCE = 1e-9
_SLACK_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Problem:
    """One site, or one site in several futures that share their first slots.

    Args:
        sites: The site in each future.
        statements: How to state each.
        shared_slots: In how many first slots all futures have the same powers.
        budget: Solves models within the time limit of the plan.
        relax: Whether wishes may be given up.
    """

    sites: tuple[Site, ...]
    statements: tuple[Statement, ...]
    shared_slots: int
    budget: Budget
    relax: bool = True


@dataclass(frozen=True)
class Answer:
    """A solution and the models that it belongs to.

    Args:
        solution: Values and duals.
        stated: The site in each future.
        clashes: For each rank of wishes that had to be missed, the limits that stood against them.
        least: For each rank, by how much its wishes are missed together.
    """

    solution: LinearSolution
    stated: tuple[SiteModel, ...]
    clashes: Mapping[int, tuple[str, ...]]
    least: Mapping[int, float]


@dataclass
class _Ranks:
    """Satisfaction of the wishes of each rank.

    Args:
        clashes: As in `Answer`.
        least: As in `Answer`.
        gap: The largest proven distance to the optimum among the ranks.
    """

    clashes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    least: dict[int, float] = field(default_factory=dict)
    gap: float = 0.0


def solve_relaxed(problem: Problem) -> Answer | Status:
    """Find the best answer among those that may break rules; see `breaks_rules`."""
    return _optimise(problem, *_state(problem, {}, elastic=False))


def breaks_rules(answer: Answer) -> bool:
    """Tell whether an answer breaks a rule that needs whole numbers."""
    return any(stated.broken(answer.solution.x) for stated in answer.stated)


def solve(problem: Problem) -> Answer | Status:
    """Find the best answer, giving up wishes only if not all can be kept, or say how the solver ended without one."""
    answer = _solve(problem, elastic=False)
    return _solve(problem, elastic=True) if answer is Status.INFEASIBLE and problem.relax else answer


def _solve(problem: Problem, *, elastic: bool) -> Answer | Status:
    """Add whole numbers only for those slots in which an answer without them breaks a rule.

    An answer that breaks none is optimal among all that keep the rules, for it is optimal among more.
    """
    whole: dict[str, frozenset[int]] = {}
    relaxed: Answer | None = None
    for attempt in range(_MOST_ROUNDS):
        if relaxed and problem.budget.left_for_search_s < _LEAST_SEARCH_S:
            break
        answer = _optimise(problem, *_state(problem, whole, elastic=elastic))
        if isinstance(answer, Status):
            if relaxed is None or answer is Status.INFEASIBLE:
                return answer
            break
        broken: dict[str, frozenset[int]] = {}
        for stated in answer.stated:
            broken |= stated.broken(answer.solution.x)
        if not broken:
            return answer
        relaxed = answer
        # where a rule is kept in one slot it is often broken in the next one instead: reach farther in each round
        reach = 2**attempt - 1
        for name, slots in broken.items():
            near = (range(slot - reach, slot + reach + 1) for slot in slots)
            whole[name] = whole.get(name, frozenset()) | (
                _all_slots(problem) & set(chain.from_iterable(near))
            )
    if relaxed is None:
        return Status.FAILED
    problem.budget.use_reserve()
    return _repair(problem, _nearer(problem, relaxed, whole, elastic=elastic), elastic=elastic)


def _nearer(
    problem: Problem, relaxed: Answer, whole: Mapping[str, frozenset[int]], *, elastic: bool
) -> Answer:
    """Come nearer to whole numbers without a search: their models are tighter even if they may take any value."""
    model, stated = _state(problem, whole, elastic=elastic)
    answer = _optimise(problem, model.without_whole_numbers(), stated)
    return answer if isinstance(answer, Answer) else relaxed


def _repair(problem: Problem, relaxed: Answer, *, elastic: bool) -> Answer | Status:
    """Without time for the best choices, make those which an answer that breaks rules comes nearest to.

    Devices choose first; then import or export follows from them. If not all wishes can be kept with these choices,
    they are given up in order although others might do better. The answer that broke rules bounds what can be gained.
    """
    for soft in (elastic,) if elastic or not problem.relax else (False, True):
        for loads_run in (True, False):  # loads wait rather than exceed a connection
            answer: Answer | Status = relaxed
            # where import and export were told apart already, their choices are as good as those of the devices
            told_apart = any(
                choice.rule.of_connection for stated in relaxed.stated for choice in stated.choices
            )
            for with_connection in (True,) if told_apart else (False, True):
                if isinstance(answer, Answer):
                    how = {"elastic": soft, "loads_run": loads_run, "with_connection": with_connection}
                    answer = _hold(problem, answer, **how)
            if isinstance(answer, Answer) and (not loads_run or not _misses_more(answer, relaxed, RANKS[0])):
                gap = _gap(answer, relaxed)
                return replace(answer, solution=replace(answer.solution, status=Status.LIMIT, gap=gap))
            if not soft:
                break
    return Status.LIMIT


def _hold(
    problem: Problem, before: Answer, *, elastic: bool, loads_run: bool, with_connection: bool
) -> Answer | Status:
    """Optimise with all choices held as an answer makes them or nearly makes them.

    Args:
        problem: What is planned.
        before: The answer.
        elastic: Whether wishes may be missed.
        loads_run: Whether loads run as chosen, or not at all.
        with_connection: Whether the choice between import and export is held as well.
    """
    model, stated = _state(
        problem, _everything(problem, before, with_connection=with_connection), elastic=elastic
    )
    choices = np.zeros(model.n_columns)
    for old, new in zip(before.stated, stated, strict=True):
        x = before.solution.x.copy()
        if old.balance:  # what is imported and exported at once is neither
            x[old.balance.imported] -= (both := np.minimum(x[old.balance.imported], x[old.balance.exported]))
            x[old.balance.exported] -= both
        rules = {rule.name: rule for rule in old.rules}
        for choice in new.choices:
            choices[choice.columns] = choice.give_to(rules[choice.rule.name].largest(x))
        for name, part in new.parts.items():
            choices[part.whole] = old.parts[name].round_choices(x) * loads_run
    return _optimise(problem, model.with_choices(choices), stated)


def _misses_more(answer: Answer, than: Answer, rank: int) -> bool:
    return answer.least.get(rank, 0.0) > than.least.get(rank, 0.0) + _SLACK_TOLERANCE


def _gap(answer: Answer, relaxed: Answer) -> float:
    """Relative distance to the bound that a relaxed answer gives; inf where more wishes are missed than in that."""
    if any(_misses_more(answer, relaxed, rank) for rank in RANKS):
        return inf
    found, easier = answer.solution.objective, relaxed.solution
    bound = easier.objective - easier.gap * abs(easier.objective)
    return max(0.0, found - bound) / max(abs(found), 1e-9)


def _all_slots(problem: Problem) -> frozenset[int]:
    return frozenset(range(problem.statements[0].hours.size))


def _everything(problem: Problem, answer: Answer, *, with_connection: bool) -> dict[str, frozenset[int]]:
    """Name all devices and all rules, with all slots."""
    names = [
        f"{stated.statement.label}{name}"
        for stated in answer.stated
        for name in (
            *stated.parts,
            *(rule.name for rule in stated.rules if with_connection or not rule.of_connection),
        )
    ]
    return dict.fromkeys(names, _all_slots(problem))


def _state(
    problem: Problem, whole: Mapping[str, frozenset[int]], *, elastic: bool
) -> tuple[LinearModel, tuple[SiteModel, ...]]:
    """State the site in all its futures."""
    model = LinearModel()
    stated = tuple(
        state_site(model, site, replace(statement, elastic=elastic), whole)
        for site, statement in zip(problem.sites, problem.statements, strict=True)
    )
    _share_first_slots(model, stated, problem.shared_slots)
    return model, stated


def _optimise(problem: Problem, model: LinearModel, stated: tuple[SiteModel, ...]) -> Answer | Status:
    """Satisfy wishes by rank where they may be missed, then minimise the objective."""
    ranks = _satisfy_by_rank(model, stated, problem)
    if isinstance(ranks, Status):
        return ranks
    solution = problem.budget.solve(model)
    if not solution.has_values:
        return solution.status
    if ranks.gap > solution.gap:
        solution = replace(solution, status=Status.LIMIT, gap=ranks.gap)
    return Answer(solution, stated, ranks.clashes, ranks.least)


def _share_first_slots(model: LinearModel, stated: tuple[SiteModel, ...], shared: int) -> None:
    """Let all futures have the same powers in the first slots, for only one of them will come.

    Where a device can do different things, such as the sun in a brighter future, its power follows the future.
    """
    first = stated[0]
    for number, other in enumerate(stated[1:], 1):
        for name, part in first.parts.items():
            if part.power and shared:
                twin = other.parts[name]
                alike = (part.lowest == twin.lowest) & (part.highest == twin.highest)
                slots = np.flatnonzero(alike[:shared])
                same: list[Term] = []
                for terms, sign in ((part.power, 1.0), (twin.power, -1.0)):
                    for columns, coefficient in terms:
                        values = np.broadcast_to(np.asarray(coefficient, dtype=float), columns.shape)
                        same.append((columns[slots], sign * values[slots]))
                model.add_constraints(f"future {number} shares {name}", same, lower=0.0, upper=0.0)


def _satisfy_by_rank(model: LinearModel, stated: tuple[SiteModel, ...], problem: Problem) -> _Ranks | Status:
    """Miss the most important wishes by as little as possible, then the next, and hold on to that.

    Returns:
        What was reached; without any answer, how the solver ended.
    """
    rows: dict[int, tuple[Columns, Rows]] = {}
    for rank in RANKS:
        slacks = [slack.columns for one in stated for slack in one.slacks() if slack.rank == rank]
        if slacks:
            columns = np.concatenate(slacks)
            rows[rank] = (columns, model.add_constraints(f"missed of rank {rank}", [(columns[None, :], 1.0)]))
    cost = model.column_arrays[2]
    money = cost.copy()
    ranks = _Ranks()
    for number, (rank, (columns, row)) in enumerate(rows.items()):
        cost[:] = 0.0
        cost[columns] = 1.0
        # each rank and the objective get as much time as the others; what one leaves is there for the rest
        solution = problem.budget.solve(model, 1.0 / (len(rows) - number + 1))
        if not solution.has_values:
            return solution.status
        model.known = solution.x
        least = max(float(solution.x[columns].sum()), 0.0)
        model.row_arrays[1][row] = least
        ranks.least[rank] = least
        ranks.gap = max(ranks.gap, solution.gap if least > _SLACK_TOLERANCE else 0.0)
        if least > _SLACK_TOLERANCE:
            names = [
                _full_name(limit, edge) for one in stated for limit, edge, _ in bound_limits(solution, one)
            ]
            ranks.clashes[rank] = tuple(dict.fromkeys(names))
    cost[:] = money
    return ranks


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

"""HiGHS in this process: the default solver."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import highspy
import numpy as np

from flexmeasures.domain.errors import Impossible
from flexmeasures.domain.scheduling.linear import LinearModel, LinearSolution, SolverOptions, Status

__all__ = ["HighsSolver"]

_STATUS = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kModelEmpty: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kTimeLimit: Status.LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Status.LIMIT,
    highspy.HighsModelStatus.kSolutionLimit: Status.LIMIT,
}
_BY_COLUMNS = int(highspy.MatrixFormat.kColwise)
_TOLERANCE = 1e-9
"""Devices of a few kW are a few thousandths of a MW, and a price slope is tiny by purpose: be exact."""
_USUAL_BOUND = 8.0
"""Size of bounds for which the thresholds of cuts in a search among integers are made."""
_LONGEST_CHAIN = 500
"""Slots up to which a suggested basis saves steps; in longer chains the steps that are left take ever more time.

Without it a home takes 8.0 instead of 6.6 ms with 192 slots, but 111 instead of 168 ms with 2,016, and 9 s instead of
minutes with the 35,040 of a year.
"""
_MINIMISE = int(highspy.ObjSense.kMinimize)


class _SilentHighs(highspy.Highs):
    """HiGHS that never writes to standard output, where the answer of a command may be read by a program.

    The constructor enables callbacks, and that logs a banner: the flag must be down before.
    """

    def enableCallbacks(self) -> None:  # noqa: N802 - the name in highspy
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class HighsSolver:
    """Minimises with HiGHS, one thread and a fixed seed.

    Invariants:
        The same model gives the same solution, unless the time limit ends the search.
    """

    def solve(self, model: LinearModel, options: SolverOptions) -> LinearSolution:
        """Minimise the model."""
        is_integer = bool(model.column_arrays[3].any())
        if not is_integer:
            return _run(model, options, begins=True)
        solution = _run(model, options, begins=model.known.size == model.n_columns)
        if not solution.has_values or _is_worth(model, solution):
            return solution
        # HiGHS 1.16 may give the start back as if it were the optimum that it found from there
        if solution.status is Status.OPTIMAL:
            return _run(model, options, begins=False)
        return replace(solution, objective=float(model.column_arrays[2] @ solution.x), gap=inf)


def _run(model: LinearModel, options: SolverOptions, *, begins: bool) -> LinearSolution:
    """Minimise a model, beginning with what it suggests or from nothing."""
    is_integer = bool(model.column_arrays[3].any())
    highs = _SilentHighs()  # type: ignore[no-untyped-call]  # the package is untyped
    for name, value in _options(options).items():
        highs.setOptionValue(name, value)
    if is_integer:
        highs.setOptionValue("user_bound_scale", _bound_scale(model))
    else:
        # plans are thin chains: presolving takes longer than it saves, whatever their size
        highs.setOptionValue("presolve", "off")
    _pass(highs, model)
    if begins and is_integer:
        highs.setSolution(model.n_columns, np.arange(model.n_columns, dtype=np.int32), model.known)
    elif begins and model.longest_chain <= _LONGEST_CHAIN:
        _suggest_basis(highs, model)
    highs.run()
    return _read(highs, is_integer)


def _is_worth(model: LinearModel, solution: LinearSolution) -> bool:
    """Check that values cost what the solver says they do."""
    cost = float(model.column_arrays[2] @ solution.x)
    return abs(cost - solution.objective) <= 1e-6 * max(1.0, abs(cost))


def _options(options: SolverOptions) -> dict[str, str | float | int | bool]:
    return {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "time_limit": options.time_limit_s,
        "mip_rel_gap": options.relative_gap,
        "primal_feasibility_tolerance": _TOLERANCE,
        "dual_feasibility_tolerance": _TOLERANCE,
    }


def _bound_scale(model: LinearModel) -> int:
    """Give the power of two by which continuous variables are counted in smaller or larger units.

    In MW a home is all thousandths, and cuts by so little look useless to a search that is made for larger numbers.
    """
    lower, upper, _, integer = model.column_arrays
    bounds = np.abs(np.concatenate((lower[~integer], upper[~integer])))
    bounds = bounds[np.isfinite(bounds) & (bounds > 0)]
    return int(np.rint(np.log2(_USUAL_BOUND / np.median(bounds)))) if bounds.size else 0


def _pass(highs: highspy.Highs, model: LinearModel) -> None:
    lower, upper, cost, integer = model.column_arrays
    row_lower, row_upper = model.row_arrays
    matrix = model.matrix()
    accepted = highs.passModel(
        model.n_columns,
        model.n_rows,
        matrix.value.size,
        _BY_COLUMNS,
        _MINIMISE,
        0.0,
        cost,
        lower,
        upper,
        row_lower,
        row_upper,
        matrix.start,
        matrix.index,
        matrix.value,
        integer.astype(np.int32),
    )
    if accepted == highspy.HighsStatus.kError:
        raise Impossible(
            f"HiGHS refused a model of {model.n_columns} variables and {model.n_rows} constraints."
        )


def _suggest_basis(highs: highspy.Highs, model: LinearModel) -> None:
    """Begin with the basis that the model suggests."""
    columns, rows = model.basis
    if not columns.size:
        return
    basis = highspy.HighsBasis()
    status = highspy.HighsBasisStatus
    at_bound = np.full(model.n_columns, status.kLower, dtype=object)
    at_bound[columns] = status.kBasic
    basic = np.full(model.n_rows, status.kBasic, dtype=object)
    basic[rows] = status.kLower
    basis.col_status, basis.row_status = at_bound.tolist(), basic.tolist()
    basis.valid = True
    highs.setBasis(basis)


def _read(highs: highspy.Highs, is_integer: bool) -> LinearSolution:
    verdict = highs.getModelStatus()
    status = _STATUS.get(verdict, Status.FAILED)
    message = highs.modelStatusToString(verdict)
    info = highs.getInfo()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if not found or status not in (Status.OPTIMAL, Status.LIMIT):
        return LinearSolution(status, message=message)
    solution = highs.getSolution()
    gap = float(info.mip_gap) if is_integer else (0.0 if status is Status.OPTIMAL else inf)
    return LinearSolution(
        status,
        np.asarray(solution.col_value),
        float(info.objective_function_value),
        gap,
        np.asarray(solution.row_dual) if solution.dual_valid else np.empty(0),
        np.asarray(solution.col_dual) if solution.dual_valid else np.empty(0),
        message,
    )

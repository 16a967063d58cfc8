"""Other solvers: the model goes out as an MPS file to a named command, its solution comes back from a file."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from flexmeasures.domain.errors import BadFlexModel, SolverFailed
from flexmeasures.domain.scheduling.highs import HighsSolver
from flexmeasures.domain.scheduling.linear import (
    FloatArray,
    LinearModel,
    LinearSolution,
    LinearSolver,
    SolverOptions,
    Status,
)

__all__ = ["CommandSolver", "solver_named", "write_mps"]


@dataclass(frozen=True)
class _Dialect:
    """Command of a solver, and the format of its answer."""

    executable: str
    arguments: Callable[[Path, Path, SolverOptions], list[str]]
    read: Callable[[str, LinearModel], LinearSolution]


def solver_named(name: str) -> LinearSolver:
    """Find a solver by the name that settings use.

    Raises:
        BadFlexModel: There is no such solver.

    >>> type(solver_named("highs")).__name__
    'HighsSolver'
    """
    if name.lower() in ("highs", "appsi_highs"):
        return HighsSolver()
    if name.lower() not in _DIALECTS:
        raise BadFlexModel(f"There is no solver {name}: use one of highs, {', '.join(sorted(_DIALECTS))}.")
    return CommandSolver(name.lower())


class CommandSolver:
    """Minimises with a solver that is a command of its own.

    Args:
        name: cbc, glpk or cplex.
        executable: The command, if it is not the usual one.
        grace_s: How long it may outlast its time limit before it is ended [s].
    """

    def __init__(self, name: str, executable: str | None = None, grace_s: float = 5.0) -> None:
        self.dialect = _DIALECTS[name]
        self.executable = executable or self.dialect.executable
        self.grace_s = grace_s

    def solve(self, model: LinearModel, options: SolverOptions) -> LinearSolution:
        """Minimise the model.

        Raises:
            SolverFailed: The command is missing, or ended without writing a solution.
        """
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            problem, solution = Path(folder, "model.mps"), Path(folder, "solution.txt")
            with problem.open("w") as file:
                file.writelines(write_mps(model))
            try:
                said = self._run(self.dialect.arguments(problem, solution, options), options)
            except subprocess.TimeoutExpired as late:
                return LinearSolution(
                    Status.LIMIT, message=f"{self.executable} was ended after {late.timeout} s"
                )
            if not solution.exists():
                raise SolverFailed(f"{self.executable} wrote no solution; it ended with: {said[-300:]}")
            return self.dialect.read(solution.read_text(), model)

    def _run(self, arguments: list[str], options: SolverOptions) -> str:
        timeout = options.time_limit_s + self.grace_s if isfinite(options.time_limit_s) else None
        try:
            done = subprocess.run(  # noqa: S603 - the command is named by the operator, the rest by us
                [self.executable, *arguments], capture_output=True, text=True, timeout=timeout, check=False
            )
        except FileNotFoundError as missing:
            raise SolverFailed(
                f"There is no command {self.executable}: install it or choose highs.", False
            ) from missing
        return done.stdout + done.stderr


def write_mps(model: LinearModel) -> Iterator[str]:
    """Write a model as free MPS, line by line: columns C0, C1 …, rows R0, R1 …, objective ``cost``."""
    lower, upper = model.row_arrays
    yield "NAME plan\nROWS\n N cost\n"
    yield from (
        f" {_row_kind(low, high)} R{row}\n" for row, (low, high) in enumerate(zip(lower, upper, strict=True))
    )
    yield "COLUMNS\n"
    yield from _columns(model)
    yield "RHS\n"
    for row, (low, high) in enumerate(zip(lower, upper, strict=True)):
        side = high if _row_kind(low, high) == "L" else low
        if isfinite(side) and side != 0:
            yield f" rhs R{row} {float(side)!r}\n"
    yield "RANGES\n"
    for row, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if isfinite(low) and isfinite(high) and low != high:
            yield f" ranges R{row} {float(high - low)!r}\n"
    yield "BOUNDS\n"
    for column, (low, high) in enumerate(zip(*model.column_arrays[:2], strict=True)):
        yield from _bounds(f"C{column}", float(low), float(high))
    yield "ENDATA\n"


def _row_kind(low: float, high: float) -> str:
    if low == high:
        return "E"
    if isfinite(high):
        return "L"
    return "G" if isfinite(low) else "N"


def _columns(model: LinearModel) -> Iterator[str]:
    matrix = model.matrix()
    _, _, cost, integer = model.column_arrays
    within = False
    for column in range(model.n_columns):
        if bool(integer[column]) != within:
            within = not within
            yield f" M{column} 'MARKER' '{'INTORG' if within else 'INTEND'}'\n"
        yield f" C{column} cost {float(cost[column])!r}\n"
        for entry in range(matrix.start[column], matrix.start[column + 1]):
            yield f" C{column} R{matrix.index[entry]} {float(matrix.value[entry])!r}\n"
    if within:
        yield " MEND 'MARKER' 'INTEND'\n"


def _bounds(name: str, low: float, high: float) -> Iterator[str]:
    if low == high:
        yield f" FX bounds {name} {low!r}\n"
        return
    if low == -inf:
        yield f" {'FR' if high == inf else 'MI'} bounds {name}\n"
    else:
        yield f" LO bounds {name} {low!r}\n"
    if high != inf:
        yield f" UP bounds {name} {high!r}\n"


def _solution(
    status: Status, model: LinearModel, x: FloatArray, duals: tuple[FloatArray, FloatArray]
) -> LinearSolution:
    cost, integer = model.column_arrays[2:]
    has_duals = not integer.any()
    return LinearSolution(
        status,
        x,
        float(cost @ x),
        0.0 if status is Status.OPTIMAL else inf,
        duals[0] if has_duals else np.empty(0),
        duals[1] if has_duals else np.empty(0),
    )


def _read_cbc(text: str, model: LinearModel) -> LinearSolution:
    """Read CBC's solution file: a verdict, then index, name, value and dual of each row and column."""
    verdict, _, lines = text.partition("\n")
    if "nfeasible" in verdict:
        return LinearSolution(Status.INFEASIBLE, message=verdict)
    if "nbounded" in verdict:
        return LinearSolution(Status.UNBOUNDED, message=verdict)
    if "Stopped" in verdict and "no integer solution" in verdict:
        return LinearSolution(Status.LIMIT, message=verdict)
    x, row_duals, reduced = np.zeros(model.n_columns), np.zeros(model.n_rows), np.zeros(model.n_columns)
    for line in lines.splitlines():
        _, name, value, dual = line.replace("**", "").split()
        if name.startswith("C"):
            x[int(name[1:])], reduced[int(name[1:])] = float(value), float(dual)
        elif name.startswith("R"):
            row_duals[int(name[1:])] = float(dual)
    status = Status.OPTIMAL if verdict.startswith("Optimal") else Status.LIMIT
    return _solution(status, model, x, (row_duals, reduced))


def _read_glpk(text: str, model: LinearModel) -> LinearSolution:
    """Read GLPK's plain solution format: lines s (status), i (row), j (column)."""
    x, row_duals, reduced = np.zeros(model.n_columns), np.zeros(model.n_rows), np.zeros(model.n_columns)
    status, before = Status.FAILED, 0
    for words in (line.split() for line in text.splitlines()):
        if words[:1] == ["s"]:
            status = _glpk_status(words)
            before = int(words[2]) - model.n_rows  # some releases count the objective as the first row
        elif words[:1] == ["j"]:
            x[int(words[1]) - 1] = float(words[-2] if len(words) == 5 else words[-1])
            reduced[int(words[1]) - 1] = float(words[-1]) if len(words) == 5 else 0.0
        elif words[:1] == ["i"] and int(words[1]) > before and len(words) == 5:
            row_duals[int(words[1]) - before - 1] = float(words[-1])
    if status not in (Status.OPTIMAL, Status.LIMIT):
        return LinearSolution(status)
    return _solution(status, model, x, (row_duals, reduced))


def _glpk_status(words: list[str]) -> Status:
    """Read the verdict of a basic solution (``s bas rows columns primal dual …``) or a mixed one (``s mip …``)."""
    if words[1] == "mip":
        return {"o": Status.OPTIMAL, "f": Status.LIMIT, "n": Status.INFEASIBLE}.get(
            words[4], Status.INFEASIBLE
        )
    if words[4] == "f":
        return {"f": Status.OPTIMAL, "n": Status.UNBOUNDED}.get(words[5], Status.LIMIT)
    return Status.INFEASIBLE


def _read_cplex(text: str, model: LinearModel) -> LinearSolution:
    """Read CPLEX's XML solution file."""
    root = ElementTree.fromstring(text)  # noqa: S314 - written by the solver that the operator installed
    header = root.find("header")
    verdict = "" if header is None else header.get("solutionStatusString", "")
    x = _named_values(root.iter("variable"), "value", model.n_columns)
    duals = _named_values(root.iter("constraint"), "dual", model.n_rows)
    reduced = _named_values(root.iter("variable"), "reducedCost", model.n_columns)
    return _solution(Status.OPTIMAL if "optimal" in verdict else Status.LIMIT, model, x, (duals, reduced))


def _named_values(elements: Iterable[ElementTree.Element], attribute: str, count: int) -> FloatArray:
    values = np.zeros(count)
    for element in elements:
        values[int(element.get("name", "C0")[1:])] = float(element.get(attribute, "0"))
    return values


def _seconds(options: SolverOptions) -> list[str]:
    return [str(max(1, int(options.time_limit_s)))] if isfinite(options.time_limit_s) else []


def _call_cbc(problem: Path, solution: Path, options: SolverOptions) -> list[str]:
    limit = ["-seconds", *_seconds(options)] if _seconds(options) else []
    gap = ["-ratioGap", repr(options.relative_gap), "-primalTolerance", "1e-9", "-dualTolerance", "1e-9"]
    return [str(problem), *limit, *gap, "-solve", "-printingOptions", "all", "-solution", str(solution)]


def _call_glpk(problem: Path, solution: Path, options: SolverOptions) -> list[str]:
    limit = ["--tmlim", *_seconds(options)] if _seconds(options) else []
    return [
        "--freemps",
        str(problem),
        "--min",
        *limit,
        "--mipgap",
        repr(options.relative_gap),
        "-w",
        str(solution),
    ]


def _call_cplex(problem: Path, solution: Path, options: SolverOptions) -> list[str]:
    limit = [f"set timelimit {options.time_limit_s}"] if isfinite(options.time_limit_s) else []
    gap = f"set mip tolerances mipgap {options.relative_gap!r}"
    return ["-c", f"read {problem} mps", *limit, gap, "optimize", f"write {solution} sol", "quit"]


_DIALECTS = {
    "cbc": _Dialect("cbc", _call_cbc, _read_cbc),
    "glpk": _Dialect("glpsol", _call_glpk, _read_glpk),
    "cplex": _Dialect("cplex", _call_cplex, _read_cplex),
}

"""The labelled linear layer, and solvers that are commands of their own."""

import shutil

import numpy as np
import pytest

from flexmeasures.domain.errors import BadFlexModel, Impossible, SolverFailed
from flexmeasures.domain.scheduling import (
    Connection,
    Exclusion,
    PlanOptions,
    Profile,
    Site,
    SolverOptions,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_site,
    solver_named,
)
from flexmeasures.domain.scheduling.command import CommandSolver, write_mps
from flexmeasures.domain.scheduling.highs import HighsSolver
from flexmeasures.domain.scheduling.linear import LinearModel, Status

DEFAULT = SolverOptions()


def small_model(*, integer: bool = False) -> LinearModel:
    """Minimise −3a − 2b with a + b ≤ 4.5 and a ≤ 3: at a = 3, b = 1.5 it is −12, with whole numbers −11."""
    model = LinearModel()
    a = model.add_variables("a", 1, upper=3.0, cost=-3.0, integer=integer)
    b = model.add_variables("b", 1, cost=-2.0, integer=integer)
    model.add_constraints("sum", [(a, 1.0), (b, 1.0)], upper=4.5)
    return model


def test_a_small_model_is_solved_with_its_duals():
    """The row's dual is −2 (more room is filled with b), the reduced cost of a at its bound −1."""
    solution = HighsSolver().solve(small_model(), DEFAULT)

    assert solution.status is Status.OPTIMAL
    np.testing.assert_allclose(solution.x, [3.0, 1.5])
    assert solution.objective == pytest.approx(-12)
    np.testing.assert_allclose(solution.row_duals, [-2.0])
    np.testing.assert_allclose(solution.column_duals, [-1.0, 0.0])


def test_whole_numbers_are_kept():
    """3 and 1 are the best whole numbers."""
    solution = HighsSolver().solve(small_model(integer=True), DEFAULT)

    np.testing.assert_allclose(solution.x, [3.0, 1.0])
    assert solution.gap <= 1e-6


def test_statuses_are_values():
    """An impossible and an endless model come back as such, without values."""
    impossible = LinearModel()
    impossible.add_constraints("never", [(impossible.add_variables("x", 1, upper=1.0), 1.0)], lower=2.0)
    endless = LinearModel()
    endless.add_variables("x", 1, cost=-1.0)

    assert HighsSolver().solve(impossible, DEFAULT).status is Status.INFEASIBLE
    assert HighsSolver().solve(endless, DEFAULT).status in (Status.UNBOUNDED, Status.INFEASIBLE)
    assert not HighsSolver().solve(impossible, DEFAULT).has_values


def test_entries_of_the_same_place_add_up():
    """X twice in a row counts double: 2x ≥ 6 gives x = 3."""
    model = LinearModel()
    x = model.add_variables("x", 1, cost=1.0)
    model.add_constraints("twice", [(x, 1.0), (x, 1.0)], lower=6.0)

    assert HighsSolver().solve(model, DEFAULT).x[0] == pytest.approx(3.0)


def test_blocks_have_unique_names():
    """A name is used once, and an unknown number has none."""
    model = LinearModel()
    model.add_variables("x", 1)
    with pytest.raises(Impossible):
        model.add_variables("x", 1)
    with pytest.raises(Impossible):
        model.column_name(5)


def test_a_model_is_written_as_mps():
    """Each section says what the model holds: a bound, a range-less row, whole numbers between markers."""
    text = "".join(write_mps(small_model(integer=True)))

    assert " L R0\n" in text
    assert " rhs R0 4.5\n" in text
    assert " C0 cost -3.0\n C0 R0 1.0\n" in text
    assert " UP bounds C0 3.0\n" in text
    assert text.index("INTORG") < text.index("C0 cost")


def test_unknown_and_missing_solvers_are_named():
    """A name without a solver, and a solver without its command, are errors that say so."""
    with pytest.raises(BadFlexModel, match="oracle"):
        solver_named("oracle")
    with pytest.raises(SolverFailed, match="no-such-command"):
        CommandSolver("cbc", "no-such-command").solve(small_model(), DEFAULT)


@pytest.mark.parametrize("name", ["cbc", "glpk"])
def test_other_solvers_agree_with_highs(name):
    """A lossy battery with negative prices, two prices, a limit and an exclusion: the same objective to 1e-6."""
    if shutil.which({"cbc": "cbc", "glpk": "glpsol"}[name]) is None:
        pytest.skip(f"{name} is not installed (Debian: coinor-cbc, glpk-utils)")
    prices = np.random.default_rng(5).normal(10, 40, 8)
    lossy = StorageDevice("a", 1.0, 1.0, 0.0, 2.0, charge_efficiency=0.9)
    site = Site(
        (StorageUse(lossy, 1.0), StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 1.0), Profile("load", 0.5)),
        Tariff(prices, prices - 3),
        Connection(1.2, 1.0),
        exclusions=(Exclusion("a", "b"),),
    )
    ours = plan_site(site, resolution_hours=1.0, options=PlanOptions(prefer_charging_sooner=False))
    options = PlanOptions(prefer_charging_sooner=False, explain=True, solver=solver_named(name))
    theirs = plan_site(site, resolution_hours=1.0, options=options)

    assert theirs.cost.total == pytest.approx(ours.cost.total, rel=1e-6)


@pytest.mark.parametrize("name", ["cbc", "glpk"])
def test_other_solvers_value_energy_as_highs_does(name):
    """Whole numbers are needed at −20; with the choices held, marginal values come back from every solver."""
    if shutil.which({"cbc": "cbc", "glpk": "glpsol"}[name]) is None:
        pytest.skip(f"{name} is not installed (Debian: coinor-cbc, glpk-utils)")
    lossy = StorageDevice("a", 1.0, 2.0, 0.0, 1.5, charge_efficiency=0.9, discharge_efficiency=0.8)
    load = Profile("load", [0.3, 0.4, 0.2, 0.6])
    site = Site((StorageUse(lossy, 1.0), load), Tariff([30.0, -20.0, 10.0, 50.0]), Connection(2.0, 2.0))
    plans = [
        plan_site(site, resolution_hours=1.0, options=PlanOptions(False, explain=True, solver=solver))
        for solver in (HighsSolver(), solver_named(name))
    ]

    ours, theirs = (plan.explanation for plan in plans)
    np.testing.assert_allclose(theirs.marginal_price, ours.marginal_price, atol=1e-5)
    np.testing.assert_allclose(theirs.stored_value["a"], ours.stored_value["a"], atol=1e-5)
    assert theirs.binding == ours.binding
    # energy is sold at 50, bought at 10, and more than the power limit lets in is wanted at −20
    np.testing.assert_allclose(ours.stored_value["a"][1:], [10 / 0.9, 10 / 0.9, 50 * 0.8], atol=1e-6)


def test_a_command_that_does_not_end_is_ended(tmp_path):
    """A solver that outlasts its time limit and its grace is stopped, and that is a limit, not a failure."""
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\nexec sleep 600\n")
    stuck.chmod(0o755)
    solution = CommandSolver("cbc", str(stuck), grace_s=0.01).solve(small_model(), SolverOptions(0.01))

    assert solution.status is Status.LIMIT
    assert not solution.has_values


def test_a_suggested_basis_leads_to_the_same_answer_sooner():
    """The basis is where the search begins: the optimum stays −12."""
    model = small_model()
    model.begin_with(np.array([1], np.int32), np.array([0], np.int32))

    assert HighsSolver().solve(model, DEFAULT).objective == pytest.approx(-12)


def test_a_column_is_suggested_for_one_row_only():
    """Of two rows that ask for the same column the first has it, or the basis would have too few columns."""
    model = LinearModel()
    x = model.add_variables("x", 2)
    for name in ("first", "second"):
        model.begin_with(x, model.add_constraints(name, [(x, 1.0)], lower=1.0))

    assert [places.tolist() for places in model.basis] == [[0, 1], [0, 1]]


def test_choices_are_held_at_their_rounded_values():
    """Bounds of whole numbers close upon round(2.2) and round(2.6), and the model becomes a linear one."""
    held = small_model(integer=True).with_choices(np.array([2.2, 2.6]))

    assert held.column_arrays[0].tolist() == [2.0, 3.0]
    assert not held.column_arrays[3].any()

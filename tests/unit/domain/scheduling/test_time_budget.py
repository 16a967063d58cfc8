"""One time limit for the whole plan, and the best of what was found when it is over. No real time is waited for."""

from itertools import count

import numpy as np
import pytest

from flexmeasures.domain.errors import BadFlexModel
from flexmeasures.domain.scheduling import (
    Connection,
    Exclusion,
    HighsSolver,
    Outcome,
    PlanOptions,
    Profile,
    ShiftableLoad,
    Site,
    SolverOptions,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    plan_site,
)
from flexmeasures.domain.scheduling.linear import LinearSolution, Status

LIMIT = SolverOptions(time_limit_s=100.0)


class SlowSolver:
    """HiGHS by a clock of its own, on which every model takes some seconds, or as long as it may."""

    def __init__(self, seconds=0.0, seconds_with_integers=0.0, *, finds=True):
        self.now, self.allowed = 0.0, []
        self.seconds, self.seconds_with_integers, self.finds = seconds, seconds_with_integers, finds

    def time(self):
        """Read the clock [s]."""
        return self.now

    def solve(self, model, options):
        """Solve at once, but let the clock run on."""
        is_integer = bool(model.column_arrays[3].any())
        needed = self.seconds_with_integers if is_integer else self.seconds
        self.allowed.append(options.time_limit_s)
        self.now += min(needed, options.time_limit_s)
        if needed > options.time_limit_s or (is_integer and not self.finds):
            return LinearSolution(Status.LIMIT)
        return HighsSolver().solve(model, SolverOptions())


def taking_turns(target=1.5):
    """Two cars that must not charge together, with targets that both want most of the time; and a lossy battery."""
    cars = tuple(StorageUse(StorageDevice(name, 1.0, 0.0, 0.0, 4.0), 0.0, {4: target}) for name in ("a", "b"))
    lossy = StorageDevice("lossy", 1.0, 1.0, 0.0, 1.0, charge_efficiency=0.8)
    tariff = Tariff([1.0, -5.0, -4.0, 2.0], [0.0, -6.0, -3.0, 1.0])
    devices = (*cars, StorageUse(lossy, 0.5), Profile("load", 0.2))
    return Site(devices, tariff, Connection(3.0), exclusions=(Exclusion("a", "b"),))


def plan(site, solver):
    """Plan with a solver and its clock."""
    options = PlanOptions(False, solver_options=LIMIT, solver=solver, timer=solver.time)
    return plan_site(site, resolution_hours=1.0, options=options)


@pytest.mark.parametrize("target", [1.5, 3.5], ids=["wishes kept", "wishes given up"])
def test_all_models_of_a_plan_share_one_time_limit(target):
    """Whatever each takes, by the clock of the plan the limit is never passed, and each model gets what is left."""
    for seconds in (3.0, 11.0, 45.0, 1000.0):
        solver = SlowSolver(seconds, 2 * seconds)
        outcome = plan(taking_turns(target), solver).outcome

        assert solver.now <= LIMIT.time_limit_s + 1e-9
        assert solver.allowed[0] <= LIMIT.time_limit_s
        assert isinstance(outcome, Outcome)


def test_without_time_for_the_best_choices_the_nearest_ones_are_made():
    """No answer among whole numbers: slots go to who used them most, every rule is kept, and the gap is proven."""
    best = plan(taking_turns(), HurriedNowhere())
    found = plan(taking_turns(), SlowSolver(finds=False))

    a, b = (found.devices[name].power_mw for name in "ab")
    assert not np.any((a > 1e-6) & (b > 1e-6))
    assert found.outcome in (Outcome.BEST_FOUND, Outcome.RELAXED)
    assert found.cost.total >= best.cost.total - 1e-9 or found.missed
    if found.outcome is Outcome.BEST_FOUND:
        assert (1 - np.sign(found.cost.total) * found.gap) * found.cost.total <= best.cost.total + 1e-9


class HurriedNowhere(SlowSolver):
    """A solver that needs no time."""


def test_a_load_that_no_time_is_left_for_still_runs_once():
    """Half runs in the relaxed answer become one whole run, or two whole runs of two."""
    loads = (ShiftableLoad("one", (1.0, 1.0)), ShiftableLoad("pieces", (0.7, 0.7), interruptible=True))
    site = Site(loads, Tariff([3.0, 1.0, 2.0, 2.5]), Connection(1.2))
    found = plan(site, SlowSolver(finds=False))

    for name, power in (("one", 1.0), ("pieces", 0.7)):
        run = found.devices[name].power_mw
        assert np.all((run == 0) | (run == power))
    assert found.net_mw.max() <= 1.2
    assert found.missed or found.net_mw.sum() == pytest.approx(2.0 + 1.4)


def test_no_time_at_all_leaves_the_fallback():
    """A plan whose first model takes too long follows the fallback policy and says so."""
    ticks = count(0.0, 200.0)
    options = PlanOptions(solver_options=LIMIT, timer=lambda: next(ticks))
    site = Site((StorageUse(battery("b", 1.0, max_soc_mwh=2.0), 1.0),), Tariff([1.0, 5.0]))
    late = plan_site(site, resolution_hours=1.0, options=options)

    assert late.outcome is Outcome.FALLBACK
    assert "stopped at a limit" in late.notes[0]


@pytest.mark.parametrize(
    "mistake",
    [{"time_limit_s": 0.0}, {"time_limit_s": np.nan}, {"relative_gap": -0.1}, {"relative_gap": np.inf}],
)
def test_limits_without_sense_are_refused(mistake):
    """No time, and a gap below zero or without end, are named."""
    with pytest.raises(BadFlexModel, match="time limit above 0"):
        SolverOptions(**mistake)

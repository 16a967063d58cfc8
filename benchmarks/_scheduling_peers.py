"""The plan of one battery, stated in modelling layers that are installed, and solved by the same solver.

Runs by itself, with the Python of an environment that has linopy or Pyomo, and highspy. Takes the problem as JSON from
its input, and prints for each layer the median time [s] and the lowest cost.
"""

import importlib.util
import json
import statistics
import sys
import time


def cost_by_linopy(prices, hours, power_mw, size_mwh, start_mwh):
    """Lowest cost, stated in linopy."""
    import linopy  # noqa: PLC0415 - an optional peer
    import pandas as pd  # noqa: PLC0415 - an optional peer

    slots = pd.RangeIndex(len(prices), name="slot")
    model = linopy.Model()
    power = model.add_variables(-power_mw, power_mw, coords=[slots], name="power")
    soc = model.add_variables(0.0, size_mwh, coords=[slots], name="soc")
    stored = pd.Series([start_mwh] + [0.0] * (len(prices) - 1), slots)
    model.add_constraints(soc - soc.shift(slot=1) - power * hours == stored)
    model.add_objective((power * (pd.Series(prices, slots) * hours)).sum())
    model.solve("highs", io_api="direct", output_flag=False, progress=False)
    return float(model.objective.value)


def cost_by_pyomo(prices, hours, power_mw, size_mwh, start_mwh):
    """Lowest cost, stated in Pyomo."""
    import pyomo.environ as pyo  # noqa: PLC0415 - an optional peer
    from pyomo.contrib.appsi.solvers import Highs  # noqa: PLC0415 - an optional peer

    model = pyo.ConcreteModel()
    model.slots = pyo.RangeSet(0, len(prices) - 1)
    model.power = pyo.Var(model.slots, bounds=(-power_mw, power_mw))
    model.soc = pyo.Var(model.slots, bounds=(0.0, size_mwh))
    model.balance = pyo.Constraint(
        model.slots,
        rule=lambda m, k: m.soc[k] == (m.soc[k - 1] if k else start_mwh) + hours * m.power[k],
    )
    model.cost = pyo.Objective(expr=sum(prices[k] * hours * model.power[k] for k in model.slots))
    return float(Highs().solve(model).best_feasible_objective)


def main():
    """Time each layer that is installed."""
    problem = json.load(sys.stdin)
    found = {}
    for layer, cost_of in (("linopy", cost_by_linopy), ("pyomo", cost_by_pyomo)):
        if importlib.util.find_spec(layer):
            cost, times = cost_of(**problem), []
            for _ in range(5):
                start = time.perf_counter()
                cost_of(**problem)
                times.append(time.perf_counter() - start)
            found[layer] = {"seconds": statistics.median(times), "cost": cost}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

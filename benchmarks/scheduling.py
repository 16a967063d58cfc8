"""Scheduling: a battery, sites of many devices, a portfolio, a re-plan; beside the same LP in a modelling layer."""

import importlib.util
import resource
import sys
import time

import numpy as np

from benchmarks import Report, benchmark, median
from flexmeasures.domain.scheduling import (
    Connection,
    Curtailable,
    HeatBuffer,
    Outcome,
    PlanOptions,
    Profile,
    Site,
    StorageDevice,
    StorageUse,
    Tariff,
    battery,
    heat_buffer,
    plan_site,
    plan_storage,
    stay_with,
)

QUARTER = 0.25


def day_prices(slots: int, hours: float, seed: int = 0) -> np.ndarray:
    """Prices with a daily wave and noise [currency/MWh]."""
    daily = np.sin(np.arange(slots) * hours / 24 * 2 * np.pi)
    return 60 + 30 * daily + np.random.default_rng(seed).normal(0, 10, slots)


def mixed_site(devices: int, slots: int = 192) -> Site:
    """A building, lossy batteries, cars, solar roofs and heat pumps behind a limited connection."""
    hours = np.arange(slots) * QUARTER
    sun = np.maximum(0.0, np.sin(hours / 24 * 2 * np.pi - np.pi / 2))
    parts: list = [Profile("building", 0.004 * devices * (1 + 0.3 * np.sin(hours)))]
    for number in range(devices):
        kind, name = number % 5, f"device {number}"
        if kind in (0, 1):
            device = StorageDevice(
                name, 0.01, 0.01, 0.0, 0.02, charge_efficiency=0.95, discharge_efficiency=0.95
            )
            parts.append(StorageUse(device, 0.01))
        elif kind == 2:
            car = StorageDevice(name, 0.011, 0.0, 0.0, 0.06)
            parts.append(StorageUse(car, 0.01, {60 + number % 30: 0.04}))
        elif kind == 3:
            parts.append(Curtailable(name, -0.01 * sun))
        else:
            parts.append(
                heat_buffer(HeatBuffer(name, 0.004, 3.0, 0.003, 0.02, 0.01), 0.01, {40: (0.005, 0.02)})
            )
    prices = day_prices(slots, QUARTER)
    return Site(tuple(parts), Tariff(prices, prices - 30), Connection(0.006 * devices, 0.005 * devices))


@benchmark("scheduling: one battery")
def one_battery(report: Report) -> None:
    """Build and solve for one battery, feasible and not."""
    device = battery("battery", 2.0, max_soc_mwh=5.0)
    for name, slots, hours, target in (
        ("48 h × 15 min", 192, 0.25, 0.015),
        ("7 d × 5 min", 2016, 1 / 12, 0.150),
    ):
        prices = day_prices(slots, hours)
        report(
            f"battery, {name}",
            median(lambda p=prices, h=hours: plan_storage(device, p, resolution_hours=h, soc_at_start=2.5)),
            target=target,
        )
    prices = day_prices(192, QUARTER)
    report(
        "battery, 48 h × 15 min, target out of reach",
        median(
            lambda: plan_storage(device, prices, resolution_hours=QUARTER, soc_at_start=0, targets={4: 5.0})
        ),
    )
    compare_with_linopy(report, prices)


@benchmark("scheduling: sites")
def sites(report: Report) -> None:
    """Build and solve for many devices behind one connection, and plan again from the plan before."""
    for devices, target, repeat in ((10, 0.25, 7), (50, 2.5, 3)):
        site = mixed_site(devices)
        first = plan_site(site, resolution_hours=QUARTER)
        seconds = median(lambda s=site: plan_site(s, resolution_hours=QUARTER), repeat, 0)
        note = "" if first.outcome is Outcome.OPTIMAL else f"outcome: {first.outcome.value}"
        report(f"site of {devices} devices, 48 h × 15 min", seconds, target=target, note=note)
        kept = stay_with({name: plan.power_mw for name, plan in first.devices.items()}, 0.5)
        again = Site(site.devices, site.tariff, site.connection, kept)
        re_plan = median(lambda s=again: plan_site(s, resolution_hours=QUARTER), repeat, 0)
        report(f"site of {devices} devices, stable re-plan", re_plan)
        report.ratio("  re-plan as a multiple of the first plan", re_plan, seconds)
        why = PlanOptions(explain=True)
        report(
            f"site of {devices} devices, with reasons",
            median(lambda s=site, o=why: plan_site(s, resolution_hours=QUARTER, options=o), repeat, 0),
        )


@benchmark("scheduling: portfolio")
def portfolio(report: Report) -> None:
    """A thousand independent batteries, one after another in one process (the target includes a database)."""
    start = time.perf_counter()
    for number in range(1000):
        prices = day_prices(192, QUARTER, number)
        plan_storage(
            battery("battery", 2.0, max_soc_mwh=5.0), prices, resolution_hours=QUARTER, soc_at_start=2.5
        )
    report("1,000 batteries, 48 h × 15 min, one process", time.perf_counter() - start, per=1000, target=15.0)
    unit = 1024.0 if sys.platform != "darwin" else 1024.0**2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    report.figure("peak memory of this process", peak, "MB", "target 300 MB")


def compare_with_linopy(report: Report, prices: np.ndarray) -> None:
    """State the same LP in linopy, if installed, and solve it with the same solver."""
    if importlib.util.find_spec("linopy") is None:
        print("  linopy is not installed: no peer to compare with (pip install linopy)")
        return
    device = battery("battery", 2.0, max_soc_mwh=5.0)
    plain = PlanOptions(prefer_charging_sooner=False)

    def ours() -> float:
        return plan_storage(device, prices, resolution_hours=QUARTER, soc_at_start=2.5, options=plain).cost

    def theirs() -> float:
        return cost_by_linopy(prices)

    assert abs(ours() - theirs()) < 1e-6
    our_time, their_time = median(ours), median(theirs, 5, 1)
    report("the same LP in linopy, same solver", their_time)
    report.ratio("  ours as a multiple of linopy's time", our_time, their_time)


def cost_by_linopy(prices: np.ndarray) -> float:
    """Lowest cost of the battery of 2 MW and 5 MWh, stated in linopy."""
    import linopy  # noqa: PLC0415 - an optional peer
    import pandas as pd  # noqa: PLC0415 - comes with it

    time_index = pd.RangeIndex(prices.size, name="slot")
    model = linopy.Model()
    power = model.add_variables(-2.0, 2.0, coords=[time_index], name="power")
    soc = model.add_variables(0.0, 5.0, coords=[time_index], name="soc")
    model.add_constraints(
        soc - soc.shift(slot=1) - power * QUARTER
        == pd.Series(np.r_[2.5, np.zeros(prices.size - 1)], time_index)
    )
    model.add_objective((power * (prices * QUARTER)).sum())
    model.solve("highs", io_api="direct", output_flag=False, progress=False)
    return float(model.objective.value)

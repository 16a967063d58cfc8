"""Scheduling: a battery, sites of many devices, a portfolio, a re-plan; beside the same LP in modelling layers."""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import Report, benchmark, median, time_calls
from flexmeasures.domain.scheduling import (
    Connection,
    Curtailable,
    Exclusion,
    HeatBuffer,
    Outcome,
    PlanOptions,
    Profile,
    Site,
    SitePlan,
    SolverOptions,
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
HOME = Path(__file__).parents[1] / "tests" / "data" / "home-with-feed-in.json"
PEER_ENV = "SCHEDULING_PEER_PYTHON"
"""Names the Python of an environment in which linopy or Pyomo is installed, with highspy."""


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
    compare_with_peers(report, prices, QUARTER)
    compare_with_peers(report, day_prices(2016, 1 / 12), 1 / 12)


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
        revised = day_prices(192, QUARTER, 1)
        later = Site(site.devices, Tariff(revised, revised - 30), site.connection, kept)
        for what, stable in (("the same prices", again), ("revised prices", later)):
            # in turns, for the speed of a shared machine changes from one measurement to the next
            turns = [
                [
                    time_calls(lambda s=s: plan_site(s, resolution_hours=QUARTER), 1, 0)[0]
                    for s in (stable, site)
                ]
                for _ in range(repeat)
            ]
            report(
                f"site of {devices} devices, stable re-plan, {what}",
                statistics.median(turn[0] for turn in turns),
            )
            ratio = statistics.median(re_plan / first_plan for re_plan, first_plan in turns)
            report.ratio("  re-plan as a multiple of the first plan", ratio, 1.0)
        why = PlanOptions(explain=True)
        report(
            f"site of {devices} devices, with reasons",
            median(lambda s=site, o=why: plan_site(s, resolution_hours=QUARTER, options=o), repeat, 0),
        )


@benchmark("scheduling: homes")
def homes(report: Report) -> None:
    """Plan a home whose export earns less than its import costs, one where it earns more, and both for long windows."""
    site = home_with_feed_in()
    bought = np.maximum(site.tariff.import_price, 1.0)
    dynamic = Site(site.devices, Tariff(bought, bought - 30), site.connection)
    report(
        "home, dynamic tariff, 48 h × 15 min",
        median(lambda: plan_site(dynamic, resolution_hours=QUARTER)),
        target=0.05,
    )
    for limit, most in ((1.0, 2.0), (5.0, 0.1), (20.0, 0.5)):
        plan = cut_off(site, limit)
        above = 100 * (1 - plan.cost.total / HOME_LEAST_COST)
        report.figure(
            f"home, feed-in above market prices, within {limit:g} s: above the least cost",
            above,
            "%",
            f"target {most:g} %; cost {plan.cost.total:.3f}, stated gap {100 * plan.gap:.2g} %",
        )
    for what, sold in (("dynamic tariff", None), ("feed-in above market prices", 82.0)):
        long = year_of_home(sold)
        start = time.perf_counter()
        plan = cut_off(long, 20.0)
        note = f"{plan.outcome.value}, cost {plan.cost.total:.2f}, missed {len(plan.missed)}"
        report(f"home, {what}, 35,040 slots", time.perf_counter() - start, target=20.0, note=note)


HOME_LEAST_COST = -10.745
"""Least cost of the home of the test data, proven to 0.1 % by another solver in a statement of its own [EUR]."""


def cut_off(site: Site, limit_s: float) -> SitePlan:
    """Plan within a time limit, without a preference among equal prices."""
    limit = SolverOptions(time_limit_s=limit_s)
    options = PlanOptions(prefer_charging_sooner=False, solver_options=limit)
    return plan_site(site, resolution_hours=QUARTER, options=options)


def home_with_feed_in() -> Site:
    """The home of the test data: battery, car with a target, curtailable roof, house; a fixed price of feed-in."""
    case = json.loads(HOME.read_text())
    battery_, car, sun, house = case["devices"]
    efficiency = battery_["charge_efficiency"]
    store = StorageDevice(
        "battery",
        battery_["charge"],
        battery_["discharge"],
        0.0,
        battery_["soc_max"],
        charge_efficiency=efficiency,
        discharge_efficiency=efficiency,
    )
    targets = {int(boundary): soc for boundary, soc in car["targets"].items()}
    devices = (
        StorageUse(store, battery_["start"]),
        StorageUse(StorageDevice("car", car["charge"], 0.0, 0.0, car["soc_max"]), car["start"], targets),
        Curtailable("sun", sun["power"]),
        Profile("house", house["power"]),
    )
    limits = Connection(case["import_limit_mw"], case["export_limit_mw"])
    return Site(devices, Tariff(case["import_price"], case["export_price"]), limits)


def year_of_home(sold: float | None) -> Site:
    """A year of a battery, a car that is driven and wants a reserve each morning, a roof and a house."""
    slots = 35_040
    hours = np.arange(slots) * QUARTER
    price = day_prices(slots, QUARTER)
    sun = 0.008 * np.maximum(0.0, np.sin(hours / 24 * 2 * np.pi - np.pi / 2))
    lossy = {"charge_efficiency": 0.95, "discharge_efficiency": 0.95}
    mornings = {96 * day + 30: 0.04 for day in range(slots // 96)}
    car = StorageDevice("car", 0.011, 0.0, 0.0, 0.06, usage_mw=0.0007)
    devices = (
        StorageUse(StorageDevice("battery", 0.005, 0.005, 0.0, 0.01, **lossy), 0.005),
        StorageUse(car, 0.03, soc_minima=mornings),
        Curtailable("sun", -sun),
        Profile("house", 0.001 + 0.0004 * np.sin(hours)),
    )
    paid = price - 30 if sold is None else np.full(slots, sold)
    return Site(devices, Tariff(price, paid), Connection(0.017, 0.01))


@benchmark("scheduling: taking turns")
def taking_turns(report: Report) -> None:
    """Plan devices that must not run together and want more than there is time for: whole numbers, missed wishes."""
    for devices in (2, 3, 4):
        site = crowded_site(devices)
        plan = plan_site(site, resolution_hours=QUARTER)
        seconds = median(lambda s=site: plan_site(s, resolution_hours=QUARTER), 3, 0)
        report(f"{devices} devices, one at a time, 48 h × 15 min", seconds, note=f"gap {plan.gap:.1e}")


def crowded_site(devices: int, slots: int = 192) -> Site:
    """Lossy batteries and cars that run one at a time, with targets that are out of reach together."""
    rng = np.random.default_rng(1)
    prices = rng.normal(30, 40, slots)
    size = slots / 4
    stores = []
    for number in range(devices):
        production = 0.0 if number % 2 else 1.0
        device = StorageDevice(
            f"{number}", 1.0, production, 0.0, size, charge_efficiency=0.95, discharge_efficiency=0.95
        )
        stores.append(StorageUse(device, 0.5, {slots // 2: 0.4 * size, slots: 0.6 * size}))
    rules = tuple(Exclusion(f"{one}", f"{other}") for one in range(devices) for other in range(one))
    parts = (*stores, Profile("load", rng.uniform(0, 1, slots)))
    return Site(parts, Tariff(prices, prices - 10), Connection(1.8, 1.0), exclusions=rules)


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


def compare_with_peers(report: Report, prices: np.ndarray, hours: float) -> None:
    """State the same problem in linopy and Pyomo, where they are installed, and solve it with the same solver."""
    python = os.environ.get(PEER_ENV, sys.executable)
    problem = {"prices": prices.tolist(), "hours": hours, "power_mw": 2.0, "size_mwh": 5.0, "start_mwh": 2.5}
    command = [python, str(Path(__file__).with_name("_scheduling_peers.py"))]
    done = subprocess.run(
        command, input=json.dumps(problem), capture_output=True, text=True, check=True, cwd="/"
    )
    peers = json.loads(done.stdout.splitlines()[-1])
    if not peers:
        print(f"  (no peer: set {PEER_ENV} to the Python of an environment with highspy and linopy or pyomo)")
        return
    device = battery("battery", 2.0, max_soc_mwh=5.0)
    plain = PlanOptions(prefer_charging_sooner=False)

    def ours() -> float:
        return plan_storage(device, prices, resolution_hours=hours, soc_at_start=2.5, options=plain).cost

    cost, seconds = ours(), median(ours)
    report(f"the same problem, {prices.size} slots", seconds)
    for name, peer in peers.items():
        assert abs(cost - peer["cost"]) < 1e-6 * max(1.0, abs(cost)), (name, cost, peer["cost"])
        took = f"{peer['seconds'] * 1e3:.0f} ms"
        report.ratio(f"  {name} ({took}) as a multiple of ours, same optimum", peer["seconds"], seconds)

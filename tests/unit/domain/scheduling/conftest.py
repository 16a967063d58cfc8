"""An exact statement of a site for tests, which shares nothing with the planner but the values that describe it.

It always states every choice with whole numbers, wishes with slacks from the start, and deviations with variables of
their own.
"""

from itertools import pairwise, product

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, milp

from flexmeasures.domain.scheduling import (
    Curtailable,
    Direction,
    Objective,
    Profile,
    ShiftableLoad,
    StorageUse,
)

HOURS = 0.5
EXCLUSIVE = 12.0
"""More than any power here [MW]."""


@pytest.fixture
def state_exactly():
    """State a site, or one in several futures that share their first slots: the program and the powers of each."""
    return state_futures


def state_futures(sites, weights, shared, objective):
    """State each future with its weight; stores and loads share the first slots."""
    exact = Exact()
    powers = [state(exact, site, weight, objective) for site, weight in zip(sites, weights, strict=True)]
    decided = [one.name for one in sites[0].devices if isinstance(one, StorageUse | ShiftableLoad)]
    for other in powers[1:]:
        for name, k in product(decided, range(shared)):
            turned = [(column, -value) for column, value in other[name][k][0]]
            exact.row([*powers[0][name][k][0], *turned], 0.0, 0.0)
    return exact, powers


class Exact:
    """A mixed-integer program, row by row, solved by scipy."""

    def __init__(self):
        self.cost, self.low, self.high, self.whole = [], [], [], []
        self.rows, self.missed = [], {4: [], 3: [], 2: [], 1: []}

    def variables(self, count, low=0.0, high=np.inf, cost=0.0, whole=0):
        """Add variables and give their numbers."""
        first = len(self.cost)
        for into, value in ((self.cost, cost), (self.low, low), (self.high, high), (self.whole, whole)):
            into.extend(np.broadcast_to(value, count).tolist())
        return list(range(first, first + count))

    def row(self, terms, low=-np.inf, high=np.inf):
        """Add low ≤ Σ terms ≤ high."""
        self.rows.append((terms, low, high))

    def wish(self, terms, rank, low=-np.inf, high=np.inf, most=np.inf):
        """Add a row that may be missed."""
        under, over = self.variables(2, high=most)
        self.missed[rank] += [under, over]
        self.row([*terms, (under, 1), (over, -1)], low, high)

    def minimise(self, objective, extra=(), high=None):
        """Solve; None if it is infeasible."""
        rows = [*self.rows, *extra]
        matrix = np.zeros((len(rows), len(self.cost)))
        for number, (terms, _, _) in enumerate(rows):
            for column, value in terms:
                matrix[number, column] += value
        among = LinearConstraint(matrix, [row[1] for row in rows], [row[2] for row in rows])
        bounds = np.array(self.low), np.array(self.high if high is None else high)
        solution = milp(
            objective, constraints=among, bounds=bounds, integrality=self.whole, options={"mip_rel_gap": 1e-9}
        )
        assert solution.status in (0, 2), solution.message
        if solution.status == 2:
            return None
        whole = np.array(self.whole) > 0
        chosen = np.round(solution.x)
        if np.array_equal(chosen[whole], solution.x[whole]):
            return solution
        # a choice of 0.999999 lets a little power through: hold the choices and solve again
        bounds = tuple(np.where(whole, chosen, bound) for bound in bounds)
        held = milp(objective, constraints=among, bounds=bounds, options={"presolve": False})
        assert held.status == 0, held.message
        return held

    def best(self):
        """Lowest cost with all wishes kept, or else with each rank missed by the least: cost, and what is missed."""
        keep_all = np.array(self.high)
        for columns in self.missed.values():
            keep_all[columns] = 0.0
        solution = self.minimise(self.cost, high=keep_all)
        if solution is not None:
            return solution.fun, {}
        held, least = [], {}
        for rank, columns in self.missed.items():
            if not columns:
                continue
            sum_of = np.zeros(len(self.cost))
            sum_of[columns] = 1.0
            least[rank] = self.minimise(sum_of, held).fun
            held.append(([(column, 1) for column in columns], -np.inf, least[rank] + 1e-9))
        return self.minimise(self.cost, held).fun, least


def state(exact, site, weight=1.0, objective=Objective.COST):
    """State a site; the power of each device and slot as terms and a constant."""
    bought, sold = (np.asarray(price, dtype=float) for price in site.tariff.prices)
    n = bought.size
    co2 = np.zeros(n) if site.tariff.co2_kg_per_mwh is None else np.asarray(site.tariff.co2_kg_per_mwh)
    if objective is Objective.CO2:
        buy, sell, money = co2, co2, 0.0
    else:
        emitted = co2 / 1000 * site.tariff.co2_price
        buy, sell, money = bought + emitted, sold + emitted, weight
    powers = {device.name: state_device(exact, device, n, weight) for device in site.devices}
    imported = exact.variables(n, high=EXCLUSIVE, cost=buy * HOURS * weight)
    exported = exact.variables(n, high=EXCLUSIVE, cost=-sell * HOURS * weight)
    importing = exact.variables(n, high=1, whole=1)
    net = [([(imported[k], 1), (exported[k], -1)], 0.0) for k in range(n)]
    for k in range(n):
        used = [term for terms in powers.values() for term in terms[k][0]]
        constant = sum(terms[k][1] for terms in powers.values())
        exact.row([*used, (imported[k], -1), (exported[k], 1)], -constant, -constant)
        exact.row([(imported[k], 1), (importing[k], -EXCLUSIVE)], high=0)
        exact.row([(exported[k], 1), (importing[k], EXCLUSIVE)], high=EXCLUSIVE)
    state_limits(exact, site, imported, exported)
    for peak in site.tariff.peaks:
        highest = exact.variables(1, cost=peak.price * money)[0]
        for k, counted in enumerate(np.broadcast_to(peak.weight, n)):
            exact.row([(imported[k], counted), (highest, -1)], high=peak.floor_mw)
    state_agreements(exact, site, net, powers, weight)
    return powers


def state_limits(exact, site, imported, exported):
    """State the limits of the connection, with what quantiles of profiles keep free."""
    n = len(imported)
    above, below = np.zeros(n), np.zeros(n)
    for device in site.devices:
        if isinstance(device, Profile) and device.high_mw is not None:
            above += np.asarray(device.high_mw) - np.asarray(device.power_mw)
            below += np.asarray(device.power_mw) - np.asarray(device.low_mw)
    for k in range(n):
        for sign, limit, margin in (
            (1, site.connection.import_limit_mw, above),
            (-1, site.connection.export_limit_mw, below),
        ):
            if np.isfinite(limit):
                exact.wish([(imported[k], sign), (exported[k], -sign)], 4, high=limit - margin[k])


def state_agreements(exact, site, net, powers, weight):
    """State deviations from agreed profiles, and which devices must not run together."""
    n = len(net)
    for agreed in site.commitments:
        for k, power in enumerate(np.broadcast_to(agreed.power_mw, n)):
            if np.isfinite(power):
                terms, constant = net[k] if agreed.device is None else powers[agreed.device][k]
                prices = np.array([agreed.price_above, agreed.price_below]) * HOURS * weight
                over, under = exact.variables(2, cost=prices)
                exact.row([*terms, (over, -1), (under, 1)], power - constant, power - constant)
    for rule in site.exclusions:
        for k in range(n):
            first = exact.variables(1, high=1, whole=1)[0]
            keep_off(exact, powers[rule.first][k], rule.first_use, (first, 1))
            keep_off(exact, powers[rule.second][k], rule.second_use, (first, 0))


def keep_off(exact, power, use, choice):
    """Allow a use of a power only where the chosen column has the given value."""
    terms, constant = power
    column, wanted = choice
    for sign in {Direction.ANY: (1, -1), Direction.CONSUMING: (1,), Direction.PRODUCING: (-1,)}[use]:
        turned = [(place, sign * value) for place, value in terms]
        room = -EXCLUSIVE if wanted else EXCLUSIVE
        exact.row([*turned, (column, room)], high=-sign * constant + (0.0 if wanted else EXCLUSIVE))


def state_device(exact, device, n, weight):
    """State a device; its power a slot as terms and a constant."""
    if isinstance(device, Profile):
        return [([], float(power)) for power in np.broadcast_to(device.power_mw, n)]
    if isinstance(device, Curtailable):
        forecast = np.broadcast_to(device.forecast_mw, n)
        share = exact.variables(
            n, low=np.minimum(1.0, device.minimum_mw / np.maximum(abs(forecast), 1e-9)), high=1.0
        )
        for k in range(n):  # what is not used of the forecast costs its price
            exact.cost[share[k]] = -device.price * abs(forecast[k]) * HOURS * weight
        exact.variables(1, 1.0, 1.0, device.price * np.abs(forecast).sum() * HOURS * weight)
        return [([(share[k], float(forecast[k]))], 0.0) for k in range(n)]
    if isinstance(device, ShiftableLoad):
        return state_load(exact, device, n)
    return state_storage(exact, device, n, weight)


def state_load(exact, load, n):
    """State a load by its start, or by the slots in which it runs."""
    latest = n if load.latest is None else load.latest
    length = len(load.profile_mw)
    if load.interruptible:
        run = exact.variables(n, high=[float(load.earliest <= k < latest) for k in range(n)], whole=1)
        exact.wish([(column, 1) for column in run], 3, length, length, most=length)
        return [([(run[k], load.profile_mw[0])], 0.0) for k in range(n)]
    starts = range(load.earliest, latest - length + 1)
    start = exact.variables(len(starts), high=1, whole=1)
    exact.wish([(column, 1) for column in start], 3, 1, 1, most=1)
    power = [[] for _ in range(n)]
    for column, first in zip(start, starts, strict=True):
        for step, used in enumerate(load.profile_mw):
            power[first + step].append((column, used))
    return [(terms, 0.0) for terms in power]


def state_storage(exact, use, n, weight):
    """State a store: charging, discharging, which of them, and the state of charge."""
    device = use.device
    most = np.broadcast_to(device.max_consumption_mw, n), np.broadcast_to(device.max_production_mw, n)
    charge, discharge = exact.variables(n, high=most[0]), exact.variables(n, high=most[1])
    charging = exact.variables(n, high=1, whole=1)
    band = [np.broadcast_to(edge, n + 1) for edge in (device.soc_min_mwh, device.soc_max_mwh)]
    start = exact.variables(1, use.soc_at_start_mwh, use.soc_at_start_mwh)
    soc = start + exact.variables(n, band[0][1:], band[1][1:])
    efficiency, gain, back, usage = (
        np.broadcast_to(value, n)
        for value in (device.charge_efficiency, device.gain, device.discharge_efficiency, device.usage_mw)
    )
    for k in range(n):
        exact.row([(charge[k], 1), (charging[k], -most[0][k])], high=0)
        exact.row([(discharge[k], 1), (charging[k], most[1][k])], high=most[1][k])
        kept = (1 - device.loss_per_hour) ** HOURS
        moved = [(charge[k], -HOURS * efficiency[k] * gain[k]), (discharge[k], HOURS / back[k])]
        exact.row([(soc[k + 1], 1), (soc[k], -kept), *moved], -HOURS * usage[k], -HOURS * usage[k])
        for taper, column in ((device.charge_taper, charge[k]), (device.discharge_taper, discharge[k])):
            for (low, power), (high, other) in pairwise(taper):
                slope = (other - power) / (high - low)
                for boundary in (k, k + 1):
                    exact.row([(column, 1), (soc[boundary], -slope)], high=power - slope * low)
    for boundary, wanted in use.targets.items():
        exact.wish([(soc[boundary], 1)], 2, wanted, wanted)
    for boundary, wanted in use.soc_minima.items():
        exact.wish([(soc[boundary], 1)], 1, low=wanted)
    for boundary, wanted in use.soc_maxima.items():
        exact.wish([(soc[boundary], 1)], 1, high=wanted)
    exact.cost[soc[n]] -= use.value_of_energy_left * weight
    if use.preferred_final_soc_mwh is not None:
        miss = exact.variables(2, cost=use.final_soc_price * weight)
        wanted = use.preferred_final_soc_mwh
        exact.row([(soc[n], 1), (miss[0], 1), (miss[1], -1)], wanted, wanted)
    return [([(charge[k], 1), (discharge[k], -1)], 0.0) for k in range(n)]

"""An exact statement of whole sites for tests, written from the reference of flex contexts alone.

It shares no code with the planner: states of charge are sums of what went before, every choice is a whole number from
the start, and the wishes are given up in the documented order.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import LinearConstraint, milp

ROOM = 20.0
"""More than any power of these sites [MW]."""


@dataclass
class Store:
    """A battery, or a car that is there all the time; powers at its terminals [MW]."""

    most: tuple[float, float]
    band: tuple[float, float]
    start: float
    efficiency: tuple[float, float] = (1.0, 1.0)
    least: tuple[float, float] = (0.0, 0.0)
    wear: float = 0.0
    targets: dict[int, float] = field(default_factory=dict)


@dataclass
class Connected:
    """A site in numbers: MW, MWh, currency/MWh."""

    hours: float
    bought: np.ndarray
    sold: np.ndarray
    stores: dict[str, Store]
    inflexible: np.ndarray
    roof: np.ndarray
    limits: tuple[np.ndarray, np.ndarray]
    peak: tuple[float, float] | None = None
    own_supply_only: bool = False
    no_resale: bool = False
    never_feeds: tuple[str, str] | None = None


class Program:
    """A mixed-integer program."""

    def __init__(self):
        self.low, self.high, self.whole, self.cost, self.rows = [], [], [], [], []

    def add(self, count, high, whole=0, low=0.0):
        """Add variables; give their numbers."""
        first = len(self.low)
        self.low += np.broadcast_to(low, count).tolist()
        self.high += np.broadcast_to(high, count).tolist()
        self.whole += [whole] * count
        self.cost += [0.0] * count
        return np.arange(first, first + count)

    def row(self, columns, values, low=-np.inf, high=np.inf):
        """Add a row."""
        self.rows.append((np.atleast_1d(columns), np.broadcast_to(values, np.size(columns)), low, high))

    def minimise(self, cost):
        """Give the lowest cost."""
        matrix = np.zeros((len(self.rows), len(self.low)))
        for number, (columns, values, _, _) in enumerate(self.rows):
            np.add.at(matrix[number], columns, values)
        among = LinearConstraint(matrix, [row[2] for row in self.rows], [row[3] for row in self.rows])
        bounds = np.array(self.low), np.array(self.high)
        found = milp(
            cost, constraints=among, bounds=bounds, integrality=self.whole, options={"mip_rel_gap": 1e-9}
        )
        assert found.status == 0, found.message
        return found.fun


def lowest_cost(site):
    """Give the lowest cost of a site, and by how much limits and targets are missed in sum."""
    program, n = Program(), site.bought.size
    imported, exported = program.add(n, ROOM), program.add(n, ROOM)
    way = program.add(n, 1, whole=1)
    excess, missed = program.add(2 * n, np.inf), []
    roof = program.add(n, site.roof)
    net = [(imported, -1.0), (exported, 1.0), (roof, -1.0)]
    for one in site.stores.values():
        charge, discharge, short = add_store(program, site, one)
        net += [(charge, 1.0), (discharge, -1.0)]
        missed += short
        one.columns = charge, discharge
    for k in range(n):
        columns, values = zip(*((block[k], sign) for block, sign in net), strict=True)
        program.row(columns, values, -site.inflexible[k], -site.inflexible[k])
        program.row([imported[k], way[k]], [1.0, -ROOM], high=0.0)
        program.row([exported[k], way[k]], [1.0, ROOM], high=ROOM)
        most = (
            min(site.limits[1][k], site.roof[k] + max(0.0, -site.inflexible[k]))
            if site.no_resale
            else site.limits[1][k]
        )
        program.row([imported[k], excess[k]], [1.0, -1.0], high=site.limits[0][k])
        program.row([exported[k], excess[n + k]], [1.0, -1.0], high=most)
    if site.never_feeds:
        giver, taker = (site.stores[name] for name in site.never_feeds)
        turn = program.add(n, 1, whole=1)
        for k in range(n):
            program.row([giver.columns[1][k], turn[k]], [1.0, -ROOM], high=0.0)
            program.row([taker.columns[0][k], turn[k]], [1.0, ROOM], high=ROOM)
    cost = np.zeros(len(program.low) + 1)
    cost[imported], cost[exported] = site.bought * site.hours, -site.sold * site.hours
    for one in site.stores.values():
        cost[one.columns[1]] += one.wear * site.hours
    if site.peak:
        above = program.add(1, np.inf)
        for k in range(n):
            program.row([imported[k], above[0]], [1.0, -1.0], high=site.peak[1])
        cost[above] = site.peak[0]
    cost = cost[: len(program.low)]
    least = []
    for columns in (excess, np.array(missed, dtype=int)):
        wish = np.zeros(len(program.low))
        wish[columns] = 1.0
        least.append(program.minimise(wish) if columns.size else 0.0)
        program.row(columns, 1.0, high=least[-1] + 1e-9) if columns.size else None
    return program.minimise(cost), least


def add_store(program, site, one):
    """Add a store: what it charges and discharges, and by how much it misses its targets."""
    n = site.bought.size
    most = one.most[0]
    if site.own_supply_only:
        produced = site.roof + np.maximum(-site.inflexible, 0.0)
        most = np.minimum(
            most, np.maximum(produced - np.maximum(site.inflexible, 0.0), 0.0) / len(site.stores)
        )
    charge, discharge = program.add(n, most), program.add(n, one.most[1])
    on, off = program.add(n, 1, whole=1), program.add(n, 1, whole=1)
    missed = []
    for k in range(n):
        program.row([on[k], off[k]], 1.0, high=1.0)
        for column, state, way in ((charge[k], on[k], 0), (discharge[k], off[k], 1)):
            program.row([column, state], [1.0, -ROOM], high=0.0)
            program.row([column, state], [1.0, -one.least[way]], low=0.0)
        before = np.r_[charge[: k + 1], discharge[: k + 1]]
        moved = np.r_[np.full(k + 1, one.efficiency[0]), np.full(k + 1, -1 / one.efficiency[1])] * site.hours
        program.row(before, moved, one.band[0] - one.start, one.band[1] - one.start)
        if k + 1 in one.targets:
            wanted = one.targets[k + 1] - one.start
            under, over = program.add(2, np.inf)
            program.row(np.r_[before, under, over], np.r_[moved, 1.0, -1.0], wanted, wanted)
            missed += [under, over]
    return charge, discharge, missed

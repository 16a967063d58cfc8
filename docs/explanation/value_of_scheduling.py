"""What scheduling is worth, from real day-ahead prices: figures and plots of the page value-of-scheduling.

    python docs/explanation/value_of_scheduling.py PRICES.csv[.gz]

writes the tables into `value-of-scheduling.md` and the plots beside it. The file of prices has the columns ``time_utc``
(start of an hour) and ``price_eur_per_mwh``, empty where a price is missing. The script needs matplotlib.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib import pyplot as plt

from flexmeasures.domain.scheduling import (
    ChargingSession,
    HighsSolver,
    Outcome,
    PlanOptions,
    Site,
    SolverOptions,
    StorageDevice,
    Tariff,
    charge_at_once,
    plan_site,
    plan_storage,
    session,
)
from flexmeasures.domain.scheduling.linear import LinearModel, LinearSolution
from flexmeasures.domain.time import daily_periods, find_zone, from_datetime64, local_midnights

ZONE = "Europe/Berlin"
YEARS = (2020, 2021, 2022)
PAGE = Path(__file__).with_name("value-of-scheduling.md")
HOUR = np.timedelta64(3600, "s").astype("timedelta64[us]")

ONE_WAY_EFFICIENCY, BATTERY_MWH = 0.92, 2.0
BATTERY = StorageDevice(
    "battery",
    1.0,
    1.0,
    0.0,
    BATTERY_MWH,
    charge_efficiency=ONE_WAY_EFFICIENCY,
    discharge_efficiency=ONE_WAY_EFFICIENCY,
)
KNOWN_AT = 13
"""First full local hour after the prices of the next day are published, at about 12:42."""

ARRIVES, LEAVES = time(19, 15), time(7, 45)
CHARGER_MW, CAR_MWH, ON_ARRIVAL_MWH, WANTED_MWH = 0.011, 0.060, 0.030, 0.01225
CAR_EFFICIENCY = 0.95


@dataclass(frozen=True)
class Prices:
    """Hourly prices.

    Args:
        start: Start of each hour in UTC (n,).
        price: Day-ahead price (n,) [EUR/MWh]; a missing day has the mean of the last known one, so nothing to gain.
        year: Local year of each hour (n,).
        missing: Which hours had no price (n,).
    """

    start: np.ndarray
    price: np.ndarray
    year: np.ndarray
    missing: np.ndarray

    def at(self, instant: datetime | np.datetime64) -> int:
        """Number of the hour that contains an instant."""
        if isinstance(instant, datetime):
            instant = np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")
        return int((instant - self.start[0]) // HOUR)


class WatchedSolver(HighsSolver):
    """HiGHS, and whether it was given a model with whole numbers."""

    saw_whole_numbers = False

    def solve(self, model: LinearModel, options: SolverOptions) -> LinearSolution:
        """Look and solve."""
        self.saw_whole_numbers |= bool(model.column_arrays[3].any())
        return super().solve(model, options)


def read_prices(path: Path) -> Prices:
    """Read the hours of the local years."""
    opened = partial(gzip.open, mode="rt") if path.suffix == ".gz" else open
    with opened(path) as file:
        rows = list(csv.DictReader(file))
    start = np.array([row["time_utc"].rstrip("Z") for row in rows], dtype="datetime64[us]")
    price = np.array([float(row["price_eur_per_mwh"] or "nan") for row in rows])
    first, last = (
        np.datetime64(datetime(year, 1, 1, tzinfo=find_zone(ZONE)).astimezone(UTC).replace(tzinfo=None), "us")
        for year in (YEARS[0], YEARS[-1] + 1)
    )
    kept = (start >= first) & (start < last)
    start, price = start[kept], price[kept]
    if np.any(np.diff(start) != HOUR):
        raise SystemExit(
            "The prices must be hourly, without a gap: leave the price empty where it is missing."
        )
    missing = np.isnan(price)
    days, midnights = local_midnights(start[0], start[-1], ZONE)
    number = np.searchsorted(midnights, start, side="right") - 1
    for day in np.unique(number[missing]):
        price[(number == day) & missing] = np.nanmean(price[number == day - 1])
    return Prices(start, price, np.array([days[one].year for one in number]), missing)


def battery_day_by_day(prices: Prices) -> tuple[np.ndarray, np.ndarray, list[bool]]:
    """Plan every day at 13:00 with the prices that are known then, and carry out the plan until the next one.

    Returns:
        Power of each hour (n,) [MW], state of charge at each boundary (n+1,) [MWh], and for each plan whether it needed
        whole numbers.
    """
    _, midnights = local_midnights(prices.start[0], prices.start[-1], ZONE)
    ends = [*(prices.at(one) for one in midnights[1:]), prices.start.size]
    decisions = [end - (24 - KNOWN_AT) for end in ends[:-1]]
    power, soc, now = np.zeros(prices.start.size), np.zeros(prices.start.size + 1), 0.0
    needed = []
    for number, begin in enumerate(decisions):
        until = decisions[number + 1] if number + 1 < len(decisions) else ends[-1]
        known = prices.price[begin : ends[number + 1]]
        solver = WatchedSolver()
        options = PlanOptions(solver=solver)
        plan = plan_storage(BATTERY, known, resolution_hours=1.0, soc_at_start=now, options=options)
        needed.append(solver.saw_whole_numbers)
        power[begin:until] = plan.power_mw[: until - begin]
        soc[begin : until + 1] = plan.soc_mwh[: until - begin + 1]
        now = float(soc[until])
    return power, soc, needed


def battery_with_foresight(prices: Prices) -> np.ndarray:
    """Plan all years at once, as if all prices were known in advance: in total nobody can do better (n,) [MW]."""
    options = PlanOptions(prefer_charging_sooner=False, solver_options=SolverOptions(time_limit_s=600.0))
    plan = plan_storage(BATTERY, prices.price, resolution_hours=1.0, soc_at_start=0.0, options=options)
    if plan.outcome is not Outcome.OPTIMAL:
        raise SystemExit(f"The plan with foresight is not optimal: {plan.outcome.value}, gap {plan.gap}.")
    return plan.power_mw


@dataclass(frozen=True)
class Nights:
    """What charging a car costs, night by night.

    Args:
        year: Local year of each night (n,).
        month: Its first day of the month.
        at_once: Cost of charging at once [EUR].
        one_way: Cost of charging when it is cheap [EUR].
        two_way: The same, with discharging in between [EUR].
    """

    year: np.ndarray
    month: np.ndarray
    at_once: np.ndarray
    one_way: np.ndarray
    two_way: np.ndarray


def charge_cars(prices: Prices) -> Nights:
    """Charge a car each night: at once, when it is cheap, and with discharging in between."""
    first, last = from_datetime64(prices.start[0]), from_datetime64(prices.start[-1]) + timedelta(hours=1)
    rows = []
    for arrival, departure in daily_periods(first, last, ZONE, ARRIVES, LEAVES):
        if arrival < first or departure > last:
            continue
        quarters = int((departure - arrival) / timedelta(minutes=15))
        hours = [prices.at(arrival + k * timedelta(minutes=15)) for k in range(quarters)]
        if prices.missing[hours].any():
            continue
        stay = ChargingSession(0, quarters, ON_ARRIVAL_MWH, energy_wanted_mwh=WANTED_MWH)
        tariff = Tariff(prices.price[hours])
        sites = [
            Site((session(charging_point(production), stay, quarters),), tariff)
            for production in (0.0, CHARGER_MW)
        ]
        at_once = charge_at_once(sites[0], np.full(quarters, 0.25)).cost.energy
        planned = [plan_site(site, resolution_hours=0.25).cost.energy for site in sites]
        local = arrival.astimezone(find_zone(ZONE))
        rows.append((local.year, np.datetime64(f"{local:%Y-%m}"), at_once, *planned))
    return Nights(*(np.array(column) for column in zip(*rows, strict=True)))


def charging_point(production_mw: float) -> StorageDevice:
    """Describe the charging point with its car."""
    return StorageDevice(
        "car",
        CHARGER_MW,
        production_mw,
        0.1 * CAR_MWH,
        CAR_MWH,
        charge_efficiency=CAR_EFFICIENCY,
        discharge_efficiency=CAR_EFFICIENCY,
    )


def tables(prices: Prices, rolling: np.ndarray, foresight: np.ndarray, nights: Nights) -> str:
    """Write the yearly figures as Markdown."""
    battery, cars, negative = [], [], []
    for year in (*YEARS, None):
        of = np.full(prices.year.size, True) if year is None else prices.year == year
        name, price, power = year or "all", prices.price[of], rolling[of]
        gained, most = -float(price @ power), -float(price @ foresight[of])
        cycles = float(np.maximum(power, 0).sum()) * ONE_WAY_EFFICIENCY / BATTERY_MWH
        prices_were = f"{price.mean():.1f}, {price.min():.1f}, {price.max():.1f}"
        reached = f"{gained / most:.1%}"
        battery.append((name, prices_were, f"{gained:,.0f}", f"{cycles:,.0f}", f"{most:,.0f}", reached))
        below = price < 0
        taken = np.maximum(power[below], 0)
        hours = [(power[below] > 1e-6).sum(), (power[below] < -1e-6).sum(), (abs(power[below]) <= 1e-6).sum()]
        negative.append(
            (name, below.sum(), *hours, f"{taken.sum():,.0f}", f"{-float(price[below] @ taken):,.0f}")
        )
        night = np.full(nights.year.size, True) if year is None else nights.year == year
        once, one_way, two_way = (
            cost[night].sum() for cost in (nights.at_once, nights.one_way, nights.two_way)
        )
        costs = (f"{once:,.0f}", f"{one_way:,.0f}", f"{1 - one_way / once:.0%}", f"{two_way:,.0f}")
        cars.append((name, night.sum(), *costs, f"{(once - two_way) / night.sum() * 365:,.0f}"))
    return "\n\n".join(
        (
            "## A battery",
            table(
                "year | prices: mean, lowest, highest [EUR/MWh] | gain, day by day [EUR] | full cycles "
                "| gain with foresight [EUR] | share reached",
                battery,
            ),
            "## A car",
            table(
                "year | nights | at once [EUR] | when it is cheap [EUR] | saving | with discharging [EUR] "
                "| saving of 365 nights with discharging [EUR]",
                cars,
            ),
            "## Hours with a negative price",
            table(
                "year | hours | battery charges in | discharges in | waits in | takes [MWh] | and is paid [EUR]",
                negative,
            ),
        )
    )


def table(head: str, rows: list[tuple[object, ...]]) -> str:
    """Write a Markdown table."""
    lines = [f"| {head} |", "|" + " --- |" * len(rows[0])]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def write_page(text: str) -> None:
    """Put generated text between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split("<!-- figures -->\n")
    _, after = rest.split("<!-- end of figures -->")
    PAGE.write_text(f"{before}<!-- figures -->\n\n{text}\n\n<!-- end of figures -->{after}", encoding="utf-8")


def save(figure: plt.Figure, name: str) -> None:
    """Write a plot as SVG that is the same whenever it is made from the same prices."""
    figure.savefig(
        PAGE.with_name(f"value-of-scheduling-{name}.svg"), metadata={"Date": None}, bbox_inches="tight"
    )
    plt.close(figure)


def plot_years(prices: Prices, rolling: np.ndarray, foresight: np.ndarray, nights: Nights) -> None:
    """Draw what a year is worth."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2))
    place = np.arange(len(YEARS))
    gains = [
        [-prices.price[prices.year == year] @ power[prices.year == year] / 1000 for year in YEARS]
        for power in (rolling, foresight)
    ]
    left.bar(place - 0.2, gains[0], 0.4, label="day by day, as prices become known")
    left.bar(place + 0.2, gains[1], 0.4, label="if all prices were known", color="lightgrey")
    left.set(title="Battery, 1 MW and 2 MWh", ylabel="gain [1,000 EUR a year]", ylim=(0, 1.3 * max(gains[1])))
    columns = {
        "at once": nights.at_once,
        "when it is cheap": nights.one_way,
        "with discharging": nights.two_way,
    }
    for number, (name, cost) in enumerate(columns.items()):
        of_year = [cost[nights.year == year].sum() for year in YEARS]
        right.bar(place + 0.27 * (number - 1), of_year, 0.27, label=name)
    right.axhline(0, color="black", linewidth=0.6)
    right.set(title="Car, 12.25 kWh a night", ylabel="cost of charging [EUR a year]")
    for axes in (left, right):
        axes.set_xticks(place, [str(year) for year in YEARS])
        axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    save(figure, "years")


def plot_months(prices: Prices, rolling: np.ndarray, nights: Nights) -> None:
    """Draw what each month is worth."""
    figure, axes = plt.subplots(figsize=(8.5, 2.8))
    local = np.array([f"{from_datetime64(one).astimezone(find_zone(ZONE)):%Y-%m}" for one in prices.start])
    months = np.unique(local)
    gain = [-prices.price[local == month] @ rolling[local == month] / 1000 for month in months]
    edges = np.append(months, f"{YEARS[-1] + 1}-01").astype("datetime64[D]")
    axes.stairs(
        gain, mdates.date2num(edges), color="tab:blue", linewidth=1.5, label="battery: gain [1,000 EUR]"
    )
    axes.set(ylabel="battery [1,000 EUR a month]", ylim=(0, None))
    other = axes.twinx()
    saved = [
        (nights.at_once - nights.one_way)[nights.month == np.datetime64(month)].sum() for month in months
    ]
    other.stairs(saved, mdates.date2num(edges), color="tab:orange", linewidth=1.5, label="car: saving [EUR]")
    other.set(ylabel="car [EUR a month]", ylim=(0, None))
    axes.xaxis.set_major_locator(mdates.MonthLocator((1, 4, 7, 10)))
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_title("What scheduling is worth, month by month")
    lines = [*axes.patches, *other.patches]
    axes.legend(lines, [line.get_label() for line in lines], frameon=False, fontsize=8, loc="upper left")
    save(figure, "months")


def plot_negative_day(prices: Prices, rolling: np.ndarray, soc: np.ndarray) -> None:
    """Draw the two days around the lowest price of the first year, in local time."""
    zone = find_zone(ZONE)
    lowest = int(np.argmin(np.where(prices.year == YEARS[0], prices.price, np.inf)))
    day = from_datetime64(prices.start[lowest]).astimezone(zone).replace(hour=0)
    first, last = prices.at(day - timedelta(days=1)), prices.at(day + timedelta(days=1))
    times = [from_datetime64(one) for one in prices.start[first : last + 1]]
    figure, (above, below) = plt.subplots(2, 1, figsize=(8.5, 4.4), sharex=True, height_ratios=(1, 1.2))
    above.step(times, prices.price[first : last + 1], where="post", color="tab:red", label="day-ahead price")
    above.axhline(0, color="black", linewidth=0.6)
    above.set(
        ylabel="price [EUR/MWh]",
        title=f"{day - timedelta(days=1):%d} and {day:%d %B %Y}: the lowest price of the year",
    )
    below.step(times, rolling[first : last + 1], where="post", label="power, consumption positive [MW]")
    below.plot(times, soc[first : last + 1], color="tab:green", label="state of charge [MWh]")
    below.axhline(0, color="black", linewidth=0.6)
    below.set(ylabel="battery [MW, MWh]", xlabel=f"local time ({ZONE})")
    below.xaxis.set_major_locator(mdates.HourLocator(byhour=range(0, 24, 6), tz=zone))
    below.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M\n%d %b", tz=zone))
    above.legend(frameon=False, fontsize=8, loc="lower left")
    below.set_ylim(-1.2, 3.0)
    below.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    save(figure, "negative-prices")


def main() -> None:
    """Compute, write and draw everything."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("prices", type=Path, help="hourly prices, CSV or CSV.gz")
    prices = read_prices(arguments.parse_args().prices)
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "value", "axes.titlesize": 10})
    rolling, soc, needed = battery_day_by_day(prices)
    foresight = battery_with_foresight(prices)
    nights = charge_cars(prices)
    text = tables(prices, rolling, foresight, nights)
    text += f"\n\nOf the {len(needed):,} daily plans of the battery, {sum(needed)} needed whole numbers. "
    text += f"Prices were missing in {prices.missing.sum()} hours."
    write_page(text)
    plot_years(prices, rolling, foresight, nights)
    plot_months(prices, rolling, nights)
    plot_negative_day(prices, rolling, soc)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()

"""Value of better price forecasts to a battery: the table of the page value-of-forecasts.

    python docs/explanation/value_of_forecasts.py PRICES.csv[.gz]

The file has the columns ``time_utc`` (start of an hour) and ``price_eur_per_mwh``, empty where a price is missing.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from flexmeasures.domain.forecasting import Case, History, find_model, forecast_events
from flexmeasures.domain.scheduling import StorageDevice, plan_storage
from flexmeasures.domain.time import local_midnights

ZONE = "Europe/Berlin"
HOUR = timedelta(hours=1)
DAYS, JUDGED = 400, 133
PAGE = Path(__file__).with_name("value-of-forecasts.md")
# The battery of the page about scheduling.
BATTERY = StorageDevice("battery", 1.0, 1.0, 0.0, 2.0, charge_efficiency=0.92, discharge_efficiency=0.92)
MODELS = ("naive", "linear-OLS", "ensemble")


@dataclass(frozen=True)
class Period:
    """Prices of some years: a history that ends with a year, and the days that are judged.

    Attributes:
        year: The year at whose end the history ends.
        history: 400 days.
        days: Positions of the first hour of each judged local day, and after the last one.
    """

    year: int
    history: History
    days: np.ndarray


def read_periods(path: Path) -> list[Period]:
    """Cut 400 days out of the prices for each year at whose end there are so many."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    starts = np.array([row["time_utc"].rstrip("Z") for row in rows], dtype="datetime64[us]")
    prices = np.array([float(row["price_eur_per_mwh"] or "nan") for row in rows])
    _, midnights = local_midnights(starts[0], starts[-1], ZONE)
    periods = []
    for year in np.unique(starts.astype("datetime64[Y]")):
        until = midnights[midnights <= (year + 1).astype("datetime64[us]")][-1]
        if until - starts[0] < np.timedelta64(DAYS, "D"):
            continue
        whole = History.of(starts[starts < until], prices[starts < until], HOUR, ZONE, until=until)
        kept = slice(len(whole) - DAYS * 24, None)
        history = History(whole.starts[kept][0], whole.values[kept], HOUR, ZONE)
        days = history.positions(
            midnights[(midnights >= until - np.timedelta64(JUDGED, "D")) & (midnights <= until)]
        )
        periods.append(Period(int(str(year)), history, days))
    return periods


def gains(period: Period) -> dict[str, float]:
    """Plan each day at noon of the day before by forecasts that are 24 hours old, and pay the real prices [EUR].

    A forecast 24 hours ahead knows the prices of today, which were published yesterday: those of tomorrow are not known
    when bids are due. Each day begins with an empty battery. Days of which a price is missing do not count.
    """
    case = Case(period.history, 24 * HOUR)
    first, last = int(period.days[0]), int(period.days[-1])
    known = {"perfect foresight": period.history.values[first:last]}
    for name in MODELS:
        known[name] = forecast_events(case, find_model(name), first, last).medians
    earned = dict.fromkeys(known, 0.0)
    for begin, end in zip(period.days[:-1], period.days[1:], strict=True):
        real = period.history.values[begin:end]
        if np.isnan(real).any():
            continue
        for name, prices in known.items():
            plan = plan_storage(
                BATTERY, prices[begin - first : end - first], resolution_hours=1.0, soc_at_start=0.0
            )
            earned[name] -= float(plan.power_mw @ real)
    return earned


TEXT = """# What forecasts are worth

What a battery of 1 MW and 2 MWh (92 % efficient each way) earns at the day-ahead market if it commits itself before the
prices are known: each day it is planned by prices that were forecast 24 hours ahead, and it pays and is paid the real
ones. Perfect foresight earns the most that there is to earn; the difference is what forecasts cost. Each row is of
the last {judged} days of a year; models learn from the {rest} days before and are refitted as they would have been.

| year | perfect foresight [EUR] | {titles} |
| --- | --- |{rule}
{rows}

Gains in EUR, and in brackets the share of what perfect foresight earns.

Written by `python docs/explanation/value_of_forecasts.py PRICES.csv`;
[how forecasts are made](forecasting.md), [what scheduling is worth](value-of-scheduling.md).
"""


def write_page(found: dict[str, dict[str, float]]) -> str:
    """Write the page: a row for each period, and one for all."""
    total = {name: sum(one[name] for one in found.values()) for name in ("perfect foresight", *MODELS)}
    rows = []
    for label, one in {**found, "all": total}.items():
        best = one["perfect foresight"]
        cells = " | ".join(f"{one[name]:,.0f} ({one[name] / best:.1%})" for name in MODELS)
        rows.append(f"| {label} | {best:,.0f} | {cells} |")
    return TEXT.format(
        judged=JUDGED,
        rest=DAYS - JUDGED,
        titles=" | ".join(MODELS),
        rule=" --- |" * len(MODELS),
        rows="\n".join(rows),
    )


def main() -> None:
    """Compute, and write the page."""
    parser = argparse.ArgumentParser(
        description="Compute what forecasts of prices are worth, and write the page."
    )
    parser.add_argument("prices", type=Path, help="File of prices.")
    found = {str(one.year): gains(one) for one in read_periods(parser.parse_args().prices)}
    PAGE.write_text(write_page(found))


if __name__ == "__main__":
    main()

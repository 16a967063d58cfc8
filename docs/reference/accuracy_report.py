"""Accuracy of forecasts on public data: the tables of the page accuracy.

    python docs/reference/accuracy_report.py FOLDER [--only NAME ...]

FOLDER holds files ``*.csv`` and ``*.csv.gz`` with a first column ``time_utc`` (start of an interval) and empty cells
where nothing was measured. Each series is averaged to hours; its last 400 days count. Models learn from the first two
thirds and forecast the last third, refitting as they would have. The page is written anew.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from flexmeasures.domain.forecasting import (
    Case,
    Facts,
    History,
    Model,
    Prediction,
    Traits,
    find_model,
    forecast_events,
    measure_accuracy,
)
from flexmeasures.domain.forecasting.features import recent_and_daily

HOUR = timedelta(hours=1)
HORIZONS = (1, 6, 24, 48)
DAYS = 400
MODELS = ("persistence", "seasonal-naive", "LightGBM", "linear-OLS", "ensemble")
PAGE = Path(__file__).with_name("accuracy.md")
PLOT = Path(__file__).with_name("accuracy.svg")


@dataclass(frozen=True)
class Series:
    """A column of a file."""

    file: str
    column: str
    zone: str
    is_solar: bool = False

    @property
    def name(self) -> str:
        """Shown name."""
        return f"{self.file.partition('_20')[0]} {self.column}"


SERIES = (
    Series("prices_day_ahead_de_lu_2020_2023", "price_eur_per_mwh", "Europe/Berlin"),
    Series("prices_day_ahead_es_2020_2022", "price_eur_per_mwh", "Europe/Madrid"),
    Series("household_sgsc_homes_01_06_to_2013_06", "home_01_load_kwh", "Australia/Brisbane"),
    Series("household_sgsc_homes_01_06_to_2013_06", "home_05_load_kwh", "Australia/Brisbane"),
    Series("community_fontana_9_homes", "home_01_load_kwh", "America/Los_Angeles"),
    Series("community_fontana_9_homes", "home_01_pv_kwh", "America/Los_Angeles", is_solar=True),
    Series("industry_steel_kr_2018_01_09", "load_kwh", "Asia/Seoul"),
    Series("city_tetouan_zones_1_2_2017_01_08", "zone_1_load_kw", "UTC"),
    Series("synthetic_household_synpro_de_2021", "family_load_w", "Europe/Berlin"),
    Series("grid_profiles_simbench_2016", "shop_g1_a_load_pu", "Europe/Berlin"),
    Series("grid_profiles_simbench_2016", "heat_pump_air_load_pu", "Europe/Berlin"),
    Series("grid_profiles_simbench_2016", "pv1_pu", "Europe/Berlin", is_solar=True),
    Series("wind_la_haute_borne_2014_01_2015_06", "farm_power_kw", "Europe/Paris"),
    Series("grid_luxembourg_smard_2020", "load_mwh", "Europe/Luxembourg"),
    Series("grid_luxembourg_smard_2020", "solar_mwh", "Europe/Luxembourg", is_solar=True),
    Series("grid_luxembourg_smard_2020", "wind_onshore_mwh", "Europe/Luxembourg"),
)


def read_hours(folder: Path, series: Series) -> History:
    """Read a column and average it to hours; an hour of which nothing was measured stays empty."""
    path = next(folder.glob(f"{series.file}.csv*"))
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    starts = np.array([row["time_utc"].rstrip("Z") for row in rows], dtype="datetime64[us]")
    values = np.array([float(row[series.column] or "nan") for row in rows])
    hours = starts.astype("datetime64[h]")
    unique, which = np.unique(hours, return_inverse=True)
    known = np.isfinite(values)
    sums = np.bincount(which[known], values[known], len(unique))
    counts = np.bincount(which[known], minlength=len(unique))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    first = np.argmax(np.isfinite(means))
    history = History.of(
        unique[first:].astype("datetime64[us]"),
        means[first:],
        HOUR,
        series.zone,
        until=(unique[-1] + 1).astype("datetime64[us]"),
    )
    tail = slice(max(0, len(history) - DAYS * 24), None)
    return History(history.starts[tail][0], history.values[tail], HOUR, series.zone)


class Trees:
    """The yardstick: LightGBM as it comes, with squared errors, lags and calendar."""

    def __init__(self, case: Case, known: np.ndarray) -> None:
        rows = np.flatnonzero(known)
        columns = _columns(case)[rows]
        settings = {"verbosity": -1, "num_threads": 1, "deterministic": True, "force_col_wise": True}
        self.trees = lightgbm.train(settings, lightgbm.Dataset(columns, case.values(rows, known)), 100)

    def predict(self, case: Case, events: np.ndarray) -> Prediction:
        """Forecast events."""
        return Prediction(np.asarray(self.trees.predict(_columns(case)[events], num_threads=1)))

    def dump(self) -> bytes:
        """Write down nothing."""
        return b""


def _columns(case: Case) -> np.ndarray:
    calendar = case.calendar
    lags = recent_and_daily(case.view, weekly=True).matrix
    return np.column_stack(
        [lags, calendar.slot, calendar.weekday, np.cos(calendar.season), np.sin(calendar.season)]
    )


YARDSTICK = Model(
    "LightGBM",
    "1",
    "yardstick",
    lambda case, known, event: Trees(case, known),
    refit_after=timedelta(days=28),
)


@dataclass(frozen=True)
class Job:
    """A series to be judged at a horizon.

    Attributes:
        folder: Of the data.
        series: One of them.
        hours: Horizon [h].
    """

    folder: Path
    series: Series
    hours: int


def judge(job: Job) -> list[dict[str, Any]]:
    """Judge all models on the last third of a series at a horizon; all on the same events."""
    series, hours = job.series, job.hours
    history = read_hours(job.folder, series)
    case = Case(history, hours * HOUR, Facts(Traits(is_solar=series.is_solar)))
    first = len(history) * 2 // 3
    rows = []
    lags = {"persistence": hours, "seasonal-naive": 24 * -(-hours // 24)}
    reachable = np.all([np.isfinite(case.view.lagged(lag)[first:]) for lag in lags.values()], axis=0)
    truth = np.where(reachable, history.values[first:], np.nan)
    for name in MODELS:
        begun = time.process_time()
        if name in lags:
            values, probabilities = case.view.lagged(lags[name])[first:, None], (0.5,)
        else:
            model = YARDSTICK if name == "LightGBM" else find_model(name)
            forecast = forecast_events(case, model, first, len(history))
            values, probabilities = forecast.values, forecast.probabilities
        found = measure_accuracy(truth, values, probabilities)
        rows.append(
            {"series": series.name, "horizon": hours, "model": name, "seconds": time.process_time() - begun}
            | found.as_data()
        )
    return rows


def jobs(folder: Path, only: list[str]) -> Iterator[Job]:
    """List what is to be judged."""
    for series in SERIES:
        if not only or any(word in series.name for word in only):
            yield from (Job(folder, series, hours) for hours in HORIZONS)


def table(rows: list[dict[str, Any]]) -> str:
    """Write accuracy by series and horizon."""
    titles = ("Series", "h", *MODELS, "coverage", "rCRPS", "peaks met")
    lines = [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
    for series, hours in dict.fromkeys((row["series"], row["horizon"]) for row in rows):
        by_model = {r["model"]: r for r in rows if (r["series"], r["horizon"]) == (series, hours)}
        best = max(row["accuracy"] for row in by_model.values())
        cells = [
            f"**{by_model[name]['accuracy']:.3f}**"
            if by_model[name]["accuracy"] == best
            else f"{by_model[name]['accuracy']:.3f}"
            for name in MODELS
        ]
        ours = by_model["ensemble"]
        lines.append(
            f"| {series.replace('_', ' ')} | {hours} | {' | '.join(cells)} | {ours['coverage']:.2f} | "
            f"{ours['rcrps']:.4f} | {ours['peak_hit_rate']:.2f} |"
        )
    return "\n".join(lines)


def summary(rows: list[dict[str, Any]]) -> str:
    """Write medians and means by horizon, also without the series that gains most."""
    lines = [
        "| h | median gain over LightGBM | mean | mean without the best | not below simple rules | coverage |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for hours in HORIZONS:
        by = {(r["series"], r["model"]): r for r in rows if r["horizon"] == hours}
        names = list(dict.fromkeys(series for series, _ in by))
        gains = np.sort([by[n, "ensemble"]["accuracy"] - by[n, "LightGBM"]["accuracy"] for n in names])
        kept = sum(
            by[n, "ensemble"]["accuracy"]
            >= max(by[n, "persistence"]["accuracy"], by[n, "seasonal-naive"]["accuracy"]) - 5e-4
            for n in names
        )
        rest = f"{gains[:-1].mean():+.3f}" if len(gains) > 1 else "–"
        covers = [by[n, "ensemble"]["coverage"] for n in names]
        lines.append(
            f"| {hours} | {np.median(gains):+.3f} | {gains.mean():+.3f} | {rest} | "
            f"{kept} of {len(names)} | {min(covers):.2f} … {max(covers):.2f} |"
        )
    return "\n".join(lines)


_WIDE, _HIGH, _ROW = 190, 110, 4
_LINES = (("ensemble", "#d9480f"), ("LightGBM", "#1971c2"), ("simple", "#868e96"))


def plot(rows: list[dict[str, Any]]) -> str:
    """Draw a small panel for each series: accuracy from 0 to 1 at the four horizons, a line a model."""
    by = {(row["series"], row["horizon"], row["model"]): row["accuracy"] for row in rows}
    for series, hours, _ in list(by):
        rules = (by[series, hours, name] for name in ("persistence", "seasonal-naive"))
        by[series, hours, "simple"] = max(rules)
    names = list(dict.fromkeys(row["series"] for row in rows))
    height = 24 + _HIGH * -(-len(names) // _ROW)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE * _ROW} {height}" font-family="sans-serif" '
            'font-size="9" fill="#495057">'
        )
    ]
    for number, (name, colour) in enumerate(_LINES):
        label = "the better simple rule" if name == "simple" else name
        parts.append(f'<text x="{10 + 90 * number}" y="14" fill="{colour}">{label}</text>')
    for number, series in enumerate(names):
        left, top = 10 + _WIDE * (number % _ROW), 24 + _HIGH * (number // _ROW)
        parts.append(f'<text x="{left}" y="{top + 9}">{series.replace("_", " ")[-38:]}</text>')
        for level in (0, 0.5, 1):
            y = top + 92 - 76 * level
            parts.append(f'<path d="M{left} {y:.0f}h{_WIDE - 34}" stroke="#dee2e6"/>')
            parts.append(f'<text x="{left + _WIDE - 32}" y="{y + 3:.0f}">{level:g}</text>')
        for name, colour in reversed(_LINES):
            points = [
                f"{left + 15 + 42 * n},{top + 92 - 76 * max(by[series, hours, name], 0):.1f}"
                for n, hours in enumerate(HORIZONS)
                if (series, hours, name) in by
            ]
            parts.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            )
    return "\n".join([*parts, "</svg>", ""])


TEXT = """# How accurate forecasts are

Accuracy is 1 − WAPE (the sum of absolute errors over the sum of absolute measurements). Series are hourly and ordered
in time: models learn from the first two thirds of the last {days} days, forecast the last third, and are refitted as
they would have been (every 28 days, `linear-OLS` every 7). No weather is used. *Persistence* is the last known value,
*seasonal-naive* that of the last day known, *LightGBM* a boosted model as it comes (squared errors) with the same lags
and calendar and the same refits. Coverage is that of the band of 80 % of `ensemble`; rCRPS is its score over the range
P99 − P1; *peaks met* is the share of the 5 % largest values that are among the 5 % largest forecasts.

Written by `make accuracy DATA=folder`; [how forecasts are made](../explanation/forecasting.md).

## In short

This is of {count} of the {all} pairs of a series and a horizon that the script knows.

{summary}

One fit and the forecasts of 28 days took {fit:.1f} s of one core in the median, on a busy machine.

## By series and horizon [h]

![Accuracy of each series at 1, 6, 24 and 48 h: ensemble, LightGBM and the better simple rule](accuracy.svg)

{table}
"""


def main() -> None:
    """Judge, and write the page."""
    parser = argparse.ArgumentParser(
        description="Measure the accuracy of forecasts and write the page about it."
    )
    parser.add_argument("folder", type=Path, help="Where the files with series are.")
    parser.add_argument("--only", nargs="*", default=[], help="Words of names of series.")
    parser.add_argument("--processes", type=int, default=2, help="How many processes share the work.")
    parser.add_argument("--rows", type=Path, help="File of JSON lines, to which what is judged is added.")
    parser.add_argument("--page-only", action="store_true", help="Write the page from that file.")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.page_only:
        write_page([json.loads(line) for line in options.rows.read_text().splitlines()])
        return
    with ProcessPoolExecutor(options.processes) as pool:
        for found in pool.map(judge, jobs(options.folder, options.only)):
            rows += found
            shown = " ".join(f"{row['accuracy']:.3f}" for row in found)
            sys.stdout.write(f"{found[-1]['series']} {found[-1]['horizon']} h {shown}\n")
            if options.rows:
                with options.rows.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in found)
    write_page(rows)


def write_page(rows: list[dict[str, Any]]) -> None:
    """Write the page from what was judged."""
    seconds = [row["seconds"] for row in rows if row["model"] == "ensemble"]
    refits = DAYS / 3 / 28
    PLOT.write_text(plot(rows))
    PAGE.write_text(
        TEXT.format(
            count=len(seconds),
            all=len(SERIES) * len(HORIZONS),
            days=DAYS,
            summary=summary(rows),
            table=table(rows),
            fit=float(np.median(seconds)) / refits,
        )
    )


if __name__ == "__main__":
    main()

"""Forecasts: fitting and using models on a year of quarter-hours, and many sensors together from the database.

Durations are times of the processor, so that they mean the same on a machine that does other things besides. The
database's own work is not among them, so the sensors a second are measured by the clock as well.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from benchmarks import Report, benchmark
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.forecasting import (
    SUPPORTED_HORIZONS,
    Case,
    Fit,
    History,
    find_model,
    forecast_events,
)
from flexmeasures.domain.time import event_grid
from flexmeasures.services.forecasts.make import ForecastRules, make_many
from flexmeasures.services.forecasts.orders import ForecastOrder
from flexmeasures.testing import make_sensor

QUARTER, DAY = timedelta(minutes=15), 96
START = datetime(2024, 1, 1, tzinfo=UTC)
SENSORS = 100


def load(days: int, seed: int = 1) -> np.ndarray:
    """Make quarter-hourly consumption with daily and weekly patterns in noise."""
    quarters = np.arange(days * DAY)
    shape = 0.4 + 0.2 * np.sin(2 * np.pi * quarters / DAY) + 0.1 * (quarters // DAY % 7 < 5)
    return shape + np.random.default_rng(seed).gamma(2.0, 0.05, len(quarters))


def processor_seconds(function: Callable[[], object]) -> float:
    """Time a function on the processor [s]."""
    start = time.process_time()
    function()
    return time.process_time() - start


def peak_memory() -> float:
    """Largest memory that this process has had [MB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


@benchmark("forecasts: a year of quarter-hours")
def a_year(report: Report) -> None:
    """Fit at all four horizons, forecast 48 hours; then forecast with what was fitted."""
    history = History(np.datetime64("2024-01-01", "us"), load(365), QUARTER, "Europe/Amsterdam")
    first = len(history) - 2 * DAY

    def forecast(name: str, kept: list[Fit] | None) -> list[Fit]:
        model = find_model(name)
        return [
            forecast_events(
                Case(history, horizon), model, first, len(history), None if kept is None else kept[number]
            ).fits[-1]
            for number, horizon in enumerate(SUPPORTED_HORIZONS)
        ]

    for name, target in (("linear-OLS", 0.5), ("ensemble", 10.0)):
        forecast(name, None)  # libraries are loaded once a worker
        report(
            f"{name}: fit and forecast, 4 horizons",
            processor_seconds(lambda n=name: forecast(n, None)),
            target=target,
        )
        fits = forecast(name, None)
        report(f"{name}: forecast with kept fits", processor_seconds(lambda n=name, f=fits: forecast(n, f)))
    report.figure("largest memory", peak_memory(), "MB", "target 500 MB")


@benchmark("forecasts: 100 sensors from the database, naive")
def many_naive(report: Report) -> None:
    """Work of one worker after a quarter-hour of readings of 100 sensors was posted."""
    _with_sensors(report, _naive)


@benchmark("forecasts: 100 sensors from the database, fitted")
def many_fitted(report: Report) -> None:
    """48 hours of 100 sensors, fitted anew and with kept fits."""
    _with_sensors(report, _fitted)


def _with_sensors(report: Report, measure: Callable[[Report, Session, list[int]], None]) -> None:
    """Measure on a database with 60 days of quarter-hours of 100 sensors."""
    folder = Path(tempfile.mkdtemp(prefix="fm-bench-"))
    app = create(
        "production", settings={"FLEXMEASURES_INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": None}
    )
    prepare(app)
    try:
        with app.app_context():
            measure(report, db.session, _fill(db.session))  # type: ignore[arg-type]
            report.figure("largest memory", peak_memory(), "MB", "target 500 MB")
            db.session.remove()
            db.engine.dispose()
    finally:
        app.extensions["embedded"].services.leave()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(session: Session) -> list[int]:
    source = get_or_create_source(session, "meter", "script")
    ids = []
    for number in range(SENSORS):
        values = load(60, number)
        ids.append(make_sensor(session, f"meter {number}", event_resolution=QUARTER).id)
        beliefs = Beliefs(
            event_grid(START, QUARTER, len(values)),
            values,
            np.zeros(len(values), "timedelta64[us]"),
            np.full(len(values), source.id, np.int32),
        )
        insert_beliefs(session, [SensorBeliefs(ids[-1], beliefs)])
    session.commit()
    return ids


def _run(session: Session, orders: list[ForecastOrder], model: str) -> None:
    outcomes = make_many(session, orders, ForecastRules(model=model))
    session.commit()
    assert not any(isinstance(one, FlexError) for one in outcomes)


def _orders(
    ids: list[int], days: int, length: timedelta, horizons: tuple[timedelta, ...]
) -> list[ForecastOrder]:
    return [
        ForecastOrder(
            one,
            START + timedelta(days=days) + horizon,
            START + timedelta(days=days) + horizon + length,
            horizon,
        )
        for one in ids
        for horizon in horizons
    ]


def _naive(report: Report, session: Session, ids: list[int]) -> None:
    for days in (40, 41):  # the first time does not count
        orders = _orders(ids, days, QUARTER, SUPPORTED_HORIZONS)
        begun, worked = time.perf_counter(), time.process_time()
        _run(session, orders, "naive")
        passed, worked = time.perf_counter() - begun, time.process_time() - worked
    report("naive: a quarter-hour of 100 sensors, 4 horizons", passed, per=SENSORS, target=1.0)
    report("  of which on the processor, without the database", worked, per=SENSORS)


def _fitted(report: Report, session: Session, ids: list[int]) -> None:
    length, horizons = timedelta(days=2), SUPPORTED_HORIZONS[-1:]
    fitting = processor_seconds(lambda: _run(session, _orders(ids, 50, length, horizons), "ensemble"))
    report("ensemble: 48 h of 100 sensors, all fitted anew", fitting, per=SENSORS)
    kept = processor_seconds(lambda: _run(session, _orders(ids, 51, length, horizons), "ensemble"))
    report("ensemble: 48 h of 100 sensors with kept fits", kept, per=SENSORS, target=10.0)

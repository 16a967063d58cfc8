"""A portfolio through the queue: a thousand batteries scheduled by two workers, database included."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import delete, func, select

from benchmarks import Report, benchmark
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.data.tables import Asset, Market, PlanRecord
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.testing import make_cast, store_values

BATTERIES = 1000
WORKERS = 2
START = datetime(2015, 3, 1, tzinfo=UTC)


@benchmark("portfolio: schedules of a thousand batteries")
def portfolio_schedules(report: Report) -> None:
    """Time `flexmeasures add schedules --all` from the order to the last stored plan, first and second time."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        app = create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": folder})
        prepare(app)
        try:
            with app.app_context():
                fill_with_batteries(BATTERIES)
            environment = {**os.environ, "FLASK_ENV": "testing", "FLEXMEASURES_INSTANCE_PATH": folder}
            _run(report, app, environment)
        finally:
            app.extensions["embedded"].services.leave()


def fill_with_batteries(count: int) -> None:
    """Make batteries on one market with hourly prices for three days; each with its own state of charge."""
    cast = make_cast(db.session)
    market = db.session.get(Market, cast.market)
    hours = np.arange(72)
    prices = 60 + 30 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 10, hours.size)
    store_values(db.session, market, START, prices)
    db.session.execute(
        delete(Asset).where(Asset.owner_id.is_not(None))
    )  # of the cast, whose prices are those of other days
    for n in range(count):
        battery = NewAsset(
            f"battery {n}",
            "battery",
            2.0,
            timedelta(minutes=15),
            latitude=52.0,
            longitude=5.0,
            owner_id=cast.owner_id,
            market_id=cast.market,
            min_soc_in_mwh=0.0,
            max_soc_in_mwh=5.0,
            soc_in_mwh=5.0 * (n + 0.5) / count,
            soc_datetime=START,
            flex_model={"roundtrip_efficiency": 0.9},
        )
        create_asset(db.session, battery)
    db.session.commit()


def _run(report: Report, app, environment: dict[str, str]) -> None:
    workers = [start_worker(environment) for _ in range(WORKERS)]
    try:
        for title, hours in (("first schedules", 0), ("rescheduled 6 h later", 6)):
            start = (START + timedelta(hours=hours)).isoformat()
            command = [sys.executable, "-m", "flexmeasures", "add", "schedules", "--all", "--start", start]
            began = time.perf_counter()
            done = subprocess.run(
                [*command, "--as-job", "--wait"], env=environment, capture_output=True, text=True, check=False
            )
            seconds = time.perf_counter() - began
            assert f"Scheduled {BATTERIES}" in done.stdout, done.stdout + done.stderr
            report(f"{title}: {BATTERIES} batteries, {WORKERS} workers", seconds, per=BATTERIES, target=15.0)
        with app.app_context():
            stored = db.session.scalar(select(func.count()).select_from(PlanRecord))
            assert stored == 2 * BATTERIES, stored
    finally:
        peaks = [stop_worker(worker) for worker in workers]
    report.figure("peak memory of a worker and its jobs", max(peaks), "MB", "target 300 MB")


def start_worker(environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flexmeasures", "jobs", "run-worker", "--queue", "scheduling"]
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert "runs the jobs" in worker.stdout.readline()
    return worker


def stop_worker(worker: subprocess.Popen[str]) -> float:
    """Stop a worker and give the most memory that it, or one of its jobs, has needed [MB]."""
    worker.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(worker.pid, 0)
    worker.returncode = 0
    return usage.ru_maxrss / (1024.0 if sys.platform != "darwin" else 1024.0**2)

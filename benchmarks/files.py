"""Time to load files: a million readings in local time with decimal commas, read and stored by the command."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks import Report, benchmark
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.domain.time import local_wall_clock
from flexmeasures.services.sensors import create_series_sensor

READINGS = 1_000_000
ZONE = "Europe/Amsterdam"


@benchmark("files: a million readings from CSV, and commands that read")
def files(report: Report) -> None:
    """Run commands on a running instance, as a person would; their time and their CPU time."""
    folder = Path(tempfile.mkdtemp(prefix="fm-bench-"))
    app = create(
        "production", settings={"FLEXMEASURES_INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": None}
    )
    try:
        prepare(app)
        with app.app_context():
            sensor = create_series_sensor(db.session, "meter", "kW", timedelta(minutes=15), ZONE).id
            db.session.commit()
            db.session.remove()
        file = _write(folder / "million.csv")
        words = ("add", "beliefs", str(file), "--sensor", str(sensor), "--unit", "kWh")
        seconds, cpu = _run(folder, *words)
        report("add beliefs: a million readings", seconds, target=10, per=READINGS)
        report("the same, CPU of the command", cpu)
        for words in (
            ("--help",),
            ("show", "sensors", "--json"),
            ("show", "beliefs", "--sensor", str(sensor), "--limit", "10", "--json"),
            ("show", "audit-log", "--json"),
            ("jobs", "show", "--json"),
            ("monitor", "tasks", "--json"),
        ):
            cpu = min(_run(folder, *words)[1] for _ in range(3))
            report(
                f"flexmeasures {' '.join(words[:2])}, CPU", cpu, target=0.1 if words[0] == "--help" else 0.6
            )
        with app.app_context():
            db.engine.dispose()
    finally:
        app.extensions["embedded"].services.leave()
        shutil.rmtree(folder, ignore_errors=True)


def _write(file: Path) -> Path:
    instants = np.datetime64("1995-01-01T00:00", "us") + np.arange(READINGS) * np.timedelta64(15, "m")
    local = local_wall_clock(instants, ZONE).astype("datetime64[m]").astype(str).tolist()
    rows = "\n".join(f"{at.replace('T', ' ')};{n % 97},{n % 10}" for n, at in enumerate(local))
    file.write_text(f"time;energy\n{rows}\n")
    return file


def _run(folder: Path, *words: str) -> tuple[float, float]:
    """Run a command; its time and its CPU time [s]."""
    environment = {**os.environ, "FLEXMEASURES_INSTANCE_PATH": str(folder)}
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "flexmeasures", *words]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime

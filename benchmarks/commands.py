"""Commands as whole processes, on an instance whose embedded servers are running."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks import Report, benchmark, median
from benchmarks.portfolio_schedules import START, fill_with_batteries
from flexmeasures.app import create
from flexmeasures.data.database import prepare

SHOWN = ("accounts", "users", "assets", "sensors", "markets", "sources")
BATTERIES = 10


@benchmark("commands: show, and schedules of ten batteries")
def commands(report: Report) -> None:
    """Time `flexmeasures show …` and `add schedules`; an empty Python beside them."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        app = create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": folder})
        prepare(app)
        try:
            with app.app_context():
                fill_with_batteries(BATTERIES)
            _measure(report, {**os.environ, "FLASK_ENV": "testing", "FLEXMEASURES_INSTANCE_PATH": folder})
        finally:
            app.extensions["embedded"].services.leave()


def _measure(report: Report, environment: dict[str, str]) -> None:
    def run(*arguments: str) -> float:
        command = [sys.executable, *arguments]
        return median(
            lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment), 7, 1
        )

    report("python -c pass", run("-c", "pass"))
    for kind in SHOWN:
        report(f"flexmeasures show {kind}", run("-m", "flexmeasures", "show", kind), target=0.8)
    schedules = ("-m", "flexmeasures", "add", "schedules", "--all", "--start", START.isoformat())
    report(f"flexmeasures add schedules, {BATTERIES} batteries", run(*schedules), target=0.8)

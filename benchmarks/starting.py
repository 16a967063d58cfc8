"""How long it takes to start: the command line and the package."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import Report, benchmark, median


@benchmark("starting: command line and import")
def starting(report: Report) -> None:
    """Time whole processes; an empty Python beside them."""

    def run(*arguments: str) -> float:
        return median(
            lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL), 9
        )

    bare = run("-c", "pass")
    report("python -c pass", bare)
    report("flexmeasures --help", run("-m", "flexmeasures", "--help"), target=0.4)
    report(
        "import flexmeasures, beyond bare Python",
        max(run("-c", "import flexmeasures") - bare, 0.0),
        target=0.05,
    )
    report("create the application", run("-c", "from flexmeasures.app import create; create('testing')"))
    report(
        "create what workers and most commands need",
        run("-c", "from flexmeasures.foundation import *; lay_foundation('testing')"),
    )
    report(
        "load the commands that show",
        run("-c", "import flexmeasures.foundation, flexmeasures.cli.show_rows"),
        target=0.8,
    )

"""The belief store on its own: bulk insert and reading the latest beliefs, on the embedded PostgreSQL."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from benchmarks import Report, benchmark, median
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.data.stores.beliefs import SensorBeliefs, Window, insert_beliefs, read_latest
from flexmeasures.data.tables import DataSource
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.testing import make_sensor

YEAR = 35_040
QUARTER = timedelta(minutes=15)


@benchmark("store: a year of quarter-hours")
def store(report: Report) -> None:
    """Insert a year in one transaction, and read the latest of two beliefs about each event."""
    folder = Path(tempfile.mkdtemp(prefix="fm-bench-"))
    app = create(
        "production", settings={"FLEXMEASURES_INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": None}
    )
    prepare(app)
    try:
        with app.app_context():
            _measure(report, db.session)  # type: ignore[arg-type]
            db.session.remove()
            db.engine.dispose()
    finally:
        app.extensions["embedded"].services.leave()
        shutil.rmtree(folder, ignore_errors=True)


def _measure(report: Report, session: Session) -> None:
    source = DataSource(name="benchmark", type="script")
    sensors = [make_sensor(session, f"meter {n}") for n in range(40)]
    session.add(source)
    session.commit()
    starts = np.datetime64("2020-01-01", "us") + np.arange(YEAR) * np.timedelta64(15, "m").astype(
        "timedelta64[us]"
    )
    values = np.random.default_rng(1).random(YEAR)

    def beliefs(horizon: int) -> Beliefs:
        horizons = np.full(YEAR, np.timedelta64(horizon, "h").astype("timedelta64[us]"))
        return Beliefs(starts, values, horizons, np.full(YEAR, source.id, dtype=np.int32))

    remaining = iter([sensor.id for sensor in sensors])

    def insert() -> None:
        insert_beliefs(session, [SensorBeliefs(next(remaining), beliefs(0))])
        session.commit()

    report("insert a year, indexed and committed", median(insert, 12), per=YEAR, target=YEAR / 150_000)
    first = sensors[0].id
    insert_beliefs(session, [SensorBeliefs(first, beliefs(24))])
    session.commit()
    window = Window(first, QUARTER)
    report(
        "read the latest of 2 beliefs about a year", median(lambda: read_latest(session, window)), target=0.05
    )
    peer = (
        "select distinct on (event_start) event_start, event_value from belief"
        " where sensor_id = %s order by event_start, belief_horizon"
    )
    connection = session.connection().connection.driver_connection
    ours = median(lambda: read_latest(session, window))
    theirs = median(lambda: connection.execute(peer, (first,)).fetchall())
    report.ratio("  beside fetching the same rows as Python objects", ours, theirs, target=0.5)
    assert len(list(itertools.islice(read_latest(session, window)[0], YEAR + 1))) == YEAR

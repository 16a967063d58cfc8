"""The migration to accounts, trees and probabilities on a database with two million beliefs, up and down."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import flask_migrate
from tests.contract.test_migrating_data import AFTER, BEFORE, fill, rows

from benchmarks import Report, benchmark
from flexmeasures.app import create
from flexmeasures.data.database import db, keep_schema

BELIEFS = 2_000_000

_SUM = """
select count(*), sum(event_value::numeric), min(event_start), max(event_start), sum(hashtextextended(
    concat_ws('|', sensor_id, event_start, belief_horizon, source_id, event_value), 0)::numeric)
from belief
"""


@benchmark("migrations: two million beliefs up and down")
def migrating(report: Report) -> None:
    """Go up and down, and compare all beliefs by their sums and hashes."""
    folder = Path(tempfile.mkdtemp(prefix="fm-bench-"))
    app = create(
        "production", settings={"FLEXMEASURES_INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": None}
    )
    try:
        with app.app_context():
            keep_schema(app)
            flask_migrate.upgrade(revision=BEFORE)
            fill(BELIEFS)
            before = rows(_SUM)
            for title, step, revision in (
                ("up", flask_migrate.upgrade, AFTER),
                ("down", flask_migrate.downgrade, BEFORE),
            ):
                start = time.perf_counter()
                step(revision=revision)
                report(f"two million beliefs {title}", time.perf_counter() - start, per=BELIEFS)
                assert rows(_SUM) == before, title
            db.session.remove()
            db.engine.dispose()
    finally:
        app.extensions["embedded"].services.leave()
        shutil.rmtree(folder, ignore_errors=True)

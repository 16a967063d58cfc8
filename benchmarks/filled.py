"""The API and the store on a full table of beliefs: it must cost what it costs on an empty one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks import Report, benchmark, median
from benchmarks._server import Server, serve
from benchmarks.http_api import post_and_read
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.testing import make_sensor

YEAR = 35_040
AT_ONCE = 12
"""So many sensors get their year in one transaction: 420,480 beliefs."""


@benchmark("filled: 2 million beliefs stored, two gunicorn workers")
def two_million(report: Report) -> None:
    """Bulk insert of 2 million beliefs, then posts and reads beside them."""
    _measure(report, 2_000_000)


@benchmark("filled: 20 million beliefs stored, two gunicorn workers")
def twenty_million(report: Report) -> None:
    """The same with 20 million; takes minutes, and 3 GB of disk."""
    _measure(report, 20_000_000)


def _measure(report: Report, beliefs: int) -> None:
    with serve(workers=2) as server:
        _fill(report, server, beliefs)
        post_and_read(report, server)


def _fill(report: Report, server: Server, count: int) -> None:
    """Store the quarter-hours of 2017 of so many meters as are needed, twelve at a time."""
    starts = event_grid(datetime(2017, 1, 1, tzinfo=UTC), timedelta(minutes=15), YEAR)
    values = np.random.default_rng(3).random(YEAR)
    with server.app.app_context():
        session: Session = db.session
        source = get_or_create_source(session, "benchmark", "script")
        meters = iter([make_sensor(session, f"meter {n}").id for n in range(-(-count // YEAR) + AT_ONCE)])
        session.commit()
        horizons = np.zeros(YEAR, dtype="timedelta64[us]")
        beliefs = Beliefs(starts, values, horizons, np.full(YEAR, source.id, dtype=np.int32))

        def insert() -> None:
            insert_beliefs(session, [SensorBeliefs(next(meters), beliefs) for _ in range(AT_ONCE)])
            session.commit()

        size = AT_ONCE * YEAR
        report(
            f"bulk insert, {size:,} beliefs a transaction",
            median(insert, -(-count // size), 0),
            per=size,
            target=size / 400_000,
        )
        session.execute(text("analyze belief"))
        session.commit()
        session.remove()

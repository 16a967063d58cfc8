"""Beliefs that were superseded long ago are thinned out; what counted since stays, and so does what people said."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import text

from flexmeasures.cli.storage import show_storage, thin
from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.tables import DataSource
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import to_datetime64
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.retention import place_due_thinning
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.operations import retention
from flexmeasures.services.operations.retention import thin_beliefs
from flexmeasures.testing import make_sensor

HOUR = timedelta(hours=1)
START = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def shelf(app: Flask) -> Any:
    """Stores what sources said about an hourly event: by type of source, hours ahead of its end."""
    with app.app_context():
        session = db.session
        sensor = make_sensor(session, "meter", event_resolution=HOUR)
        sources = {kind: DataSource(name=kind, type=kind) for kind in ("scheduler", "forecaster", "script")}
        session.add_all(sources.values())
        session.commit()

        def say(kind: str, *hours_ahead: float, event: int = 0) -> None:
            count = len(hours_ahead)
            beliefs = Beliefs(
                np.full(count, to_datetime64(START + event * HOUR)),
                np.asarray(hours_ahead, dtype=float),
                np.array([timedelta(hours=h) for h in hours_ahead], dtype="timedelta64[us]"),
                np.full(count, sources[kind].id, dtype=np.int32),
            )
            insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
            session.commit()

        yield say
        session.remove()


def left(kind: str) -> list[float]:
    """The horizons [h] that are left of a type of source, the most recent belief first."""
    query = text(
        "select extract(epoch from belief_horizon) / 3600 from belief join data_source on id = source_id"
        " where type = :kind order by event_start, belief_horizon"
    )
    return [float(hours) for hours in db.session.scalars(query, {"kind": kind})]


def run(superseded_by: datetime) -> int:
    """Thin out without resting; how many beliefs went."""
    return thin_beliefs(db.session(), superseded_by, pause=lambda _: None).beliefs


def test_the_newest_plan_of_an_event_is_left(shelf: Any) -> None:
    """Of plans made 9, 5, 2 and 1 h before the event ended, that of 1 h stays when all are old."""
    shelf("scheduler", 9, 5, 2, 1)
    assert run(START + timedelta(days=40)) == 3
    assert left("scheduler") == [1]


def test_what_counted_at_the_instant_or_later_stays(shelf: Any) -> None:
    """The event ends at 01:00. At 22:00 the plan of 20:00 (5 h ahead) counted: it stays, those before it go."""
    shelf("scheduler", 9, 7, 5, 2, 1)
    assert run(START - 2 * HOUR) == 2
    assert left("scheduler") == [1, 2, 5]


def test_forecasts_of_each_horizon_stay(shelf: Any) -> None:
    """Classes are cut at 1, 6, 24 and 48 h; in each the newest forecast is left, so accuracy is measured as before."""
    shelf("forecaster", 0.5, 0.75, 1, 3, 6, 12, 24, 36, 48, 72)
    assert run(START + timedelta(days=40)) == 5
    assert left("forecaster") == [0.5, 1, 6, 24, 48]


def test_what_others_said_is_not_touched(shelf: Any) -> None:
    """Measurements, prices and forecasts that were posted stay, however old they are."""
    shelf("script", 5, 2, 1)
    shelf("scheduler", 2, 1)
    assert run(START + timedelta(days=40)) == 1
    assert left("script") == [1, 2, 5]


def test_when_its_time_is_over_it_goes_on_later(shelf: Any) -> None:
    """A call with a deadline stops after one step, says how far it came, and the next one goes on from there."""
    shelf("scheduler", 4, 3, 2, 1)
    first = thin_beliefs(
        db.session(), START + timedelta(days=40), pause=lambda _: None, deadline=time.monotonic()
    )
    assert (first.beliefs, first.reached) == (3, 0)
    second = thin_beliefs(db.session(), START + timedelta(days=40), pause=lambda _: None, after=first.reached)
    assert (second.beliefs, second.reached) == (0, None)
    assert left("scheduler") == [1]


def test_workers_thin_out_by_themselves(app: Flask, shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker places a job once in an interval, not at its first start; the job leaves the rest to another one."""
    connection, every = redis_connection(app), app.config["FLEXMEASURES_THIN_EVERY"]
    queue = get_queue(app, "forecasting")
    for _ in range(2):
        place_due_thinning(connection, every)
    assert queue.job_ids == []
    connection.delete("flexmeasures:thinning:next")  # as after a day
    for _ in range(2):
        place_due_thinning(connection, every)
    assert len(queue.job_ids) == 1
    shelf("scheduler", 4, 3, 2, 1)
    monkeypatch.setattr("flexmeasures.jobs.retention.STEP", 0)
    make_worker(app, ["forecasting"]).work(burst=True)
    db.session.rollback()
    assert left("scheduler") == [1]
    # The one step that there was deleted all; the job after it may find nothing more, and then there is none.
    assert queue.job_ids == []
    assert queue.failed_job_registry.get_job_ids() == []


def test_without_an_interval_nothing_is_thinned_out(app: Flask) -> None:
    """Where the setting says never, no job is placed however long one waits."""
    for _ in range(3):
        place_due_thinning(redis_connection(app), None)
    assert get_queue(app, "forecasting").job_ids == []


def test_broken_off_it_goes_on_where_it_was(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done by the time of a fault is done for good; the next call does the rest, and a further one nothing."""
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for event in range(3):
        shelf("scheduler", 4, 3, 2, 1, event=event)

    class Killed(Exception):
        pass

    rests = []

    def pause(_seconds: float) -> None:
        rests.append(1)
        if len(rests) == 2:
            raise Killed

    with pytest.raises(Killed):
        thin_beliefs(db.session(), START + timedelta(days=40), pause=pause)
    db.session.rollback()
    assert len(left("scheduler")) == 12 - 4
    assert run(START + timedelta(days=40)) == 5
    assert left("scheduler") == [1, 1, 1]
    assert run(START + timedelta(days=40)) == 0


def test_the_commands_say_what_is_there_and_what_went(app: Flask, shelf: Any) -> None:
    """`db-ops thin` keeps what the setting says; `show storage --json` gives sizes and numbers by type of source."""
    shelf("scheduler", 3, 2, 1)
    shelf("forecaster", 2)
    db.session.execute(text("analyze belief"))
    db.session.commit()
    shown = json.loads(app.test_cli_runner().invoke(show_storage, ["--json"]).output)
    assert shown["beliefs"] == {"scheduler": 3, "forecaster": 1}
    assert shown["waiting_jobs"].keys() >= {"forecasting", "scheduling"}
    belief = next(table for table in shown["tables"] if table["name"] == "belief")
    assert belief["rows"] == 4
    assert 0 < belief["size"] < shown["size"]
    assert "Beliefs by" in app.test_cli_runner().invoke(show_storage, []).output
    done = app.test_cli_runner().invoke(thin, [])
    assert "Deleted 2 beliefs" in done.output, done.output
    wrong = app.test_cli_runner().invoke(thin, ["--keep", "-P1D"])
    assert wrong.exit_code == 2

"""Workers rehearse before they fork: what is prepared, and that nothing of it stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from flexmeasures.data.database import db
from flexmeasures.jobs import rehearsal
from flexmeasures.jobs.rehearsal import rehearse
from flexmeasures.services.schedules.make import make_schedule
from flexmeasures.services.schedules.request import ScheduleRequest
from flexmeasures.testing import CAST_DAY, Cast


def _contents(app: Flask) -> dict[str, Any]:
    """Count the rows of each table, and read the last number of the sequence of assets and sensors."""
    with app.app_context():
        found = {
            table.name: db.session.scalar(text(f"select count(*) from {table.name}"))
            for table in db.metadata.sorted_tables
        }
        found["sequence"] = db.session.scalar(text("select last_value from sensor_id_seq"))
    return found


def test_a_rehearsal_plans_and_leaves_nothing_behind(app: Flask, cast: Cast) -> None:
    """The plan is that of a battery which fills itself while energy is cheap; no row and no number is used up.

    Half of 1 MWh is in store, energy costs 50 for 12 hours and 100 for another 12: it buys 0.5 MWh and sells 1 MWh.
    """
    before = _contents(app)
    plan = rehearse(app)
    assert plan is not None
    assert plan.value.cost == pytest.approx(0.5 * 50 - 1.0 * 100, rel=0.02)
    assert _contents(app) == before


def test_jobs_compile_no_statement_after_a_rehearsal(app: Flask, cast: Cast) -> None:
    """Each statement of a schedule is known to the engine once there was a rehearsal."""
    rehearse(app)
    misses: list[str] = []

    def look(_conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context.compiled is not None and context.cache_hit.name == "CACHE_MISS":
            misses.append(statement)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", look)
        try:
            request = ScheduleRequest(
                cast.assets["battery"], 1, CAST_DAY, 2.5, (), CAST_DAY, timedelta(days=1), in_order=False
            )
            make_schedule(db.session, request)
            db.session.rollback()
        finally:
            event.remove(db.engine, "before_cursor_execute", look)
    assert misses == []


def test_a_worker_without_a_database_begins_all_the_same(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the rehearsal waits for others too long, it is given up with a warning."""
    monkeypatch.setattr(rehearsal, "PATIENCE", "50ms")
    with app.app_context(), db.engine.begin() as other:
        other.execute(text("lock table asset_type in access exclusive mode"))
        assert rehearse(app) is None
    assert "the first ones take longer" in caplog.text

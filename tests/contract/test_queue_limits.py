"""Queues that nobody serves: a warning that names the queue and the remedy, and a limit."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flexmeasures.data.database import redis_connection
from flexmeasures.jobs.queues import bound_queues, get_queue, waiting_jobs
from flexmeasures.jobs.recovery import Recovery


@pytest.fixture
def connection(app: Flask) -> Any:
    """The job store, with 5 jobs in each queue."""
    found = redis_connection(app)
    for name in ("forecasting", "scheduling"):
        for number in range(5):
            get_queue(found, name).enqueue(print, number, job_id=f"{name}-{number}")
    return found


def test_a_long_queue_is_named_with_the_remedy_once_a_minute(connection: Any, caplog: Any) -> None:
    """The warning says how many jobs wait where, and which command serves them; it is not repeated at once."""
    for _ in range(3):
        bound_queues(connection, warn_at=5, limit=100)
    assert len(caplog.messages) == 2
    assert "5 jobs wait in the queue forecasting" in caplog.messages[0]
    assert "flexmeasures jobs run-worker --queue forecasting" in caplog.messages[0]


def test_the_oldest_forecasts_are_dropped_and_schedules_are_not(connection: Any, caplog: Any) -> None:
    """Beyond the limit the oldest forecasts go, for good; schedules were promised to their clients."""
    bound_queues(connection, warn_at=100, limit=3)
    queue = get_queue(connection, "forecasting")
    assert queue.job_ids == ["forecasting-2", "forecasting-3", "forecasting-4"]
    assert waiting_jobs(connection) == {"coordination": 0, "forecasting": 3, "scheduling": 5}
    assert queue.fetch_job("forecasting-0") is None
    assert "the oldest 2 of its jobs were dropped" in caplog.messages[0]
    assert Recovery([queue]).run(thorough=True) == []

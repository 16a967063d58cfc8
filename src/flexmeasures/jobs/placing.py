"""Orders of forecasts on their way to the job store: those of many posts at once, beside the requests."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from flask import Flask
from redis.exceptions import RedisError
from sqlalchemy import Engine

from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.forecasts import place_forecasts
from flexmeasures.jobs.queues import bound_queues

__all__ = ["PAUSE", "Placer", "place_and_watch", "place_soon"]

log = logging.getLogger(__name__)

PAUSE = 0.1
"""Longest wait for orders that can go together [s]."""


class Placer:
    """Does a piece of work soon after it was asked for, once for all who asked meanwhile.

    It works in a thread of its own, which begins when it is first needed; in a fork that is another one. What it had
    not done when the process ends is left to others.
    """

    def __init__(self, place: Callable[[], int], pause: float = PAUSE) -> None:
        self._place = place
        self._pause = pause
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._process = 0

    def wake(self) -> None:
        """Ask for the work."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._process = os.getpid()
                    threading.Thread(target=self._run, name="placer", daemon=True).start()
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            time.sleep(self._pause)
            self._wanted.clear()
            # Nothing is left to do, or a store does not answer: then whoever asks next begins anew.
            while self._place():
                pass


def place_soon(app: Flask) -> None:
    """Have orders placed that were stored with a request, without making its client or the next one wait."""
    with app.app_context():
        place = partial(place_and_watch, app, db.engine)
    if app.testing:
        place()
        return
    placer: Placer = app.extensions.setdefault("placer", Placer(place))
    placer.wake()


def place_and_watch(app: Flask, engine: Engine) -> int:
    """Place orders that wait, and look whether the queues have grown too long.

    Returns:
        How many orders were placed.
    """
    connection, config = redis_connection(app), app.config
    placed = place_forecasts(engine, connection)
    if placed:
        try:
            bound_queues(connection, config["FLEXMEASURES_QUEUE_WARNING"], config["FLEXMEASURES_QUEUE_LIMIT"])
        except RedisError as error:
            log.warning("Nobody knows how many jobs wait, because the job store does not answer: %s", error)
    return placed

"""Orders of forecasts on their way to the job store: those of many posts at once, beside the requests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from flask import Flask

from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.forecasts import place_forecasts

__all__ = ["PAUSE", "Placer", "place_soon"]

PAUSE = 0.1
"""How long orders are waited for that can go together [s]."""


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
        engine, connection = db.engine, redis_connection(app)
    if app.testing:
        place_forecasts(engine, connection)
        return
    placer: Placer = app.extensions.setdefault("placer", Placer(lambda: place_forecasts(engine, connection)))
    placer.wake()

"""Work that is done soon, beside the requests that asked for it: once for all who asked meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

__all__ = ["PAUSE", "Soon"]

PAUSE = 0.1
"""Longest wait for others who ask for the same [s]."""


class Soon:
    """Does a piece of work soon after it was asked for, once for all who asked meanwhile.

    It works in a thread of its own, which begins when it is first needed; in a fork that is another one. What it had
    not done when the process ends is left to others. The work returns how much it did: after 0 it is not done again
    before somebody asks.
    """

    def __init__(self, work: Callable[[], int], pause: float = PAUSE) -> None:
        self._work = work
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
                    threading.Thread(target=self._run, name="soon", daemon=True).start()
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            time.sleep(self._pause)
            self._wanted.clear()
            # Nothing is left to do, or a store does not answer: then whoever asks next begins anew.
            while self._work():
                pass

"""Tell whether messages are coming in right now: handling them waits, a sender who waits for its 200 does not."""

from __future__ import annotations

import threading
import time

__all__ = ["Traffic"]

_QUIET_AFTER = 0.01
"""Time without any arrival after which messages are handled [s]."""


class Traffic:
    """Notes what comes in, and lets background work wait for a quiet moment; threads share it."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._ending = threading.Condition()

    def note(self) -> None:
        """Note that a request has come in."""
        self._last = time.monotonic()

    def end(self) -> None:
        """Let nobody wait any longer."""
        with self._ending:
            self._last = float("-inf")
            self._ending.notify_all()

    def wait_until_quiet(self, longest: float) -> None:
        """Wait until nothing has come in for a moment, but not longer than a time [s]."""
        if self._last + _QUIET_AFTER <= time.monotonic():
            return
        ends = time.monotonic() + longest
        with self._ending:
            # Sleeps up to the moment that would be quiet if nothing came; only if something did, once more.
            while (pause := min(self._last + _QUIET_AFTER, ends) - time.monotonic()) > 0:
                self._ending.wait(pause)

"""One lane for each partner: in a lane messages are handled one after another, lanes run beside each other.

So order is kept for each partner, and a slow or dead partner delays nobody else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from shapeshifter_uftp.store import Direction, Entry, Journal
from shapeshifter_uftp.uftp.enumerations import UsefRole

__all__ = ["Lanes"]

_log = logging.getLogger("shapeshifter_uftp.lanes")
_LONGEST_SLEEP = 1.0
_Partner = tuple[str, UsefRole]


class Lanes:
    """Takes waiting messages from a journal and hands them to a function.

    Args:
        name: Of the threads.
        journal: Where messages wait.
        direction: Which way they go.
        handle: Handles one message; False stops the lane until the message's ``next_at``.
        clock: Seconds since 1970.
        most_threads: Most lanes that run at once; the others wait.
    """

    def __init__(
        self,
        name: str,
        journal: Journal,
        direction: Direction,
        handle: Callable[[Entry], bool],
        clock: Callable[[], float],
        most_threads: int = 8,
    ) -> None:
        self._name, self._journal, self._direction = name, journal, direction
        self._handle, self._clock, self._most = handle, clock, most_threads
        self._busy: dict[_Partner, threading.Thread] = {}
        self._postponed: set[_Partner] = set()
        self._stopping = threading.Event()
        self._dispatcher: threading.Thread | None = None
        self._look_at = 0.0

    def start(self) -> None:
        """Start; harmless when started."""
        if self._dispatcher is None:
            self._stopping.clear()
            self._dispatcher = threading.Thread(target=self._dispatch, name=self._name, daemon=True)
            self._dispatcher.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop after the messages in hand; what waits keeps waiting in the journal."""
        self._stopping.set()
        self._journal.notify()
        if self._dispatcher is not None:
            self._dispatcher.join(timeout)
            for thread in list(self._busy.values()):
                thread.join(timeout)
            self._dispatcher = None

    def _dispatch(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            with self._journal.changed:
                woken = self._journal.woken[self._direction]
                if self._needs_no_look(woken) and pause > 0:
                    woken.clear()
                    self._journal.changed.wait(pause)
                    if self._needs_no_look(woken) and self._clock() < self._look_at:
                        continue
                woken.clear()
            pause = self._start_lanes()
            self._look_at = self._clock() + pause

    def _needs_no_look(self, woken: set[_Partner | None]) -> bool:
        """Tell whether the database need not be asked about partners for whom something was stored.

        What comes for a partner whose lane runs is that lane's business. Where the first message is not due yet, the
        others wait behind it: a partner that is away must not cost more with every message that waits for it.
        """
        return all(partner in self._busy or partner in self._postponed for partner in woken)

    def _start_lanes(self) -> float:
        """Start a lane for every partner that has a message due; give the time to the next look [s]."""
        now, pause = self._clock(), _LONGEST_SLEEP
        try:
            waiting = self._journal.waiting_partners(self._direction)
        except Exception:  # noqa: BLE001  the database may be away for a moment; the outermost loop goes on
            _log.exception("The journal cannot be read")
            return _LONGEST_SLEEP
        self._postponed = {(domain, role) for domain, role, due in waiting if due > now}
        for domain, role, due in waiting:
            partner = (domain, role)
            if partner in self._busy or len(self._busy) >= self._most:
                continue
            if due > now:
                pause = min(pause, due - now)
                continue
            lane = threading.Thread(
                target=self._run_lane, args=(partner,), name=f"{self._name}-{domain}", daemon=True
            )
            self._busy[partner] = lane
            lane.start()
        return max(pause, 0.01)

    def _run_lane(self, partner: _Partner) -> None:
        try:
            while not self._stopping.is_set() and self._handle_waiting(partner):
                pass
        except Exception:  # noqa: BLE001  a lane must not die silently, and must not take the others along
            _log.exception("Handling messages of %s failed", partner)
            self._stopping.wait(_LONGEST_SLEEP)
        finally:
            self._busy.pop(partner, None)
            self._journal.notify(self._direction)

    def _handle_waiting(self, partner: _Partner) -> bool:
        entries = self._journal.waiting(self._direction, partner)
        for entry in entries:
            if self._stopping.is_set() or entry.next_at > self._clock() or not self._handle(entry):
                return False
        return bool(entries)

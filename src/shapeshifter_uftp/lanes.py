"""One lane for each partner: in a lane messages are handled one after another, lanes run beside each other.

So order is kept for each partner, and a slow or dead partner delays nobody else. A message that has to be tried again
holds back only what must follow it: the later messages of its conversation, and, where a message replaces an earlier
one (a revision of a prognosis, of metering, of a reservation, a portfolio update), the later ones of its kind.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from shapeshifter_uftp.backoff import Pause
from shapeshifter_uftp.store import Direction, Entry, Journal, Waiting
from shapeshifter_uftp.uftp import (
    AgrPortfolioUpdate,
    DPrognosis,
    DsoPortfolioUpdate,
    FlexReservationUpdate,
    Metering,
    UsefRole,
)

__all__ = ["Lanes"]

_log = logging.getLogger("shapeshifter_uftp.lanes")
_LONGEST_SLEEP = 1.0
_Partner = tuple[str, UsefRole]

_REPLACE_WITHIN_TOPIC = frozenset(cls.wire_name for cls in (DPrognosis, FlexReservationUpdate, Metering))
_REPLACE_ALL = frozenset(cls.wire_name for cls in (AgrPortfolioUpdate, DsoPortfolioUpdate))


def _order_keys(message: Waiting) -> tuple[str, ...]:
    """Name what a message must keep its place in: two messages with a key in common stay in order."""
    if message.message_type in _REPLACE_ALL:
        return message.conversation_id, message.message_type
    if message.message_type in _REPLACE_WITHIN_TOPIC and message.topic:
        return message.conversation_id, f"{message.message_type} {message.topic}"
    return (message.conversation_id,)


class _HeldBack:
    """The messages of a partner that are tried again later, and what has to wait for them."""

    def __init__(self, postponed: Iterable[Waiting]) -> None:
        self._until: dict[str, tuple[int, float]] = {}
        for message in postponed:
            self.add(message, message.next_at)

    def add(self, message: Waiting, until: float) -> None:
        for key in _order_keys(message):
            first, latest = self._until.get(key, (message.seq, until))
            self._until[key] = min(first, message.seq), max(latest, until)

    def waits_until(self, message: Waiting) -> float | None:
        """Return until when an earlier message holds this one back; None when it may go."""
        found = [self._until[key] for key in _order_keys(message) if key in self._until]
        return max((until for first, until in found if first < message.seq), default=None)


class Lanes:
    """Takes waiting messages from a journal and hands them to a function.

    Args:
        name: Of the threads.
        journal: Where messages wait.
        direction: Which way they go.
        handle: Handles one message; returns None when that is over, or the pause after which it is tried again.
        clock: Seconds since 1970.
        most_threads: Most lanes that run at once; the others wait.
    """

    def __init__(
        self,
        name: str,
        journal: Journal,
        direction: Direction,
        handle: Callable[[Entry], Pause | None],
        clock: Callable[[], float],
        most_threads: int = 8,
    ) -> None:
        self._name, self._journal, self._direction = name, journal, direction
        self._handle, self._clock, self._most = handle, clock, most_threads
        self._busy: dict[_Partner, threading.Thread] = {}
        self._away: dict[_Partner, float] = {}
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

    def wake(self, partner: _Partner) -> None:
        """Try a partner that was away again now."""
        self._away.pop(partner, None)
        self._journal.notify(self._direction)

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

        What comes for a partner whose lane runs is that lane's business; and a partner that is away must not cost more
        with every message that waits for it.
        """
        return all(partner in self._busy or partner in self._away for partner in woken)

    def _start_lanes(self) -> float:
        """Start a lane for every partner that has a message due; return the time to the next look [s]."""
        now, pause = self._clock(), _LONGEST_SLEEP
        try:
            if not self._journal.is_claimed():
                return _LONGEST_SLEEP
            waiting = self._journal.waiting_partners(self._direction)
        except Exception:  # noqa: BLE001  the database may be away for a moment; the outermost loop goes on
            _log.exception("The journal cannot be read")
            return _LONGEST_SLEEP
        self._away = {partner: until for partner, until in self._away.items() if until > now}
        for domain, role, first_due in waiting:
            partner = (domain, role)
            if partner in self._busy or len(self._busy) >= self._most:
                continue
            due = max(first_due, self._away.get(partner, 0.0))
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
        """Handle the first messages that are due; tell whether there were any, and the lane may go on."""
        now = self._clock()
        entries = self._journal.waiting(self._direction, partner, now)
        held_back = _HeldBack(self._journal.postponed(self._direction, partner, now) if entries else ())
        for entry in entries:
            if self._stopping.is_set():
                return False
            until = held_back.waits_until(entry.waiting)
            if until is not None:
                self._journal.hold(entry, until)
            else:
                pause = self._handle(entry)
                if pause is None:
                    continue
                if pause.whole_lane:
                    self._away[partner] = pause.until
                    return False
                until = pause.until
            held_back.add(entry.waiting, until)
        return bool(entries)

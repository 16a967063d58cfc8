"""Answers that never came: a request that was delivered and is not answered in time is reported, once.

The journal knows what was delivered and what was answered, so that this survives restarts. Source: UFTP specification
3.1.0, "Transport": after a reply time-out the message is reported as expired.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from shapeshifter_uftp.store import Entry, Journal, State
from shapeshifter_uftp.uftp import TestMessage, request_response_map

__all__ = ["ReplyWatch"]

_log = logging.getLogger("shapeshifter_uftp.reply_watch")
_LONGEST_PAUSE = 30.0

# A TestMessageResponse does not say which message it answers.
_WATCHED = tuple(cls.wire_name for cls in request_response_map if cls is not TestMessage)


class ReplyWatch:
    """Looks through a journal for delivered requests without an answer.

    Args:
        journal: Where they are kept.
        timeout: How long an answer may take [s].
        on_silence: Told of each request that was not answered in time.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        timeout: float,
        on_silence: Callable[[Entry], None],
        clock: Callable[[], float],
    ) -> None:
        self._journal, self._timeout, self._clock = journal, timeout, clock
        self._on_silence = on_silence
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._from = 0

    def start(self) -> None:
        """Start looking, now and again; harmless when started."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="uftp-reply-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.check()
            except Exception:  # noqa: BLE001  the database may be away for a moment, and the hook may raise anything
                _log.exception("Looking for missing answers failed")
            self._stopping.wait(min(self._timeout / 4, _LONGEST_PAUSE))

    def check(self) -> list[Entry]:
        """Report the requests whose time is over, and mark them as expired; give them."""
        due = self._clock() - self._timeout
        # What lies before the first request that may still be answered need not be looked at again.
        open_requests = self._journal.unanswered(_WATCHED, self._from)
        late = [entry for entry in open_requests if max(entry.at, entry.next_at) <= due]
        in_time = [entry.seq for entry in open_requests if max(entry.at, entry.next_at) > due]
        for entry in late:
            reason = f"no answer within {self._timeout:g} s"
            _log.warning(
                "%s %s to %s: %s", entry.message_type, entry.message_id, entry.partner_domain, reason
            )
            self._journal.mark(entry, State.EXPIRED, status=entry.last_status, reason=reason)
            self._on_silence(entry)
        if open_requests:
            self._from = min(in_time, default=open_requests[-1].seq)
        return late

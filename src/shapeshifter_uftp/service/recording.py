"""Messages sent by the clients of a service go into its journal, so that answers find what they refer to."""

from __future__ import annotations

from collections.abc import Callable

from shapeshifter_uftp.exceptions import ClientTransportException, TransportError
from shapeshifter_uftp.outbox import Outbox, outgoing_entry
from shapeshifter_uftp.store import Journal
from shapeshifter_uftp.uftp import PayloadMessage, PayloadMessageResponse, UsefRole

__all__ = ["JournalRecorder"]


class JournalRecorder:
    """Keeps what clients send, see `shapeshifter_uftp.client.Recorder`.

    Args:
        journal: Where it is kept.
        outbox: Counts refusals, those of clients with its own.
        clock: Seconds since 1970.
    """

    def __init__(self, journal: Journal, outbox: Outbox, clock: Callable[[], float]) -> None:
        self._journal, self._outbox, self._clock = journal, outbox, clock

    def sending(self, message: PayloadMessage, content: bytes, recipient_role: UsefRole) -> None:
        """Take note of a message that is about to be posted; refuse it while the partner is faulty."""
        fault = self._journal.partners.fault_of((message.recipient_domain or "", recipient_role))
        if fault is not None:
            raise ClientTransportException(str(fault))
        entry = outgoing_entry(self._journal.owner, message, content, recipient_role, self._clock(), None)
        self._journal.add_sent(entry)

    def delivered(
        self, message: PayloadMessage, recipient_role: UsefRole, answer: PayloadMessageResponse | None
    ) -> None:
        """Take note that the partner has stored a message, and of what it answered at once, if it did."""
        message_id, domain = _key(message)
        self._journal.partners.took((domain, recipient_role))
        if answer:
            self._journal.answered(message_id, domain, str(answer.result), answer.rejection_reason)

    def failed(self, message: PayloadMessage, recipient_role: UsefRole, error: TransportError) -> None:
        """Take note that a message did not get through."""
        message_id, domain = _key(message)
        self._journal.sent_in_vain(message_id, domain, str(error)[:500])
        if not error.temporary:
            self._outbox.note_refusal((domain, recipient_role), error)


def _key(message: PayloadMessage) -> tuple[str, str]:
    return (message.message_id or "").lower(), message.recipient_domain or ""

"""The outbox: what must arrive is kept, sent in order, and sent again until it arrives or is no longer worth while.

Every retry posts the *same bytes*. Temporary failures (no answer, 5xx, 404, 419, 429, ...) are retried with growing,
jittered pauses, and not before the partner's ``Retry-After``; permanent ones end the message and are reported. Each
partner has its own lane: a dead one delays nobody else, and a message that a partner cannot digest delays only its own
conversation. Source: UFTP specification 3.1.0, "Transport".
"""

from __future__ import annotations

import email.utils
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shapeshifter_uftp.addresses import AddressBook
from shapeshifter_uftp.backoff import Backoff, Pause
from shapeshifter_uftp.client import TransportOptions
from shapeshifter_uftp.exceptions import (
    ClientTransportException,
    ServiceDiscoveryException,
    TransportError,
    UnverifiedAnswerException,
)
from shapeshifter_uftp.exchange import Exchange
from shapeshifter_uftp.lanes import Lanes
from shapeshifter_uftp.oauth import AuthorizationError
from shapeshifter_uftp.posting import NO_CLEAN_ANSWER, RequestMaker, deliver_now
from shapeshifter_uftp.references import main_reference
from shapeshifter_uftp.store import Direction, Entry, Fault, Journal, State
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import PayloadMessage, PayloadMessageResponse

__all__ = ["Outbox", "RetryPolicy"]

_log = logging.getLogger("shapeshifter_uftp.outbox")
_LOOK_AGAIN = 5.0  # how often to see whether a faulty partner was cleared [s]
_AWAY = frozenset({None, 419, 429, 502, 503, 504})
"""Statuses (None: no answer) that are about the partner, whatever the message."""
_MOST_FAILURES = 3
"""After how many different messages in a row that failed a partner counts as away, whatever the statuses say."""


@dataclass(frozen=True, slots=True)
class RetryPolicy(Backoff):
    """When to send again, and when not to any more; the standard asks for an hour of trying at least.

    Attributes:
        faulty_after: After how many permanent refusals in a row a partner counts as faulty, so that what goes to it
            waits until an operator clears it; None: never.
        answer_within: How long the answer to a delivered request may take [s]; then it is reported as missing.
    """

    faulty_after: int | None = 5
    answer_within: float = 2 * 3600.0


def retry_after(value: str | None, now: float) -> float:
    """Read ``Retry-After`` [s from now]: a number of seconds or an HTTP date; 0 when absent or no sense."""
    if not value:
        return 0.0
    if value.strip().isdigit():
        return float(min(int(value.strip()[:9]), 86_400))
    try:
        return min(max(email.utils.parsedate_to_datetime(value).timestamp() - now, 0.0), 86_400.0)
    except (ValueError, TypeError):
        return 0.0


class Outbox:
    """Delivers the outgoing messages of a journal.

    Args:
        journal: Where they are kept.
        address_book: Where endpoints are found.
        policy: When to try again.
        options: How to reach partners; to as many at once as there may be connections.
        on_failure: Told of every message that is given up: the entry and why.
        on_fault: Told of every partner that is marked as faulty.
        clock: Seconds since 1970; for tests.
    """

    def __init__(
        self,
        journal: Journal,
        address_book: AddressBook,
        *,
        policy: RetryPolicy | None = None,
        options: TransportOptions | None = None,
        on_failure: Callable[[Entry, TransportError], None] | None = None,
        on_fault: Callable[[Fault], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._address_book, self._clock = journal, address_book, clock
        self._policy, self._options = policy or RetryPolicy(), options or TransportOptions()
        self._on_failure, self._on_fault = on_failure, on_fault
        self._http: Any = None
        self._requests: RequestMaker
        self._lock = threading.Lock()
        self._lanes = Lanes(
            "uftp-outbox", journal, Direction.OUT, self._deliver, clock, self._options.connections
        )
        self._failures: dict[tuple[str, UsefRole], int] = {}

    def start(self) -> None:
        """Start delivering in the background, beginning with what an earlier process left."""
        self._lanes.start()

    def _client(self) -> Any:
        import httpx  # noqa: PLC0415  loaded only when something is sent

        with self._lock:
            if self._http is None:
                self._http = httpx.Client(**self._options.http_arguments())
                self._requests = RequestMaker(self._http)
            return self._http

    def stop(self) -> None:
        """Stop delivering; what is left waits for the next start."""
        self._lanes.stop()
        if self._http is not None:
            self._http.close()
            self._http = None

    def wake(self, partner: tuple[str, UsefRole]) -> None:
        """Try again now what waits for a partner."""
        self._lanes.wake(partner)

    def _deliver(self, entry: Entry) -> Pause | None:
        """Try to deliver one message; return the pause before it is tried again, or None when that is over."""
        now = self._clock()
        if entry.expires_at is not None and now >= entry.expires_at:
            self._give_up(entry, State.EXPIRED, ClientTransportException(entry.reason or "expired unsent"))
            return None
        fault = self._journal.partners.fault_of(entry.partner)
        if fault is not None:
            return self._wait_for_clearing(entry, fault, now)
        try:
            answer = self._post(entry)
        except TransportError as error:
            return self._failed(entry, error, now)
        except Exception as error:  # noqa: BLE001  address books are the application's, and may raise anything
            _log.exception("%s %s cannot be posted", entry.message_type, entry.message_id)
            return self._failed(entry, ClientTransportException(f"could not be posted: {error!r}"), now)
        self._journal.partners.took(entry.partner)
        if answer:
            self._journal.answered(
                entry.message_id, entry.partner_domain, str(answer.result), answer.rejection_reason
            )
        self._journal.mark(entry, State.DONE, status=200, at=now)
        self._failures.pop(entry.partner, None)
        return None

    def note_refusal(self, partner: tuple[str, UsefRole], error: TransportError) -> None:
        """Count a permanent refusal; report the partner when it was one too many."""
        reason, now = str(error)[:500], self._clock()
        fault = self._journal.partners.refused(partner, reason, now, self._policy.faulty_after)
        if fault is not None:
            _log.error("%s %s is marked as faulty: %s", fault.role, fault.domain, fault.reason)
            if self._on_fault:
                self._on_fault(fault)

    def _wait_for_clearing(self, entry: Entry, fault: Fault, now: float) -> Pause | None:
        """Keep a message back while its partner is faulty, as long as it is worth sending."""
        reason = str(fault)
        if now > entry.at + self._policy.give_up_after:
            self._give_up(entry, State.FAILED, ClientTransportException(reason))
            return None
        self._journal.postpone(entry, now + _LOOK_AGAIN, reason=reason[:500])
        return Pause(now + _LOOK_AGAIN, whole_lane=True)

    def _post(self, entry: Entry) -> PayloadMessageResponse | None:
        """Post a message once; give what the partner answered at once, if it did."""
        partner = self._address_book.find(
            entry.partner_domain, entry.partner_role, refresh=entry.attempts > 2
        )
        if not partner.endpoint:
            raise ServiceDiscoveryException(
                f"{entry.partner_role} {entry.partner_domain} has no known endpoint"
            )
        authorization: Mapping[str, str] = {}
        renew = None
        if partner.oauth_client:
            with partner.oauth_client.ensure_authenticated() as oauth:
                authorization, renew = oauth.auth_header, oauth.renew
        sent = PayloadMessage(message_id=entry.message_id, conversation_id=entry.conversation_id)
        exchange = Exchange(
            sent, entry.envelope, partner.endpoint, authorization, partner.public_key, renew,
            lambda anew: self._address_book.find(*entry.partner, refresh=anew).public_key,
        )  # fmt: skip
        http = self._client()
        try:
            outcome = deliver_now(exchange, lambda request: http.send(self._requests.make(request)))
        except UnverifiedAnswerException as error:
            # It is stored over there; whether it is accepted nobody knows, and asking again would not help.
            _log.warning("%s %s: %s", entry.message_type, entry.message_id, error)
            return None
        return outcome if exchange.is_answered else None

    def _failed(self, entry: Entry, error: TransportError, now: float) -> Pause | None:
        if _means_delivered(entry, error):
            _log.info("%s %s had arrived before", entry.message_type, entry.message_id)
            self._journal.mark(entry, State.DONE, status=error.http_status)
            return None
        attempts = entry.attempts + 1
        if not (error.temporary or isinstance(error, ServiceDiscoveryException)):
            self._give_up(entry, State.FAILED, error)
            self.note_refusal(entry.partner, error)
            return None
        headers = getattr(getattr(error, "response", None), "headers", {})
        wanted = retry_after(headers.get("retry-after"), now)
        pause = max(self._policy.pause(attempts, random.random()), wanted)  # noqa: S311  no secret
        if now + pause > entry.at + self._policy.give_up_after:
            self._give_up(entry, State.FAILED, error)
            return None
        _log.warning("%s %s waits %.1f s: %s", entry.message_type, entry.message_id, pause, error)
        self._journal.postpone(entry, now + pause, status=error.http_status, reason=str(error)[:500])
        failures = self._failures[entry.partner] = self._failures.get(entry.partner, 0) + 1
        away = (
            error.http_status in _AWAY or isinstance(error, AuthorizationError) or failures >= _MOST_FAILURES
        )
        return Pause(now + pause, whole_lane=away)

    def _give_up(self, entry: Entry, state: State, error: TransportError) -> None:
        _log.error("%s %s is given up: %s", entry.message_type, entry.message_id, error)
        self._journal.mark(entry, state, status=error.http_status, reason=str(error)[:500])
        if self._on_failure:
            self._on_failure(entry, error)


def _means_delivered(entry: Entry, error: TransportError) -> bool:
    """Tell whether a refusal means that an earlier attempt arrived.

    Some receivers answer a repeated MessageID with 400 and "Duplicate message". When an attempt before this one ended
    without a clean answer, it was that one which arrived.
    """
    earlier_unclear = entry.attempts > 0 and (entry.reason or "").startswith(NO_CLEAN_ANSWER)
    return earlier_unclear and error.http_status == 400 and "duplicate" in str(error).lower()


def topic_of(message: PayloadMessage) -> str | None:
    """Give the mark by which messages about one place and day are found: congestion point or meter, and period."""
    place = getattr(message, "congestion_point", None) or getattr(message, "ean", None)
    period = getattr(message, "period", None)
    return f"{place}|{period}" if isinstance(place, str) and period else None


def outgoing_entry(
    owner: str,
    message: PayloadMessage,
    envelope: bytes,
    partner_role: UsefRole,
    now: float,
    expires_at: float | None,
) -> Entry:
    """Make the journal entry of a complete, sealed message."""
    return Entry(
        owner=owner,
        direction=Direction.OUT,
        partner_domain=message.recipient_domain or "",
        partner_role=partner_role,
        message_type=type(message).wire_name,
        message_id=(message.message_id or "").lower(),
        conversation_id=(message.conversation_id or "").lower(),
        reference_id=(main_reference(message) or "").lower() or None,
        topic=topic_of(message),
        revision=getattr(message, "revision", None),
        envelope=envelope,
        at=now,
        expires_at=expires_at,
    )

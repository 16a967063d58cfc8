"""Receiving: ``(body, headers) -> (status, headers, body)``, whatever server stands before it.

The order of the steps is the standard's: HTTP, envelope, key, signature, message, inbox, 200. A 200 says "stored",
no more: business checks follow, and their result is a message of its own. Nothing inside the envelope is parsed before
its signature is verified.

Source: UFTP specification 3.1.0, "Transport".
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shapeshifter_uftp.addresses import AddressBook
from shapeshifter_uftp.exceptions import (
    AuthenticationTimeoutException,
    InvalidContentTypeException,
    InvalidSignatureException,
    InvalidValue,
    MessageTooLargeException,
    MissingContentLengthException,
    ServiceDiscoveryException,
    TooManyRequestsException,
    TransportError,
)
from shapeshifter_uftp.outbox import topic_of
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.references import main_reference
from shapeshifter_uftp.sealing import envelope_from_xml, open_sealed, read_public_keys
from shapeshifter_uftp.service.traffic import Traffic
from shapeshifter_uftp.store import Arrival, Direction, Entry, Journal
from shapeshifter_uftp.uftp.payload import PayloadMessage, SignedMessage

__all__ = ["Answer", "Desk", "Limits", "Receiver"]

_log = logging.getLogger("shapeshifter_uftp.service")
Answer = tuple[int, dict[str, str], bytes]

_PAUSE_BETWEEN_REFRESHES = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service puts up with.

    Attributes:
        largest_body: Largest HTTP body [bytes]; a message with 100 ISPs and ten options has about 60 kB.
        messages_per_second: Messages that one sender may send in a second, on average; None: no limit.
        burst: Messages that one sender may send at once.
    """

    largest_body: int = 4_000_000
    messages_per_second: float | None = None
    burst: int = 1000


class Desk(Protocol):
    """What happens with a message once it is stored: see `shapeshifter_uftp.service.desk`."""

    def conflicting(self, message: PayloadMessage, entry: Entry) -> None:
        """Handle a message whose id was used before for another content."""
        ...

    def answers_immediately(self, message_type: type[PayloadMessage]) -> bool:
        """Tell whether messages of a type are answered within the request."""
        ...

    def immediate_answer(self, message: PayloadMessage, entry: Entry) -> bytes | None:
        """Give a signed body to answer with; None for the usual empty one."""
        ...


class _Pace:
    """Counts messages for each sender: a bucket of ``burst`` tokens that fills with time."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def check(self, sender: str) -> None:
        rate = self._limits.messages_per_second
        if rate is None:
            return
        now = self._clock()
        with self._lock:
            tokens, then = self._buckets.get(sender, (float(self._limits.burst), now))
            tokens = min(float(self._limits.burst), tokens + (now - then) * rate)
            self._buckets[sender] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise TooManyRequestsException(f"{sender} sends more than {rate} messages a second")


class Receiver:
    """Takes HTTP requests in any form and keeps what is in order.

    Args:
        journal: Where messages are kept.
        address_book: Where keys are found.
        desk: What happens with stored messages.
        limits: What is put up with.
        clock: Seconds since 1970; for tests.
        traffic: Told of every request.
    """

    def __init__(
        self,
        journal: Journal,
        address_book: AddressBook,
        desk: Desk,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        traffic: Traffic | None = None,
    ) -> None:
        self._traffic = traffic or Traffic()
        self._journal, self._address_book, self._desk, self._clock = journal, address_book, desk, clock
        self.limits = limits or Limits()
        self._pace = _Pace(self.limits, clock)
        self._refreshed: dict[tuple[str, str], float] = {}

    def receive(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Take one request.

        Args:
            body: Its body.
            headers: Its headers, with names in lower case.

        Returns:
            Status, headers and body of the answer: 200 and nothing when the message is stored.
        """
        self._traffic.note()
        try:
            self._check_headers(body, headers)
            envelope = envelope_from_xml(body)
            self._pace.check(envelope.sender_domain)
            message = message_from_xml(self._verified(envelope))
            answer = self._store(envelope, message, body)
        except TransportError as error:
            return self._refusal(error)
        except self._journal.faults:
            # What is not stored is not acknowledged: its sender keeps it and comes back.
            _log.exception("A message cannot be stored")
            return self._refusal(TransportError("The journal is away: try again later", http_status=503))
        return (200, {"content-type": "text/xml; charset=utf-8"}, answer) if answer else (200, {}, b"")

    def _refusal(self, error: TransportError) -> Answer:
        status = error.http_status or 500
        _log.info("A request is refused with %d: %s", status, error)
        headers = {"content-type": "text/plain; charset=utf-8"}
        if status in {429, 503}:
            headers["retry-after"] = "1"
        return status, headers, str(error).encode("utf-8", "replace")

    def check_length(self, headers: Mapping[str, str]) -> int:
        """Give the announced length of a body [bytes], so that a server need not read one that is too long.

        Raises:
            MissingContentLengthException: There is none.
            MessageTooLargeException: It is beyond the limit.
        """
        text = headers.get("content-length", "").strip()
        if not (text.isascii() and text.isdigit()):
            raise MissingContentLengthException("Content-Length is required")
        if len(text) > 12 or int(text) > self.limits.largest_body:
            raise MessageTooLargeException(f"A body may have {self.limits.largest_body} bytes")
        return int(text)

    def _check_headers(self, body: bytes, headers: Mapping[str, str]) -> None:
        self.check_length(headers)
        if len(body) > self.limits.largest_body:
            raise MessageTooLargeException(f"A body may have {self.limits.largest_body} bytes")
        kind, _, parameters = headers.get("content-type", "").lower().partition(";")
        if kind.strip() != "text/xml":
            raise InvalidContentTypeException(f"Content-Type is {kind.strip() or 'missing'}: send text/xml")
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8"}:
                raise InvalidContentTypeException(f"The charset is {value.strip()}: send utf-8")

    def _verified(self, envelope: SignedMessage) -> bytes:
        keys = self._keys(envelope)
        try:
            return open_sealed(envelope.body, keys)
        except InvalidSignatureException:
            # The sender may have a new key; but a stranger must not make us look up keys all the time.
            sender, now = (envelope.sender_domain, envelope.sender_role), self._clock()
            if now - self._refreshed.get(sender, float("-inf")) < _PAUSE_BETWEEN_REFRESHES:
                raise
            self._refreshed[sender] = now
        fresh = self._keys(envelope, refresh=True)
        return open_sealed(envelope.body, fresh)

    def _keys(self, envelope: SignedMessage, *, refresh: bool = False) -> tuple[bytes, ...]:
        who = f"{envelope.sender_role} {envelope.sender_domain}"
        try:
            found = self._address_book.find(envelope.sender_domain, envelope.sender_role, refresh=refresh)
            if found.public_key is None:
                raise ServiceDiscoveryException("there is none")
            return read_public_keys(found.public_key)
        except (ServiceDiscoveryException, InvalidValue) as error:
            raise AuthenticationTimeoutException(f"The key of {who} cannot be looked up: {error}") from error

    def _store(self, envelope: SignedMessage, message: PayloadMessage, body: bytes) -> bytes | None:
        entry = Entry(
            owner=self._journal.owner,
            direction=Direction.IN,
            partner_domain=envelope.sender_domain,
            partner_role=envelope.sender_role,
            message_type=type(message).wire_name,
            message_id=(message.message_id or "").lower(),
            conversation_id=(message.conversation_id or "").lower(),
            reference_id=(main_reference(message) or "").lower() or None,
            topic=topic_of(message),
            revision=getattr(message, "revision", None),
            envelope=body,
            at=self._clock(),
            # Handled only after it is answered; the minute is for the case that answering never ends.
            next_at=self._clock() + 60 if self._desk.answers_immediately(type(message)) else 0.0,
        )
        arrival = self._journal.add_received(entry)
        if arrival is Arrival.CONFLICTING and not self._same_content(entry, envelope):
            self._desk.conflicting(message, entry)
            return None
        return self._desk.immediate_answer(message, entry)

    def _same_content(self, entry: Entry, envelope: SignedMessage) -> bool:
        """Tell whether a repeated message differs only in its wrapping, as white space or a renewed signature."""
        known = self._journal.find(Direction.IN, entry.message_id, entry.partner_domain)
        return known is not None and envelope_from_xml(known.envelope).body[64:] == envelope.body[64:]

"""Receiving: ``(body, headers) -> (status, headers, body)``, whatever server stands before it.

The order of the steps is the standard's: HTTP, envelope, key, signature, message, inbox, 200. A 200 says "stored",
no more: business checks follow, and their result is a message of its own. Nothing inside the envelope is parsed before
its signature is verified.

Source: UFTP specification 3.1.0, "Transport".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shapeshifter_uftp.addresses import AddressBook
from shapeshifter_uftp.exceptions import (
    InvalidContentTypeException,
    MessageTooLargeException,
    MissingContentLengthException,
    TooManyRequestsException,
    TransportError,
)
from shapeshifter_uftp.outbox import topic_of
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.references import main_reference
from shapeshifter_uftp.sealing import envelope_from_xml
from shapeshifter_uftp.service.keyring import Keyring
from shapeshifter_uftp.service.pace import Pace, peer_group
from shapeshifter_uftp.service.traffic import Traffic
from shapeshifter_uftp.store import Arrival, Direction, Entry, Journal
from shapeshifter_uftp.uftp.payload import PayloadMessage, SignedMessage

__all__ = ["Answer", "Desk", "Limits", "Receiver"]

_log = logging.getLogger("shapeshifter_uftp.service")
Answer = tuple[int, dict[str, str], bytes]

_LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a service.

    Attributes:
        largest_body: Largest HTTP body [bytes]; a message with 100 ISPs and ten options has about 60 kB.
        messages_per_second: Messages that one sender may send in a second, on average; None: no limit. Only what the
            sender has signed counts: nobody can use up the share of another.
        burst: Messages that one sender may send at once.
        unverified_per_second: Requests from one address (a /64 network of IPv6) that turn out not to be signed well,
            in a second; beyond that only senders are served from there whose signatures have fitted before. None: no
            limit.
        unverified_burst: Such requests at once.
        look_ups_at_once: Senders never heard of before whose keys are looked up at the same time.
        head_timeout: How long the head of a request may take [s]; for our own server.
        body_timeout: How long a body may take [s]; for the ASGI application.
        most_connections: Connections beyond which the slowest is closed for a new one; for our own server.
    """

    largest_body: int = 4_000_000
    messages_per_second: float | None = None
    burst: int = 1000
    unverified_per_second: float | None = 20.0
    unverified_burst: int = 200
    look_ups_at_once: int = 16
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    most_connections: int = 500


class Desk(Protocol):
    """Handling of a message once it is stored: see `shapeshifter_uftp.service.desk`."""

    def conflicting(self, message: PayloadMessage, entry: Entry) -> None:
        """Handle a message whose id was used before for another content."""
        ...

    def answers_immediately(self, message_type: type[PayloadMessage]) -> bool:
        """Tell whether messages of a type are answered within the request."""
        ...

    def immediate_answer(self, message: PayloadMessage, entry: Entry) -> bytes | None:
        """Give a signed body to answer with; None for the usual empty one."""
        ...


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
        self._journal, self._desk, self._clock = journal, desk, clock
        self.limits = limits or Limits()
        self._pace = Pace(self.limits.messages_per_second, self.limits.burst, clock)
        self._unverified = Pace(self.limits.unverified_per_second, self.limits.unverified_burst, clock)
        self._keyring = Keyring(address_book, self.limits.look_ups_at_once, clock)

    def receive(self, body: bytes, headers: Mapping[str, str], peer: str = "") -> Answer:
        """Take one request.

        Args:
            body: Its body.
            headers: Its headers, with names in lower case.
            peer: The address that it comes from.

        Returns:
            Status, headers and body of the answer: 200 and nothing when the message is stored.
        """
        try:
            envelope, xml = self._open(body, headers, peer_group(peer))
            self._traffic.note()
            sender = f"{envelope.sender_role} {envelope.sender_domain}"
            if not self._pace.take(sender):
                rate = self.limits.messages_per_second
                raise TooManyRequestsException(f"{sender} sends more than {rate} messages a second")
            answer = self._store(envelope, message_from_xml(xml), body)
        except TransportError as error:
            return self.refuse(error)
        except self._journal.faults:
            # What is not stored is not acknowledged: its sender keeps it and comes back.
            _log.exception("A message cannot be stored")
            return self.refuse(TransportError("The journal is away: try again later", http_status=503))
        return (200, {"content-type": "text/xml; charset=utf-8"}, answer) if answer else (200, {}, b"")

    def _open(self, body: bytes, headers: Mapping[str, str], peer: str) -> tuple[SignedMessage, bytes]:
        """Check all that can be checked of what anybody may have sent, and return envelope and inner XML."""
        trusting = self._unverified.has_any(peer)
        try:
            self._check_headers(body, headers)
            envelope = envelope_from_xml(body)
            return envelope, self._keyring.open(envelope, trusting=trusting)
        except TransportError:
            self._unverified.take(peer)
            raise

    def refuse(self, error: TransportError) -> Answer:
        """Make the answer to a request that is refused."""
        status = error.http_status or 500
        reason = str(error)[:_LONGEST_REASON]
        _log.info("A request is refused with %d: %s", status, reason)
        headers = {"content-type": "text/plain; charset=utf-8"}
        if status in {429, 503}:
            headers["retry-after"] = "1"
        return status, headers, reason.encode("utf-8", "replace")

    def check_length(self, headers: Mapping[str, str]) -> int:
        """Give the announced length of a body [bytes], so that a server need not read one that is too long.

        Raises:
            MissingContentLengthException: There is none.
            MessageTooLargeException: It is beyond the limit.
        """
        text = headers.get("content-length", "").strip()
        if "transfer-encoding" in headers or not (text.isascii() and text.isdigit()):
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

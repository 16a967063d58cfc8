"""The common part of the services of all roles: receiving, handling, sending, and running as a server."""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from shapeshifter_uftp.addresses import AddressBook, FunctionAddressBook
from shapeshifter_uftp.backoff import Backoff, HandlingPolicy
from shapeshifter_uftp.client import (
    CLIENTS,
    ShapeshifterAgrCroClient,
    ShapeshifterAgrDsoClient,
    ShapeshifterCroAgrClient,
    ShapeshifterCroDsoClient,
    ShapeshifterDsoAgrClient,
    ShapeshifterDsoCroClient,
    SyncClient,
    TransportOptions,
)
from shapeshifter_uftp.discovery import DnsAddressBook
from shapeshifter_uftp.exceptions import TransportError
from shapeshifter_uftp.exchange import Identity, complete
from shapeshifter_uftp.oauth import OAuthClient
from shapeshifter_uftp.outbox import Outbox, RetryPolicy
from shapeshifter_uftp.references import make_response
from shapeshifter_uftp.reply_watch import ReplyWatch
from shapeshifter_uftp.rules import Market, RuleSet
from shapeshifter_uftp.service.core import Answer, Limits, Receiver
from shapeshifter_uftp.service.desk import ANSWER_LATER, Counter, MessageDesk, accept_at_once
from shapeshifter_uftp.service.faces import AsgiFace, WsgiFace
from shapeshifter_uftp.service.recording import JournalRecorder
from shapeshifter_uftp.service.traffic import Traffic
from shapeshifter_uftp.store import Direction, Entry, Fault, Journal, open_database
from shapeshifter_uftp.uftp import (
    DEFAULT_VERSION,
    PayloadMessage,
    TestMessage,
    TestMessageResponse,
    UsefRole,
    routing_map,
    snake_name,
)

if TYPE_CHECKING:
    from shapeshifter_uftp.service.server import HttpServer

__all__ = ["ANSWER_LATER", "ShapeshifterService"]

Lookup = Callable[[str, UsefRole], Any]
DEFAULT_PATH = "/shapeshifter/api/v3/message"


def default_journal_path(domain: str, role: UsefRole) -> Path:
    """Give the file in which a service keeps its messages, when it is not told another.

    ``SHAPESHIFTER_UFTP_STATE`` names the folder; without it, ``~/.local/state/shapeshifter_uftp``.
    """
    folder = (
        os.environ.get("SHAPESHIFTER_UFTP_STATE") or Path.home() / ".local" / "state" / "shapeshifter_uftp"
    )
    return Path(folder) / f"{re.sub('[^a-z0-9.-]', '_', domain.lower())}.{role.lower()}.sqlite3"


class ShapeshifterService:
    """Receives, keeps, checks and answers messages. Use the class of your role, and override its hooks.

    Args:
        sender_domain: Our domain.
        signing_key: Our private key, base64.
        key_lookup_function: ``(domain, role)`` to a public key; None: the address book.
        endpoint_lookup_function: ``(domain, role)`` to an endpoint; None: the address book.
        oauth_lookup_function: ``(domain, role)`` to an `OAuthClient`, or None; None: the address book.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one, see `port` once running.
        path: Path of the endpoint.
        version: The version of UFTP that we start conversations in; answers are in the version of the request.
        address_book: Finds participants; None: DNS.
        market: What the market agreed on.
        rules: The rules that apply.
        journal: Where messages are kept: a path, an SQLAlchemy URL, or ``memory``; None: `default_journal_path`.
        limits: What is put up with.
        retry: When sending is tried again.
        options: How to reach partners, and TLS settings for that.
        tls: TLS settings with our certificate; None: plain HTTP, for loopback or behind a proxy.
        clock: Seconds since 1970; for tests.
        handling: When a received message whose hook fails is handled again.
    """

    sender_role: ClassVar[UsefRole]
    acceptable_messages: ClassVar[list[type[PayloadMessage]]]
    """The types of messages that this role receives."""
    protocol_version: ClassVar[str] = DEFAULT_VERSION
    """The version of UFTP that we start conversations in, where ``version`` does not say."""
    num_inbound_threads: ClassVar[int] = 8
    """From how many partners messages are handled at once."""
    num_outbound_threads: ClassVar[int] = 8
    """To how many partners is sent at once."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the class of a role the hooks that versions 1.x had, for those who call them or override them."""
        super().__init_subclass__(**kwargs)
        if "sender_role" in vars(cls):
            receives = {cls.sender_role, None}
            cls.acceptable_messages = [kind for kind, (_, to) in routing_map.items() if to in receives]
            for kind in cls.acceptable_messages:
                setattr(cls, f"pre_process_{snake_name(kind)}", accept_at_once)

    def __init__(  # noqa: PLR0913, PLR0917  the order of the first nine is promised; what is newer comes by keyword
        self,
        sender_domain: str,
        signing_key: str,
        key_lookup_function: Lookup | None = None,
        endpoint_lookup_function: Lookup | None = None,
        oauth_lookup_function: Callable[[str, UsefRole], OAuthClient | None] | None = None,
        host: str = "0.0.0.0",  # noqa: S104  a service that partners cannot reach is none
        port: int = 8080,
        path: str = DEFAULT_PATH,
        version: str = DEFAULT_VERSION,
        *,
        address_book: AddressBook | None = None,
        market: Market | None = None,
        rules: RuleSet | None = None,
        journal: str | Path | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        options: TransportOptions | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
        handling: Backoff | None = None,
    ) -> None:
        self.sender_domain, self.clock = sender_domain, clock
        self.version = version if version != DEFAULT_VERSION else self.protocol_version
        self.identity = Identity(sender_domain, self.sender_role, signing_key)
        self.market, self.rules = market or Market(), rules or RuleSet()
        self.host, self.path, self._port, self._tls = host, path, port, tls
        self.address_book = FunctionAddressBook(
            key_lookup_function,
            endpoint_lookup_function,
            oauth_lookup_function,
            address_book or DnsAddressBook(),
        )
        where = journal if journal is not None else default_journal_path(sender_domain, self.sender_role)
        self.journal = Journal(open_database(where), f"{sender_domain} {self.sender_role}")
        self._options = options or TransportOptions(connections=self.num_outbound_threads)
        self.outbox = Outbox(
            self.journal, self.address_book, policy=retry, options=self._options,
            on_failure=self.process_transport_failure, on_fault=self.process_faulty_partner, clock=clock,
        )  # fmt: skip
        policy = retry or RetryPolicy()
        self.reply_watch = ReplyWatch(self.journal, policy.answer_within, self.process_missing_answer, clock)
        traffic = Traffic()
        counter = Counter(
            self.identity, self.journal, self.market, self.rules, handling or HandlingPolicy(), clock,
            self.num_inbound_threads,
        )  # fmt: skip
        self.desk = MessageDesk(counter, self, traffic)
        self.receiver = Receiver(self.journal, self.address_book, self.desk, limits, clock, traffic)
        self.wsgi, self.asgi = WsgiFace(self.receiver, path), AsgiFace(self.receiver, path)
        self._server: HttpServer | None = None
        self._working = False
        self._clients: dict[tuple[str, UsefRole, str], SyncClient] = {}

    @property
    def app(self) -> AsgiFace:
        """The ASGI application, for uvicorn and its like; start the workers with `start_workers`."""
        return self.asgi

    @property
    def port(self) -> int:
        """The port that we listen on."""
        return self._server.port if self._server else self._port

    def receive(self, body: bytes, headers: Mapping[str, str], peer: str = "") -> Answer:
        """Take one HTTP request: see `Receiver.receive`."""
        return self.receiver.receive(body, headers, peer)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, message: PayloadMessage, recipient_role: UsefRole | None = None) -> PayloadMessage:
        """Put a message into the outbox, which delivers it even after a crash; give it as it will be sent.

        Args:
            message: The message; it names its recipient.
            recipient_role: Needed for a TestMessage only.

        Raises:
            InvalidValue: The message is not as the standard says.
        """
        prepared = complete(message, self.sender_domain, message.recipient_domain or "", message.version)
        self.journal.add_outgoing([self.desk.outgoing(prepared, recipient_role)])
        return prepared

    def _client(self, domain: str, role: UsefRole, version: str) -> Any:
        key = (domain, role, version)
        if key not in self._clients:
            self._clients[key] = CLIENTS[self.sender_role, role](
                self.sender_domain, self.identity.signing_key, domain, version=version,
                address_book=self.address_book, options=self._options,
                recorder=JournalRecorder(self.journal, self.outbox, self.clock),
            )  # fmt: skip
        return self._clients[key]

    def agr_client(
        self, domain: str, version: str = DEFAULT_VERSION
    ) -> ShapeshifterDsoAgrClient | ShapeshifterCroAgrClient:
        """Give the client for an aggregator."""
        client: ShapeshifterDsoAgrClient | ShapeshifterCroAgrClient = self._client(
            domain, UsefRole.AGR, version
        )
        return client

    def dso_client(
        self, domain: str, version: str = DEFAULT_VERSION
    ) -> ShapeshifterAgrDsoClient | ShapeshifterCroDsoClient:
        """Give the client for a grid operator."""
        client: ShapeshifterAgrDsoClient | ShapeshifterCroDsoClient = self._client(
            domain, UsefRole.DSO, version
        )
        return client

    def cro_client(
        self, domain: str, version: str = DEFAULT_VERSION
    ) -> ShapeshifterAgrCroClient | ShapeshifterDsoCroClient:
        """Give the client for a common reference operator."""
        client: ShapeshifterAgrCroClient | ShapeshifterDsoCroClient = self._client(
            domain, UsefRole.CRO, version
        )
        return client

    # --- hooks -------------------------------------------------------------------------------------------------------

    def default_answer(self, message: PayloadMessage) -> PayloadMessage:
        """Make the answer to a request that keeps all rules and whose hook says nothing: accepted."""
        return make_response(message)

    def process_test_message(self, message: TestMessage, sender_role: UsefRole) -> Any:
        """Decide what to do with a connectivity test; by default it is answered."""
        return None

    def process_test_message_response(self, message: TestMessageResponse) -> None:
        """Take note of the answer to a connectivity test of ours."""

    def process_transport_failure(self, entry: Entry, error: TransportError) -> None:
        """Take note that a message of ours could not be delivered, and is given up."""

    def process_handling_failure(self, entry: Entry, error: Exception) -> None:
        """Take note that a received message is given up: its hook failed for hours; a request has been rejected."""

    def process_missing_answer(self, entry: Entry) -> None:
        """Take note that a request of ours was delivered, and not answered in time; `message_of` reads it."""

    def process_faulty_partner(self, fault: Fault) -> None:
        """Take note that nothing more is sent to a partner until `clear_faulty_partner` is called for it."""

    def clear_faulty_partner(self, domain: str, role: UsefRole) -> bool:
        """Send to a partner again, what waits for it first; tell whether it was marked as faulty."""
        cleared = self.journal.partners.clear((domain, role))
        self.outbox.wake((domain, role))
        return cleared

    def try_again(self, direction: Direction, message_id: str | None = None) -> int:
        """Take up what failed for good, and at once what waits for its next attempt; see `Journal.try_again`."""
        return self.journal.try_again(direction, self.clock(), message_id)

    # --- running -----------------------------------------------------------------------------------------------------

    def start_workers(self) -> None:
        """Start handling and delivering in the background; for those who bring their own server.

        Raises:
            JournalInUse: Another running service does that for this journal.
        """
        if not self._working:
            self.journal.claim()
            self._working = True
            self.outbox.start()
            self.desk.start()
            self.reply_watch.start()

    def run_in_thread(self) -> Self:
        """Start listening, handling and delivering in the background; return when the port is open.

        Raises:
            JournalInUse: Another running service has this journal.
        """
        if self._server is None:
            self.start_workers()
            from shapeshifter_uftp.service.server import HttpServer  # noqa: PLC0415  others bring their own

            server = HttpServer(self.asgi, self.host, self._port, self.receiver.limits, self._tls)
            try:
                server.start()
            except BaseException:
                self.stop()
                raise
            self._server = server
        return self

    def run(self) -> None:
        """Start, and stay until `stop` is called or the process is told to end."""
        self.run_in_thread()
        try:
            if self._server is not None:
                self._server.wait()
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Stop listening, finish what is in hand, and leave the rest to the next start."""
        if self._server is not None:
            server, self._server = self._server, None
            self._port = server.port
            server.stop()
        self.asgi.close()
        self.reply_watch.stop()
        self.desk.stop()
        self.outbox.stop()
        self.journal.release()
        self._working = False
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def close(self) -> None:
        """Stop for good, and close the journal."""
        self.stop()
        self.journal.close()

    def __enter__(self) -> Self:
        """Start in the background."""
        return self.run_in_thread()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

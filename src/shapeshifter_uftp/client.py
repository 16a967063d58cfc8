"""The clients: one for each pair of roles, in a synchronous and an asyncio form.

::

    client = ShapeshifterAgrDsoClient("agr.example.com", private_key, "dso.example.com",
                                      "https://dso.example.com/shapeshifter/api/v3/message", public_key)
    response = client.send_flex_offer(offer)

Every client keeps one connection open; close it with ``close()`` or use it in a ``with`` block (``async with`` and
``await aclose()`` for the asyncio form). Sending once is all that a client does: what must arrive belongs into an
`shapeshifter_uftp.outbox.Outbox`, which retries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from shapeshifter_uftp import conversations
from shapeshifter_uftp.addresses import AddressBook, Participant
from shapeshifter_uftp.discovery import DnsAddressBook
from shapeshifter_uftp.exceptions import ServiceDiscoveryException, TransportError, UnverifiedAnswerException
from shapeshifter_uftp.exchange import Exchange, HttpRequest, Identity, complete, seal_for_post
from shapeshifter_uftp.posting import RequestMaker, deliver, deliver_now
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import DEFAULT_VERSION, PayloadMessage, PayloadMessageResponse

if TYPE_CHECKING:
    import ssl

    import httpx

    from shapeshifter_uftp.oauth import OAuthClient, PassthroughOAuthClient

__all__ = [
    "AsyncShapeshifterAgrCroClient", "AsyncShapeshifterAgrDsoClient", "AsyncShapeshifterCroAgrClient",
    "AsyncShapeshifterCroDsoClient", "AsyncShapeshifterDsoAgrClient", "AsyncShapeshifterDsoCroClient", "Recorder",
    "ShapeshifterAgrCroClient", "ShapeshifterAgrDsoClient", "ShapeshifterCroAgrClient", "ShapeshifterCroDsoClient",
    "ShapeshifterDsoAgrClient", "ShapeshifterDsoCroClient", "TransportOptions", "client_map",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Means of reaching partners.

    Attributes:
        timeout: Longest wait for connecting, and for each read and write [s].
        tls: TLS settings: authorities to trust, client certificate. None: those of the system, no certificate.
        proxy: URL of an HTTP proxy.
        connections: Most connections kept open at once.
        allow_empty: Send lists empty that the schema does not want empty, see `message_to_xml`.
    """

    timeout: float = 30.0
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    connections: int = 8
    allow_empty: bool = False

    def http_arguments(self) -> dict[str, Any]:
        """Give the arguments of an ``httpx.Client``."""
        import httpx  # noqa: PLC0415  loaded only when something is sent: it is most of our start

        return {
            "timeout": self.timeout,
            "verify": self.tls if self.tls is not None else True,
            "proxy": self.proxy,
            "follow_redirects": False,  # `Exchange` follows them, and keeps the POST
            "limits": httpx.Limits(
                max_connections=self.connections, max_keepalive_connections=self.connections
            ),
            "headers": {"User-Agent": "shapeshifter-uftp"},
        }


class Recorder(Protocol):
    """Keeps what a client sends."""

    def sending(self, message: PayloadMessage, content: bytes, recipient_role: UsefRole) -> None:
        """Take note of a message that is about to be posted.

        Raises:
            ClientTransportException: Nothing is to be posted to this partner.
        """
        ...

    def delivered(
        self, message: PayloadMessage, recipient_role: UsefRole, answer: PayloadMessageResponse | None
    ) -> None:
        """Take note that the partner has stored a message, and of what it answered at once, if it did."""
        ...

    def failed(self, message: PayloadMessage, recipient_role: UsefRole, error: TransportError) -> None:
        """Take note that a message did not get through."""
        ...


class _Client:
    """The common part of both forms: who we are, whom we talk to, and how that is found out.

    Args:
        sender_domain: Our domain.
        signing_key: Our private key, base64: 64 bytes, or the 32-byte seed.
        recipient_domain: The partner's domain.
        recipient_endpoint: URL to post to; None: look it up.
        recipient_signing_key: The partner's public key(s); None: look it up when needed.
        oauth_client: Gives the bearer token, where the endpoint wants one.
        version: The version of UFTP that the partner speaks: messages are written in it.
        address_book: Where to look up what was not given; None: DNS.
        options: How to reach the partner.
        recorder: Told of everything that is sent, before it is sent: the journal of a service.
        http: An ``httpx.Client`` (or ``AsyncClient``) to use instead of one of our own; it is not closed by us.
    """

    sender_role: ClassVar[UsefRole]
    recipient_role: ClassVar[UsefRole]
    request_timeout: ClassVar[float] = 30.0
    """Longest wait [s], where ``options`` do not say."""
    protocol_version: ClassVar[str] = DEFAULT_VERSION
    """The version of UFTP that the partner speaks, where ``version`` does not say."""

    # How earlier versions retried; here a client sends once, and a `RetryPolicy` says how an outbox retries.
    num_outgoing_workers: ClassVar[int] = 10
    num_delivery_attempts: ClassVar[int] = 10
    exponential_retry_factor: ClassVar[float] = 1.0
    exponential_retry_base: ClassVar[float] = 2.0

    def __init__(  # noqa: PLR0913  the order of the first seven is promised; what is newer comes by keyword
        self,
        sender_domain: str,
        signing_key: str,
        recipient_domain: str,
        recipient_endpoint: str | None = None,
        recipient_signing_key: str | None = None,
        oauth_client: OAuthClient | PassthroughOAuthClient | None = None,
        version: str = DEFAULT_VERSION,
        *,
        address_book: AddressBook | None = None,
        options: TransportOptions | None = None,
        http: Any = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.sender_domain, self.recipient_domain = sender_domain, recipient_domain
        self.version = version if version != DEFAULT_VERSION else self.protocol_version
        self.recipient_endpoint, self.recipient_signing_key = recipient_endpoint, recipient_signing_key
        self.oauth_client = oauth_client
        self.options = options or TransportOptions(timeout=self.request_timeout)
        self._identity = Identity(sender_domain, self.sender_role, signing_key)
        self._address_book = address_book or DnsAddressBook()
        self._given_http: Any = http
        self._recorder = recorder
        self._own_http: Any = None
        self._requests: RequestMaker

    def __repr__(self) -> str:
        """Show the partners, not the key."""
        return f"{type(self).__name__}({self.sender_domain!r}, ..., {self.recipient_domain!r})"

    def _partner(self) -> Participant:
        """Find the endpoint, and what comes with it; a key is looked up when an answer needs it."""
        endpoint, key = self.recipient_endpoint, self.recipient_signing_key
        if endpoint is None:
            found = self._address_book.find(self.recipient_domain, self.recipient_role)
            endpoint, key = found.endpoint, key or found.public_key
            if self.oauth_client is None:
                self.oauth_client = found.oauth_client
            if endpoint is None:
                raise ServiceDiscoveryException(
                    f"No endpoint of {self.recipient_role} {self.recipient_domain} is known"
                )
        return Participant(self.recipient_domain, self.recipient_role, key, endpoint, self.oauth_client)

    def prepare(self, message: PayloadMessage) -> PayloadMessage:
        """Give the message as it would be sent: a copy with all metadata, in the partner's version."""
        return complete(message, self.sender_domain, self.recipient_domain, self.version)

    def _exchange(self, message: PayloadMessage) -> Exchange:
        """Seal a message and find its way; may wait for an address book and an authorisation server."""
        prepared = self.prepare(message)
        content = seal_for_post(prepared, self._identity, allow_empty=self.options.allow_empty)
        partner = self._partner()
        if self._recorder:
            # Before it is sent: the answer may come back sooner than the post returns.
            self._recorder.sending(prepared, content, self.recipient_role)
        authorization: dict[str, str] = {}
        renew = None
        if partner.oauth_client:
            with partner.oauth_client.ensure_authenticated() as oauth:
                authorization, renew = oauth.auth_header, oauth.renew
        # A key that was given to us is the only one that counts.
        look_up = None if self.recipient_signing_key else self._look_up_key
        return Exchange(
            prepared, content, partner.endpoint or "", authorization, partner.public_key, renew, look_up
        )

    def _look_up_key(self, anew: bool) -> str | None:
        return self._address_book.find(self.recipient_domain, self.recipient_role, refresh=anew).public_key

    def _http_request(self, request: HttpRequest) -> httpx.Request:
        if self._given_http is not None:  # what it was set up for is not ours to know
            made: httpx.Request = self._given_http.build_request(
                "POST", request.url, content=request.content, headers=request.headers
            )
            return made
        return self._requests.make(request)

    def _outcome(self, exchange: Exchange) -> PayloadMessageResponse:
        """Give the outcome of an exchange that is over."""
        outcome = exchange.outcome()
        if self._recorder:
            answer = outcome if exchange.is_answered else None
            self._recorder.delivered(exchange.sent, self.recipient_role, answer)
        return outcome

    @contextmanager
    def _noting_failure(self, exchange: Exchange) -> Iterator[None]:
        try:
            yield
        except UnverifiedAnswerException:
            if self._recorder:
                self._recorder.delivered(exchange.sent, self.recipient_role, None)
            raise
        except TransportError as error:
            if self._recorder:
                self._recorder.failed(exchange.sent, self.recipient_role, error)
            raise


class SyncClient(_Client):
    """A client whose methods wait for the answer; threads may share it."""

    @property
    def http(self) -> httpx.Client:
        """The HTTP client, made at first use."""
        if self._given_http is None and self._own_http is None:
            import httpx  # noqa: PLC0415  loaded only when something is sent

            own = httpx.Client(**self.options.http_arguments())
            self._requests, self._own_http = RequestMaker(own), own
        http: httpx.Client = self._given_http or self._own_http
        return http

    def _send(self, message: PayloadMessage) -> PayloadMessageResponse:
        exchange = self._exchange(message)
        with self._noting_failure(exchange):
            deliver_now(exchange, lambda request: self.http.send(self._http_request(request)))
        return self._outcome(exchange)

    def close(self) -> None:
        """Close the connections."""
        if self._own_http is not None:
            self._own_http.close()
            self._own_http = None

    def __enter__(self) -> Self:
        """Start a block at whose end the connections are closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()


class AsyncClient(_Client):
    """A client whose methods are awaited; for one event loop."""

    @property
    def http(self) -> httpx.AsyncClient:
        """The HTTP client, made at first use."""
        if self._given_http is None and self._own_http is None:
            import httpx  # noqa: PLC0415  loaded only when something is sent

            own = httpx.AsyncClient(**self.options.http_arguments())
            self._requests, self._own_http = RequestMaker(own), own
        http: httpx.AsyncClient = self._given_http or self._own_http
        return http

    async def _send(self, message: PayloadMessage) -> PayloadMessageResponse:
        import asyncio  # noqa: PLC0415  who awaits this has loaded it; a service that nobody awaits does without

        # With the endpoint given nothing waits, and a thread would only cost time.
        waits = self.recipient_endpoint is None or self.oauth_client is not None
        exchange = await asyncio.to_thread(self._exchange, message) if waits else self._exchange(message)

        async def receive(answer: httpx.Response) -> None:
            received = (answer.status_code, answer.headers, answer.content)
            if self.oauth_client is not None or answer.content:
                # A refused token is renewed there, or a key looked up, which waits for others.
                await asyncio.to_thread(exchange.receive, *received)
            else:
                exchange.receive(*received)

        with self._noting_failure(exchange):
            await deliver(exchange, lambda request: self.http.send(self._http_request(request)), receive)
        return self._outcome(exchange)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own_http is not None:
            await self._own_http.aclose()
            self._own_http = None

    async def __aenter__(self) -> Self:
        """Start a block at whose end the connections are closed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()


_Now = PayloadMessageResponse
_Later = Awaitable[PayloadMessageResponse]


class ShapeshifterAgrCroClient(SyncClient, conversations.AgrToCro[_Now]):
    """Lets an aggregator talk to the common reference operator."""


class ShapeshifterAgrDsoClient(SyncClient, conversations.AgrToDso[_Now]):
    """Lets an aggregator talk to a grid operator."""


class ShapeshifterCroAgrClient(SyncClient, conversations.CroToAgr[_Now]):
    """Lets the common reference operator talk to an aggregator."""


class ShapeshifterCroDsoClient(SyncClient, conversations.CroToDso[_Now]):
    """Lets the common reference operator talk to a grid operator."""


class ShapeshifterDsoAgrClient(SyncClient, conversations.DsoToAgr[_Now]):
    """Lets a grid operator talk to an aggregator."""


class ShapeshifterDsoCroClient(SyncClient, conversations.DsoToCro[_Now]):
    """Lets a grid operator talk to the common reference operator."""


class AsyncShapeshifterAgrCroClient(AsyncClient, conversations.AgrToCro[_Later]):
    """Lets an aggregator talk to the common reference operator, in asyncio."""


class AsyncShapeshifterAgrDsoClient(AsyncClient, conversations.AgrToDso[_Later]):
    """Lets an aggregator talk to a grid operator, in asyncio."""


class AsyncShapeshifterCroAgrClient(AsyncClient, conversations.CroToAgr[_Later]):
    """Lets the common reference operator talk to an aggregator, in asyncio."""


class AsyncShapeshifterCroDsoClient(AsyncClient, conversations.CroToDso[_Later]):
    """Lets the common reference operator talk to a grid operator, in asyncio."""


class AsyncShapeshifterDsoAgrClient(AsyncClient, conversations.DsoToAgr[_Later]):
    """Lets a grid operator talk to an aggregator, in asyncio."""


class AsyncShapeshifterDsoCroClient(AsyncClient, conversations.DsoToCro[_Later]):
    """Lets a grid operator talk to the common reference operator, in asyncio."""


CLIENTS: dict[tuple[UsefRole, UsefRole], type[SyncClient]] = {
    (cls.sender_role, cls.recipient_role): cls
    for cls in (
        ShapeshifterAgrCroClient, ShapeshifterAgrDsoClient, ShapeshifterCroAgrClient, ShapeshifterCroDsoClient,
        ShapeshifterDsoAgrClient, ShapeshifterDsoCroClient,
    )
}  # fmt: skip
"""(sender's role, recipient's role) to the synchronous client."""

client_map = CLIENTS
"""The same under its older name."""

"""One message to one partner, without any input or output: what to post, and what the answer means.

The synchronous and the asyncio clients and the outbox all drive this, so the protocol is written once. Source: UFTP
specification 3.1.0, "Transport" and "Metadata".
"""

from __future__ import annotations

import copy
import datetime as dt
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from shapeshifter_uftp.exceptions import (
    ClientTransportException,
    InvalidSignatureException,
    InvalidValue,
    SchemaException,
    ServiceDiscoveryException,
    ShapeshifterError,
    UnverifiedAnswerException,
)
from shapeshifter_uftp.isp_calendar import instant_of
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.sealing import (
    envelope_from_xml,
    envelope_to_xml,
    open_sealed,
    read_public_keys,
    seal_xml,
)
from shapeshifter_uftp.uftp.enumerations import AcceptedRejected, UsefRole
from shapeshifter_uftp.uftp.payload import PayloadMessage, PayloadMessageResponse, SignedMessage
from shapeshifter_uftp.uftp.routing import routing_map
from shapeshifter_uftp.writing import check_message, message_to_xml

__all__ = ["Exchange", "HttpRequest", "Identity", "complete", "post_headers", "seal_for_post"]

_log = logging.getLogger("shapeshifter_uftp.client")
_REDIRECTS = frozenset({301, 302, 307, 308})
_MOST_REDIRECTS = 3
_LONGEST_ANSWER = 1_000_000
_LONGEST_START = 2_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Our identity.

    Attributes:
        domain: Our domain.
        role: Our role.
        signing_key: Our private key; not shown.
    """

    domain: str
    role: UsefRole
    signing_key: str = field(repr=False)


def complete(
    message: PayloadMessage, sender_domain: str, recipient_domain: str, version: str | None = None
) -> PayloadMessage:
    """Fill in the metadata in a copy; what the caller set stays, the caller's object is not touched.

    An expiry without zone is given the zone that the message speaks of. ``version``, when given, decides the dialect.
    """
    check_message(message)
    filled = copy.copy(message)
    filled.sender_domain = message.sender_domain or sender_domain
    filled.recipient_domain = message.recipient_domain or recipient_domain
    filled.message_id = message.message_id or str(uuid.uuid4())
    filled.conversation_id = message.conversation_id or str(uuid.uuid4())
    now = dt.datetime.now(dt.UTC)
    filled.time_stamp = message.time_stamp or now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    filled.version = version or message.version
    expiry = getattr(filled, "expiration_date_time", None)
    if isinstance(expiry, str) and not (expiry.endswith("Z") or expiry[-6:-5] in {"+", "-"}):
        filled.expiration_date_time = instant_of(expiry, filled.time_zone).isoformat()  # type: ignore[attr-defined]
    return filled


def seal_for_post(message: PayloadMessage, identity: Identity, *, allow_empty: bool = False) -> bytes:
    """Write, sign and wrap a complete message: the bytes that travel, and that every retry repeats.

    Raises:
        InvalidValue: The message is not as the standard says, or is not ours to send.
    """
    sender_role = routing_map.get(type(message), (None, None))[0]
    if sender_role not in {None, identity.role}:
        raise InvalidValue(
            f"A {type(message).wire_name} is sent by the {sender_role}, not by the {identity.role}"
        )
    xml = message_to_xml(message, allow_empty=allow_empty)
    envelope = SignedMessage(
        sender_domain=identity.domain, sender_role=identity.role, body=seal_xml(xml, identity.signing_key)
    )
    return envelope_to_xml(envelope)


def post_headers(authorization: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the HTTP headers of a post."""
    return {"Content-Type": "text/xml; charset=utf-8", **(authorization or {})}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Something to post."""

    url: str
    headers: dict[str, str]
    content: bytes


class Exchange:
    """Posting one envelope: follow it with `request`, `receive` and, when `request` is None, `outcome`.

    Args:
        sent: The complete message that is in the envelope.
        content: The envelope's bytes.
        endpoint: Where to post them.
        authorization: Headers for the endpoint's host.
        public_key: The partner's key, for a signed answer; None: look it up when one comes.
        renew: Gives another authorization than the one in some headers, which the endpoint refused; None: there is
            none to be had.
        look_up_key: Looks the partner's key up, anew when told to; None: only the one given counts.
    """

    def __init__(
        self,
        sent: PayloadMessage,
        content: bytes,
        endpoint: str,
        authorization: Mapping[str, str] | None = None,
        public_key: str | None = None,
        renew: Callable[[Mapping[str, str]], Mapping[str, str]] | None = None,
        look_up_key: Callable[[bool], str | None] | None = None,
    ) -> None:
        self.sent = sent
        self._public_key, self._renew, self._look_up_key = public_key, renew, look_up_key
        self._hops = 0
        self._outcome: PayloadMessageResponse | None = None
        self.is_answered = False
        """Tell whether the partner itself has said, in the HTTP answer, what becomes of the message."""
        self.request: HttpRequest | None = HttpRequest(endpoint, post_headers(authorization), content)

    def receive(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Take an HTTP answer.

        Raises:
            ClientTransportException: It is not a success.
            InvalidSignatureException: It has a body that the partner did not sign.
            UnverifiedAnswerException: It has a signed body, and there is no key to verify it.
        """
        request = self.request
        if request is None:
            raise InvalidValue("This exchange is over: there was nothing to receive")
        if status in _REDIRECTS:
            self.request = self._redirected(request, status, headers)
            return
        if status == 401 and self._renew is not None and "Authorization" in request.headers:
            # The token may have been revoked; a signature that does not fit is refused again.
            renew, self._renew = self._renew, None
            self.request = HttpRequest(request.url, post_headers(renew(request.headers)), request.content)
            return
        self.request = None
        if not 200 <= status < 300:
            text = content[:300].decode("utf-8", "replace")
            # What a stranger wrote goes into logs and databases: no line breaks, no NUL.
            shown = "".join(letter if letter.isprintable() else " " for letter in text)
            raise ClientTransportException(f"{request.url} answered {status}: {shown}", http_status=status)
        self._outcome = self._read_answer(content)

    def _redirected(self, request: HttpRequest, status: int, headers: Mapping[str, str]) -> HttpRequest:
        # The same bytes are posted again, also after 301 and 302: a message turned into a GET would be lost.
        location = headers.get("location", "")
        url = urljoin(request.url, location)
        self._hops += 1
        if not location or self._hops > _MOST_REDIRECTS:
            raise ClientTransportException(
                f"{request.url} redirects too often, or to nowhere", http_status=status
            )
        old, new = urlsplit(request.url), urlsplit(url)
        if old.scheme == "https" != new.scheme or new.scheme not in {"http", "https"}:
            raise ClientTransportException(
                f"{request.url} redirects to {url}, which is not secure", http_status=status
            )
        # A bearer token is for the host that it was made for.
        kept = request.headers if old.netloc == new.netloc else post_headers()
        return HttpRequest(url, kept, request.content)

    def outcome(self) -> PayloadMessageResponse:
        """Give the answer: the partner's signed one, or for an empty body one of ours saying Accepted.

        Accepted then means only that the message is stored; the answer that counts comes as a message.
        """
        if self._outcome is None:
            raise InvalidValue("This exchange is not over yet")
        return self._outcome

    def _read_answer(self, content: bytes) -> PayloadMessageResponse:
        if not content.strip():
            return self._stored()
        try:
            if len(content) > _LONGEST_ANSWER:
                raise SchemaException("The answer is too long")
            envelope = envelope_from_xml(content)
        except ShapeshifterError:
            if b"<SignedMessage" in content[:_LONGEST_START]:
                # It may say no: taking it for nothing would be taking a refusal for acceptance.
                raise UnverifiedAnswerException(
                    "The message was taken, with an answer that cannot be read"
                ) from None
            _log.debug("The answer to %s is not a signed message: ignored", self.sent.message_id)
            return self._stored()
        answer = message_from_xml(self._open(envelope))
        if answer.sender_domain not in {None, envelope.sender_domain}:
            raise InvalidSignatureException(
                f"The answer is signed by {envelope.sender_domain} for somebody else"
            )
        self.is_answered = isinstance(answer, PayloadMessageResponse)
        return answer if isinstance(answer, PayloadMessageResponse) else self._stored()

    def _open(self, envelope: SignedMessage) -> bytes:
        """Verify a signed answer with the key given, or as looked up, or as looked up anew."""
        refused: InvalidSignatureException | None = None
        why = "there is no key"
        for keys in self._keys():
            try:
                return open_sealed(envelope.body, read_public_keys(keys or ""))
            except InvalidSignatureException as error:
                refused = error
            except InvalidValue as error:
                why = str(error)
        if refused is not None:
            raise refused
        raise UnverifiedAnswerException(
            f"The message was taken, with an answer that cannot be verified: {why}"
        )

    def _keys(self) -> Iterator[str | None]:
        if self._public_key:
            yield self._public_key
        for anew in (False, True) if self._look_up_key else ():
            try:
                yield self._look_up_key(anew) if self._look_up_key else None
            except ServiceDiscoveryException as error:
                _log.warning(
                    "The key for the answer to %s cannot be looked up: %s", self.sent.message_id, error
                )

    def _stored(self) -> PayloadMessageResponse:
        sent = self.sent
        return PayloadMessageResponse(
            version=sent.version,
            sender_domain=sent.recipient_domain,
            recipient_domain=sent.sender_domain,
            time_stamp=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            message_id=str(uuid.uuid4()),
            conversation_id=sent.conversation_id,
            result=AcceptedRejected.ACCEPTED,
        )

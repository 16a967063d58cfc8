"""Every error of the library, in one tree.

::

    ShapeshifterError
    ├─ InvalidValue                     a value of our own that the standard does not allow
    │  └─ NotAMessage                   no message of UFTP at all
    ├─ JournalInUse                     another running service has this journal
    ├─ TransportError(http_status)      the message did not get through; also called TransportException
    │  ├─ MissingContentLengthException 411      ├─ InvalidContentTypeException 400
    │  ├─ TooManyRequestsException 429           ├─ SchemaException 400
    │  ├─ AuthenticationTimeoutException 419     ├─ InvalidSignatureException 401
    │  ├─ MessageTooLargeException 413           ├─ ServiceDiscoveryException
    │  ├─ UnverifiedAnswerException
    │  └─ ClientTransportException(response)
    └─ Rejection(reason)                the message got through and is refused; also called
    FunctionalException
       └─ one class for each standard reason

Source: UFTP specification 3.1.0, "Transport" (status codes) and "Message validation" (rejection reasons).
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AlreadySubmittedException",
    "AuthenticationTimeoutException",
    "BarredSenderException",
    "ClientTransportException",
    "ConnectionConflictException",
    "DuplicateIdentifierException",
    "ExpirationDateTimeOutOfBoundsException",
    "FunctionalException",
    "ISPConflictException",
    "ISPDurationRejectedException",
    "ISPsOutOfBoundsException",
    "InvalidCongestionPointException",
    "InvalidContentTypeException",
    "InvalidMessageException",
    "InvalidSenderException",
    "InvalidSignatureException",
    "InvalidValue",
    "JournalInUse",
    "MessageTooLargeException",
    "MissingContentLengthException",
    "NotAMessage",
    "PeriodOutOfBoundsException",
    "ReferenceMessageExpiredException",
    "ReferenceMessageRevokedException",
    "ReferencePeriodMismatchException",
    "Rejection",
    "SchemaException",
    "ServiceDiscoveryException",
    "ShapeshifterError",
    "SubordinateSequenceNumberException",
    "TimeZoneRejectedException",
    "TooManyRequestsException",
    "TransportError",
    "TransportException",
    "UnauthorizedException",
    "UnknownRecipientException",
    "UnknownReferenceException",
    "UnverifiedAnswerException",
]


class ShapeshifterError(Exception):
    """The base of every error that this library raises on purpose."""


class InvalidValue(ShapeshifterError, ValueError):
    """A value that the standard does not allow; the message names field, value and rule."""


class NotAMessage(InvalidValue, TypeError):
    """Something was given where a message of UFTP belongs."""


class JournalInUse(ShapeshifterError):
    """Another running service handles the messages of this journal."""


class TransportError(ShapeshifterError):
    """A message did not get through: it was not stored by the other side, or not by us.

    Attributes:
        http_status: The HTTP status that says so; None where no HTTP answer was had at all.
    """

    default_status: ClassVar[int | None] = None

    def __init__(self, *args: object, http_status: int | None = None) -> None:
        super().__init__(*args)
        self.http_status = http_status if http_status is not None else self.default_status

    @property
    def http_status_code(self) -> int | None:
        """The same as `http_status`, under its older name."""
        return self.http_status

    @property
    def temporary(self) -> bool:
        """Tell whether the same bytes may get through later.

        Final are only the unambiguous 4xx answers: 404 may be a proxy during a restart, 408, 419, 425 and
        429 speak of time, and everything unknown (5xx, 524, no answer) is retried. Source: specification,
        "Transport".
        """
        status = self.http_status
        return status is None or not 300 <= status < 500 or status in {404, 408, 419, 425, 429}


TransportException = TransportError


class MissingContentLengthException(TransportError):
    """The request does not tell the length of its body."""

    default_status = 411


class InvalidContentTypeException(TransportError):
    """The request is not ``text/xml`` in UTF-8."""

    default_status = 400


class TooManyRequestsException(TransportError):
    """The sender sends faster than we are willing to read."""

    default_status = 429


class MessageTooLargeException(TransportError):
    """The body is larger than any sensible message."""

    default_status = 413


class SchemaException(TransportError):
    """The envelope or the message inside it is not XML, or not as its schema says."""

    default_status = 400


class AuthenticationTimeoutException(TransportError):
    """The public key of the sender could not be looked up (temporary)."""

    default_status = 419


class InvalidSignatureException(TransportError):
    """The signature does not belong to the sender's key and these bytes."""

    default_status = 401


class ServiceDiscoveryException(TransportError):
    """Endpoint, version or key of a participant could not be found (temporary)."""


class UnverifiedAnswerException(TransportError):
    """The partner took a message and signed an answer that nobody can verify: whether it is accepted is not known."""


class ClientTransportException(TransportError):
    """The peer answered with something else than success, or did not answer.

    Attributes:
        response: The HTTP response, or None when there was none.
    """

    def __init__(self, *args: object, response: Any = None, http_status: int | None = None) -> None:
        status = http_status if http_status is not None else getattr(response, "status_code", None)
        super().__init__(*args, http_status=status)
        self.response = response


class Rejection(ShapeshifterError):
    """A message that was received in good order and is refused for what it says.

    Attributes:
        reason: The text for ``RejectionReason``: the standard words first, details after a colon.
    """

    standard_reason: ClassVar[str] = "Invalid Message"

    def __init__(self, reason: str | None = None, *, detail: str = "") -> None:
        words = self.standard_reason if reason is None else reason
        self.reason = f"{words}: {detail}" if detail else words
        super().__init__(self.reason)

    @property
    def rejection_reason(self) -> str:
        """The same as `reason`, under its older name."""
        return self.reason


FunctionalException = Rejection


class _StandardRejection(Rejection):
    """A rejection with standard words; what the caller says becomes the detail after the colon."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(None, detail=detail)


class InvalidMessageException(_StandardRejection):
    """Anything for which the standard has no words of its own."""

    standard_reason = "Invalid Message"


class InvalidSenderException(_StandardRejection):
    """The envelope and the message name different senders, or this role may not send this type to us."""

    standard_reason = "Invalid Sender"


class UnknownRecipientException(_StandardRejection):
    """The message is meant for somebody else."""

    standard_reason = "Unknown Recipient"


class BarredSenderException(_StandardRejection):
    """We do not trade with this sender."""

    standard_reason = "Barred Sender"


class DuplicateIdentifierException(_StandardRejection):
    """The MessageID was used before, for another content."""

    standard_reason = "Duplicate Identifier"


class AlreadySubmittedException(_StandardRejection):
    """The very same message was handled before."""

    standard_reason = "Already Submitted"


class ISPDurationRejectedException(_StandardRejection):
    """The market agreed on another ISP duration."""

    standard_reason = "ISP duration rejected"


class TimeZoneRejectedException(_StandardRejection):
    """The market agreed on a time zone with another UTC offset."""

    standard_reason = "Time zone rejected"


class InvalidCongestionPointException(_StandardRejection):
    """The congestion point is unknown, or we are not active there."""

    standard_reason = "Invalid congestion point"


class UnknownReferenceException(Rejection):
    """A message id (or other reference) that we do not know from this partner."""

    def __init__(self, field_name: str = "", detail: str = "") -> None:
        super().__init__(f"Unknown reference {field_name}".rstrip(), detail=detail)


class ReferencePeriodMismatchException(_StandardRejection):
    """The message and the one it refers to speak of different days."""

    standard_reason = "Reference Period mismatch"


class ReferenceMessageExpiredException(_StandardRejection):
    """The message referred to is no longer valid."""

    standard_reason = "Reference message expired"


class ReferenceMessageRevokedException(_StandardRejection):
    """The message referred to was revoked."""

    standard_reason = "Reference message revoked"


class ISPsOutOfBoundsException(_StandardRejection):
    """An ISP number that the day does not have."""

    standard_reason = "ISPs out of bounds"


class ISPConflictException(_StandardRejection):
    """An ISP that is addressed twice."""

    standard_reason = "ISP conflict"


class PeriodOutOfBoundsException(_StandardRejection):
    """A day that cannot be meant."""

    standard_reason = "Period out of bounds"


class ExpirationDateTimeOutOfBoundsException(_StandardRejection):
    """An expiry in the past, or after the end of the last ISP listed."""

    standard_reason = "ExpirationDateTime out of bounds"


class UnauthorizedException(_StandardRejection):
    """The reference operator does not know this participant."""

    standard_reason = "Unauthorized"


class ConnectionConflictException(Rejection):
    """A connection that already belongs to another congestion point."""

    def __init__(self, connection_entity_address: str, congestion_point_entity_address: str) -> None:
        super().__init__(
            f"Connection conflict: {connection_entity_address} at {congestion_point_entity_address}"
        )


class SubordinateSequenceNumberException(_StandardRejection):
    """A newer revision was handled before."""

    standard_reason = "Subordinate sequence number"

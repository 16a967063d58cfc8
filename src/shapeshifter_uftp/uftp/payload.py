"""Common parts of messages: metadata, the outcome of a response, the market of a flex message, the envelope."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from shapeshifter_uftp.uftp.enumerations import AcceptedRejected, UsefRole
from shapeshifter_uftp.uftp.lexical import (
    DATE_TIME,
    DOMAIN,
    DURATION,
    ENTITY_ADDRESS,
    PERIOD,
    RESULT,
    ROLE,
    STRING,
    TIME_ZONE,
    UUID,
    VERSION,
    Kind,
)
from shapeshifter_uftp.uftp.structure import Converted, attribute, element, optional

__all__ = [
    "DEFAULT_TIME_ZONE",
    "DEFAULT_VERSION",
    "FlexMessage",
    "PayloadMessage",
    "PayloadMessageResponse",
    "SignedMessage",
]

DEFAULT_TIME_ZONE = "Europe/Amsterdam"
DEFAULT_VERSION = "3.1.0"


def metadata(wire: str, kind: Kind, doc: str, default: str | None = None) -> str | None:
    """Declare a required attribute that the library fills in at sending when the caller leaves it out."""
    filled: str | None = attribute(wire, kind, doc, default=default, required=True)
    return filled


@dataclass(kw_only=True, slots=True)
class PayloadMessage(Converted):
    """A message inside an envelope.

    A client fills in what is left out, in a copy: domains from its constructor, a new MessageID, the present
    TimeStamp, and a new ConversationID when the message starts a conversation. Source: specification,
    "Metadata".
    """

    version: str | None = metadata(
        "Version", VERSION, "version of UFTP that the message is written in", DEFAULT_VERSION
    )
    sender_domain: str | None = metadata("SenderDomain", DOMAIN, "who sends; must equal the envelope's")
    recipient_domain: str | None = metadata("RecipientDomain", DOMAIN, "for whom it is meant")
    time_stamp: str | None = metadata("TimeStamp", DATE_TIME, "when it was made")
    message_id: str | None = metadata("MessageID", UUID, "new for every message, the same in every retry")
    conversation_id: str | None = metadata("ConversationID", UUID, "the same in all messages of one trade")


@element("PayloadMessageResponse")
@dataclass(kw_only=True, slots=True)
class PayloadMessageResponse(PayloadMessage):
    """The outcome of handling a message; on its own it is the answer body of peers that speak the 1.x way."""

    result: AcceptedRejected | None = attribute(
        "Result", RESULT, "the outcome", default=AcceptedRejected.ACCEPTED, required=True
    )
    rejection_reason: str | None = optional(
        "RejectionReason", STRING, "why not, for people; several reasons are joined by `;`"
    )


@dataclass(kw_only=True, slots=True)
class FlexMessage(PayloadMessage):
    """A message about the ISPs of one day at one congestion point."""

    isp_duration: dt.timedelta = attribute(
        "ISP-Duration", DURATION, "length of one ISP, agreed in the market"
    )
    time_zone: str = attribute(
        "TimeZone", TIME_ZONE, "zone whose days are the periods", default=DEFAULT_TIME_ZONE, required=True
    )
    period: dt.date = attribute("Period", PERIOD, "the day that the ISPs belong to")
    congestion_point: str = attribute("CongestionPoint", ENTITY_ADDRESS, "where in the grid")


@dataclass(kw_only=True, slots=True)
class SignedMessage:
    """The envelope: who says to have sent it, and the signed bytes.

    Attributes:
        sender_domain: The sender's domain, by which its key is looked up.
        sender_role: The role in which it speaks.
        body: Signature (64 bytes) followed by the inner XML; base64 on the wire.
    """

    sender_domain: str
    sender_role: UsefRole
    body: bytes


ENVELOPE_KINDS = {"SenderDomain": DOMAIN, "SenderRole": ROLE}

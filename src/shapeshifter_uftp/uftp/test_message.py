"""TestMessage: is anybody there? Any pair of participants, in any direction."""

# ruff: noqa: RUF009  the calls return dataclasses.field(): they are declarations, not shared defaults

from __future__ import annotations

from dataclasses import dataclass

from shapeshifter_uftp.uftp.enumerations import AcceptedRejected
from shapeshifter_uftp.uftp.lexical import RESULT, STRING
from shapeshifter_uftp.uftp.payload import PayloadMessage, PayloadMessageResponse
from shapeshifter_uftp.uftp.structure import element, optional

__all__ = ["TestMessage", "TestMessageResponse"]


@element("TestMessage")
@dataclass(kw_only=True, slots=True)
class TestMessage(PayloadMessage):
    """A connectivity test: nothing but metadata."""

    __test__ = False  # pytest takes a class with this name for a collection of tests


@element("TestMessageResponse")
@dataclass(kw_only=True, slots=True)
class TestMessageResponse(PayloadMessageResponse):
    """The answer to a TestMessage, recognised by its ConversationID.

    The schemas of 3.x allow no ``Result`` here, though some peers send one: it can be given, and is not written.
    """

    __test__ = False

    result: AcceptedRejected | None = optional("Result", RESULT, "the outcome, of peers", since=(4, 0))
    rejection_reason: str | None = optional("RejectionReason", STRING, "why not, of peers", since=(4, 0))

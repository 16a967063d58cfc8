"""TestMessage: is anybody there? Any pair of participants, in any direction."""

from __future__ import annotations

from dataclasses import dataclass

from shapeshifter_uftp.uftp.payload import PayloadMessage
from shapeshifter_uftp.uftp.structure import element

__all__ = ["TestMessage", "TestMessageResponse"]


@element("TestMessage")
@dataclass(kw_only=True, slots=True)
class TestMessage(PayloadMessage):
    """A connectivity test: nothing but metadata."""

    __test__ = False  # pytest takes a class with this name for a collection of tests


@element("TestMessageResponse")
@dataclass(kw_only=True, slots=True)
class TestMessageResponse(PayloadMessage):
    """The answer to a TestMessage, recognised by its ConversationID.

    The schemas of 3.x allow no ``Result`` here, though some peers send one.
    """

    __test__ = False

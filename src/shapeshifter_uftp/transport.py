"""The ways between a message and its bytes, and the look-ups, under their well-known names.

The work is done in `writing`, `reading`, `json_form`, `sealing` and `discovery`; this is the public door to it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from shapeshifter_uftp.discovery import get_endpoint, get_key, get_keys, get_version
from shapeshifter_uftp.json_form import from_json, to_json
from shapeshifter_uftp.reading import message_from_xml, parse
from shapeshifter_uftp.sealing import (
    KeyPair,
    envelope_from_xml,
    envelope_to_xml,
    generate_key_pair,
    seal_message,
    unseal_message,
)
from shapeshifter_uftp.uftp.payload import PayloadMessage, SignedMessage
from shapeshifter_uftp.writing import message_to_xml

__all__ = [
    "KeyPair", "from_json", "from_xml", "generate_key_pair", "get_endpoint", "get_key", "get_keys", "get_version",
    "seal_message", "to_json", "to_xml", "ttl_cache", "unseal_message",
]  # fmt: skip


P = ParamSpec("P")
T = TypeVar("T")


def ttl_cache(ttl: float) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Remember what a function returned for its arguments, for a time [s]: for look-ups of one's own."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        kept: dict[Any, tuple[float, T]] = {}

        @functools.wraps(function)
        def remembering(*args: P.args, **kwargs: P.kwargs) -> T:
            key = (args, tuple(sorted(kwargs.items())))
            found = kept.get(key)
            if found is None or found[0] <= time.monotonic():
                found = kept[key] = (time.monotonic() + ttl, function(*args, **kwargs))
            return found[1]

        return remembering

    return decorate


def to_xml(message: PayloadMessage | SignedMessage, *, strict: bool = False) -> str:
    """Write a message or an envelope as XML.

    Args:
        message: What to write.
        strict: Demand everything that the schema demands; without it, what is missing is left out.

    Raises:
        InvalidValue: A value is not allowed, or with ``strict`` missing.
    """
    if isinstance(message, SignedMessage):
        return envelope_to_xml(message).decode()
    return message_to_xml(message, draft=not strict).decode()


def from_xml(message: str | bytes, *, validate: bool = True) -> PayloadMessage | SignedMessage:
    """Read a message or an envelope.

    Args:
        message: The XML.
        validate: Check against the schema of the message's version.

    Raises:
        SchemaException: It is neither, or not as its schema says.
    """
    xml = message.encode() if isinstance(message, str) else message
    if b"<SignedMessage" in xml[:2000] and parse(xml).tag == "SignedMessage":
        return envelope_from_xml(xml)
    return message_from_xml(xml, validate=validate)

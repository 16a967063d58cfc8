"""Opening what is signed: whose key that takes, and when a key is looked up anew.

A sender changes its key now and then, and anybody can write a sender's name on a message. So a signature that does not
fit is a reason to look the key up again, but not for ever; and it is final only when the key has just been looked up.
Otherwise the answer is 419: the sender, if it was the sender, comes back when the look-up is due.

Source: UFTP specification 3.1.0, "Transport" and "Discovery".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from shapeshifter_uftp.addresses import AddressBook
from shapeshifter_uftp.exceptions import (
    AuthenticationTimeoutException,
    InvalidSignatureException,
    InvalidValue,
    ServiceDiscoveryException,
    TooManyRequestsException,
)
from shapeshifter_uftp.sealing import open_sealed, read_public_keys
from shapeshifter_uftp.uftp.enumerations import UsefRole
from shapeshifter_uftp.uftp.payload import SignedMessage

__all__ = ["Keyring"]

_PAUSE_BETWEEN_REFRESHES = 10.0
_MOST_REMEMBERED = 10_000
_Sender = tuple[str, UsefRole]
_Keys = tuple[bytes, ...]


class Keyring:
    """Verifies envelopes with the keys of an address book; threads share it.

    Args:
        address_book: Where keys are found.
        look_ups_at_once: How many senders that never signed anything well may be looked up at once.
        clock: Seconds since 1970.
    """

    def __init__(self, address_book: AddressBook, look_ups_at_once: int, clock: Callable[[], float]) -> None:
        self._address_book, self._clock = address_book, clock
        self._strangers = threading.BoundedSemaphore(look_ups_at_once)
        self._met: dict[_Sender, None] = {}
        self._refreshed: dict[_Sender, tuple[float, _Keys]] = {}
        self._lock = threading.Lock()

    def open(self, envelope: SignedMessage, *, trusting: bool = True) -> bytes:
        """Verify an envelope and return the inner XML.

        Args:
            envelope: What came.
            trusting: Whether keys may be looked up on the word of this peer; without it only senders are served whose
                signature has fitted before, and no key is looked up anew.

        Raises:
            AuthenticationTimeoutException: The key cannot be looked up now, or the one known may be an old one.
            InvalidSignatureException: The signature does not fit the key as it is now.
            TooManyRequestsException: The peer is not trusted, and the sender is not known.
        """
        sender = (envelope.sender_domain, envelope.sender_role)
        if not trusting and sender not in self._met:
            raise TooManyRequestsException(
                "Too many unsigned or badly signed messages come from this address"
            )
        keys = self._just_refreshed(sender) or self._find(sender)
        try:
            xml = open_sealed(envelope.body, keys)
        except InvalidSignatureException:
            xml = open_sealed(envelope.body, self._refresh(sender, trusting=trusting))
        if sender not in self._met:
            with self._lock:
                _remember(self._met, sender, None)
        return xml

    def _just_refreshed(self, sender: _Sender) -> _Keys:
        at, keys = self._refreshed.get(sender, (float("-inf"), ()))
        return keys if self._clock() - at < _PAUSE_BETWEEN_REFRESHES else ()

    def _refresh(self, sender: _Sender, *, trusting: bool) -> _Keys:
        """Look a key up anew, where that has not been done just now."""
        now = self._clock()
        with self._lock:
            since = now - self._refreshed.get(sender, (float("-inf"), ()))[0]
            if not trusting or since < _PAUSE_BETWEEN_REFRESHES:
                raise AuthenticationTimeoutException(
                    f"The signature does not fit the key of {sender[1]} {sender[0]}, which may be an old one: it is"
                    f" looked up again after {_PAUSE_BETWEEN_REFRESHES:.0f} s"
                )
            _remember(self._refreshed, sender, (now, ()))
        keys = self._find(sender, refresh=True)
        with self._lock:
            _remember(self._refreshed, sender, (now, keys))
        return keys

    def _find(self, sender: _Sender, *, refresh: bool = False) -> _Keys:
        if sender in self._met:
            return self._look_up(sender, refresh)
        if not self._strangers.acquire(blocking=False):
            raise AuthenticationTimeoutException("Too many unknown senders are being looked up")
        try:
            return self._look_up(sender, refresh)
        finally:
            self._strangers.release()

    def _look_up(self, sender: _Sender, refresh: bool) -> _Keys:
        domain, role = sender
        try:
            found = self._address_book.find(domain, role, refresh=refresh)
            if found.public_key is None:
                raise ServiceDiscoveryException("there is none")
            return read_public_keys(found.public_key)
        except (ServiceDiscoveryException, InvalidValue) as error:
            raise AuthenticationTimeoutException(
                f"The key of {role} {domain} cannot be looked up: {error}"
            ) from error


def _remember(memory: dict[_Sender, Any], sender: _Sender, value: Any) -> None:
    """Keep something about a sender, and forget about the one that was kept first when there are too many."""
    memory.pop(sender, None)
    memory[sender] = value
    if len(memory) > _MOST_REMEMBERED:
        del memory[next(iter(memory))]

"""Address book: public keys, endpoint and authorisation of other participants.

An address book is anything with ``find(domain, role)``: a list in memory or in a file, an agreed authority, or DNS.

Source: UFTP specification 3.1.0, "Discovery".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shapeshifter_uftp.exceptions import InvalidValue, ServiceDiscoveryException
from shapeshifter_uftp.uftp.enumerations import UsefRole

if TYPE_CHECKING:
    from shapeshifter_uftp.oauth import OAuthClient, PassthroughOAuthClient

__all__ = ["AddressBook", "DirectoryAddressBook", "FunctionAddressBook", "Participant"]


@dataclass(frozen=True, slots=True)
class Participant:
    """Details needed to exchange messages with somebody.

    Attributes:
        domain: Its domain.
        role: Its role.
        public_key: One or two signing keys, separated by white space; None when unknown.
        endpoint: URL to which messages are posted; None when unknown.
        oauth_client: Gives bearer tokens where the endpoint wants them.
        version: The version of UFTP that it speaks.
    """

    domain: str
    role: UsefRole
    public_key: str | None = None
    endpoint: str | None = None
    oauth_client: OAuthClient | PassthroughOAuthClient | None = None
    version: str | None = None


class AddressBook(Protocol):
    """Finds participants."""

    def find(self, domain: str, role: UsefRole, *, refresh: bool = False) -> Participant:
        """Look somebody up.

        Args:
            domain: The domain.
            role: The role; one domain may have several.
            refresh: Do not answer from a cache: the key may have changed.

        Raises:
            ServiceDiscoveryException: Nobody of that name and role can be found now.
        """
        ...


class DirectoryAddressBook:
    """Participants known beforehand: given as a list, or read from a JSON file.

    The file is a list of objects with ``domain``, ``role``, ``public_key``, ``endpoint`` and ``version``; it is read
    again when a key does not fit, so a partner's new key needs no restart.
    """

    def __init__(self, participants: Iterable[Participant] | str | Path) -> None:
        self._path = Path(participants) if isinstance(participants, str | Path) else None
        given = [] if isinstance(participants, str | Path) else participants
        self._participants = {(p.domain, UsefRole(p.role)): p for p in given}
        if self._path:
            self._participants = self._read(self._path)

    @staticmethod
    def _read(path: Path) -> dict[tuple[str, UsefRole], Participant]:
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            participants = [Participant(**{**entry, "role": UsefRole(entry["role"])}) for entry in entries]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InvalidValue(f"{path} is not an address book: {error}") from error
        return {(p.domain, p.role): p for p in participants}

    def add(self, participant: Participant) -> None:
        """Add somebody, or replace what was known."""
        self._participants[participant.domain, UsefRole(participant.role)] = participant

    def find(self, domain: str, role: UsefRole, *, refresh: bool = False) -> Participant:
        """Look somebody up, see `AddressBook.find`."""
        if refresh and self._path:
            self._participants = self._read(self._path)
        try:
            return self._participants[domain, role]
        except KeyError:
            raise ServiceDiscoveryException(f"The address book has no {role} {domain}") from None


class FunctionAddressBook:
    """An address book made of the look-up functions that services take, with another book behind them.

    Args:
        key_lookup: ``(domain, role)`` to the public key's text.
        endpoint_lookup: ``(domain, role)`` to the endpoint's URL.
        oauth_lookup: ``(domain, role)`` to an OAuthClient or None.
        otherwise: Asked for what has no function.
    """

    def __init__(
        self,
        key_lookup: Callable[[str, UsefRole], str | None] | None,
        endpoint_lookup: Callable[[str, UsefRole], str | None] | None,
        oauth_lookup: Callable[[str, UsefRole], OAuthClient | None] | None,
        otherwise: AddressBook,
    ) -> None:
        self._key, self._endpoint, self._oauth, self._otherwise = (
            key_lookup,
            endpoint_lookup,
            oauth_lookup,
            otherwise,
        )

    def find(self, domain: str, role: UsefRole, *, refresh: bool = False) -> Participant:
        """Look somebody up, see `AddressBook.find`; what a function raises counts as not found."""
        known = None
        if self._key is None or self._endpoint is None:
            try:
                known = self._otherwise.find(domain, role, refresh=refresh)
            except ServiceDiscoveryException:
                if self._key is None and self._endpoint is None:
                    raise
        try:
            key = self._key(domain, role) if self._key else known and known.public_key
            endpoint = self._endpoint(domain, role) if self._endpoint else known and known.endpoint
            oauth = self._oauth(domain, role) if self._oauth else known and known.oauth_client
        except Exception as error:
            raise ServiceDiscoveryException(f"Looking up {role} {domain} failed: {error!r}") from error
        return Participant(domain, role, key or None, endpoint or None, oauth or None)

"""Participants found by DNS.

======================================  =====  ==========================================================
``_usef.example.com``                   TXT    version of the specification, as ``3.1.0``
``_agr._usef.example.com``              TXT    one or two public keys, separated by a space
``_http._agr._usef.example.com``        CNAME  host of the endpoint
======================================  =====  ==========================================================

The zones must be signed: by default an answer counts only when a validating resolver vouches for it (the AD flag).
Everything else, from SERVFAIL to malformed content, is a temporary `ServiceDiscoveryException`.

Source: UFTP specification 3.1.0, "Discovery".
"""

from __future__ import annotations

import logging
import re
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from shapeshifter_uftp.addresses import Participant
from shapeshifter_uftp.exceptions import InvalidValue, ServiceDiscoveryException
from shapeshifter_uftp.sealing import read_public_keys
from shapeshifter_uftp.uftp.enumerations import UsefRole

__all__ = ["DnsAddressBook", "endpoint_url", "get_endpoint", "get_key", "get_keys", "get_version"]

DEFAULT_PATH = "/shapeshifter/api/v{major}/message"
_HOST = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE
)
_SHORTEST_TTL, _LONGEST_TTL = 5.0, 86_400.0
_MOST_RECORDS = 30_000
_log = logging.getLogger("shapeshifter_uftp.discovery")


def endpoint_url(host: str, version: str = "3.1.0") -> str:
    """Make the URL of an endpoint from its host: every major version has its own path."""
    return f"https://{host}{DEFAULT_PATH.format(major=version.split('.', maxsplit=1)[0])}"


class DnsAddressBook:
    """Finds participants by DNS, and remembers them as long as the records say.

    Args:
        check_dnssec: Accept only answers that a validating resolver vouches for.
        resolver: A ``dns.resolver.Resolver``; None: the system's.
        suffix: A zone below which names are looked up too (``_usef.example.com.authority.test``): only participants
            that this authority accredits are found.
        clock: Monotonic seconds; for tests.
    """

    def __init__(
        self,
        *,
        check_dnssec: bool = True,
        resolver: Any = None,
        suffix: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check_dnssec, self._resolver, self._suffix, self._clock = check_dnssec, resolver, suffix, clock
        self._cache: dict[tuple[str, str], tuple[float, str]] = {}
        self._lock = threading.Lock()

    def find(self, domain: str, role: UsefRole, *, refresh: bool = False) -> Participant:
        """Look somebody up, see `AddressBook.find`.

        Whoever verifies a signature needs no endpoint: where that cannot be looked up it is None, and the rest counts.
        """
        if self._suffix:
            self._query(f"_usef.{domain}.{self._suffix}", "TXT", refresh)
        version = self.version(domain, refresh=refresh)
        keys = self.keys(domain, role, refresh=refresh)
        endpoint = None
        try:
            endpoint = self.endpoint(domain, role, refresh=refresh, version=version)
        except ServiceDiscoveryException as error:
            _log.warning("%s %s has no endpoint: %s", role, domain, error)
        return Participant(domain, UsefRole(role), keys, endpoint, version=version)

    def version(self, domain: str, *, refresh: bool = False) -> str:
        """Look up the version of the specification that a domain speaks."""
        text = self._query(f"_usef.{domain}", "TXT", refresh).strip()
        if not re.fullmatch(r"\d+\.\d+\.\d+", text):
            raise ServiceDiscoveryException(f"_usef.{domain} says {text!r}, which is not a version")
        return text

    def keys(self, domain: str, role: UsefRole, *, refresh: bool = False) -> str:
        """Look up the public keys of a participant, as published."""
        text = self._query(f"_{role.lower()}._usef.{domain}", "TXT", refresh)
        try:
            read_public_keys(text)
        except InvalidValue as error:
            raise ServiceDiscoveryException(
                f"The key record of {role} {domain} is malformed: {error}"
            ) from error
        return text

    def endpoint(self, domain: str, role: UsefRole, *, refresh: bool = False, version: str = "3.1.0") -> str:
        """Look up the endpoint of a participant."""
        host = self._query(f"_http._{role.lower()}._usef.{domain}", "CNAME", refresh).rstrip(".")
        if not _HOST.fullmatch(host):
            raise ServiceDiscoveryException(
                f"The endpoint record of {role} {domain} says {host!r}, which is not a host"
            )
        return endpoint_url(host, version)

    def _query(self, name: str, kind: str, refresh: bool) -> str:
        with self._lock:
            expires, text = self._cache.get((name, kind), (0.0, ""))
        if not refresh and self._clock() < expires:
            return text
        text, ttl = self._ask(name, kind)
        with self._lock:
            self._cache.pop((name, kind), None)
            self._cache[name, kind] = (self._clock() + min(max(ttl, _SHORTEST_TTL), _LONGEST_TTL), text)
            if len(self._cache) > _MOST_RECORDS:
                del self._cache[next(iter(self._cache))]  # the one looked up longest ago
        return text

    def _ask(self, name: str, kind: str) -> tuple[str, float]:
        import dns.exception  # noqa: PLC0415  loaded only when DNS is used: it costs a third of our start
        import dns.flags  # noqa: PLC0415
        import dns.resolver  # noqa: PLC0415

        try:
            resolver = self._resolver or dns.resolver.Resolver()
            resolver.use_edns(0, dns.flags.DO, 1232)
            resolver.flags = dns.flags.RD | dns.flags.AD
            # A CNAME query must not follow the name that it asks for; a chain is followed by dnspython, to a limit.
            answer = resolver.resolve(name, kind, search=False)
        except (dns.exception.DNSException, OSError) as error:
            raise ServiceDiscoveryException(f"{kind} {name} cannot be looked up: {error}") from error
        if self._check_dnssec and not answer.response.flags & dns.flags.AD:
            raise ServiceDiscoveryException(
                f"{kind} {name} is not secured by DNSSEC: use a validating resolver, or switch the check off"
            )
        return self._text_of(answer, name, kind), float(answer.response.answer[0].ttl)

    @staticmethod
    def _text_of(answer: Any, name: str, kind: str) -> str:
        if kind == "CNAME":
            return str(answer[0].target)
        try:
            return " ".join(b"".join(record.strings).decode("ascii") for record in answer)
        except UnicodeDecodeError as error:
            raise ServiceDiscoveryException(f"{kind} {name} is not ASCII") from error


_default_book = DnsAddressBook()


def get_keys(domain: str, role: UsefRole | str) -> tuple[str, str | None]:
    """Look up the keys of a participant by DNS: (signing key, encryption key or None), each base64."""
    first = _default_book.keys(domain, UsefRole(role)).split()[0]
    text = first[4:] if first.lower().startswith("cs1.") else first
    raw = b64decode(text)
    return b64encode(raw[:32]).decode(), b64encode(raw[32:]).decode() if len(raw) == 64 else None


def get_key(domain: str, role: UsefRole | str) -> str:
    """Look up the signing key of a participant by DNS, base64."""
    return get_keys(domain, role)[0]


def get_endpoint(domain: str, role: UsefRole | str) -> str:
    """Look up the endpoint of a participant by DNS."""
    return _default_book.endpoint(domain, UsefRole(role), version=get_version(domain))


def get_version(domain: str) -> str:
    """Look up the version of UFTP that a domain speaks by DNS."""
    return _default_book.version(domain)

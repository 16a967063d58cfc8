"""Where notifications may be sent: never into the private network of the server.

Source: RFC 6890 (special-purpose addresses); the OpenADR 3.1.0 definition recommends timeouts of 10 to 30 s.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from flexmeasures.domain.errors import InvalidInput, NotAllowed
from flexmeasures.domain.quoting import quote

__all__ = ["Callback", "check_target", "read_callback"]

_LONGEST = 2000
_PORTS = {"http": 80, "https": 443}

# Addresses that stand for others: a translator would lead to the IPv4 address within.
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))


@dataclass(frozen=True, slots=True)
class Callback:
    """The address of a webhook.

    Attributes:
        is_encrypted: Whether it is reached over HTTPS.
    """

    url: str
    host: str
    port: int
    is_encrypted: bool


def read_callback(url: object, name: str = "callbackUrl") -> Callback:
    """Read the address of a webhook.

    Raises:
        InvalidInput: If it is not an http or https address with a host, or it holds a user name.
    """
    if not isinstance(url, str) or len(url) > _LONGEST or not url.isascii() or not url.isprintable():
        raise InvalidInput(
            f"{name} {quote(url)} is not a web address. Write it like https://example.com/hook."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{name} {quote(url)} is not a web address: {error}.") from error
    if parts.scheme not in _PORTS or not host or " " in url:
        raise InvalidInput(f"{name} {quote(url)} is not an http or https address. Write https://host/path.")
    if "@" in parts.netloc:
        raise InvalidInput(f"{name} holds a user name. Leave it out; use a token or a secret instead.")
    return Callback(url, host, port or _PORTS[parts.scheme], parts.scheme == "https")


def check_target(callback: Callback, address: str, *, is_production: bool) -> None:
    """Check that a notification may be sent to an address that a host name stands for.

    Args:
        callback: The webhook.
        address: An IP address of its host.
        is_production: In the sandbox, the server's own machine may be named, also without encryption.

    Raises:
        NotAllowed: If it is private, link-local or otherwise not of the public network, or is not encrypted.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback and not is_production:
        return
    is_translated = any(ip in network for network in _TRANSLATED if ip.version == network.version)
    if not ip.is_global or ip.is_multicast or ip.is_reserved or is_translated:
        raise NotAllowed(
            f"The host of {quote(callback.url)} is not in the public network. Give an address that is."
        )
    if not callback.is_encrypted:
        raise NotAllowed(f"{quote(callback.url)} is not encrypted. Use https.")

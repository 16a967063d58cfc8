"""Announcement of the OpenADR server in the local network by mDNS and DNS-SD (RFC 6762, RFC 6763).

Source: OpenADR 3.1.0 definition, section on local discovery: the service type, and the keys of its TXT record.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from flexmeasures.setting_types import SettingsError

__all__ = ["SERVICE_TYPE", "announced"]

SERVICE_TYPE = "_openadr3._tcp.local."
BASE_PATH = "/openadr3/3.1.0"
_PORTS = {"http": 80, "https": 443}

log = logging.getLogger(__name__)


@contextmanager
def announced(address: str | None, interfaces: Any = None) -> Iterator[None]:
    """Announce the server while the block runs.

    Args:
        address: Of the web server in the local network, such as ``https://192.168.1.5``; None: nothing is announced.
        interfaces: Addresses of the interfaces on which to answer; None: all.

    Raises:
        SettingsError: If the package zeroconf is missing, or the host has no address.
    """
    if not address:
        yield
        return
    try:
        from zeroconf import InterfaceChoice, Zeroconf  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError(
            "FLEXMEASURES_MDNS_URL is set, but zeroconf is not installed: pip install 'flexmeasures[mdns]'"
        ) from error
    network = Zeroconf(interfaces=interfaces or InterfaceChoice.All)
    try:
        info = _service(address)
        network.register_service(info, allow_name_change=True)
        log.info("The OpenADR server is announced as %s", info.name)
        yield
    finally:
        network.unregister_all_services()
        network.close()


def _service(address: str) -> Any:
    from zeroconf import ServiceInfo  # noqa: PLC0415 - an extra

    parts = urlsplit(address)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 80)
    name = socket.gethostname().partition(".")[0]
    url = address.rstrip("/") + BASE_PATH
    return ServiceInfo(
        SERVICE_TYPE,
        f"FlexMeasures on {name}.{SERVICE_TYPE}",
        port=port,
        addresses=[_packed(host)],
        server=f"{name}.local.",
        properties={
            "version": "3.1.0",
            "base_path": BASE_PATH.lstrip("/"),
            "local_url": url,
            "requires_auth": "True",
        },
    )


def _packed(host: str) -> bytes:
    try:
        found = host if _is_address(host) else str(socket.getaddrinfo(host, None)[0][4][0])
        return ipaddress.ip_address(found).packed
    except (OSError, ValueError) as error:
        raise SettingsError(f"FLEXMEASURES_MDNS_URL names {host!r}, which has no address.") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

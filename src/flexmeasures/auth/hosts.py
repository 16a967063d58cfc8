"""Under which names this server may call itself: what a client writes into ``Host`` is not to be repeated in a mail.

A link for a new password that leads to somebody else's host hands them the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, has_request_context, request
from werkzeug.exceptions import BadRequest

__all__ = ["LOCAL_HOSTS", "host_name", "is_own_host", "register", "require_own_host"]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names of the machine itself: a link to them leads nobody to a stranger's server."""

_MAILING_ENDPOINTS = ("security.forgot_password",)
_USUAL_PORTS = {"http": ":80", "https": ":443"}


def register(app: Flask) -> None:
    """Refuse requests for links by mail under a name that is not ours, whether or not a mail would be sent."""
    app.before_request(_check_mailing)


def require_own_host() -> None:
    """Make sure, within a request, that a link can be made of the name under which we are asked.

    Raises:
        BadRequest: If that name is not one of ours.
    """
    if not has_request_context() or is_own_host(request.host, request.scheme, current_app.config):
        return
    raise BadRequest(
        "This server sends links by mail only under its own name, and it was asked under another one. "
        "Its names are the setting FLEXMEASURES_HOSTS_AND_AUTH_START."
    )


def is_own_host(host: str, scheme: str, config: Mapping[str, Any]) -> bool:
    """Tell whether a host is one of the names of this server.

    Args:
        host: As in the header ``Host``, with a port if that is not the usual one.
        scheme: "http" or "https".
        config: With FLEXMEASURES_HOSTS_AND_AUTH_START and, where it is set, SERVER_NAME.
    """
    plain = host.lower().removesuffix(_USUAL_PORTS.get(scheme, ""))
    names = {*config["FLEXMEASURES_HOSTS_AND_AUTH_START"], config.get("SERVER_NAME") or ""}
    return plain in {name.lower() for name in names if name} or host_name(plain) in LOCAL_HOSTS


def host_name(host: str) -> str:
    """Drop the port of a host.

    >>> host_name("localhost:5000"), host_name("[::1]:5000"), host_name("[::1]")
    ('localhost', '[::1]', '[::1]')
    """
    return host if host.endswith("]") else host.rsplit(":", 1)[0]


def _check_mailing() -> None:
    if request.method == "POST" and request.endpoint in _MAILING_ENDPOINTS:
        require_own_host()

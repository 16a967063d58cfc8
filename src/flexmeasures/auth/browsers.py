"""Protection of people who use a browser: where requests with cookies come from, cookies, and headers for pages.

A browser sends cookies along with whatever a foreign page makes it send. Programs that send a token are not affected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import Forbidden

__all__ = ["FRAMED_ANYWHERE", "SecureCookies", "register"]

_HARMLESS = ("GET", "HEAD", "OPTIONS")
_USUAL_PORTS = {"http": 80, "https": 443}

_OUR_PAGES = ("flexmeasures_ui", "flexmeasures_docs", "flexmeasures_handbook", "security", None)
"""Blueprints whose pages have no scripts or frames of others; those of plugins set headers of their own."""

_CONTENT_POLICY = (
    "default-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)

FRAMED_ANYWHERE = "frame-ancestors *"
"""Content-Security-Policy of answers that any page may frame: charts that were shared for this."""

_SETS_STYLES = "flexmeasures_docs"
"""The blueprint of the page of the API, which sets styles as it goes."""

_MAP_TILES = "https://api.mapbox.com"


def register(app: Flask) -> None:
    """Guard the requests and answers of an app."""
    app.before_request(_check_origin)
    app.after_request(_add_headers)


def _check_origin() -> None:
    """Refuse a change that a cookie would authenticate and a foreign page may have sent.

    Raises:
        Forbidden: If the browser says that the page is foreign, or if nobody says where it comes from and a form of a
            foreign page could look the same.
    """
    if request.method in _HARMLESS or not _has_cookies() or _has_token():
        return
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if site == "same-origin" or (origin is None and site == "none"):
        return
    if origin is not None and (_is_own(origin) or _is_allowed(origin)):
        return
    if origin is None and site is None and not _could_be_a_form():
        return
    raise Forbidden(
        "This request comes with the cookie of a login, but not from a page of this server. Send a token instead "
        "(POST /api/requestAuthToken), or application/json; for a page elsewhere, see the setting CORS_ORIGINS."
    )


def _has_cookies() -> bool:
    names = (current_app.config["SESSION_COOKIE_NAME"], current_app.config.get("REMEMBER_COOKIE_NAME"))
    return any(name in request.cookies for name in (*names, "remember_token") if name)


def _has_token() -> bool:
    """Tell whether a token is sent where no foreign page can put one."""
    return bool(request.headers.get(current_app.config["SECURITY_TOKEN_AUTHENTICATION_HEADER"]))


def _could_be_a_form() -> bool:
    """Tell whether a program (every browser names the origin) sends the API what a form could send.

    Pages have forms, which carry tokens of their own.
    """
    return request.path.startswith("/api/") and request.method == "POST" and not request.is_json


def _is_own(origin: str) -> bool:
    """Compare an origin with the host that is asked; by which scheme we are reached, a proxy may not tell us."""
    theirs, ours = urlsplit(origin), urlsplit(f"//{request.host}")
    try:
        return bool(theirs.hostname) and (theirs.hostname, _port(theirs, theirs.scheme)) == (
            ours.hostname,
            _port(ours, theirs.scheme),
        )
    except ValueError:
        return False


def _port(address: Any, scheme: str) -> int | None:
    return address.port or _USUAL_PORTS.get(scheme)


def _is_allowed(origin: str) -> bool:
    """Tell whether pages of an origin may act with the cookies of their visitors, as CORS is set."""
    config = current_app.config
    origins = config["CORS_ORIGINS"]
    patterns = [origins] if isinstance(origins, str) else origins
    if not config["CORS_SUPPORTS_CREDENTIALS"] or {"*", ".*"} & set(patterns):
        return False
    return any(
        origin.lower() == pattern.lower()
        or (re.search(r"[\\*\]?$^\[(]", pattern) is not None and re.match(pattern, origin, re.IGNORECASE))
        for pattern in patterns
    )


def _add_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    if FRAMED_ANYWHERE not in headers.get("Content-Security-Policy", ""):
        headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    # Links for new passwords are secrets. No "no-referrer": forms would then not name their origin.
    headers.setdefault("Referrer-Policy", "same-origin")
    if request.blueprint in _OUR_PAGES and response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", _content_policy())
    if request.endpoint is None or not request.endpoint.endswith("static"):
        headers.setdefault("Cache-Control", "no-store")
    if request.is_secure and current_app.config["FLEXMEASURES_FORCE_HTTPS"]:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def _content_policy() -> str:
    """Say what our pages may load: from here only, but for the tiles of maps where a token for them is set."""
    tiles = f" {_MAP_TILES}" if current_app.config["MAPBOX_ACCESS_TOKEN"] else ""
    styles = " 'unsafe-inline'" if request.blueprint == _SETS_STYLES else ""
    return "; ".join((*_CONTENT_POLICY, f"img-src 'self' data:{tiles}", f"style-src 'self'{styles}"))


class SecureCookies:
    """Marks every cookie that is set over HTTPS as one that is not to be sent over plain HTTP.

    Whether a request came over HTTPS is known with the request only, behind a proxy; settings hold for all of them.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if environ.get("wsgi.url_scheme") != "https":
            return self._application(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [_secured(name, value) for name, value in headers], *more)

        return self._application(environ, start)


def _secured(name: str, value: str) -> tuple[str, str]:
    attributes = [part.strip().lower() for part in value.split(";")[1:]]
    return (
        (name, f"{value}; Secure")
        if name.lower() == "set-cookie" and "secure" not in attributes
        else (name, value)
    )

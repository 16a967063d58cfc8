"""OAuth 2 client credentials: bearer tokens for endpoints that want them. Source: RFC 6749 section 4.4."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from shapeshifter_uftp.exceptions import TransportError

__all__ = ["AuthorizationError", "OAuthClient", "PassthroughOAuthClient"]

_MARGIN = 10.0
"""Seconds before its end at which a token is no longer used: the message still has to travel."""


class AuthorizationError(TransportError):
    """The authorisation server gave no token, which says nothing about the partner nor the message."""

    @property
    def temporary(self) -> bool:
        """Tell whether the same bytes may get through later: yes, once the server, or our secret there, is in order."""
        return True


class OAuthClient:
    """Gets bearer tokens with a client id and secret, and renews them before they end.

    Args:
        url: The token endpoint.
        client_id: The client's name at the authorisation server.
        client_secret: Its secret.
        scope: Asked for when given.
        timeout: Longest wait for the authorisation server [s].
        clock: Monotonic seconds; for tests.
        tls: TLS settings for the authorisation server; None: the authorities of the system, no certificate.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        timeout: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url, self.client_id, self._client_secret, self.scope = url, client_id, client_secret, scope
        self._timeout, self._clock, self._tls = timeout, clock, tls
        self._token: str | None = None
        self._ends = 0.0
        self._lock = threading.Lock()

    @property
    def authenticated(self) -> bool:
        """Tell whether there is a token that can still be used."""
        return self._token is not None and not self.expired

    @property
    def expired(self) -> bool:
        """Tell whether the token has ended, or will within seconds."""
        return self._clock() >= self._ends

    @property
    def auth_header(self) -> dict[str, str]:
        """The HTTP header with the token.

        Raises:
            AuthorizationError: There is no token yet.
        """
        if self._token is None:
            raise AuthorizationError("There is no token yet: call authenticate() first")
        return {"Authorization": f"Bearer {self._token}"}

    def authenticate(self) -> None:
        """Get a new token.

        Raises:
            AuthorizationError: The authorisation server refused, or did not answer sensibly.
        """
        import httpx  # noqa: PLC0415  loaded only when something is sent

        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self._client_secret,
        }
        if self.scope:
            form["scope"] = self.scope
        try:
            response = httpx.post(self.url, data=form, timeout=self._timeout, verify=self._tls or True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AuthorizationError(
                f"The authorisation server {self.url} did not answer: {error}"
            ) from error
        if response.status_code != 200:
            raise AuthorizationError(
                f"The authorisation server {self.url} answered {response.status_code}",
                http_status=response.status_code,
            )
        try:
            token = response.json()
            self._token, self._ends = str(token["access_token"]), self._lifetime(token.get("expires_in", 300))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AuthorizationError(
                f"The authorisation server {self.url} sent no token: {error!r}"
            ) from error

    def _lifetime(self, seconds: float | str) -> float:
        return self._clock() + max(float(seconds) - _MARGIN, 0.0)

    @contextmanager
    def ensure_authenticated(self) -> Iterator[OAuthClient]:
        """Run a block with a valid token, getting one first if need be."""
        with self._lock:
            if not self.authenticated:
                self.authenticate()
        yield self

    def renew(self, refused: Mapping[str, str]) -> dict[str, str]:
        """Give another header than one that an endpoint did not accept: its token was revoked before its end.

        Of several threads that were refused with the same token, the first gets a new one for all.

        Args:
            refused: The headers of the request that was refused.

        Raises:
            AuthorizationError: There is no new token.
        """
        with self._lock:
            if self.authenticated and refused.get("Authorization") == self.auth_header["Authorization"]:
                self._ends = float("-inf")
            if not self.authenticated:
                self.authenticate()
            return self.auth_header


class PassthroughOAuthClient:
    """Stands where an `OAuthClient` may, for endpoints that want no token."""

    authenticated = True
    expired = False
    renew = None

    @property
    def auth_header(self) -> dict[str, str]:
        """No header."""
        return {}

    def authenticate(self) -> None:
        """Do nothing."""

    @contextmanager
    def ensure_authenticated(self) -> Iterator[PassthroughOAuthClient]:
        """Run a block."""
        yield self

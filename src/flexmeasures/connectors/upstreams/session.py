"""Talking to an upstream over HTTP: tokens kept and renewed, bounded answers, and patience when it asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol

import httpx
import orjson

from flexmeasures.domain.errors import PeerUnreachable

__all__ = ["Login", "TokenShelf", "UpstreamRefusal", "UpstreamSession"]

TIMEOUT = 10.0
LARGEST_ANSWER = 16 * 1024 * 1024
PAGE, MOST_PAGES = 50, 400
_MARGIN = 30
"""So long before its end a token is not used any more [s]."""


class UpstreamRefusal(PeerUnreachable):
    """An upstream answered, but not as we wanted.

    Attributes:
        status: Of its answer.
        retry_after: How long it wants to be left alone [s]; None: it does not say.
    """

    code = "upstream-refusal"

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class TokenShelf(Protocol):
    """Where a token is kept until it ends, for all processes."""

    def read(self) -> str | None:
        """Find the token, if there is one."""

    def keep(self, token: str, seconds: int) -> None:
        """Keep a token for so long; 0: forget it."""


@dataclass(frozen=True)
class Login:
    """How to get a token.

    Attributes:
        address: Where.
        scope: What to ask for; None: nothing.
    """

    address: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None


class UpstreamSession:
    """A conversation with one upstream.

    Args:
        base: Address of its API.
        login: How to get tokens.
        shelf: Where they are kept.
    """

    def __init__(self, base: str, login: Login, shelf: TokenShelf) -> None:
        self._base, self._login, self._shelf = base.rstrip("/"), login, shelf
        self._http = httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False)

    @classmethod
    @contextmanager
    def open(cls, base: str, login: Login, shelf: TokenShelf) -> Iterator[UpstreamSession]:
        """Talk, and hang up in the end."""
        session = cls(base, login, shelf)
        try:
            yield session
        finally:
            session._http.close()

    def ask(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Ask something; a token that is not taken is replaced once.

        Raises:
            PeerUnreachable: If it does not answer.
            UpstreamRefusal: If it answers with an error.
        """
        answer = self._send(method, path, body, query)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._shelf.keep("", 0)
            answer = self._send(method, path, body, query)
        return self._checked(answer)

    def list_all(self, path: str, query: Mapping[str, Any] | None = None) -> list[Any]:
        """Read a list page by page."""
        found: list[Any] = []
        for number in range(MOST_PAGES):
            page = self.ask("GET", path, query={**(query or {}), "skip": number * PAGE, "limit": PAGE})
            if not isinstance(page, list):
                raise UpstreamRefusal(f"{path} is not answered with a list.", HTTPStatus.OK)
            found += page
            if len(page) < PAGE:
                return found
        raise UpstreamRefusal(f"{path} lists more than {len(found)} objects.", HTTPStatus.OK)

    def _send(self, method: str, path: str, body: Any, query: Mapping[str, Any] | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        content = None if body is None else orjson.dumps(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        return self._bounded(
            method, self._base + path, content=content, headers=headers, params=dict(query or {})
        )

    def _token(self) -> str:
        kept = self._shelf.read()
        if kept:
            return kept
        login = self._login
        form = {
            "grant_type": "client_credentials",
            "client_id": login.client_id,
            "client_secret": login.client_secret,
        } | ({"scope": login.scope} if login.scope else {})
        answer = self._checked(self._bounded("POST", login.address, data=form))
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise UpstreamRefusal(f"{login.address} answered without an access_token.", HTTPStatus.OK)
        lifetime = answer.get("expires_in")
        seconds = int(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else 5 * _MARGIN
        self._shelf.keep(token, max(1, seconds - _MARGIN))
        return token

    def _bounded(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request, and read no more of the answer than is reasonable."""
        try:
            with self._http.stream(method, url, **options) as answer:
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise PeerUnreachable(f"The answer of {url} has more than {LARGEST_ANSWER} bytes.")
                headers = {
                    n: v for n, v in answer.headers.items() if n not in {"content-encoding", "content-length"}
                }
                return httpx.Response(
                    answer.status_code, headers=headers, content=bytes(body), request=answer.request
                )
        except httpx.HTTPError as error:
            raise PeerUnreachable(f"{url} does not answer: {type(error).__name__} {error}".strip()) from error

    @staticmethod
    def _checked(answer: httpx.Response) -> Any:
        where = f"{answer.request.method} {answer.request.url.copy_with(query=None)}"
        if not answer.is_success:
            said = answer.text[:200].replace("\n", " ")
            raise UpstreamRefusal(
                f"{where} was answered with {answer.status_code}: {said}",
                answer.status_code,
                _retry_after(answer.headers.get("Retry-After")),
            )
        if not answer.content:
            return None
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError as error:
            raise UpstreamRefusal(f"{where} was not answered with JSON.", answer.status_code) from error


def _retry_after(text: str | None) -> float | None:
    """Read how long to wait [s]: as seconds or as a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None

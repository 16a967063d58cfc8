"""Tokens of an OpenID Connect issuer: JWTs, checked against the keys that the issuer publishes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Flask, current_app
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import func, select

from flexmeasures.data.database import db
from flexmeasures.data.tables import User
from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["find_user_of_jwt", "register"]

log = logging.getLogger(__name__)

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by private keys only: a key that an issuer publishes must not be usable for making a token."""

LARGEST_ANSWER = 1_000_000
"""So much of an issuer's answer is read [bytes]."""

LONGEST_TOKEN = 16_384

_KEEP = 3600.0
_ASK_AGAIN = 30.0
_PAUSE = 5.0
_LEEWAY = 30


@dataclass
class _Issuer:
    """An issuer and its keys, as far as they are known.

    Attributes:
        url: Its id, which tokens must name.
        audience: Whom its tokens must be for.
        jwks_url: Where its keys are; empty: as its discovery document says.
        claim: Which claim names the user.
    """

    url: str
    audience: str
    jwks_url: str
    claim: str
    keys: KeySet | None = None
    fetched_at: float = 0.0
    failed_at: float = -_PAUSE
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find_keys(self, anew: bool = False) -> KeySet:
        """Get the keys: those that are known, for a while; anew at most twice a minute.

        Raises:
            StoreUnavailable: If the issuer does not answer and no keys are known.
        """
        import httpx  # noqa: PLC0415 - large, and needed with an issuer only

        with self.lock:
            age = time.monotonic() - self.fetched_at
            if self.keys is not None and age < (_ASK_AGAIN if anew else _KEEP):
                return self.keys
            if self.keys is None and time.monotonic() - self.failed_at < _PAUSE:
                # Nobody else waits for an issuer that has just been found to be away.
                raise StoreUnavailable("The issuer of tokens does not answer.")
            try:
                self.keys = KeySet.import_key_set(self._fetch(self.jwks_url or self._discover()))
            except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
                log.warning("The keys of the issuer %s cannot be read: %s", self.url, type(error).__name__)
                if self.keys is None:
                    self.failed_at = time.monotonic()
                    raise StoreUnavailable("The issuer of tokens does not answer.") from error
            self.fetched_at = time.monotonic()
            return self.keys

    def _discover(self) -> str:
        found = self._fetch(self.url.rstrip("/") + "/.well-known/openid-configuration")
        return str(found["jwks_uri"])

    @staticmethod
    def _fetch(url: str) -> Any:
        import httpx  # noqa: PLC0415 - as above

        with httpx.stream("GET", url, timeout=5.0, follow_redirects=False) as answer:
            answer.raise_for_status()
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise ValueError("the answer is too long")
        return orjson.loads(body)


def register(app: Flask) -> None:
    """Let an app accept the tokens of the issuer that its settings name, if they name one."""
    config = app.config
    app.extensions["oidc"] = (
        _Issuer(
            config["FLEXMEASURES_OIDC_ISSUER"],
            config["FLEXMEASURES_OIDC_AUDIENCE"],
            config["FLEXMEASURES_OIDC_JWKS_URL"],
            config["FLEXMEASURES_OIDC_USER_CLAIM"],
        )
        if config["FLEXMEASURES_OIDC_ISSUER"]
        else None
    )


def find_user_of_jwt(token: str) -> User | None:
    """Find the active user whom a token names; None if the token is not valid or nobody is meant.

    The token must be signed by a key of the issuer, be for us and not have expired. The claim names a user by login,
    as it is or in capital letters, or by e-mail address where that is the claim.

    Raises:
        StoreUnavailable: If the issuer's keys cannot be fetched.
    """
    issuer: _Issuer | None = current_app.extensions["oidc"]
    if issuer is None or len(token) > LONGEST_TOKEN or token.count(".") != 2:
        return None
    claims = _read_claims(issuer, token)
    named = None if claims is None else claims.get(issuer.claim)
    if not isinstance(named, str) or not named:
        return None
    if issuer.claim == "email":
        if claims is None or claims.get("email_verified") is False:
            return None
        clause = func.lower(User.email) == named.lower()
    else:
        clause = User.username.in_({named, named.upper()})
    users = list(db.session.scalars(select(User).where(clause, User.active).limit(2)))
    return users[0] if len(users) == 1 else None


def _read_claims(issuer: _Issuer, token: str) -> dict[str, Any] | None:
    """Check a token; a second time with new keys, because issuers change them."""
    rules = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY,
        iss={"essential": True, "value": issuer.url},
        aud={"essential": True, "value": issuer.audience},
        exp={"essential": True},
    )
    for anew in (False, True):
        try:
            decoded = jwt.decode(token, issuer.find_keys(anew), algorithms=ALGORITHMS)
            rules.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            log.info("A token was refused: %s", type(error).__name__)
            continue
        return dict(decoded.claims)
    return None

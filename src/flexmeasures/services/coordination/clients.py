"""Clients of both faces: their credentials, and tokens by OAuth 2 client credentials.

Source: RFC 6749 section 4.4; RFC 7519; OpenADR 3.1.0 definition, section on scopes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import DrClient
from flexmeasures.domain.coordination.notifications import Viewer
from flexmeasures.domain.errors import Conflict, FlexError, InvalidInput
from flexmeasures.domain.quoting import quote

__all__ = [
    "BL_SCOPES",
    "ENVIRONMENTS",
    "TOKEN_LIFETIME",
    "VEN_SCOPES",
    "BadCredentials",
    "BadToken",
    "Caller",
    "IssuedToken",
    "NewClient",
    "authenticate",
    "create_client",
    "issue_token",
    "read_token",
]

ENVIRONMENTS = ("sandbox", "production")

BL_SCOPES = (
    "read_all",
    "write_programs",
    "write_events",
    "write_reports",
    "write_subscriptions",
    "write_vens",
)
"""Scopes of the business logic; reports too, which an operator may file for a partner."""

VEN_SCOPES = ("read_targets", "read_ven_objects", "write_reports", "write_subscriptions", "write_vens")
"""Scopes of a VEN; a client of 3.0.1 may ask for read_all in place of the reading ones, and sees no more with it."""

TOKEN_LIFETIME = timedelta(hours=1)

_ALGORITHM = "HS256"
_AUDIENCE = "flexmeasures-coordination"
_LONGEST_SECRET = 4096
_SCRYPT = {"n": 2**13, "r": 8, "p": 1}


class BadCredentials(FlexError):
    """The client is not known, is closed, or its secret is wrong."""

    code = "bad-credentials"


class BadToken(FlexError):
    """A token is missing, forged, expired, or of a client that is closed."""

    code = "bad-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client to be made.

    Attributes:
        secret: None: one is made.
        scopes: Those that it may ask for; none: all that its role may have.
    """

    client_id: str
    secret: str | None = None
    role: str = "ven"
    scopes: tuple[str, ...] = ()
    environment: str = "sandbox"
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that sends a request.

    Attributes:
        id: Number of its row.
        client_id: Its ``clientID``.
        is_business_logic: Whether it is one of the operator's own programs.
        scopes: Those of its token.
    """

    id: int
    client_id: str
    is_business_logic: bool
    environment: str
    scopes: frozenset[str]

    @property
    def viewer(self) -> Viewer:
        """As far as privacy goes."""
        return Viewer(self.client_id, self.environment, self.is_business_logic)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token with its scopes and the time that it is good for."""

    text: str
    scopes: tuple[str, ...]
    lifetime: timedelta


def create_client(session: Session, new: NewClient) -> str:
    """Make a client.

    Returns:
        Its secret; it is not kept, only its hash is.

    Raises:
        InvalidInput: If its role, environment, a scope, its id or its secret is not possible.
        Conflict: If the id is taken.
    """
    allowed = _check_new(new)
    if session.scalar(select(DrClient.id).where(DrClient.client_id == new.client_id)) is not None:
        raise Conflict(f"There is a client {quote(new.client_id)} already. Choose another id.")
    secret = new.secret or secrets.token_urlsafe(32)
    session.add(
        DrClient(
            client_id=new.client_id,
            secret_hash=_hash(secret),
            role=new.role,
            scopes=list(new.scopes or allowed),
            environment=new.environment,
            account_id=new.account_id,
        )
    )
    session.flush()
    return secret


def _check_new(new: NewClient) -> tuple[str, ...]:
    if new.role not in ("bl", "ven"):
        raise InvalidInput(f"{quote(new.role)} is not a role of a client. Use bl or ven.")
    if new.environment not in ENVIRONMENTS:
        raise InvalidInput(f"{quote(new.environment)} is not an environment. Use sandbox or production.")
    if not 1 <= len(new.client_id) <= 128 or not new.client_id.isprintable() or ":" in new.client_id:
        raise InvalidInput(f"{quote(new.client_id)} is not a client id: use 1 to 128 characters, no colon.")
    if new.secret is not None and not 1 <= len(new.secret) <= _LONGEST_SECRET:
        raise InvalidInput(f"The secret has {len(new.secret)} characters; use 1 to {_LONGEST_SECRET}.")
    allowed = BL_SCOPES if new.role == "bl" else VEN_SCOPES
    unknown = [scope for scope in new.scopes if scope not in (*allowed, "read_all")]
    if unknown:
        raise InvalidInput(
            f"{quote(unknown[0])} is not a scope that role {new.role} may have. There are: {', '.join(allowed)}."
        )
    return allowed


def authenticate(
    session: Session, client_id: str, secret: str, presets: Mapping[str, Mapping[str, Any]]
) -> DrClient:
    """Find the client with an id and a secret.

    Args:
        session: Preset clients are stored in its transaction when they first come.
        client_id: Of the client.
        secret: Of the client.
        presets: Clients of the settings, by id: ``secret``, ``role``, ``scopes``, ``environment``.

    Raises:
        BadCredentials: If there is none; it is not said which of the two is wrong.
    """
    client: DrClient | None = _find(session, client_id)
    preset = presets.get(client_id)
    if client is None and preset is not None:
        create_client(session, _read_preset(client_id, preset))
        client = _find(session, client_id)
    known = client.secret_hash if client is not None else _NOBODY
    is_right = len(secret) <= _LONGEST_SECRET and _is_secret(secret, known)
    if client is None or not is_right or not client.active:
        raise BadCredentials("The client id or the secret is wrong.")
    return client


def _find(session: Session, client_id: str) -> DrClient | None:
    return session.scalar(select(DrClient).where(DrClient.client_id == client_id))


def _read_preset(client_id: str, preset: Mapping[str, Any]) -> NewClient:
    return NewClient(
        client_id=client_id,
        secret=str(preset["secret"]),
        role=str(preset.get("role", "ven")),
        scopes=tuple(preset.get("scopes", ())),
        environment=str(preset.get("environment", "sandbox")),
    )


def _hash(secret: str) -> str:
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT).hex()}"


def _is_secret(secret: str, known: str) -> bool:
    salt, _, digest = known.partition(":")
    found = hashlib.scrypt(
        secret.encode("utf-8", "surrogateescape"), salt=bytes.fromhex(salt), **_SCRYPT
    ).hex()
    return hmac.compare_digest(found, digest)


# Of nobody: so that a wrong id takes as long as a wrong secret.
_NOBODY = f"{'00' * 16}:{'00' * 64}"


def issue_token(client: DrClient, asked: Iterable[str], *, key: str, now: datetime) -> IssuedToken:
    """Issue a token to a client that has shown its secret.

    Args:
        client: Who asks.
        asked: Scopes asked for; unknown ones are ignored, none are all that the client may have.
        key: SECRET_KEY of the platform.
        now: When.
    """
    may = set(client.scopes) | ({"read_all"} if "read_ven_objects" in client.scopes else set())
    # The paths of MQTT topics in the document of 3.1.0 have read_bl where its list of scopes has read_all.
    wanted = list(
        dict.fromkeys("read_all" if scope == "read_bl" and client.role == "bl" else scope for scope in asked)
    )
    scopes = tuple(scope for scope in wanted if scope in may) if wanted else tuple(client.scopes)
    claims = {
        "iss": "flexmeasures",
        "aud": _AUDIENCE,
        "sub": client.client_id,
        "scope": " ".join(scopes),
        "iat": int(now.timestamp()),
        "exp": int((now + TOKEN_LIFETIME).timestamp()),
    }
    text = jwt.encode({"alg": _ALGORITHM}, claims, _signing_key(key))
    return IssuedToken(text, scopes, TOKEN_LIFETIME)


def read_token(session: Session, text: str, *, key: str, now: datetime) -> Caller:
    """Find out who sends a token.

    Raises:
        BadToken: If it is not one of ours, has expired, or its client was closed.
    """
    try:
        claims = jwt.decode(text, _signing_key(key), algorithms=[_ALGORITHM]).claims
    except (JoseError, ValueError) as error:
        raise BadToken("The access token is not valid. Ask for a new one.") from error
    if claims.get("aud") != _AUDIENCE or not isinstance(claims.get("exp"), int):
        raise BadToken("The access token is not valid. Ask for a new one.")
    if claims["exp"] <= now.timestamp():
        raise BadToken("The access token has expired. Ask for a new one.")
    client = _find(session, str(claims.get("sub")))
    if client is None or not client.active:
        raise BadToken("The client of this access token is closed.")
    return Caller(
        id=client.id,
        client_id=client.client_id,
        is_business_logic=client.role == "bl",
        environment=client.environment,
        scopes=frozenset(str(claims.get("scope", "")).split()),
    )


def _signing_key(key: str) -> OctKey:
    """Derive the key of these tokens, so that no other signature of the platform can pass for one."""
    digest = hmac.new(key.encode(), b"flexmeasures coordination tokens", hashlib.sha256).digest()
    return OctKey.import_key(digest)

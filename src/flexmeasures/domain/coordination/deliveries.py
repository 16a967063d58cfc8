"""Notifications: their signature, and when to try again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

__all__ = ["RETRIES", "is_signed_by", "retry_after", "sign"]

RETRIES = 3
"""Number of attempts after the first."""

_FIRST_WAIT = timedelta(seconds=2)
_FACTOR = 4


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a notification: Base64 of HMAC-SHA256 over the raw body.

    >>> sign("secret", b"{}")
    'dzJZAsrKgS3CWXM6rNBGtzgXNyx3e42VtAJkdHRRbhM='
    """
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_signed_by(secret: str, body: bytes, signature: str) -> bool:
    """Tell whether a signature fits, in a time that does not depend on where it differs."""
    return hmac.compare_digest(sign(secret, body).encode(), signature.encode("utf-8", "surrogateescape"))


def retry_after(attempts: int, jitter: float) -> timedelta | None:
    """Return how long to wait before the next attempt, doubling twice each time; None: give up.

    Args:
        attempts: Number of failed attempts, from 1.
        jitter: Random, 0 … 1: spreads the attempts of many receivers over half as long again.

    >>> [retry_after(n, 0) and retry_after(n, 0).total_seconds() for n in (1, 2, 3, 4)]
    [2.0, 8.0, 32.0, None]
    """
    if attempts > RETRIES:
        return None
    spread = 1 + jitter / 2
    return _FIRST_WAIT * int(_FACTOR ** (attempts - 1)) * spread

"""Secrets that we must be able to send again, such as tokens for callbacks: kept encrypted, never shown."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

__all__ = ["decrypt", "encrypt"]


def encrypt(secrets: dict[str, Any], key: str) -> bytes | None:
    """Encrypt secrets; None if there are none.

    Args:
        secrets: By name; JSON.
        key: SECRET_KEY of the platform.
    """
    present = {name: value for name, value in secrets.items() if value}
    return bytes(_box(key).encrypt(orjson.dumps(present))) if present else None


def decrypt(sealed: bytes | None, key: str) -> dict[str, Any]:
    """Decrypt secrets; what was encrypted with another key is lost, and its owner has to set it anew."""
    if sealed is None:
        return {}
    try:
        secrets: dict[str, Any] = orjson.loads(_box(key).decrypt(sealed))
    except (CryptoError, ValueError):
        return {}
    return secrets


def _box(key: str) -> SecretBox:
    return SecretBox(hmac.new(key.encode(), b"flexmeasures callback secrets", hashlib.sha256).digest())

"""Addresses to which upstreams send their webhooks: a path for each, which cannot be guessed.

A notification only wakes us: what holds is then asked for, so nothing depends on what it says, or on who sent it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import Upstream

__all__ = ["HOOKS", "find_by_receiver", "hook_address"]

HOOKS = "/energy-coordination/hooks"


def hook_address(base: str, receiver: str) -> str:
    """Write the address that an upstream is told.

    >>> hook_address("https://flex.example.com/", "abc")
    'https://flex.example.com/energy-coordination/hooks/abc'
    """
    return f"{base.rstrip('/')}{HOOKS}/{receiver}"


def find_by_receiver(session: Session, receiver: str) -> int | None:
    """Find the id of the upstream whose path it is; None if it is nobody's."""
    if not receiver.isascii() or not receiver.isprintable():
        return None
    found: int | None = session.scalar(select(Upstream.id).where(Upstream.receiver == receiver))
    return found

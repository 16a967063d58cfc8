"""Quotation of what somebody sent, in messages."""

from __future__ import annotations

import reprlib

__all__ = ["LONGEST_QUOTE", "quote"]

LONGEST_QUOTE = 60
"""So many characters of a value are repeated in a message; the sender knows the rest."""


def quote(value: object) -> str:
    """Repeat in a message what somebody sent: in quotes, on one line, and shortened, as it may be long or deep.

    >>> quote("MW; drop"), quote("x" * 1000)[-5:], quote(None)
    ("'MW; drop'", "xxx'…", 'None')
    """
    if isinstance(value, str):
        return repr(value[:LONGEST_QUOTE]) + ("…" if len(value) > LONGEST_QUOTE else "")
    shown = reprlib.repr(value)
    return shown if len(shown) <= LONGEST_QUOTE else f"{shown[:LONGEST_QUOTE]}…"

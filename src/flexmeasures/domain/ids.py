"""Ids of rows, as people and programs send them."""

from __future__ import annotations

__all__ = ["MAX_ID", "is_id"]

MAX_ID = 2**31 - 1
"""Larger numbers fit no id column."""


def is_id(number: int) -> bool:
    """Tell whether a number can be the id of a row; the database refuses to look for any other.

    >>> is_id(1), is_id(0), is_id(2**31)
    (True, False, False)
    """
    return 0 < number <= MAX_ID

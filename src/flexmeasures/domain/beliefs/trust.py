"""Trust: the sources whose beliefs about a public sensor count for a reader.

Everybody with a role may post prices and weather. What steers the plans of others must come from somebody whom the
market trusts, or one account could steer all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["TRUSTED_ROLES", "Speaker", "trusted_source_ids"]

TRUSTED_ROLES = frozenset({"Aggregator", "Supplier", "MDC", "DSO", "ESCo"})
"""Roles whose users a public sensor trusts if nothing else is configured: the market roles other than Prosumer."""


@dataclass(frozen=True)
class Speaker:
    """A source of beliefs and who is behind it.

    Attributes:
        source_id: The source.
        is_program: Whether it is a program of the platform rather than a user.
        user_id: The user behind it; None: a program, or an account that was deleted.
        roles: Names of the roles of that user.
    """

    source_id: int
    is_program: bool
    user_id: int | None = None
    roles: frozenset[str] = frozenset()


def trusted_source_ids(
    speakers: Iterable[Speaker], *, reader_id: int | None = None, roles: frozenset[str] = TRUSTED_ROLES
) -> frozenset[int]:
    """Choose the sources whose beliefs about a public sensor count for a reader.

    Programs of the platform count, and so do admins, users with a trusted role, and the reader.

    Args:
        speakers: Who has said anything.
        reader_id: The user for whom beliefs are read, such as the owner of the asset that is planned; None: nobody.
        roles: Roles which the sensor trusts.

    >>> supplier = Speaker(1, False, 10, frozenset({"Supplier"}))
    >>> customer = Speaker(2, False, 20, frozenset({"Prosumer"}))
    >>> sorted(trusted_source_ids([supplier, customer])), sorted(trusted_source_ids([customer], reader_id=20))
    ([1], [2])
    """
    accepted = roles | {"admin"}
    return frozenset(
        one.source_id
        for one in speakers
        if one.is_program
        or (reader_id is not None and one.user_id == reader_id)
        or (one.user_id is not None and one.roles & accepted)
    )

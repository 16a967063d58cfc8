"""Pace of somebody: buckets of tokens that fill with time."""

from __future__ import annotations

import functools
import ipaddress
import threading
from collections.abc import Callable

__all__ = ["Pace", "peer_group"]

_MOST_BUCKETS = 10_000


class Pace:
    """Counts for each name: a bucket of ``burst`` tokens that fills at ``rate`` tokens a second; threads share it.

    Args:
        rate: Tokens a second; None: no limit.
        burst: Tokens in a full bucket.
        clock: Seconds.
    """

    def __init__(self, rate: float | None, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def has_any(self, name: str) -> bool:
        """Tell whether a token is left, without taking it."""
        if self._rate is None:
            return True
        with self._lock:
            return self._tokens(name, self._rate) >= 1

    def take(self, name: str) -> bool:
        """Take a token; tell whether there was one."""
        if self._rate is None:
            return True
        with self._lock:
            tokens = self._tokens(name, self._rate)
            enough = tokens >= 1
            self._buckets[name] = (tokens - 1 if enough else tokens, self._clock())
            if len(self._buckets) > _MOST_BUCKETS:
                self._forget(self._rate)
        return enough

    def _tokens(self, name: str, rate: float) -> float:
        tokens, then = self._buckets.get(name, (self._burst, self._clock()))
        return min(self._burst, tokens + (self._clock() - then) * rate)

    def _forget(self, rate: float) -> None:
        """Forget full buckets, which say nothing, and if that is not enough the older half of all."""
        kept = {
            name: bucket for name, bucket in self._buckets.items() if self._tokens(name, rate) < self._burst
        }
        if len(kept) > _MOST_BUCKETS // 2:
            kept = dict(list(kept.items())[len(kept) // 2 :])
        self._buckets = kept


@functools.lru_cache(maxsize=1024)
def peer_group(address: str) -> str:
    """Name those who count as one peer: an IPv4 address, also in its IPv6 form, or a /64 network of IPv6.

    >>> peer_group("::ffff:192.0.2.1"), peer_group("2001:db8:1:2:3::4"), peer_group("unix")
    ('192.0.2.1', '2001:db8:1:2::/64', 'unix')
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))

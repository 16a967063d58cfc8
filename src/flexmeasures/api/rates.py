"""How often somebody may ask, and how often guess a password: counted in Redis, for all server processes together.

Counted is over a sliding window: the current period, and of the one before as much as the window still covers.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

import redis
from flask import Flask, Response, current_app, request
from flask_login import current_user
from redis.exceptions import RedisError

from flexmeasures.api import problem
from flexmeasures.api.http import json_response
from flexmeasures.api.usef.statuses import TOO_MANY_REQUESTS
from flexmeasures.data.database import redis_connection
from flexmeasures.setting_types import RATE

__all__ = ["Rate", "count", "register", "wait_for"]

log = logging.getLogger(__name__)

TRIES_PER_ADDRESS = 5
"""How many times as often as at one account somebody may fail to log in at several accounts."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

_LOGIN = "security.login"
_TOKEN = "flexmeasures_api.request_auth_token"  # noqa: S105 - the name of an endpoint
_REFUSED_TOKEN = (401, 404)


@dataclass(frozen=True)
class Rate:
    """So many times in so many seconds."""

    times: int
    seconds: int

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, text: str) -> Rate | None:
        """Read a setting; an empty one is no limit.

        >>> Rate.parse("10 per minute")
        Rate(times=10, seconds=60)
        """
        found = RATE.fullmatch(text)
        return cls(int(found[1]), _SECONDS[found[2]]) if found else None


def register(app: Flask) -> None:
    """Refuse requests of an app that come too often, as its settings say."""
    app.before_request(_limit_requests)
    app.before_request(_limit_logins)
    app.after_request(_note_failed_login)


def count(connection: redis.Redis, rate: Rate, key: str) -> int:
    """Count a request, unless it is one too many.

    Returns:
        How long to wait if it was [s]; otherwise 0.
    """
    current, previous, gone = _periods(rate, key)
    pipe = connection.pipeline(transaction=False)
    pipe.incr(current)
    pipe.expire(current, 2 * rate.seconds)
    pipe.get(previous)
    now, _, before = pipe.execute()
    wait = _excess(rate, int(now) - 1, int(before or 0), gone)
    if wait:
        # Who is refused and comes back in time is let in: refusals do not add up.
        connection.decr(current)
    return wait


def wait_for(connection: redis.Redis, rate: Rate, key: str) -> int:
    """Tell how long to wait until another request is not one too many, without counting one [s]."""
    current, previous, gone = _periods(rate, key)
    now, before = connection.mget(current, previous)
    return _excess(rate, int(now or 0), int(before or 0), gone)


def _periods(rate: Rate, key: str) -> tuple[str, str, float]:
    """Name the counters of this period and of the one before, and tell which part of this one is over."""
    number, gone = divmod(time.time(), rate.seconds)
    name = f"flexmeasures:rate:{rate.seconds}:{key}"
    return f"{name}:{number:.0f}", f"{name}:{number - 1:.0f}", gone / rate.seconds


def _excess(rate: Rate, now: int, before: int, gone: float) -> int:
    """Tell how long to wait until there is room for another request [s].

    Args:
        rate: What is allowed.
        now: How many were counted in this period.
        before: How many were counted in the period before.
        gone: Which part of this period is over.

    >>> ten = Rate(10, 60)
    >>> _excess(ten, now=9, before=0, gone=0.5), _excess(ten, now=5, before=8, gone=0.5)
    (0, 0)

    Half a minute later a new period begins, and after its first tenth only 9 of the 10 count:

    >>> _excess(ten, now=10, before=0, gone=0.5)
    36
    """
    room = rate.times - 1
    if now + before * (1 - gone) <= room:
        return 0
    wait = 1 - (room - now) / before - gone if now <= room else 2 - gone - room / now
    return max(1, math.ceil(round(wait * rate.seconds, 6)))


def _limit_requests() -> Response | None:
    """Refuse a user, or an address without one, that asks the API too often."""
    rate = Rate.parse(current_app.config["FLEXMEASURES_API_RATE_LIMIT"])
    if rate is None or not request.path.startswith("/api/") or request.method == "OPTIONS":
        return None
    asker = f"user:{current_user.id}" if current_user.is_authenticated else f"address:{_client()}"
    try:
        wait = count(redis_connection(current_app), rate, asker)
    except RedisError as error:
        return _let_pass(error)
    return _refuse(f"You may send {rate.times} requests in {rate.seconds} s.", wait) if wait else None


def _limit_logins() -> Response | None:
    """Refuse who has failed to log in too often, before the password is looked at."""
    rate = _login_rate()
    if rate is None:
        return None
    try:
        wait = max(wait_for(redis_connection(current_app), each, key) for each, key in _login_keys(rate))
    except RedisError as error:
        return _let_pass(error)
    return _refuse("Too many attempts to log in have failed.", wait) if wait else None


def _note_failed_login(response: Response) -> Response:
    """Count an attempt to log in that has failed."""
    rate = _login_rate()
    if rate is None or not _has_failed(response):
        return response
    try:
        for each, key in _login_keys(rate):
            count(redis_connection(current_app), each, key)
    except RedisError as error:
        _let_pass(error)
    return response


def _login_rate() -> Rate | None:
    """Find out how often logging in may fail; None if that is not what the request is about."""
    if request.method != "POST" or request.endpoint not in (_LOGIN, _TOKEN):
        return None
    return Rate.parse(current_app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"])


def _login_keys(rate: Rate) -> list[tuple[Rate, str]]:
    """Name what is counted: attempts at one account from one address, and all attempts from that address."""
    client = _client()
    # Only a digest of the account: it may be anything, and no business of who looks into Redis.
    account = hashlib.sha256(_account().strip().lower().encode()).hexdigest()[:20]
    at_any = Rate(rate.times * TRIES_PER_ADDRESS, rate.seconds)
    return [(rate, f"login:{client}:{account}"), (at_any, f"login:{client}")]


def _account() -> str:
    """Find the account at which somebody tries to log in."""
    # Read into the cache, so that the view finds the body, too.
    request.get_data(cache=True)
    body = (
        request.get_json(force=True, silent=True) if request.endpoint == _TOKEN or request.is_json else None
    )
    email = body.get("email") if isinstance(body, dict) else request.form.get("email")
    return email if isinstance(email, str) else ""


def _has_failed(response: Response) -> bool:
    if request.endpoint == _TOKEN:
        return response.status_code in _REFUSED_TOKEN
    return response.status_code != HTTPStatus.TOO_MANY_REQUESTS and not current_user.is_authenticated


def _client() -> str:
    """Name the client by its address; an IPv6 one by its network, of which one client has all addresses."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "local"
    return str(ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address)


def _let_pass(error: RedisError) -> None:
    """Go on without limits where Redis does not answer: better no limit than no service."""
    log.warning("Requests are not limited, because Redis does not answer: %s", error)


def _refuse(reason: str, wait: int) -> Response:
    text = f"{reason} Try again in {wait} s."
    if request.endpoint == _TOKEN:
        response = json_response({"errors": [text], "status": 429}, 429)
    else:
        response = problem.answer(429, text, TOO_MANY_REQUESTS.name)
    response.headers["Retry-After"] = str(wait)
    return response

"""Rate limits of requests and of password guesses, counted in Redis for all server processes together.

Counted is over a sliding window: the current period, and of the one before as much as the window still covers. Looking
and counting are one step inside Redis, so that of many at once no more are let in than one after the other.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import time
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

import redis
from email_validator import EmailNotValidError, validate_email
from flask import Flask, Response, current_app, g, request
from flask_login import current_user
from redis.exceptions import RedisError

from flexmeasures.api import problem
from flexmeasures.api.door import json_response
from flexmeasures.api.usef.statuses import TOO_MANY_REQUESTS
from flexmeasures.auth.watched_logins import note_lock
from flexmeasures.data.database import redis_connection
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.setting_types import RATE

__all__ = ["Rate", "Reservation", "canonical_account", "count", "register", "release", "reserve"]

log = logging.getLogger(__name__)

TRIES_PER_ADDRESS = 5
"""Factor by which somebody may fail more often at several accounts than at one."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

LONGEST_ADDRESS = 320
"""So many signs of an address are looked at."""

_LOGIN = "security.login"
_VERIFY = "security.verify"
_FORGOT = "security.forgot_password"
_TOKEN = "flexmeasures_api.request_auth_token"  # noqa: S105 - the name of an endpoint
_REFUSED_TOKEN = (401, 404)
_CREDENTIALS = ("email", "password")

_FAILED = "Too many attempts to log in have failed."
_TOO_MANY = {
    _LOGIN: _FAILED,
    _VERIFY: _FAILED,
    _TOKEN: _FAILED,
    _FORGOT: "Too many links for new passwords were asked for.",
}
"""A limit and its message."""


@dataclass(frozen=True)
class Rate:
    """So many times in so many seconds."""

    times: int
    seconds: int

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, text: str) -> Rate | None:
        """Read a setting; an empty one is not a limit.

        >>> Rate.parse("10 per minute")
        Rate(times=10, seconds=60)
        """
        found = RATE.fullmatch(text)
        return cls(int(found[1]), _SECONDS[found[2]]) if found else None


# Looks at all limits, and counts in all of them if none is reached. For each: the keys of the counters of this period
# and of the one before; how often, how long [s], and which part of this period is over. Answers with what it found.
_COUNT = """
local found, room = {}, 1
for i = 1, #KEYS / 2 do
  local now = tonumber(redis.call('get', KEYS[2 * i - 1]) or 0)
  local before = tonumber(redis.call('get', KEYS[2 * i]) or 0)
  found[2 * i - 1], found[2 * i] = now, before
  if now + before * (1 - tonumber(ARGV[3 * i])) > tonumber(ARGV[3 * i - 2]) - 1 then room = 0 end
end
if room == 1 then
  for i = 1, #KEYS / 2 do
    redis.call('incr', KEYS[2 * i - 1])
    redis.call('expire', KEYS[2 * i - 1], 2 * ARGV[3 * i - 1])
  end
end
found[#KEYS + 1] = room
return found
"""

# Takes back what was counted, unless its period is over and forgotten.
_RELEASE = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('get', key) or 0) > 0 then redis.call('decr', key) end
end
"""


@dataclass(frozen=True)
class Reservation:
    """An attempt that was counted before anybody knows how it ends.

    Attributes:
        wait: How long to wait until there is room for it [s]; 0 if it was counted.
        counters: Keys of the counters in which it was counted.
    """

    wait: int
    counters: tuple[str, ...] = ()


def register(app: Flask) -> None:
    """Refuse requests of an app that come too often, as its settings say."""
    app.before_request(_limit_requests)
    app.before_request(_limit_logins)
    app.after_request(_forgive_login)


def reserve(connection: redis.Redis, limits: Sequence[tuple[Rate, str]]) -> Reservation:
    """Count an attempt in several limits at once, unless it is one too many in any of them.

    Args:
        connection: To Redis.
        limits: Each a rate, and a name for what is counted.
    """
    keys: list[str] = []
    arguments: list[float] = []
    for rate, name in limits:
        current, previous, gone = _periods(rate, name)
        keys += [current, previous]
        arguments += [rate.times, rate.seconds, gone]
    *found, room = connection.eval(_COUNT, len(keys), *keys, *arguments)
    if room:
        return Reservation(0, tuple(keys[::2]))
    gone_parts = arguments[2::3]
    waits = [
        _excess(rate, int(now), int(before), gone)
        for (rate, _), now, before, gone in zip(limits, found[::2], found[1::2], gone_parts, strict=True)
    ]
    return Reservation(max(1, *waits))


def release(connection: redis.Redis, reservation: Reservation) -> None:
    """Take back what was reserved: it was not an attempt that counts."""
    if reservation.counters:
        connection.eval(_RELEASE, len(reservation.counters), *reservation.counters)


def count(connection: redis.Redis, rate: Rate, key: str) -> int:
    """Count a request, unless it is one too many.

    Returns:
        How long to wait if it was [s]; otherwise 0.
    """
    return reserve(connection, [(rate, key)]).wait


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
        _let_pass(error)
        return None
    return _refuse(f"You may send {rate.times} requests in {rate.seconds} s.", wait) if wait else None


def _limit_logins() -> Response | None:
    """Reserve an attempt before the password is looked at, or refuse who has failed too often."""
    rate = _login_rate()
    if rate is None:
        return None
    try:
        account = _account()
    except InvalidInput as error:
        return _refuse_form(str(error))
    try:
        reservation = reserve(redis_connection(current_app), _login_limits(rate, account))
    except RedisError as error:
        _let_pass(error)
        return None
    if reservation.wait:
        if request.endpoint != _FORGOT:
            note_lock(current_app, account, reservation.wait)
        return _refuse(_TOO_MANY[request.endpoint or ""], reservation.wait)
    g.login_attempt = reservation
    return None


def _forgive_login(response: Response) -> Response:
    """Take back an attempt that was none: the password was right, or none was looked at."""
    attempt: Reservation | None = g.pop("login_attempt", None)
    if attempt is not None and not _counts(response):
        try:
            release(redis_connection(current_app), attempt)
        except RedisError as error:
            _let_pass(error)
    return response


def _login_rate() -> Rate | None:
    """Find out how often logging in may fail; None if that is not what the request is about."""
    if request.method != "POST" or request.endpoint not in _TOO_MANY:
        return None
    return Rate.parse(current_app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"])


def _login_limits(rate: Rate, account: str) -> list[tuple[Rate, str]]:
    """Name what is counted: attempts at one account from one address, and all attempts from that address."""
    client = _client()
    kind = "mail" if request.endpoint == _FORGOT else "login"
    # Only a digest of the account: it may be anything, and no business of who looks into Redis.
    digest = hashlib.sha256(account.encode()).hexdigest()[:20]
    at_any = Rate(rate.times * TRIES_PER_ADDRESS, rate.seconds)
    return [(rate, f"{kind}:{client}:{digest}"), (at_any, f"{kind}:{client}")]


def _account() -> str:
    """Find the account at which somebody tries to log in, in the one way of writing it.

    Raises:
        InvalidInput: If it is not a text, or there are several: what is looked up must be what is counted.
    """
    if request.endpoint == _VERIFY:
        return f"user:{current_user.id}" if current_user.is_authenticated else ""
    if request.endpoint == _TOKEN or request.is_json:
        body = request.get_json(force=True, silent=True)
        if not isinstance(body, dict):
            return ""
        emails = [body[name] for name in _CREDENTIALS if name in body]
    else:
        emails = [text for name in _CREDENTIALS for text in request.form.getlist(name)]
        if any(len(request.form.getlist(name)) > 1 for name in _CREDENTIALS):
            raise InvalidInput("Send one email address and one password, each once.")
    if not all(isinstance(text, str) for text in emails):
        if request.endpoint == _TOKEN:
            return ""  # its view says what is missing, and looks at no password
        raise InvalidInput("The email address and the password must be texts.")
    return canonical_account(emails[0]) if emails else ""


def canonical_account(email: str) -> str:
    """Write an address in the one way in which all that lead to the same account are written.

    >>> canonical_account(" Me@Example.COM "), canonical_account("me@EXAMPLE.com")
    ('me@example.com', 'me@example.com')
    """
    text = email.strip()[:LONGEST_ADDRESS]
    with suppress(EmailNotValidError):  # then it leads nowhere, but is counted all the same
        text = validate_email(text, check_deliverability=False, test_environment=True).normalized
    return unicodedata.normalize("NFKC", text).casefold()


def _counts(response: Response) -> bool:
    """Tell whether an attempt was one: somebody's password was looked at and was wrong, or a mail was asked for."""
    if request.endpoint == _FORGOT:
        return response.status_code < HTTPStatus.BAD_REQUEST
    if request.endpoint == _TOKEN:
        return response.status_code in _REFUSED_TOKEN
    if request.endpoint == _VERIFY:
        return response.status_code not in (302, 401) and not (
            request.is_json and response.status_code == HTTPStatus.OK
        )
    return not current_user.is_authenticated


def _client() -> str:
    """Name the client by its address; an IPv6 one by its network, of which one client has all addresses."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "local"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    # An IPv4 address as a server that listens on both writes it: all of them share one network of IPv6.
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _let_pass(error: RedisError) -> None:
    """Go on without limits where Redis does not answer: better no limit than no service."""
    log.warning("Requests are not limited, because Redis does not answer: %s", error)


def _refuse_form(reason: str) -> Response:
    return problem.answer(400, reason)


def _refuse(reason: str, wait: int) -> Response:
    text = f"{reason} Try again in {wait} s."
    if request.endpoint == _TOKEN:
        response = json_response({"errors": [text], "status": 429}, 429)
    else:
        response = problem.answer(429, text, TOO_MANY_REQUESTS.name)
    response.headers["Retry-After"] = str(wait)
    return response

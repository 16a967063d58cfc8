"""Size limits of requests, checked before they are read: little for strangers, and nothing that unfolds into much more.

Who asks is found out from headers and cookies alone. A large body of somebody who has not shown who they are is never
read, whether it says how long it is or comes in chunks.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import flask
import orjson
from flask import Flask, Request, current_app, request
from flask.json.provider import DefaultJSONProvider
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

__all__ = ["SMALL", "JsonProvider", "loads", "recognise", "register"]

SMALL = 64 * 1024
"""Largest body that is taken from anybody [bytes]: for logging in, new passwords, and changing few fields."""

LARGEST_COUNT = 4_000_000
"""So many commas may stand in a JSON text: four for each value that may be posted at once."""

MOST_CONTAINERS = 500_000
"""So many lists and objects may be opened in a JSON text: each costs much more memory than its two signs."""

_ENTRANCES = ("security", "flexmeasures_api")
"""Blueprints where one shows who one is: nobody has more to say there, known or not."""

_OUR_BLUEPRINTS = "flexmeasures_"


class JsonProvider(DefaultJSONProvider):
    """Reads JSON for the whole app with bounded depth and size; writes it as Flask does."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Read a JSON text.

        Raises:
            ValueError: If it is not JSON; a lone half of a surrogate pair, NaN and more than 1,024 levels are not.
            RequestEntityTooLarge: If it unfolds into too much.
        """
        return loads(s.encode(errors="surrogatepass") if isinstance(s, str) else s)


def register(app: Flask) -> None:
    """Bound the bodies of an app's requests; to be registered before hooks that read them."""
    app.json_provider_class = JsonProvider  # Flask-Security makes one of its own of it
    app.json = JsonProvider(app)
    app.before_request(_bound)


def loads(payload: bytes) -> Any:
    """Read a JSON text.

    Raises:
        orjson.JSONDecodeError: If it is not JSON.
        RequestEntityTooLarge: If it holds more lists, objects or commas than any message needs.
    """
    if len(payload) > SMALL and (
        payload.count(b"[") + payload.count(b"{") > MOST_CONTAINERS or payload.count(b",") > LARGEST_COUNT
    ):
        raise RequestEntityTooLarge(
            "It holds more lists, objects or values than one message may. Send it in parts."
        )
    return orjson.loads(payload)


def _bound() -> None:
    """Set the limit of a request's body.

    Raises:
        RequestEntityTooLarge: If it says itself that it is larger.
        Unauthorized: If a service that needs a user is sent a large body by nobody in particular.
    """
    limit = _limit(request)
    request.max_content_length = limit
    if limit is None:
        return
    length = _announced(request)
    if request.content_length is None and (length is None or length <= limit):
        if request.environ.get("wsgi.input_terminated"):
            _bound_chunks(request, limit)
    elif length is not None and length > limit:
        if _asks_for_user() and length <= (current_app.config["MAX_CONTENT_LENGTH"] or length):
            flask.abort(401)
        raise RequestEntityTooLarge(f"It has {length} bytes; here the limit is {limit}.")


def _bound_chunks(request: Request, limit: int) -> None:
    """Bound a body whose length nobody knows beforehand; a small one is read, so that views know its length."""
    bounded = io.BufferedReader(_Bounded(request.environ["wsgi.input"], limit))
    request.environ["wsgi.input"] = bounded
    # werkzeug would cut the body off at its limit without a word; so that is one further than ours.
    request.max_content_length = limit + 1
    if limit <= SMALL and _is_entrance(request):
        body = bounded.read()
        request.environ["wsgi.input"] = io.BytesIO(body)
        request.environ["CONTENT_LENGTH"] = str(len(body))
        request.environ.pop("HTTP_TRANSFER_ENCODING", None)
        vars(request).pop("content_length", None)


def _limit(request: Request) -> int | None:
    """Find out how large the body of a request may be [bytes]; None: as large as anybody likes."""
    largest: int | None = current_app.config["MAX_CONTENT_LENGTH"]
    small = SMALL if largest is None else min(SMALL, largest)
    if _is_entrance(request):
        return small
    announced = None if request.content_length is None else _announced(request)
    # Views of plugins may have ways of their own to find out who asks.
    is_ours = (request.blueprint or "").startswith(_OUR_BLUEPRINTS)
    if not is_ours or (announced is not None and announced <= small):
        return largest
    return largest if _is_known(request) else small


def _announced(request: Request) -> int | None:
    """Read how long a body says it is, be it that it says so beside coming in chunks."""
    text = request.environ.get("CONTENT_LENGTH") or ""
    # Numbers of thousands of digits are not read: they are too large in any case.
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def _is_entrance(request: Request) -> bool:
    return request.endpoint is None or request.blueprint in _ENTRANCES


def _asks_for_user() -> bool:
    """Tell whether a request is for a service that needs a user, and nobody has shown to be one.

    Then the answer is 401: a client whose token has expired asks for a new one, and need not send less.
    """
    is_service = request.path.startswith("/api/") or request.blueprint in _recognisers()
    return is_service and not _is_entrance(request) and not _is_known(request)


def recognise(app: Flask, blueprint: str, is_known: Callable[[], bool]) -> None:
    """Tell how a blueprint finds out that somebody has shown who they are, where its callers are not users."""
    app.extensions.setdefault("recognisers", {})[blueprint] = is_known


def _recognisers() -> dict[str | None, Callable[[], bool]]:
    found: dict[str | None, Callable[[], bool]] = current_app.extensions.get("recognisers", {})
    return found


def _is_known(request: Request) -> bool:
    recogniser = _recognisers().get(request.blueprint)
    return recogniser() if recogniser is not None else bool(current_user.is_authenticated)


class _Bounded(io.RawIOBase):
    """A body in chunks, whose length nobody knows beforehand, up to a limit."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def readable(self) -> bool:
        """Say that one can read here."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes.

        Raises:
            RequestEntityTooLarge: If there are more than the limit allows.
        """
        block = self._stream.read(min(len(buffer), self._left + 1))
        self._left -= len(block)
        if self._left < 0:
            raise RequestEntityTooLarge("It is larger than is allowed here.")
        buffer[: len(block)] = block
        return len(block)

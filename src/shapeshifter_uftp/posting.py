"""Posting: the one loop that sends a message, for clients of both kinds and for the outbox; and its HTTP requests.

A client of httpx merges its settings into every request anew. That takes a third of the time of posting a message, and
for the same address gives the same every time, so requests are made from prepared parts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from shapeshifter_uftp.exceptions import ClientTransportException
from shapeshifter_uftp.exchange import Exchange, HttpRequest
from shapeshifter_uftp.uftp.payload import PayloadMessageResponse

if TYPE_CHECKING:
    import httpx

__all__ = ["NO_CLEAN_ANSWER", "RequestMaker", "deliver", "deliver_now"]

NO_CLEAN_ANSWER = "no clean answer"
"""First words of the reason of a failure after which the message may have arrived all the same."""

T = TypeVar("T")

_MOST_MODELS = 256


class RequestMaker:
    """Makes the requests of one HTTP client; threads may share it.

    Args:
        http: The client: its settings (time-outs, headers) go into every request, and must not change. It keeps no
            cookies of servers: they mean nothing in UFTP.
    """

    def __init__(self, http: httpx.Client | httpx.AsyncClient) -> None:
        self._http = http
        self._models: dict[tuple[str, ...], httpx.Request] = {}

    def make(self, request: HttpRequest) -> httpx.Request:
        """Make the request that the client would make.

        Raises:
            httpx.InvalidURL: The address is none.
        """
        import httpx  # noqa: PLC0415  loaded only when something is sent

        key = (request.url, *request.headers.values())  # the names of the headers are always the same
        model = self._models.get(key)
        if model is None:
            model = self._http.build_request("POST", request.url, headers=request.headers)
            for name in ("content-length", "cookie"):
                model.headers.pop(name, None)
            if len(self._models) >= _MOST_MODELS:
                self._models.clear()  # bearer tokens come and go
            self._models[key] = model
        return httpx.Request(
            "POST", model.url, headers=model.headers, content=request.content, extensions=model.extensions
        )


async def deliver(
    exchange: Exchange,
    post: Callable[[HttpRequest], Awaitable[httpx.Response]],
    receive: Callable[[httpx.Response], Awaitable[None]],
) -> PayloadMessageResponse:
    """Post a message until its exchange is over, and return the outcome.

    Args:
        exchange: What to post, and what the answers mean.
        post: Posts one request.
        receive: Gives an answer to the exchange; that may wait for a new token or a key.

    Raises:
        TransportError: The message did not get through.
    """
    import httpx  # noqa: PLC0415  loaded only when something is sent

    while (request := exchange.request) is not None:
        try:
            answer = await post(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ClientTransportException(f"{NO_CLEAN_ANSWER} from {request.url}: {error!r}") from error
        try:
            await receive(answer)
        except ClientTransportException as error:
            error.response = answer
            raise
    return exchange.outcome()


def deliver_now(exchange: Exchange, post: Callable[[HttpRequest], httpx.Response]) -> PayloadMessageResponse:
    """Do what `deliver` does, in this thread and without an event loop."""

    async def post_now(request: HttpRequest) -> httpx.Response:
        return post(request)

    async def receive(answer: httpx.Response) -> None:
        exchange.receive(answer.status_code, answer.headers, answer.content)

    return _run(deliver(exchange, post_now, receive))


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits for an event loop, as nothing in it does."""
    try:
        coroutine.send(None)
    except StopIteration as over:
        result: T = over.value
        return result
    finally:
        coroutine.close()
    raise RuntimeError("A synchronous post waited for an event loop")

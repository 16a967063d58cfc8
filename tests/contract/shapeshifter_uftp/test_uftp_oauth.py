"""Bearer tokens by OAuth 2 client credentials, against a real token endpoint on loopback."""

import asyncio
import http.server
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.client import AsyncShapeshifterDsoAgrClient, ShapeshifterDsoAgrClient
from shapeshifter_uftp.exceptions import ClientTransportException, TransportError
from shapeshifter_uftp.oauth import AuthorizationError, OAuthClient
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.store import Direction, State


class Endpoint(http.server.ThreadingHTTPServer):
    """Gives tokens at /token, and takes messages with a token that was not revoked elsewhere."""

    def __init__(self):
        self.given, self.seen, self.bodies, self.revoked = 0, [], [], set()
        self.replies = []
        """What the token endpoint answers first, instead of a token: status and body."""
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        """Give its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *args):
        self.shutdown()
        super().__exit__(*args)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            self._give_token(parse_qs(body.decode()))
            return
        token = self.headers.get("Authorization")
        self.server.seen.append(token)
        self.server.bodies.append(body)
        self._answer(401 if token in self.server.revoked else 200, b"")

    def _give_token(self, form):
        if form.get("client_secret") != ["secret"]:
            self._answer(401, b"no")
        elif self.server.replies:
            self._answer(*self.server.replies.pop(0))
        else:
            self.server.given += 1
            token = {"access_token": f"t{self.server.given}", "expires_in": 100}
            self._answer(200, json.dumps(token).encode())

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def arguments(endpoint, oauth):
    """Give the arguments of a grid operator's client, by position."""
    key = generate_key_pair().private_key
    return "dso.example.com", key, "agr.example.com", f"{endpoint.url}/message", None, oauth


def test_messages_carry_a_token_that_is_renewed_before_its_end():
    """A token is fetched once, sent with every message, and renewed ten seconds before it ends."""
    now = [0.0]
    with Endpoint() as endpoint:
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "secret", clock=lambda: now[0])
        with ShapeshifterDsoAgrClient(*arguments(endpoint, oauth)) as client:
            for now[0] in (0.0, 89.0, 91.0):
                client.send_test_message(uftp.TestMessage())
        assert endpoint.seen == ["Bearer t1", "Bearer t1", "Bearer t2"]
        assert oauth.authenticated
        assert not oauth.expired


def test_without_a_token_nothing_is_sent():
    """Who is not given a token gets an error with the status, and the message stays here."""
    with Endpoint() as endpoint:
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "wrong")
        with pytest.raises(AuthorizationError) as raised, oauth.ensure_authenticated():
            pass
        assert raised.value.http_status == 401
        assert isinstance(raised.value, TransportError)
        assert raised.value.temporary
        assert endpoint.seen == []
        with pytest.raises(AuthorizationError, match="no token yet"):
            _ = oauth.auth_header


def test_a_revoked_token_is_renewed_and_the_same_bytes_are_posted_again():
    """When the endpoint refuses a token before its end, a new one is fetched once, in both forms of the client."""
    with Endpoint() as endpoint:
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "secret")
        with ShapeshifterDsoAgrClient(*arguments(endpoint, oauth)) as client:
            client.send_test_message(uftp.TestMessage())
            endpoint.revoked.add("Bearer t1")
            assert client.send_test_message(uftp.TestMessage()).result == "Accepted"

        async def talk():
            async with AsyncShapeshifterDsoAgrClient(*arguments(endpoint, oauth)) as client:
                endpoint.revoked.add("Bearer t2")
                return await client.send_test_message(uftp.TestMessage())

        assert asyncio.run(talk()).result == "Accepted"
        assert endpoint.seen == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]
        assert endpoint.bodies[1] == endpoint.bodies[2]
        assert endpoint.bodies[3] == endpoint.bodies[4]


def test_an_endpoint_that_refuses_every_token_ends_the_message():
    """A 401 that a new token does not cure is about the message: it is raised, and no third token is fetched."""
    with Endpoint() as endpoint:
        endpoint.revoked |= {"Bearer t1", "Bearer t2"}
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "secret")
        with (
            ShapeshifterDsoAgrClient(*arguments(endpoint, oauth)) as client,
            pytest.raises(ClientTransportException) as raised,
        ):
            client.send_test_message(uftp.TestMessage())
        assert (raised.value.http_status, raised.value.temporary, endpoint.given) == (401, False, 2)


def test_threads_that_need_a_token_fetch_one_for_all():
    """Of many threads without a token, or with a revoked one, only one asks for it."""
    with Endpoint() as endpoint:
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "secret")

        def header(_):
            with oauth.ensure_authenticated() as ready:
                return ready.auth_header

        with ThreadPoolExecutor(8) as pool:
            assert set(map(str, pool.map(header, range(16)))) == {"{'Authorization': 'Bearer t1'}"}
            refused = {"Authorization": "Bearer t1"}
            renewed = list(pool.map(lambda _: oauth.renew(refused), range(16)))
        assert renewed == [{"Authorization": "Bearer t2"}] * 16
        assert endpoint.given == 2


def test_the_outbox_waits_for_the_authorisation_server(market, flex_request):
    """While the authorisation server fails or talks nonsense messages wait; then they are delivered with a token."""
    with Endpoint() as endpoint:
        endpoint.replies = [(500, b""), (200, b"[]"), (200, b"no json"), (401, b"not now")]
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "secret")
        dso = market.start(
            market.Dso, "dso.example.com",
            key_lookup_function=lambda domain, role: market.key(domain).public_key,
            endpoint_lookup_function=lambda domain, role: f"{endpoint.url}/message",
            oauth_lookup_function=lambda domain, role: oauth,
        )  # fmt: skip
        dso.send(flex_request(recipient_domain="agr.example.com"))
        ends = time.monotonic() + 10
        while dso.journal.count(Direction.OUT, State.DONE) == 0:
            assert time.monotonic() < ends, [entry.reason for entry in dso.journal.audit()]
            time.sleep(0.01)
        assert (endpoint.seen, endpoint.replies) == (["Bearer t1"], [])

"""Bearer tokens by OAuth 2 client credentials, against a real token endpoint on loopback."""

import http.server
import json
import threading
from urllib.parse import parse_qs

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.client import ShapeshifterDsoAgrClient
from shapeshifter_uftp.exceptions import TransportError
from shapeshifter_uftp.oauth import AuthorizationError, OAuthClient
from shapeshifter_uftp.sealing import generate_key_pair


class Endpoint(http.server.ThreadingHTTPServer):
    """Gives tokens at /token, and takes messages with a token elsewhere."""

    def __init__(self):
        self.given, self.seen = 0, []
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
        if self.path != "/token":
            self.server.seen.append(self.headers.get("Authorization"))
            self._answer(200, b"")
        elif parse_qs(body.decode()).get("client_secret") != ["secret"]:
            self._answer(401, b"no")
        else:
            self.server.given += 1
            self._answer(
                200, json.dumps({"access_token": f"t{self.server.given}", "expires_in": 100}).encode()
            )

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def test_messages_carry_a_token_that_is_renewed_before_its_end():
    """A token is fetched once, sent with every message, and renewed ten seconds before it ends."""
    now = [0.0]
    with Endpoint() as endpoint:
        oauth = OAuthClient(f"{endpoint.url}/token", "me", "secret", clock=lambda: now[0])
        key = generate_key_pair().private_key
        arguments = ("dso.example.com", key, "agr.example.com", f"{endpoint.url}/message", None, oauth)
        with ShapeshifterDsoAgrClient(*arguments) as client:
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
        assert endpoint.seen == []
        with pytest.raises(AuthorizationError, match="no token yet"):
            _ = oauth.auth_header

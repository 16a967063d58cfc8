"""JWTs of an OpenID Connect issuer, whose keys are served by a real server on loopback."""

from __future__ import annotations

import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from flexmeasures.auth import oidc
from flexmeasures.data.database import db
from flexmeasures.data.tables import User

ME = "/api/energy-communities/me"


class Issuer:
    """An issuer with keys that can be changed."""

    def __init__(self):
        self.keys = [RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}, auto_kid=False)]
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                if self.path.endswith("/.well-known/openid-configuration"):
                    answer = {"issuer": outer.url, "jwks_uri": f"{outer.url}/keys"}
                else:
                    answer = {"keys": [key.as_dict(private=False) for key in outer.keys]}
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, key=None, alg="RS256", **changes):
        """Sign a token for a member of the scene."""
        claims = {
            "iss": self.url,
            "aud": ["flexmeasures"],
            "exp": int(time.time()) + 60,
            "preferred_username": "esa1",
            **changes,
        }
        key = key or self.keys[-1]
        header = {"alg": alg, "kid": key.kid}
        return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, key)


@pytest.fixture
def issuer(app, scene):
    """An issuer that the app trusts, and a member whose login is the claim in capitals."""
    made = Issuer()
    app.config["FLEXMEASURES_OIDC_ISSUER"] = made.url
    oidc.register(app)
    with app.app_context():
        user = db.session.query(User).filter_by(username=f"ESA{scene.service}").one()
        user.username = "ESA1"
        db.session.commit()
    yield made
    app.extensions["oidc"] = None
    made.server.shutdown()
    made.server.server_close()


def ask(client, token):
    """Ask who one is."""
    return client.get(ME, headers={"Authorization": f"Bearer {token}"})


def test_a_token_of_the_issuer_is_accepted(client, issuer, scene):
    """The claim in capital letters is the login; keys are fetched once."""
    for _ in range(2):
        answer = ask(client, issuer.token())
        assert answer.status_code == 200, answer.text
        assert answer.json["data"]["email"] == f"a{scene.service}@example.org"
    assert issuer.asked == 2  # its discovery, its keys


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"preferred_username": "nobody-of-that-name"},
        {"preferred_username": None},
        {"preferred_username": 7},
    ],
)
def test_wrong_claims_are_refused(client, issuer, changes):
    """Another issuer or audience, an expired token, or an unknown user: 401."""
    answer = ask(client, issuer.token(**changes))
    assert (answer.status_code, answer.json["name"]) == (401, "Unauthorized")


def test_wrong_signatures_are_refused(client, issuer):
    """A stranger's key of the same name, no signature, and a public key used as a secret."""
    stranger = RSAKey.generate_key(2048, {"kid": "first"}, auto_kid=False)
    assert ask(client, issuer.token(stranger)).status_code == 401
    good = issuer.token()
    assert ask(client, good[:-4] + "AAAA").status_code == 401
    head, body, _ = good.split(".")
    unsigned = "eyJhbGciOiJub25lIn0." + body + "."
    assert ask(client, unsigned).status_code == 401
    claims = {"iss": issuer.url, "aud": "flexmeasures", "exp": 4e9, "preferred_username": "ESA1"}
    parts = [
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "first"}, claims)
    ]
    secret = issuer.keys[0].as_pem(private=False)
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    forged = b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()
    assert ask(client, forged).status_code == 401
    assert head


def test_changed_keys_are_fetched_anew(client, issuer, monkeypatch):
    """A token by a new key is accepted: the keys are asked for again, but not by each wrong token."""
    assert ask(client, issuer.token()).status_code == 200
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "second", "use": "sig"}, auto_kid=False))
    monkeypatch.setattr(oidc, "_ASK_AGAIN", 0.0)
    assert ask(client, issuer.token(alg="ES256")).status_code == 200
    monkeypatch.setattr(oidc, "_ASK_AGAIN", 3600.0)
    asked = issuer.asked
    for _ in range(5):
        assert ask(client, issuer.token(aud="x", alg="ES256")).status_code == 401
    assert issuer.asked == asked


def test_an_issuer_that_is_away_is_not_a_wrong_token(client, issuer, monkeypatch):
    """Without keys nobody can say whether a token is right: 503, and it works once the issuer is back."""
    address = issuer.server.server_address
    issuer.server.shutdown()
    issuer.server.server_close()
    token = issuer.token()
    answer = ask(client, token)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    monkeypatch.setattr(oidc, "_PAUSE", 0.0)
    issuer.server = HTTPServer(address, issuer.server.RequestHandlerClass)
    threading.Thread(target=issuer.server.serve_forever, daemon=True).start()
    assert ask(client, token).status_code == 200


def test_without_an_issuer_no_jwt_is_accepted(app, client, scene):
    """Where none is configured, a JWT is just a wrong token."""
    issuer = Issuer()
    assert ask(client, issuer.token()).status_code == 401
    assert issuer.asked == 0
    issuer.server.shutdown()
    issuer.server.server_close()

"""Hostile bodies: how much is taken from whom, in every way of sending it, on real servers as well."""

from __future__ import annotations

import http.client
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from flexmeasures.api import bodies
from flexmeasures.api.bodies import SMALL

TOKEN = "/api/requestAuthToken"
MEGABYTE = 1024 * 1024

DEEP = b"[" * 100_000
HOSTILE = [
    pytest.param(b"[" * 10_000, id="many levels"),
    pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="many objects"),
    pytest.param(b'{"email": "\\ud800", "password": "x"}', id="half a surrogate pair"),
    pytest.param(b'{"email": "\xff"}', id="not UTF-8"),
    pytest.param(b"\xed\xa0\x80", id="half a surrogate pair in UTF-8"),
    pytest.param(b'{"email": NaN}', id="not a number"),
    pytest.param(b'{"email": "a@b.c"', id="cut off"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"\x00", id="a NUL"),
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("path", [TOKEN, "/login", "/reset", "/api/v2_0/postMeterData", "/api/v2_0/assets"])
def test_what_is_not_json_is_said_to_be_none(admin, app, path, body):
    """A body that is not JSON is answered with 400 and a sentence, at each kind of door, known or not."""
    app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"] = "100 per minute"
    for headers in ({}, admin.headers):
        if not headers and path.startswith("/api/v2_0"):
            continue  # who is not known hears nothing about what they sent
        answer = admin.client.post(path, data=body, content_type="application/json", headers=headers)
        if path == "/api/v2_0/assets" and body == b"":
            assert answer.status_code == 422  # no body is an object without fields
        elif path == "/reset" and body == b"":
            assert answer.status_code == 200  # as for an address that nobody has
        else:
            assert answer.status_code == 400, answer.text
        assert "Traceback" not in answer.text
        assert len(answer.text) < 3000


# As servers hand on a body in chunks; the test client says a length in any case.
CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}

PLACES = [TOKEN, "/login", "/reset", "/api/v2_0/postMeterData", "/no-such-page"]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
)
@pytest.mark.parametrize("path", PLACES)
def test_strangers_are_not_listened_to_for_long(client, cast, path, kind, chunked):
    """Who is not known gets 413 where one shows who one is, and 401 elsewhere, however the body comes."""
    # A stream that would end with an error if it were read to its end.
    stream = Endless(SMALL * 2)
    how = CHUNKED if chunked else {"CONTENT_LENGTH": str(100 * MEGABYTE)}
    answer = client.open(
        path, method="POST", input_stream=stream, content_type=f"{kind}; boundary=x", environ_overrides=how
    )
    if path.startswith("/api/v2_0"):
        assert answer.status_code == (401 if chunked else 413)
    elif path == "/no-such-page":
        assert answer.status_code == 413
    elif path == TOKEN and kind != "application/json":
        assert answer.status_code in (400, 413)
    else:
        assert answer.status_code == 413
    assert stream.read_bytes <= SMALL + 70_000


@pytest.mark.parametrize(
    ("length", "status"), [("9" * 19, 413), ("9" * 5000, 413), ("-1", 400), ("1e3", 400)]
)
def test_strange_lengths_are_answered(client, cast, length, status):
    """A length that is not one, or is as long as a novel, is answered like others that are wrong."""
    answer = client.open(
        TOKEN,
        method="POST",
        input_stream=Endless(body=b""),
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length},
    )
    assert answer.status_code == status


def test_an_expired_token_is_told_so_even_with_a_large_body(client, cast):
    """A client whose token is no longer valid asks for a new one: it hears 401, and not that its data are too large."""
    for token in ({}, {"Authorization": "expired"}):
        answer = client.post(
            "/api/v2_0/postMeterData",
            data=b"[" + b"1," * SMALL + b"1]",
            content_type="application/json",
            headers=token,
        )
        assert answer.status_code == 401
        assert answer.json["status"] == "UNAUTHORIZED"


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_those_who_are_known_may_send_much(app, owner, chunked):
    """With a token, data may have up to MAX_CONTENT_LENGTH bytes: exactly so many are read, one more is refused."""
    app.config["MAX_CONTENT_LENGTH"] = 2 * MEGABYTE
    text = b'{"type": "PostMeterDataRequest"'
    for size, status in ((2 * MEGABYTE, 400), (2 * MEGABYTE + 1, 413)):
        body = text + b" " * (size - len(text) - 1) + b"}"
        assert len(body) == size
        how = CHUNKED if chunked else {"CONTENT_LENGTH": str(size)}
        answer = owner.client.open(
            "/api/v2_0/postMeterData",
            method="POST",
            input_stream=Endless(body=body),
            content_type="application/json",
            headers=owner.headers,
            environ_overrides=how,
        )
        assert answer.status_code == status, answer.json
        if status == 413:
            assert answer.json["status"] == "REQUEST_ENTITY_TOO_LARGE"
        else:
            assert answer.json["status"] != 400, "the message was read, and something in it was missing"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":[' + b"[]," * 600_000 + b"1]}", id="lists"),
        pytest.param(b'{"a":[' + b"{}," * 600_000 + b"1]}", id="objects"),
        pytest.param(b'{"a":[' + b"1," * 5_000_000 + b"1]}", id="numbers"),
    ],
)
def test_what_unfolds_into_much_is_refused(owner, body):
    """Of somebody who is known, too: many small parts cost far more memory than they have bytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    answer = owner.client.post(
        "/api/v2_0/postMeterData", data=body, content_type="application/json", headers=owner.headers
    )
    assert answer.status_code == 413
    assert "in parts" in answer.json["message"]
    assert time.process_time() - began < 1.0
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    )  # KiB; the body itself has 10,000


def test_a_day_of_seconds_of_several_meters_is_taken():
    """What an honest client may post is far below the bound: a million values in a thousand groups."""
    group = b'{"connection":"ea1.2021-01.io.flexmeasures:1:2","values":[' + b"1.5," * 999 + b"1.5]},"
    text = b'{"groups":[' + group * 999 + group[:-1] + b"]}"
    assert len(bodies.loads(text)["groups"]) == 1000


def test_a_text_for_the_body_may_hold_a_token(owner):
    """As Flask-Security allows, a small JSON body may hold the token, and so may the path."""
    token = owner.headers["Authorization"]
    client = owner.client.application.test_client()
    answer = client.post("/api/v2_0/postMeterData", json={"auth_token": token, "type": "x"})
    assert answer.status_code == 400
    assert client.get("/api/v2_0/assets", query_string={"auth_token": token}).status_code == 200


class Endless:
    """A body that goes on and on, or a given one; notes how much of it was read."""

    def __init__(self, size: int = 0, body: bytes | None = None) -> None:
        self._body, self._size, self.read_bytes = body, size, 0

    def read(self, count: int = -1) -> bytes:
        """Give some bytes."""
        assert count >= 0, "a body without a bound"
        if self._body is not None:
            block = self._body[self.read_bytes : self.read_bytes + count]
        else:
            assert self.read_bytes <= self._size, "read on and on"
            block = b"a" * count
        self.read_bytes += len(block)
        return block

    def tell(self) -> int:
        """Tell how far it was read; the test client asks before anybody has read."""
        return 0

    def seek(self, *_: int) -> int:
        """Stay where it is."""
        return 0

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module", params=["gunicorn", "run"])
def server(request, shared_app, tmp_path_factory) -> Iterator[str]:
    """A real server of the application on the same database, as in production and as `flexmeasures run`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = {
        "gunicorn": ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "flexmeasures.app:create()"],
        "run": ["-m", "flexmeasures", "run", "--port", str(port), "--no-worker"],
    }[request.param]
    output = tmp_path_factory.mktemp("server") / "output"
    environment = {
        **os.environ,
        "FLEXMEASURES_INSTANCE_PATH": shared_app.instance_path,
        "MAX_CONTENT_LENGTH": str(MEGABYTE),
        "SECRET_KEY": shared_app.config["SECRET_KEY"],
        "FLEXMEASURES_LOGIN_RATE_LIMIT": "1000 per minute",
    }
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, *words], env=environment, stdout=file, stderr=file)
    try:
        _await(port, process, output)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _await(port, process, output):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/api/")
            with connection.getresponse() as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise AssertionError(output.read_text())


def _send(server: str, path: str, size: int, chunked: bool, **headers: str) -> int:
    """Send a body of blanks, as far as the server takes it; give the status of the answer."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
    headers = {"Content-Type": "application/json", **headers}
    try:
        connection.putrequest("POST", path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader(
            *(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size)))
        )
        connection.endheaders()
        block = b" " * 65_536
        sent = 0
        try:
            while sent < size:
                part = block[: size - sent]
                connection.send(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
                sent += len(part)
            if chunked:
                connection.send(b"0\r\n\r\n")
        except OSError:
            pass  # the server has heard enough; it has answered before it closed
        with connection.getresponse() as answer:
            return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_real_servers_bound_bodies(server, owner, chunked):
    """On gunicorn and with `flexmeasures run`: 413 for what is too large, 400 for blanks, and the server goes on."""
    assert _send(server, TOKEN, SMALL, chunked) == 400
    assert _send(server, TOKEN, SMALL + 1, chunked) == 413
    token = owner.headers["Authorization"]
    assert _send(server, "/api/v2_0/postMeterData", MEGABYTE, chunked, Authorization=token) == 400
    assert _send(server, "/api/v2_0/postMeterData", MEGABYTE + 1, chunked, Authorization=token) == 413
    assert _send(server, "/api/v2_0/postMeterData", SMALL + 1, chunked) == 401
    assert _send(server, TOKEN, 10, chunked) == 400

"""The service over real HTTP: statuses, duplicates, isolation, faces, hostile input."""

import asyncio
import base64
import http.client
import io
import socket
import threading
import time
import wsgiref.util

import httpx
import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.addresses import Participant
from shapeshifter_uftp.client import ShapeshifterDsoAgrClient
from shapeshifter_uftp.exceptions import ClientTransportException, ServiceDiscoveryException
from shapeshifter_uftp.exchange import Identity, complete, seal_for_post
from shapeshifter_uftp.sealing import envelope_from_xml, envelope_to_xml, generate_key_pair, seal_xml
from shapeshifter_uftp.service import Limits, ShapeshifterAgrService
from shapeshifter_uftp.store import Direction, State
from shapeshifter_uftp.uftp import UsefRole

HEADERS = {"Content-Type": "text/xml; charset=utf-8"}


@pytest.fixture
def sealed(market, flex_request):
    """Give a builder of envelopes from the grid operator."""

    def make(message=None, private_key=None):
        key = private_key or market.key("dso.example.com").private_key
        prepared = complete(message or flex_request(), "dso.example.com", "agr.example.com")
        return seal_for_post(prepared, Identity("dso.example.com", UsefRole.DSO, key))

    return make


@pytest.fixture
def url(agr, market):
    """Give the aggregator's endpoint, with the grid operator known by its key only."""
    market.know("dso.example.com", "DSO")
    return f"http://127.0.0.1:{agr.port}{agr.path}"


def envelope(inner, key, domain="dso.example.com", role="DSO"):
    """Wrap any bytes in an envelope that is signed well."""
    return envelope_to_xml(
        uftp.SignedMessage(sender_domain=domain, sender_role=UsefRole(role), body=seal_xml(inner, key))
    )


def test_a_stored_message_is_answered_200_with_nothing(url, sealed, agr):
    """Success is 200 with an empty body, and the message reaches its hook."""
    answer = httpx.post(url, content=sealed(), headers=HEADERS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert agr.wait_for(uftp.FlexRequest)


BOMB = b'<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">]><SignedMessage SenderDomain="a.b.com" SenderRole="AGR" Body="&a;"/>'


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (400, {"Content-Type": "application/xml"}, None),
        (400, {"Content-Type": "text/xml; charset=iso-8859-1"}, None),
        (400, {}, None),
        (400, HEADERS, b""),
        (400, HEADERS, b"<SignedMessage/>"),
        (400, HEADERS, b"\xff\xfe\x00garbage"),
        (400, HEADERS, BOMB),
        (413, HEADERS, b" " * 4_000_001),
    ],
)
def test_bad_requests_have_their_status(status, headers, body, url, sealed):
    """Each kind of bad request has the status of the specification."""
    assert httpx.post(url, content=sealed() if body is None else body, headers=headers).status_code == status


def test_a_body_of_20_megabytes_is_refused_unread(url):
    """A body that is far too long is refused by its announced length."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=5)
    connection.putrequest("POST", "/shapeshifter/api/v3/message")
    connection.putheader("Content-Type", "text/xml")
    connection.putheader("Content-Length", "20000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_without_length_is_refused(url):
    """A chunked body has no Content-Length: 411."""
    answer = httpx.post(url, content=iter([b"<x/>"]), headers=HEADERS)
    assert answer.status_code == 411


def test_an_unknown_sender_is_refused_for_now(url):
    """A sender whose key cannot be looked up gets 419, which is temporary."""
    stranger = generate_key_pair()
    body = envelope(b"<TestMessage/>", stranger.private_key, domain="stranger.example.com")
    answer = httpx.post(url, content=body, headers=HEADERS)
    assert answer.status_code == 419


def test_a_wrong_key_is_refused_for_good(url, sealed):
    """A message signed with another key gets 401."""
    body = sealed(private_key=generate_key_pair().private_key)
    assert httpx.post(url, content=body, headers=HEADERS).status_code == 401


def test_a_changed_message_is_refused(url, sealed):
    """A message of which one byte was changed on its way gets 401."""
    good = envelope_from_xml(sealed())
    body = bytearray(good.body)
    body[200] ^= 1
    changed = uftp.SignedMessage(
        sender_domain=good.sender_domain, sender_role=good.sender_role, body=bytes(body)
    )
    assert httpx.post(url, content=envelope_to_xml(changed), headers=HEADERS).status_code == 401


@pytest.mark.parametrize(
    "inner", [b"", b"hello", b"<Unknown/>", b"<FlexRequest/>", BOMB, b"<SignedMessage/>", b"\x00" * 50]
)
def test_an_inner_message_that_is_none_is_refused(inner, url, market):
    """What is signed well but no message gets 400."""
    body = envelope(inner, market.key("dso.example.com").private_key)
    assert httpx.post(url, content=body, headers=HEADERS).status_code == 400


def test_other_paths_and_methods_are_refused(url):
    """Messages are posted to one path."""
    assert httpx.get(url).status_code == 405
    assert httpx.post(url + "/other", content=b"x").status_code == 404


def test_a_fast_sender_is_slowed_down(market, sealed):
    """Who sends more than agreed gets 429 and is told when to come back; others are not concerned."""
    from_other = generate_key_pair()
    agr = market.start(
        ShapeshifterAgrService, "agr.example.com", limits=Limits(messages_per_second=0.01, burst=2)
    )
    market.know("dso.example.com", "DSO")
    market.book.add(Participant("other.example.com", UsefRole.DSO, from_other.public_key))
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    answers = [httpx.post(url, content=sealed(), headers=HEADERS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    other = envelope(b"<x/>", from_other.private_key, domain="other.example.com")
    assert httpx.post(url, content=other, headers=HEADERS).status_code == 400


def test_a_repeated_message_is_answered_alike_and_handled_once(url, sealed, agr):
    """The same bytes again get the same answer and are not handled again."""
    body = sealed()
    assert [httpx.post(url, content=body, headers=HEADERS).status_code for _ in range(3)] == [200, 200, 200]
    agr.wait_for(uftp.FlexRequest)
    time.sleep(0.1)
    assert len(agr.heard) == 1


def test_the_same_id_with_another_content_is_rejected(market, agr, dso, flex_request):
    """A MessageID that was used for another content is rejected as a duplicate, and the first message stands."""
    first = dso.send(flex_request(recipient_domain="agr.example.com"))
    agr.wait_for(uftp.FlexRequest)
    other = complete(
        flex_request(message_id=first.message_id, conversation_id=first.conversation_id, revision=2),
        "dso.example.com", "agr.example.com",
    )  # fmt: skip
    body = seal_for_post(other, dso.identity)
    assert (
        httpx.post(f"http://127.0.0.1:{agr.port}{agr.path}", content=body, headers=HEADERS).status_code == 200
    )
    responses = dso.wait_for(uftp.FlexRequestResponse, 2)
    assert {r.rejection_reason for r in responses} == {None, "Duplicate Identifier"}


def test_a_message_to_somebody_else_is_rejected_by_a_response(agr, dso, flex_request):
    """A message for another recipient is answered 200 and rejected by a proper response."""
    message = complete(flex_request(recipient_domain="other.example.com"), "dso.example.com", "")
    with httpx.Client() as http:
        body = seal_for_post(message, dso.identity)
        assert (
            http.post(f"http://127.0.0.1:{agr.port}{agr.path}", content=body, headers=HEADERS).status_code
            == 200
        )
    entry = None
    ends = time.monotonic() + 5
    while entry is None and time.monotonic() < ends:
        entry = next((e for e in agr.journal.audit() if e.direction is Direction.OUT), None)
        time.sleep(0.01)
    assert entry.message_type == "FlexRequestResponse"
    stored = agr.journal.find(Direction.IN, message.message_id, "dso.example.com")
    assert (stored.outcome, stored.reason.split(":")[0]) == ("Rejected", "Unknown Recipient")


def test_an_old_message_without_zone_is_accepted(url, sealed, flex_request, agr):
    """Messages whose time stamp has no zone are stored: the schemas of 3.x allow it."""
    httpx.post(url, content=sealed(flex_request(time_stamp="2022-11-22T12:00:00")), headers=HEADERS)
    assert agr.wait_for(uftp.FlexRequest)


def test_slow_and_silent_connections_block_nobody(url, sealed):
    """While others hold connections open without sending, a message gets through at once."""
    host, port = url.split("/")[2].split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(20)]
    silent[0].sendall(b"POST /shapeshifter/api/v3/message HTTP/1.1\r\nContent-Le")
    started = time.monotonic()
    assert httpx.post(url, content=sealed(), headers=HEADERS).status_code == 200
    assert time.monotonic() - started < 2
    for connection in silent:
        connection.close()


def test_a_slow_look_up_of_one_sender_blocks_no_other(market, sealed):
    """While the key of one sender is being looked up, another one's message gets through."""
    release, entered = threading.Event(), threading.Event()

    class SlowBook:
        def find(self, domain, role, *, refresh=False):
            if domain == "slow.example.com":
                entered.set()
                release.wait(10)
                raise ServiceDiscoveryException("too slow")
            return market.book.find(domain, role)

    agr = market.start(ShapeshifterAgrService, "agr.example.com", address_book=SlowBook())
    market.know("dso.example.com", "DSO")
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    slow_body = envelope(b"<x/>", generate_key_pair().private_key, domain="slow.example.com")
    statuses = []
    waiting = threading.Thread(
        target=lambda: statuses.append(
            httpx.post(url, content=slow_body, headers=HEADERS, timeout=20).status_code
        )
    )
    waiting.start()
    assert entered.wait(5)
    assert httpx.post(url, content=sealed(), headers=HEADERS).status_code == 200
    release.set()
    waiting.join()
    assert statuses == [419]


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"",
    ],
)
def test_what_is_no_http_ends_the_connection_only(raw, url, sealed):
    """Garbage instead of HTTP ends its own connection, and the service goes on."""
    host, port = url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert httpx.post(url, content=sealed(), headers=HEADERS).status_code == 200


def test_clients_get_the_errors_with_their_status(market, agr, flex_request):
    """A client whose key is wrong gets a typed error with the status."""
    market.know("dso.example.com", "DSO")
    wrong = generate_key_pair().private_key
    endpoint = f"http://127.0.0.1:{agr.port}{agr.path}"
    with (
        ShapeshifterDsoAgrClient("dso.example.com", wrong, "agr.example.com", endpoint) as client,
        pytest.raises(ClientTransportException) as raised,
    ):
        client.send_flex_request(flex_request())
    assert raised.value.http_status == 401


def test_the_wsgi_face_receives(agr, market, sealed):
    """Under a WSGI server the same core answers."""
    market.know("dso.example.com", "DSO")
    body = sealed()
    environ = {}
    wsgiref.util.setup_testing_defaults(environ)
    environ.update(
        REQUEST_METHOD="POST", PATH_INFO=agr.path, SCRIPT_NAME="", CONTENT_TYPE="text/xml",
        CONTENT_LENGTH=str(len(body)),
    )  # fmt: skip
    environ["wsgi.input"] = io.BytesIO(body)
    started = []
    answer = b"".join(agr.wsgi(environ, lambda status, headers: started.append(status)))
    assert (started, answer) == (["200 OK"], b"")
    environ["CONTENT_LENGTH"] = ""
    agr.wsgi(environ, lambda status, headers: started.append(status))
    assert started[-1] == "411 Length Required"
    environ["PATH_INFO"] = "/elsewhere"
    agr.wsgi(environ, lambda status, headers: started.append(status))
    assert started[-1] == "404 Not Found"


def test_the_asgi_face_receives(agr, market, sealed):
    """Under an ASGI server the same core answers, and knows the server's start and end."""
    market.know("dso.example.com", "DSO")

    async def talk():
        transport = httpx.ASGITransport(app=agr.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://agr") as http:
            good = await http.post(agr.path, content=sealed(), headers=HEADERS)
            bad = await http.post(agr.path, content=base64.b64encode(b"x"), headers=HEADERS)
            return good.status_code, bad.status_code

    assert asyncio.run(talk()) == (200, 400)

    async def live():
        said, asked = [], iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive():
            return {"type": next(asked)}

        async def send(event):
            said.append(event["type"])

        await agr.app({"type": "lifespan"}, receive, send)
        return said

    assert asyncio.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_new_key_is_looked_up_when_the_old_one_does_not_fit(market, sealed):
    """After a partner has changed its key, its messages are verified with the key as published now."""
    fresh = generate_key_pair()

    class CachingBook:
        """Answers from its memory until it is asked to refresh."""

        def find(self, domain, role, *, refresh=False):
            found = market.book.find(domain, role)
            return Participant(domain, role, fresh.public_key) if refresh else found

    agr = market.start(ShapeshifterAgrService, "agr.example.com", address_book=CachingBook())
    market.know("dso.example.com", "DSO")
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    assert httpx.post(url, content=sealed(private_key=fresh.private_key), headers=HEADERS).status_code == 200
    assert httpx.post(url, content=sealed(private_key=fresh.private_key), headers=HEADERS).status_code == 200
    assert agr.journal.count(Direction.IN, State.NEW) + agr.journal.count(Direction.IN, State.DONE) == 2

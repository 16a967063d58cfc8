"""What strangers send: it costs little, uses up nothing of others, and shuts nobody out."""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tests.contract.shapeshifter_uftp.test_uftp_service_http import HEADERS, envelope

from shapeshifter_uftp.addresses import Participant
from shapeshifter_uftp.exceptions import SchemaException, ServiceDiscoveryException
from shapeshifter_uftp.exchange import Identity, complete, seal_for_post
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.sealing import envelope_from_xml, generate_key_pair
from shapeshifter_uftp.service import Limits, ShapeshifterAgrService
from shapeshifter_uftp.uftp import UsefRole

ROOT = Path(__file__).parents[3]
STRANGER = generate_key_pair()


class Published:
    """An address book of one grid operator, which looks at what is published only when it is told to."""

    def __init__(self, key):
        self.known = self.published = key
        self.looked_up, self.refreshes = [], 0

    def find(self, domain, role, *, refresh=False):
        """Answer from memory unless told otherwise."""
        self.looked_up.append(domain)
        if domain != "dso.example.com":
            raise ServiceDiscoveryException(f"no {domain}")
        if refresh:
            self.refreshes += 1
            self.known = self.published
        return Participant(domain, role, self.known)


@pytest.fixture
def book(market):
    """Give an address book with the grid operator's key."""
    return Published(market.key("dso.example.com").public_key)


@pytest.fixture
def post(market, book, flex_request):
    """Give a function that starts an aggregator with limits, and returns one that posts to it as the operator."""

    def start(**arguments):
        agr = market.start(ShapeshifterAgrService, "agr.example.com", address_book=book, **arguments)

        def send(private_key=None, domain="dso.example.com"):
            key = private_key or market.key("dso.example.com").private_key
            message = complete(flex_request(), domain, "agr.example.com")
            body = seal_for_post(message, Identity(domain, UsefRole.DSO, key))
            return httpx.post(f"http://127.0.0.1:{agr.port}{agr.path}", content=body, headers=HEADERS)

        return send

    return start


def test_forged_messages_do_not_keep_a_new_key_out(post, book):
    """While forgeries come in a partner's name, its new key is refused for now at most, and then accepted."""
    now = [1_000_000_000.0]
    send = post(clock=lambda: now[0])
    assert send(STRANGER.private_key).status_code == 401  # looked up just now: it fits no key of the partner
    fresh = generate_key_pair()
    book.published = fresh.public_key
    answer = send(fresh.private_key)
    assert (answer.status_code, book.refreshes) == (419, 1)  # not 401, which is final
    now[0] += 11
    assert send(fresh.private_key).status_code == 200
    assert send(STRANGER.private_key).status_code == 419
    assert send(fresh.private_key).status_code == 200
    assert book.refreshes == 2


def test_forged_messages_use_up_no_rate_limit(post):
    """Messages count for whoever signed them: forgeries take nothing from the sender that they name."""
    send = post(limits=Limits(messages_per_second=0.001, burst=2))
    assert {send(STRANGER.private_key).status_code for _ in range(20)} <= {401, 419}
    assert [send().status_code for _ in range(3)] == [200, 200, 429]


def test_an_address_that_sends_rubbish_loses_look_ups_not_partners(post, book):
    """From an address with too much unsigned traffic nobody new is looked up; partners known by now get through."""
    send = post(limits=Limits(unverified_per_second=0.001, unverified_burst=5))
    assert send().status_code == 200
    statuses = [send(STRANGER.private_key, f"s{n}.example.com").status_code for n in range(30)]
    assert (statuses[:5], set(statuses[5:])) == ([419] * 5, {429})
    assert send(STRANGER.private_key, "another.example.com").status_code == 429
    # Our own answer to the first message looks up its recipient, some time or other.
    assert "another.example.com" not in book.looked_up
    assert send().status_code == 200


def test_a_journal_of_refusals_is_short(post):
    """What a stranger calls itself is not echoed at length."""
    answer = post()(STRANGER.private_key, "a" * 60 + ".example.com")
    assert (answer.status_code, len(answer.text) < 1001) == (419, True)


FILL = 3_850_000
BOMBS = {
    "attributes": b"<SignedMessage " + b" ".join(b'a%d=""' % n for n in range(FILL // 11)) + b"/>",
    "children": b"<SignedMessage>" + b"<a/>" * (FILL // 4) + b"</SignedMessage>",
    "depth": b"<SignedMessage>" + b"<a>" * (FILL // 3),
    "namespaces": b"<SignedMessage " + b" ".join(b'xmlns:n%d="u"' % n for n in range(FILL // 16)) + b"/>",
    "domain": b'<SignedMessage SenderDomain="' + b"a-" * (FILL // 2) + b'a.example.com" SenderRole="AGR" Body="eA=="/>',
    "labels": b'<SignedMessage SenderDomain="' + b"a." * (FILL // 2) + b'com" SenderRole="AGR" Body="eA=="/>',
    "comments": b"<!-- -->" * (FILL // 8) + b'<SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="eA=="/>',
    "references": b'<SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="' + b"&#65;" * (FILL // 5) + b'"/>',
    "two bodies": b'<SignedMessage SenderRole="AGR" Body="eA==" Body="' + b"eA==" * (FILL // 4) + b'"/>',
    "unclosed": b'<SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="' + b"e" * FILL,
}  # fmt: skip

COST = """
import resource, sys, time
from shapeshifter_uftp.exceptions import SchemaException
from shapeshifter_uftp.sealing import envelope_from_xml
from tests.contract.shapeshifter_uftp.test_uftp_strangers import BOMBS
for start in (b"<SignedMessage/>", b"<x/>"):
    try:
        envelope_from_xml(start)
    except SchemaException:
        pass
bomb = BOMBS[sys.argv[1]]
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    envelope_from_xml(bomb)
except SchemaException:
    print(time.process_time() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_a_bomb_of_four_megabytes_costs_next_to_nothing(kind):
    """An envelope that is none is refused in a tenth of a second of processor time, and within 40 MB."""
    printed = subprocess.run(
        [sys.executable, "-c", COST, kind], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    seconds, megabytes = map(float, printed.split())
    assert seconds < 0.1
    assert megabytes < 40


@pytest.mark.parametrize(
    "xml",
    [
        '<!-- Body="x" --><SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="eA=="/>',
        '<SignedMessage SenderDomain="a.com" SenderRole="AGR" X=\' Body="eA=="\'/>',
        '<SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="eA=="><a/></SignedMessage>',
        '<SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="eA==">' + " " * 50 + "</SignedMessage>x",
        '<SignedMessage SenderDomain="a.com" SenderRole="AGR" Body="eA==&amp;"/>',
        '<SignedMessage SenderDomain="a.com" SenderRole="AGR"/>',
    ],
)
def test_an_envelope_that_plays_with_its_body_is_refused(xml):
    """The Body is the attribute of the envelope, wherever else the word may stand."""
    with pytest.raises(SchemaException):
        envelope_from_xml(xml.encode())


@pytest.mark.parametrize("blank", ["\n", "\r\n", "&#10;", "&#xD;&#xA;", "&#13;\n", " "])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_line_breaks_in_a_body_are_read_over(blank, quote):
    """A Body may be wrapped, also with the references that writers of XML make of line ends, and in either quotes."""
    body = f"{quote}aGVs{blank}bG8={quote}"
    xml = f"<SignedMessage\n SenderRole='DSO' Body = {body} SenderDomain='a.example.com'\n></SignedMessage>\n"
    read = envelope_from_xml(xml.encode())
    assert (read.body, read.sender_domain, read.sender_role) == (b"hello", "a.example.com", UsefRole.DSO)


@pytest.mark.parametrize(
    "inner",
    [
        b"<TestMessage " + b" ".join(b'a%d=""' % n for n in range(100_000)) + b"/>",
        b"<TestMessage>" + b"<a>" * 200 + b"</a>" * 200 + b"</TestMessage>",
    ],
    ids=["attributes", "depth"],
)
def test_a_signed_bomb_is_refused_before_it_is_validated(inner):
    """What no message has is refused in a short sentence, not in one for each attribute."""
    started = time.process_time()
    with pytest.raises(SchemaException, match="40 attributes"):
        message_from_xml(inner)
    assert time.process_time() - started < 0.5


def test_260_slow_connections_shut_nobody_out(post, market):
    """While 260 connections drip their requests, a message gets through at once, again and again."""
    send = post()
    agr = market.services[-1]
    slow = [socket.create_connection(("127.0.0.1", agr.port)) for _ in range(260)]
    try:
        for connection in slow[:130]:
            connection.sendall(b"POST /shapeshifter/api/v3/message HTTP/1.1\r\nX-Slow: ")
        for connection in slow[130:]:
            connection.sendall(
                b"POST /shapeshifter/api/v3/message HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\n"
                b"Content-Length: 3000000\r\n\r\n<"
            )
        for _ in range(5):
            for connection in slow:
                connection.sendall(b"a")
            started = time.monotonic()
            assert send().status_code == 200
            assert time.monotonic() - started < 3
    finally:
        for connection in slow:
            connection.close()


def test_more_connections_than_there_is_room_for_shut_nobody_out(post, market):
    """A new connection takes the place of the one that has kept its request back longest."""
    send = post(limits=Limits(most_connections=20))
    agr = market.services[-1]
    slow = [socket.create_connection(("127.0.0.1", agr.port)) for _ in range(60)]
    try:
        assert [send().status_code for _ in range(5)] == [200] * 5
        slow[0].settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert slow[0].recv(1) == b""
    finally:
        for connection in slow:
            connection.close()


def test_a_head_that_does_not_come_ends_its_connection(post, market):
    """A connection that drips its head, or sends nothing, is closed when its time is over."""
    post(limits=Limits(head_timeout=0.5))
    agr = market.services[-1]
    with socket.create_connection(("127.0.0.1", agr.port), timeout=5) as silent:
        started = time.monotonic()
        silent.sendall(b"POST /")
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""
        assert time.monotonic() - started < 3


def test_a_body_that_does_not_come_is_408(post, market):
    """A body that takes longer than it may is refused with 408."""
    post(limits=Limits(body_timeout=0.5))
    agr = market.services[-1]
    connection = http.client.HTTPConnection("127.0.0.1", agr.port, timeout=5)
    connection.putrequest("POST", agr.path)
    connection.putheader("Content-Type", "text/xml")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"<Signed")
    assert connection.getresponse().status == 408
    connection.close()


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        b"X: y\r\n" * 4000 + b"\r\n",
        b"X: " + b"y" * 20_000,
        b"Content-Length: 5\r\nX: " + b"y" * 16_000 + b"\r\nY: " + b"y" * 1000 + b"\r\n\r\nhello",
    ],
    ids=["long value", "many headers", "unfinished", "with body"],
)
def test_a_long_head_is_431(head, post, market):
    """Headers beyond 16 kB are answered with 431, wherever they end."""
    post()
    agr = market.services[-1]
    with socket.create_connection(("127.0.0.1", agr.port), timeout=5) as connection:
        connection.sendall(f"POST {agr.path} HTTP/1.1\r\nHost: a\r\n".encode() + head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_a_long_body_is_413_and_its_sender_reads_it(post, market):
    """A sender of 20 MB reads its 413 also when it sends everything first."""
    post()
    agr = market.services[-1]
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    with httpx.Client(timeout=20) as http_client:
        for _ in range(2):
            answer = http_client.post(url, content=b" " * 20_000_000, headers=HEADERS)
            assert (answer.status_code, "4000000" in answer.text) == (413, True)


def test_memory_stays_while_bombs_come(post, market):
    """Fifty bombs of 4 MB do not make the process grow by more than 150 MB."""
    post(limits=Limits(unverified_burst=1000))
    agr = market.services[-1]
    url = f"http://127.0.0.1:{agr.port}{agr.path}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(50):
        assert httpx.post(url, content=BOMBS["attributes"], headers=HEADERS).status_code == 400
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 150
    body = envelope(b"<x/>", STRANGER.private_key, domain="stranger.example.com")
    assert httpx.post(url, content=body, headers=HEADERS).status_code == 419

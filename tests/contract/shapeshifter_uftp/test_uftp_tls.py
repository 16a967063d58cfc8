"""TLS with client certificates on both sides: real handshakes over loopback, with certificates made on the spot."""

import socket
import ssl

import pytest
import trustme

from shapeshifter_uftp import uftp
from shapeshifter_uftp.client import ShapeshifterDsoAgrClient, TransportOptions
from shapeshifter_uftp.exceptions import ClientTransportException
from shapeshifter_uftp.store import Direction, State


class Authority:
    """A certificate authority that signs for 127.0.0.1."""

    def __init__(self, folder, name):
        self._folder, self._name, self._authority = folder, name, trustme.CA()
        self.certificate = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.certificate))

    def issue(self, name):
        """Give a file with the key and the certificate of somebody at 127.0.0.1."""
        path = self._folder / f"{self._name}-{name}.pem"
        self._authority.issue_cert(
            "127.0.0.1", common_name=name
        ).private_key_and_cert_chain_pem.write_to_path(str(path))
        return path

    def server(self, name):
        """Give the settings of a server that demands a certificate of this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.issue(name))
        return context

    def options(self, certificate=None, trusted=None):
        """Give the settings of a client: the file with its certificate, and whom it trusts instead of us."""
        context = ssl.create_default_context(cafile=trusted or self.certificate)
        if certificate:
            context.load_cert_chain(certificate)
        return TransportOptions(tls=context, timeout=5)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Give the authority that both sides trust."""
    return Authority(tmp_path_factory.mktemp("authority"), "good")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Give an authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "strange")


@pytest.fixture
def secured(market, authority):
    """Give a running aggregator that wants client certificates, and the address of its endpoint."""
    market.know("dso.example.com", "DSO")
    agr = market.start(market.Agr, "agr.example.com", tls=authority.server("agr"))
    return agr, f"https://127.0.0.1:{agr.port}{agr.path}"


def post(market, endpoint, options, message):
    """Send a message as the grid operator."""
    key = market.key("dso.example.com").private_key
    with ShapeshifterDsoAgrClient(
        "dso.example.com", key, "agr.example.com", endpoint, options=options
    ) as client:
        return client.send_flex_request(message)


def test_a_client_with_a_certificate_is_let_in(secured, market, authority, flex_request):
    """With certificates of a common authority on both sides a message is stored and handled."""
    agr, endpoint = secured
    answer = post(market, endpoint, authority.options(authority.issue("dso")), flex_request())
    assert answer.result == "Accepted"
    assert agr.wait_for(uftp.FlexRequest)[0].sender_domain == "dso.example.com"


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_a_client_without_an_accepted_certificate_is_kept_out(
    whose, secured, market, authority, stranger, flex_request
):
    """Without a certificate, or with a stranger's, nothing gets in, and the failure is temporary to the sender."""
    agr, endpoint = secured
    options = authority.options(stranger.issue("dso") if whose == "a stranger's" else None)
    with pytest.raises(ClientTransportException) as raised:
        post(market, endpoint, options, flex_request())
    assert (raised.value.http_status, raised.value.temporary) == (None, True)
    assert list(agr.journal.audit()) == []
    good = authority.options(authority.issue("dso"))
    assert post(market, endpoint, good, flex_request()).result == "Accepted"


def test_a_server_that_is_not_trusted_gets_nothing(secured, market, authority, stranger, flex_request):
    """A client that does not trust the server's authority sends nothing, and says that the certificate is why."""
    agr, endpoint = secured
    options = authority.options(authority.issue("dso"), trusted=stranger.certificate)
    with pytest.raises(ClientTransportException, match=r"(?i)certificate"):
        post(market, endpoint, options, flex_request())
    assert list(agr.journal.audit()) == []


def test_handshakes_that_never_end_block_nobody(secured, market, authority, flex_request):
    """While others open connections and do not shake hands, or talk plain HTTP, a message gets through."""
    agr, endpoint = secured
    silent = [socket.create_connection(("127.0.0.1", agr.port)) for _ in range(10)]
    silent[0].sendall(b"POST /shapeshifter/api/v3/message HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    good = authority.options(authority.issue("dso"))
    assert post(market, endpoint, good, flex_request()).result == "Accepted"
    for connection in silent:
        connection.close()


def test_services_trade_over_tls_both_ways(market, authority, flex_request):
    """The outboxes of both sides deliver over TLS, each with its own certificate: a request and its response."""
    sides = [
        market.start(
            cls, f"{name}.example.com", tls=authority.server(name),
            options=authority.options(authority.issue(f"{name}-client")),
        )
        for cls, name in ((market.Agr, "agr"), (market.Dso, "dso"))
    ]  # fmt: skip
    for side in sides:
        market.know(side.sender_domain, side.sender_role, f"https://127.0.0.1:{side.port}{side.path}")
    agr, dso = sides
    dso.send(flex_request(recipient_domain="agr.example.com"))
    assert dso.wait_for(uftp.FlexRequestResponse)[0].result == "Accepted"
    assert agr.journal.count(Direction.OUT, State.FAILED) == 0

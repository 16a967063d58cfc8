"""Every ``send_*`` method of every promised client over real HTTP, in both forms, as the reference calls it."""

import asyncio
import copy
import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shapeshifter_uftp import client, uftp
from shapeshifter_uftp.exceptions import InvalidValue
from shapeshifter_uftp.json_form import from_json
from shapeshifter_uftp.reading import parse, schema_errors
from shapeshifter_uftp.sealing import (
    envelope_from_xml,
    envelope_to_xml,
    generate_key_pair,
    open_sealed,
    read_public_keys,
    seal_xml,
    unseal_message,
)

UNIT = Path(__file__).parents[2] / "unit" / "shapeshifter_uftp"
PROMISED = json.loads((UNIT / "promised_clients.json").read_text())
METHODS = [(name, method, kind) for name in PROMISED for method, kind in PROMISED[name]["methods"].items()]
METADATA = ("version", "sender_domain", "recipient_domain", "time_stamp", "message_id", "conversation_id")
SENDER, RECIPIENT = generate_key_pair(b"\x01" * 32), generate_key_pair(b"\x02" * 32)


class Endpoint(ThreadingHTTPServer):
    """Takes messages, and answers with a body of our choice."""

    daemon_threads = True

    def __init__(self):
        self.posts, self.body = [], b""
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self):
        """Give its address."""
        return f"http://127.0.0.1:{self.server_port}/shapeshifter/api/v3/message"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.posts.append(
            (self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])))
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def shared_endpoint():
    """Give a running endpoint."""
    with Endpoint() as endpoint:
        yield endpoint
        endpoint.shutdown()


@pytest.fixture
def endpoint(shared_endpoint):
    """Give an endpoint that has heard nothing and answers with an empty body."""
    shared_endpoint.posts.clear()
    shared_endpoint.body = b""
    return shared_endpoint


def draft_of(kind, **values):
    """Give a message as an application makes it: without metadata."""
    message = from_json((UNIT / "golden" / f"{kind}.json").read_text(), getattr(uftp, kind))
    return dataclasses.replace(message, **{**dict.fromkeys(METADATA[1:]), **values})


def send(prefix, name, endpoint, method, message, *, version="3.1.0"):
    """Send a message by the promised arguments, given by position."""
    arguments = (
        "sender.example.com",
        SENDER.private_key,
        "peer.example.com",
        endpoint.url,
        RECIPIENT.public_key,
    )
    cls = getattr(client, prefix + name)
    if not prefix:
        with cls(*arguments, version=version) as sync:
            return getattr(sync, method)(message)

    async def talk():
        async with cls(*arguments, version=version) as asynchronous:
            return await getattr(asynchronous, method)(message)

    return asyncio.run(talk())


@pytest.mark.parametrize("prefix", ["", "Async"])
@pytest.mark.parametrize(("name", "method", "kind"), METHODS)
def test_a_message_is_completed_signed_and_posted(prefix, name, method, kind, endpoint):
    """The endpoint gets the message with its metadata, signed by us; the caller's object is as it was."""
    message = draft_of(kind)
    before = copy.deepcopy(message)
    answer = send(prefix, name, endpoint, method, message)
    assert message == before
    ((content_type, body),) = endpoint.posts
    assert content_type == "text/xml; charset=utf-8"
    envelope = envelope_from_xml(body)
    assert (envelope.sender_domain, envelope.sender_role) == (
        "sender.example.com",
        getattr(client, name).sender_role,
    )
    arrived = unseal_message(envelope.body, SENDER.public_key)
    assert (arrived.sender_domain, arrived.recipient_domain) == ("sender.example.com", "peer.example.com")
    assert None not in (arrived.time_stamp, arrived.message_id, arrived.conversation_id)
    assert dataclasses.replace(arrived, **{field: getattr(message, field) for field in METADATA}) == message
    assert (type(answer), answer.result) == (uftp.PayloadMessageResponse, "Accepted")
    assert answer.conversation_id == arrived.conversation_id


@pytest.mark.parametrize(("name", "method", "kind"), METHODS)
def test_a_partner_of_version_3_0_gets_3_0(name, method, kind, endpoint):
    """With ``version="3.0.0"`` the message says so and is valid there, whatever newer attributes it was given."""
    # Codes of meters have 18 digits in practice, and 16 in the schemas of 3.x.
    strict = {"ean": "E8716859000126365"} if kind == "Metering" else {}
    send("", name, endpoint, method, draft_of(kind, **strict), version="3.0.0")
    xml = open_sealed(envelope_from_xml(endpoint.posts[0][1]).body, read_public_keys(SENDER.public_key))
    root = parse(xml)
    assert root.get("Version") == "3.0.0"
    assert schema_errors(root) == []


@pytest.mark.parametrize("prefix", ["", "Async"])
def test_the_signed_answer_of_a_1x_partner_is_returned(prefix, endpoint):
    """When the partner answers with a signed verdict, the caller gets that verdict."""
    verdict = (
        b'<PayloadMessageResponse Version="3.0.0" SenderDomain="peer.example.com"'
        b' RecipientDomain="sender.example.com" TimeStamp="2030-06-11T10:00:00Z"'
        b' MessageID="00000000-0000-4000-8000-000000000002" ConversationID="00000000-0000-4000-8000-000000000050"'
        b' Result="Rejected" RejectionReason="Not today"/>'
    )
    signed = uftp.SignedMessage(
        sender_domain="peer.example.com", sender_role="AGR", body=seal_xml(verdict, RECIPIENT.private_key)
    )
    endpoint.body = envelope_to_xml(signed)
    answer = send(prefix, "ShapeshifterDsoAgrClient", endpoint, "send_flex_request", draft_of("FlexRequest"))
    assert (answer.result, answer.rejection_reason) == ("Rejected", "Not today")


@pytest.mark.parametrize(("name", "method", "kind"), METHODS)
def test_a_message_of_the_wrong_kind_is_not_sent(name, method, kind, endpoint):
    """What another role sends is refused before anything is posted."""
    roles = uftp.routing_map[getattr(uftp, kind)]
    other = next(cls for cls, route in uftp.routing_map.items() if route[0] not in {None, roles[0]})
    with pytest.raises(InvalidValue):
        send("", name, endpoint, method, draft_of(other.__name__))
    assert endpoint.posts == []

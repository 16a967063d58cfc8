"""Every request, in both versions, over HTTP: it reaches its hook, and its standard response reaches the sender."""

import dataclasses
from pathlib import Path

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import Rejection
from shapeshifter_uftp.json_form import from_json
from shapeshifter_uftp.reading import parse, schema_errors
from shapeshifter_uftp.rules import RULES, RuleSet
from shapeshifter_uftp.sealing import SIGNATURE_BYTES, envelope_from_xml
from shapeshifter_uftp.service import ShapeshifterCroService
from shapeshifter_uftp.store import Direction
from shapeshifter_uftp.uftp import UsefRole

GOLDEN = Path(__file__).parents[2] / "unit" / "shapeshifter_uftp" / "golden"
REQUESTS = list(uftp.request_response_map)
METADATA = ("version", "sender_domain", "recipient_domain", "time_stamp", "message_id", "conversation_id")
# The messages refer to others that do not exist here; the rules have their own tests.
NO_RULES = RuleSet(without=RULES)
NOTHING = ("Rejected", "No connections available")
# A response to a test has no verdict in 3.x, and a registry without entries has nothing to tell.
STANDARD = {
    uftp.TestMessage: (None, None),
    uftp.AgrPortfolioQuery: NOTHING,
    uftp.DsoPortfolioQuery: NOTHING,
}


@pytest.fixture
def sides(market, request):
    """Give the services between which a request goes: who sends it, who gets it, and what to send."""
    cls, version = request.getfixturevalue("cls"), request.getfixturevalue("version")
    classes = {
        UsefRole.AGR: market.Agr,
        UsefRole.DSO: market.Dso,
        UsefRole.CRO: type("Cro", (market.Agr.__mro__[1], ShapeshifterCroService), {}),
    }
    sender_role, recipient_role = uftp.routing_map[cls]
    sender_role, recipient_role = sender_role or UsefRole.AGR, recipient_role or UsefRole.DSO
    sender = market.start(classes[sender_role], "sender.example.com", rules=NO_RULES)
    recipient = market.start(classes[recipient_role], "peer.example.com", rules=NO_RULES)
    message = from_json((GOLDEN / f"{cls.__name__}.json").read_text(), cls)
    changes = {**dict.fromkeys(METADATA), "version": version, "recipient_domain": "peer.example.com"}
    if hasattr(message, "expiration_date_time"):
        changes["expiration_date_time"] = "2999-01-01T00:00:00Z"
    if cls is uftp.Metering:  # the schemas of 3.x know only 16 digits
        changes["ean"] = "E8716859000126365"
    return sender, recipient, dataclasses.replace(message, **changes)


def response_in(recipient, sender, cls):
    """Give the response that arrived, and check its bytes strictly against the schema of its version."""
    (response,) = sender.wait_for(uftp.request_response_map[cls])
    (sent,) = (entry for entry in recipient.journal.audit() if entry.direction is Direction.OUT)
    root = parse(envelope_from_xml(sent.envelope).body[SIGNATURE_BYTES:])
    assert (root.tag, schema_errors(root)) == (type(response).wire_name, [])
    return response


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
@pytest.mark.parametrize("cls", REQUESTS)
def test_a_request_is_heard_and_answered(cls, version, sides):
    """The hook hears the request as it was sent, and the sender gets the standard response in its version."""
    sender, recipient, message = sides
    sent = sender.send(message, recipient.sender_role)
    (heard,) = recipient.wait_for(cls)
    assert (heard.message_id, heard.conversation_id) == (sent.message_id, sent.conversation_id)
    response = response_in(recipient, sender, cls)
    assert (response.version, response.conversation_id) == (version, sent.conversation_id)
    assert (response.sender_domain, response.recipient_domain) == ("peer.example.com", "sender.example.com")
    verdict = (getattr(response, "result", None), getattr(response, "rejection_reason", None))
    assert verdict == STANDARD.get(cls, ("Accepted", None))
    name = uftp.reference_field(type(response))
    assert name is None or getattr(response, name) == sent.message_id


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
@pytest.mark.parametrize("cls", [cls for cls in REQUESTS if cls is not uftp.TestMessage])
def test_a_request_is_rejected_with_the_reason(cls, version, sides):
    """What a hook raises comes back as a proper rejection of this very message."""
    sender, recipient, message = sides

    def refuse(heard):
        raise Rejection("Not today")

    setattr(recipient, f"process_{uftp.snake_name(cls)}", refuse)
    sent = sender.send(message, recipient.sender_role)
    response = response_in(recipient, sender, cls)
    assert (response.result, response.rejection_reason) == ("Rejected", "Not today")
    assert getattr(response, uftp.reference_field(type(response))) == sent.message_id
    assert (response.version, response.conversation_id) == (version, sent.conversation_id)

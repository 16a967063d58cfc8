"""One message to one partner, without network: metadata, redirects, answers; and when to try again."""

import dataclasses

import pytest

from shapeshifter_uftp import uftp
from shapeshifter_uftp.exceptions import ClientTransportException, InvalidSignatureException, InvalidValue
from shapeshifter_uftp.exchange import Exchange, Identity, complete, seal_for_post
from shapeshifter_uftp.outbox import RetryPolicy, retry_after
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.references import main_reference, make_response
from shapeshifter_uftp.sealing import envelope_from_xml, envelope_to_xml, seal_message
from shapeshifter_uftp.uftp import AcceptedRejected, UsefRole
from shapeshifter_uftp.writing import message_to_xml

URL = "https://dso.example.com/shapeshifter/api/v3/message"


@pytest.fixture
def identity(agr_keys):
    """We are the aggregator."""
    return Identity("agr.example.com", UsefRole.AGR, agr_keys.private_key)


@pytest.fixture
def exchange(make_message, dso_keys):
    """Give an exchange that has just begun."""
    return Exchange(
        make_message(uftp.FlexOffer), b"<x/>", URL, {"Authorization": "Bearer t"}, dso_keys.public_key
    )


def test_metadata_is_filled_into_a_copy():
    """Sending fills in the metadata without changing the caller's object."""
    message = uftp.FlexOfferRevocation(flex_offer_message_id="00000000-0000-4000-8000-000000000001")
    before = dataclasses.replace(message)
    filled = complete(message, "agr.example.com", "dso.example.com", "3.0.0")
    assert message == before
    assert (filled.sender_domain, filled.recipient_domain, filled.version) == (
        "agr.example.com",
        "dso.example.com",
        "3.0.0",
    )
    assert filled.time_stamp.endswith("Z")
    assert filled.message_id != complete(message, "a", "b").message_id


def test_what_the_caller_set_stays(make_message):
    """Ids and time stamp that are given are kept: a follow-up must stay in its conversation."""
    message = make_message(uftp.FlexOfferRevocation)
    assert complete(message, "x.example.com", "y.example.com") == message


def test_an_expiry_without_zone_is_given_the_zone_of_the_message(make_message):
    """Instants are always sent with a zone: 20:00 in Amsterdam in June is 18:00 UTC."""
    message = make_message(uftp.FlexOffer, expiration_date_time="2030-06-11T20:00:00")
    assert complete(message, "a", "b").expiration_date_time == "2030-06-11T18:00:00+00:00"


def test_only_what_our_role_sends_is_sealed(make_message, identity):
    """An aggregator cannot send an order."""
    with pytest.raises(InvalidValue, match="sent by the DSO"):
        seal_for_post(make_message(uftp.FlexOrder), identity)
    envelope = envelope_from_xml(seal_for_post(make_message(uftp.FlexOffer), identity))
    assert envelope.sender_role is UsefRole.AGR


def test_an_empty_200_means_stored(exchange):
    """For an empty answer a response is made up that says Accepted, in the same conversation."""
    exchange.receive(200, {}, b"")
    assert exchange.request is None
    assert exchange.outcome().result is AcceptedRejected.ACCEPTED
    assert exchange.outcome().conversation_id == exchange.sent.conversation_id


@pytest.mark.parametrize("content", [b"OK", b"<html/>", b'{"ok": true}'])
def test_other_bodies_of_a_200_mean_stored_too(exchange, content):
    """What is not a signed message does not matter: the status counts."""
    exchange.receive(200, {}, content)
    assert exchange.outcome().result is AcceptedRejected.ACCEPTED


def signed_answer(keys, **values):
    """Give an answer body of the 1.x kind."""
    answer = uftp.PayloadMessageResponse(
        sender_domain="dso.example.com", recipient_domain="agr.example.com", time_stamp="2030-06-11T10:00:00Z",
        message_id="00000000-0000-4000-8000-000000000001", conversation_id="00000000-0000-4000-8000-000000000002",
        **values,
    )  # fmt: skip
    body = seal_message(answer, keys.private_key)
    return envelope_to_xml(
        uftp.SignedMessage(sender_domain="dso.example.com", sender_role=UsefRole.DSO, body=body)
    )


def test_a_signed_answer_is_given_as_it_is(exchange, dso_keys):
    """Peers of the 1.x kind answer at once: their verdict is returned, also a rejection."""
    content = signed_answer(dso_keys, result="Rejected", rejection_reason="Request mismatch")
    exchange.receive(200, {}, content)
    assert exchange.outcome().rejection_reason == "Request mismatch"


def test_a_signed_answer_of_somebody_else_is_refused(exchange, agr_keys):
    """An answer that the partner did not sign is not an answer."""
    with pytest.raises(InvalidSignatureException):
        exchange.receive(200, {}, signed_answer(agr_keys))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_followed_with_the_same_bytes(exchange, status):
    """The same bytes are posted to the new place; a bearer token stays with its host."""
    exchange.receive(status, {"location": "/other"}, b"")
    assert exchange.request.url == "https://dso.example.com/other"
    assert exchange.request.headers["Authorization"] == "Bearer t"
    exchange.receive(status, {"location": "https://elsewhere.example.com/"}, b"")
    assert exchange.request.content == b"<x/>"
    assert "Authorization" not in exchange.request.headers


@pytest.mark.parametrize(
    ("status", "location"),
    [(303, "https://dso.example.com/"), (307, ""), (307, "http://dso.example.com/"), (307, "ftp://x/")],
)
def test_redirects_that_lose_the_message_or_its_secrecy_are_not_followed(exchange, status, location):
    """303 would turn the post into a get, http would show it to everybody."""
    with pytest.raises(ClientTransportException):
        exchange.receive(status, {"location": location}, b"")


def test_redirects_end(exchange):
    """A circle of redirects is an error."""
    for _ in range(3):
        exchange.receive(307, {"location": URL}, b"")
    with pytest.raises(ClientTransportException, match="too often"):
        exchange.receive(307, {"location": URL}, b"")


@pytest.mark.parametrize("status", [400, 401, 404, 419, 429, 500, 524])
def test_everything_else_is_an_error_with_its_status(exchange, status):
    """The error carries the status and what the partner said."""
    with pytest.raises(ClientTransportException, match="because") as raised:
        exchange.receive(status, {}, b"because")
    assert raised.value.http_status == status


def test_an_outcome_needs_an_end(exchange):
    """Asking for the outcome too early, or going on after the end, is a mistake of the caller."""
    with pytest.raises(InvalidValue):
        exchange.outcome()
    exchange.receive(200, {}, b"")
    with pytest.raises(InvalidValue):
        exchange.receive(200, {}, b"")


def test_pauses_grow_to_a_cap_and_are_jittered():
    """1 s, 2 s, 4 s, ... 300 s, each a fifth shorter or longer by chance."""
    policy = RetryPolicy()
    assert [policy.pause(n, 0.5) for n in (1, 2, 3, 9, 10, 500)] == [1, 2, 4, 256, 300, 300]
    assert policy.pause(1, 0.0) == pytest.approx(0.8)
    assert policy.pause(1, 1.0) == pytest.approx(1.2)
    assert policy.give_up_after >= 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 0), ("", 0), ("7", 7), ("soon", 0), ("99999999999999", 86_400), ("Thu, 01 Jan 1970 00:01:40 GMT", 50),
     ("Thu, 01 Jan 1970 00:00:01 GMT", 0)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value, seconds):
    """Retry-After is read in both forms of HTTP, and never as more than a day."""
    assert retry_after(value, now=50.0) == seconds


def test_responses_say_whom_they_answer(make_message):
    """A response swaps the partners and keeps conversation, version and reference."""
    for cls in uftp.request_response_map:
        request = make_message(cls, version="3.0.0")
        response = complete(make_response(request, "no good"), "x", "y")
        assert (response.sender_domain, response.recipient_domain) == (
            request.recipient_domain,
            request.sender_domain,
        )
        assert (response.conversation_id, response.version) == (request.conversation_id, "3.0.0")
        if cls is not uftp.TestMessage:
            assert main_reference(response) == request.message_id
            assert (response.result, response.rejection_reason) == ("Rejected", "no good")
        assert message_from_xml(message_to_xml(response)) == response

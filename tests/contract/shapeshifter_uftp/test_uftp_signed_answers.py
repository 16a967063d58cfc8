"""Answers within the request, as partners of version 1.x give them: what is signed must be verified to count."""

import asyncio
import dataclasses

import pytest
from tests.contract.shapeshifter_uftp.test_uftp_trading_flow import Flaky

from shapeshifter_uftp import AsyncShapeshifterDsoAgrClient, ShapeshifterDsoAgrClient, uftp
from shapeshifter_uftp.addresses import DirectoryAddressBook, Participant
from shapeshifter_uftp.exceptions import InvalidSignatureException, UnverifiedAnswerException
from shapeshifter_uftp.exchange import Identity, complete, seal_for_post
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.uftp import UsefRole

REFUSAL = {"result": "Rejected", "rejection_reason": "Barred Sender"}


def signed_answer(keys, **changes):
    """Give the body of a partner that answers within the request, as versions 1.x do."""
    answer = complete(uftp.PayloadMessageResponse(**REFUSAL), "agr.example.com", "dso.example.com")
    identity = Identity("agr.example.com", UsefRole.AGR, keys.private_key)
    return seal_for_post(dataclasses.replace(answer, **changes), identity)


@pytest.fixture
def refusing(market):
    """Give a grid operator's client that knows the endpoint only, with an address book, of a partner that refuses."""
    with Flaky(*[(200, {}, signed_answer(market.key("agr.example.com")))] * 3) as peer:

        def make(cls, book, key=None):
            return cls(
                "dso.example.com", market.key("dso.example.com").private_key, "agr.example.com",
                f"http://127.0.0.1:{peer.server_port}/", key, address_book=book,
            )  # fmt: skip

        yield make


def test_a_client_without_a_key_asks_the_address_book(market, refusing, flex_request):
    """The key for a signed answer is looked up where only the endpoint was given: a refusal is a refusal."""
    market.know("agr.example.com", "AGR")
    with refusing(ShapeshifterDsoAgrClient, market.book) as client:
        answer = client.send_flex_request(flex_request())
    assert (answer.result, answer.rejection_reason) == ("Rejected", "Barred Sender")

    async def talk():
        async with refusing(AsyncShapeshifterDsoAgrClient, market.book) as client:
            return await client.send_flex_request(flex_request())

    assert asyncio.run(talk()).result == "Rejected"


def test_a_signed_answer_that_cannot_be_verified_is_no_acceptance(refusing, flex_request):
    """Where no key is to be found the client says so, instead of taking a refusal for an acceptance."""
    with refusing(ShapeshifterDsoAgrClient, DirectoryAddressBook([])) as client:
        with pytest.raises(UnverifiedAnswerException, match="cannot be verified") as raised:
            client.send_flex_request(flex_request())
        assert raised.value.temporary


def test_an_old_key_in_the_address_book_is_looked_up_again(market, refusing, flex_request):
    """A signed answer that does not fit the key as remembered is verified with the key as published now."""
    fresh = market.key("agr.example.com").public_key

    class Remembering:
        def find(self, domain, role, *, refresh=False):
            return Participant(domain, role, fresh if refresh else generate_key_pair().public_key)

    with refusing(ShapeshifterDsoAgrClient, Remembering()) as client:
        assert client.send_flex_request(flex_request()).result == "Rejected"


def test_a_key_that_was_given_is_the_only_one_that_counts(market, refusing, flex_request):
    """An address book does not overrule the key that a client was made with."""
    market.know("agr.example.com", "AGR")
    with (
        refusing(ShapeshifterDsoAgrClient, market.book, generate_key_pair().public_key) as client,
        pytest.raises(InvalidSignatureException),
    ):
        client.send_flex_request(flex_request())


@pytest.mark.parametrize(
    "body", [b"<SignedMessage/>", b'<SignedMessage SenderDomain="a.example.com" SenderRole="AGR" Body="%"/>']
)
def test_a_signed_answer_that_cannot_be_read_is_no_acceptance(body, market, flex_request):
    """An envelope that is broken may hold a refusal; any other body of a 200 means nothing."""
    with Flaky((200, {}, body), (200, {}, b"<html>stored</html>")) as peer:
        client = ShapeshifterDsoAgrClient(
            "dso.example.com", market.key("dso.example.com").private_key, "agr.example.com",
            f"http://127.0.0.1:{peer.server_port}/",
        )  # fmt: skip
        with client:
            with pytest.raises(UnverifiedAnswerException):
                client.send_flex_request(flex_request())
            assert client.send_flex_request(flex_request()).result == "Accepted"

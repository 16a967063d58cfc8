"""What code written for the Python library shapeshifter-uftp 1.x and 2.x uses goes on working."""

import datetime as dt

import pytest
from xsdata.models.datatype import XmlDate, XmlDateTime, XmlDuration

import shapeshifter_uftp
from shapeshifter_uftp import client, oauth, service, transport, uftp
from shapeshifter_uftp.addresses import DirectoryAddressBook
from shapeshifter_uftp.discovery import DnsAddressBook
from shapeshifter_uftp.reading import message_from_xml
from shapeshifter_uftp.sealing import generate_key_pair
from shapeshifter_uftp.service.desk import pre_process_hook
from shapeshifter_uftp.uftp import UsefRole
from shapeshifter_uftp.writing import message_to_xml

KEY = generate_key_pair().private_key


def test_the_outcomes_have_their_short_names():
    """`uftp.ACCEPTED` and `uftp.REJECTED` are the members of the enumeration."""
    assert (uftp.ACCEPTED, uftp.REJECTED) == (uftp.AcceptedRejected.ACCEPTED, uftp.AcceptedRejected.REJECTED)
    assert shapeshifter_uftp.ACCEPTED == "Accepted"


def test_clients_are_found_by_their_roles():
    """`client.client_map` leads from two roles, also as texts, to the class of the client."""
    assert client.client_map["AGR", "DSO"] is shapeshifter_uftp.ShapeshifterAgrDsoClient
    assert len(client.client_map) == 6


def test_class_attributes_of_clients_are_there_and_count():
    """A subclass sets the timeout and the version of its clients; what retried in former versions is still there."""

    class Patient(shapeshifter_uftp.ShapeshifterAgrDsoClient):
        request_timeout = 7
        protocol_version = "3.0.0"

    made = Patient("agr.example.com", KEY, "dso.example.com", "http://127.0.0.1:9/")
    assert (made.options.timeout, made.version) == (7, "3.0.0")
    assert made.prepare(uftp.TestMessage()).version == "3.0.0"
    assert shapeshifter_uftp.ShapeshifterAgrDsoClient.request_timeout == 30
    assert (Patient.num_delivery_attempts, Patient.num_outgoing_workers) == (10, 10)
    assert (Patient.exponential_retry_factor, Patient.exponential_retry_base) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("cls", "received", "other"),
    [
        (service.ShapeshifterAgrService, uftp.FlexRequest, uftp.FlexOffer),
        (service.ShapeshifterDsoService, uftp.FlexOffer, uftp.FlexRequest),
        (service.ShapeshifterCroService, uftp.AgrPortfolioQuery, uftp.FlexRequest),
    ],
)
def test_services_say_what_they_accept_and_have_all_hooks(cls, received, other):
    """`acceptable_messages` lists what a role receives; each has a `pre_process_` hook to call and to override."""
    assert received in cls.acceptable_messages
    assert uftp.TestMessage in cls.acceptable_messages
    assert other not in cls.acceptable_messages
    for message_type in cls.acceptable_messages:
        hook = getattr(cls, f"pre_process_{uftp.snake_name(message_type)}")
        assert hook(None, None).result == "Accepted"
        assert callable(getattr(cls, f"process_{uftp.snake_name(message_type)}"))
    assert cls.num_inbound_threads > 0
    assert cls.num_outbound_threads > 0


def test_only_hooks_that_somebody_wrote_answer_within_the_request():
    """A `pre_process_` hook that is overridden is used, and may call the one that it overrides."""

    class Old(service.ShapeshifterAgrService):
        def pre_process_flex_request(self, message):
            return super().pre_process_flex_request(message)

    old = Old("agr.example.com", KEY, address_book=DirectoryAddressBook([]), journal="memory")
    assert pre_process_hook(old, uftp.FlexRequest)(None).result == "Accepted"
    assert pre_process_hook(old, uftp.FlexOrder) is None
    old.close()


def test_a_test_response_takes_a_result_and_does_not_send_it(make_message):
    """Former versions gave a TestMessageResponse a result; the schemas of 3.x know none."""
    response = make_message(uftp.TestMessageResponse, everything=False, result="Accepted")
    assert isinstance(response, uftp.PayloadMessageResponse)
    assert response.result is uftp.AcceptedRejected.ACCEPTED
    xml = message_to_xml(response)
    assert b"Result" not in xml
    assert message_from_xml(xml) == response


def test_a_passthrough_authorisation_is_none():
    """A `PassthroughOAuthClient` is ready at once and adds no header."""
    tokens = oauth.PassthroughOAuthClient()
    with tokens.ensure_authenticated() as ready:
        assert (ready.auth_header, tokens.authenticated, tokens.expired) == ({}, True, False)


def test_a_function_is_remembered_for_a_time():
    """`transport.ttl_cache` remembers by the arguments, and asks again when the time is over."""
    asked = []

    def remember(ttl):
        return transport.ttl_cache(ttl)(lambda *args, **kwargs: asked.append((args, kwargs)) or len(asked))

    long, none = remember(60), remember(0)
    assert [long("a"), long("a"), long("b"), long("a", role="b"), long("a", role="b")] == [1, 1, 2, 3, 3]
    assert [none("a"), none("a")] == [4, 5]


@pytest.mark.parametrize("role", ["agr", "AGR", "Agr", UsefRole.AGR])
def test_roles_are_known_in_any_case(role, monkeypatch):
    """Look-ups take a role in lower case, as the names of DNS records have it."""
    asked = []

    def answer(self, name, kind, refresh):
        asked.append(name)
        return generate_key_pair(b"\x05" * 32).published

    monkeypatch.setattr(DnsAddressBook, "_query", answer)
    assert transport.get_key("example.com", role) == generate_key_pair(b"\x05" * 32).public_key
    assert asked == ["_agr._usef.example.com"]


def test_what_is_no_role_is_refused():
    """Only the three roles are roles."""
    with pytest.raises(ValueError, match="brp"):
        UsefRole("brp")


def test_dates_and_durations_of_xsdata_are_taken(make_message):
    """Values of the types that former versions were built on are read as days, durations and instants."""
    request = make_message(
        uftp.FlexRequest, period=XmlDate(2030, 6, 12), isp_duration=XmlDuration("PT15M"),
        expiration_date_time=XmlDateTime(2030, 6, 12, 8, 0, 0, 0, 120),
    )  # fmt: skip
    assert (request.period, request.isp_duration) == (dt.date(2030, 6, 12), dt.timedelta(minutes=15))
    assert request.expiration_date_time == "2030-06-12T08:00:00+02:00"
    assert b'Period="2030-06-12"' in message_to_xml(request)
    update = uftp.AgrPortfolioUpdateConnection(
        entity_address="ean.871685900012636543", start_period=XmlDate(2030, 6, 12, 0), end_period=None
    )
    assert update.start_period == dt.date(2030, 6, 12)

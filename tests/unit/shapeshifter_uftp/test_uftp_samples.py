"""The sample messages of other implementations, with their verdicts."""

import json

import pytest
from lxml import etree

from shapeshifter_uftp import transport, uftp
from shapeshifter_uftp.exceptions import InvalidSignatureException, SchemaException
from shapeshifter_uftp.reading import message_from_xml, parse, schema_errors
from shapeshifter_uftp.sealing import envelope_from_xml, unseal_message
from shapeshifter_uftp.writing import message_to_xml

INVALID = {
    "old-java/TestFlexOffer.xml": "OptionReference",
    "old-java/TestMessageIncorrectTimezone.xml": "TimezoneName",
    "java/noversion-FlexOfferResponse.xml": "Version",
    "java/noversion-FlexOrder.xml": "Version",
    "java/hostile-external-entity.xml": "document type",
}
VALID = [
    "java/FlexOffer.xml", "java/FlexRequestResponse.xml", "old-java/TestAGRPortfolioUpdate_Correct.xml",
    "old-java/TestD-Prognosis.xml", "old-java/TestD-PrognosisResponse.xml", "old-java/TestFlexOrder.xml",
    "old-java/TestFlexRequestResponse.xml", "old-java/TestFlexSettlementResponse.xml",
    "old-java/TestMessageCorrect.xml",
]  # fmt: skip
EMITTED = [
    "00-TestMessage", "03-AGRPortfolioUpdateResponse", "04-AGRPortfolioQuery", "07-DSOPortfolioUpdateResponse",
    "08-DSOPortfolioQuery", "11-D-PrognosisResponse", "12-FlexRequest", "15-FlexOfferResponse", "16-FlexOrder",
    "19-FlexOfferRevocationResponse", "20-FlexReservationUpdate", "23-MeteringResponse", "24-FlexSettlement",
]  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_bad_samples_are_refused_with_the_reason(name, samples):
    """Each bad sample is refused, and the error names what is wrong."""
    with pytest.raises(SchemaException, match=INVALID[name]):
        message_from_xml((samples / name).read_bytes())


@pytest.mark.parametrize("name", VALID)
def test_good_samples_are_read_and_written_valid_in_both_versions(name, samples):
    """A good sample is read, and what we write of it is valid in 3.0.0 and in 3.1.0."""
    message = message_from_xml((samples / name).read_bytes())
    for version in ("3.0.0", "3.1.0"):
        message.version = version
        assert schema_errors(parse(message_to_xml(message)), version) == []


@pytest.mark.parametrize("name", ["FlexOffer", "FlexRequestResponse"])
def test_before_and_after_a_round_through_java_the_message_is_the_same(name, samples):
    """What another implementation makes of a message by reading and writing it means the same to us."""
    before = message_from_xml((samples / "java" / f"{name}.xml").read_bytes())
    assert before == message_from_xml((samples / "java" / f"{name}.expected.xml").read_bytes())


@pytest.mark.parametrize("name", EMITTED)
def test_messages_sealed_by_the_python_peer_are_verified_and_read(name, samples):
    """An envelope of the peer is verified with its key, and holds the inner message beside it."""
    keys = json.loads((samples / "peer-emitted" / "keys.json").read_text())
    envelope = envelope_from_xml((samples / "peer-emitted" / f"{name}.signed.xml").read_bytes())
    key = keys[f"{envelope.sender_domain} {envelope.sender_role}"]["public"]
    inner = (samples / "peer-emitted" / f"{name}.inner.xml").read_bytes()
    assert unseal_message(envelope.body, key) == message_from_xml(inner)
    assert message_from_xml(message_to_xml(message_from_xml(inner))) == message_from_xml(inner)


def test_a_body_that_is_no_signature_is_refused(samples, agr_keys):
    """A well-formed envelope whose body nobody signed is an invalid signature, not a crash."""
    envelope = envelope_from_xml((samples / "java" / "SignedMessage.xml").read_bytes())
    assert envelope.body == b"dit is een nog\n geen tekst"
    with pytest.raises(InvalidSignatureException):
        unseal_message(envelope.body, agr_keys.public_key)


def test_values_of_a_peer_message_are_read_as_what_they_are(samples):
    """Spot checks against the text of the sample."""
    order = transport.from_xml((samples / "peer-emitted" / "16-FlexOrder.inner.xml").read_text())
    assert isinstance(order, uftp.FlexOrder)
    assert str(order.price) == "12.5000"
    assert str(order.activation_factor) == "0.80"
    assert [(isp.power, isp.start, isp.duration) for isp in order.isps] == [(-2400, 1, 4)]


# --- what we forgive ---------------------------------------------------------------------------------------------


def _with(message, change):
    root = parse(message_to_xml(message, allow_empty=True))
    change(root)
    return etree.tostring(root)


def test_result_in_a_test_response_is_forgiven_but_never_sent(make_message):
    """Python peers since 2.3 send Result in a TestMessageResponse: we accept it and do not send it."""
    message = make_message(uftp.TestMessageResponse)
    assert message_from_xml(_with(message, lambda root: root.set("Result", "Accepted"))) == message
    assert b"Result" not in message_to_xml(message)


def test_foreign_elements_are_dropped(make_message):
    """Extensions in another namespace are dropped before validation; unknown elements without namespace are refused."""
    message = make_message(uftp.FlexRequest)

    def extend(root, tag="{urn:ours}Extra"):
        root.insert(1, root.makeelement(tag))
        root.set("{urn:ours}colour", "blue")

    assert message_from_xml(_with(message, extend)) == message
    with pytest.raises(SchemaException):
        message_from_xml(_with(message, lambda root: root.insert(1, root.makeelement("Extra"))))


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
@pytest.mark.parametrize(("ean", "good"), [("E8716859000126365", True), ("E871685900012636543", True),
                                           ("E87168590001263654", False), ("E87168590001263654x", False)])  # fmt: skip
def test_meters_have_16_or_18_digits(version, ean, good, make_message):
    """The schemas say 16 digits and reality says 18: both are accepted, anything else is not."""
    xml = _with(make_message(uftp.Metering, version=version), lambda root: root.set("EAN", ean))
    if good:
        assert message_from_xml(xml).ean == ean
    else:
        with pytest.raises(SchemaException):
            message_from_xml(xml)


def test_a_settlement_without_contracts_is_accepted(make_message):
    """The prose allows a settlement without contracts, the schema does not: accepted, sent only on request."""
    message = make_message(uftp.FlexSettlement, contract_settlements=[])
    assert message_from_xml(message_to_xml(message, allow_empty=True)) == message
    with pytest.raises(ValueError, match="contract_settlements"):
        message_to_xml(message)


@pytest.mark.parametrize(
    ("cls", "children"),
    [
        (uftp.FlexSettlementResponse, "flex_order_settlement_statuses"),
        (uftp.AgrPortfolioQueryResponse, "dso_views"),
    ],
)
def test_bare_rejections_are_accepted(cls, children, make_message):
    """A rejection need not have the children that its schema demands; an acceptance must."""
    message = make_message(cls, result=uftp.AcceptedRejected.REJECTED, **{children: []})
    assert message_from_xml(message_to_xml(message, allow_empty=True)) == message
    message.result = uftp.AcceptedRejected.ACCEPTED
    with pytest.raises(SchemaException):
        message_from_xml(message_to_xml(message, allow_empty=True))


def test_attributes_of_3_1_in_a_3_0_message_are_refused(make_message):
    """A message that says to be 3.0.0 is held to the schema of 3.0.0."""
    offer = make_message(uftp.FlexOffer, version="3.0.0")
    with pytest.raises(SchemaException, match="Unsolicited"):
        message_from_xml(_with(offer, lambda root: root.set("Unsolicited", "true")))

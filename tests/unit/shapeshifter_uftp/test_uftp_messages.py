"""Completeness over all messages: declaration, XML in both dialects, schema, JSON."""

import dataclasses
import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

import shapeshifter_uftp
from shapeshifter_uftp import reading, uftp
from shapeshifter_uftp.exceptions import InvalidValue, SchemaException
from shapeshifter_uftp.json_form import from_json, to_json
from shapeshifter_uftp.reading import message_from_xml, parse, schema_errors
from shapeshifter_uftp.uftp.structure import plan_of
from shapeshifter_uftp.writing import message_to_xml

TYPES = sorted(uftp.routing_map, key=lambda cls: cls.__name__)
SCHEMAS = Path(shapeshifter_uftp.__file__).parent / "xsd"
XS = "{http://www.w3.org/2001/XMLSchema}"


def elements_of_schema(version):
    """Give the names of the global elements of a version."""
    names = set()
    for file in (SCHEMAS / version).glob("UFTP-*.xsd"):
        names |= {element.get("name") for element in etree.parse(file).getroot().findall(f"{XS}element")}
    return names


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
def test_every_element_of_the_schemas_is_a_message_and_the_reverse(version):
    """The message classes are exactly the elements that the schemas declare, besides the envelope."""
    assert {cls.wire_name for cls in TYPES} == elements_of_schema(version) - {"SignedMessage"}


@pytest.mark.parametrize("cls", TYPES)
@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
@pytest.mark.parametrize("everything", [True, False])
def test_every_message_survives_a_round_trip_and_is_valid(cls, version, everything, make_message):
    """Written and read again a message is the same, and strictly valid in its version."""
    message = make_message(cls, everything=everything, version=version)
    xml = message_to_xml(message)
    assert schema_errors(parse(xml), version) == []
    again = message_from_xml(xml)
    if version == "3.1.0":
        assert again == message
    assert message_to_xml(again) == xml


@pytest.mark.parametrize("cls", TYPES)
def test_no_partner_of_version_3_0_gets_attributes_of_3_1(cls, make_message):
    """The 3.0.0 dialect has neither Unsolicited nor the ServiceType of an order."""
    root = parse(message_to_xml(make_message(cls, version="3.0.0")))
    assert "Unsolicited" not in root.attrib
    assert cls is not uftp.FlexOrder or "ServiceType" not in root.attrib


def test_an_order_without_offer_cannot_be_written_for_version_3_0(make_message):
    """Version 3.0.0 demands FlexOfferMessageID, so a direct order is refused instead of sent invalid."""
    order = make_message(uftp.FlexOrder, version="3.0.0", flex_offer_message_id=None, unsolicited=True)
    with pytest.raises(InvalidValue, match="flex_offer_message_id"):
        message_to_xml(order)
    order.version = "3.1.0"
    assert b'Unsolicited="true"' in message_to_xml(order)


@pytest.mark.parametrize("cls", TYPES)
def test_every_message_survives_json(cls, make_message):
    """Read from its JSON a message is the same, and the JSON uses the XML names."""
    message = make_message(cls)
    text = to_json(message)
    assert from_json(text, cls) == message
    assert '"ConversationID"' in text


def test_json_with_an_unknown_name_is_refused():
    """A misspelt name in JSON is an error, not a value that silently gets lost."""
    with pytest.raises(InvalidValue, match="Mesage"):
        from_json('{"MesageID": "x"}', uftp.TestMessage)


@pytest.mark.parametrize("cls", TYPES)
def test_every_required_attribute_is_demanded(cls, make_message):
    """A message that lacks a required attribute cannot be written."""
    for attribute in plan_of(cls).attributes:
        if attribute.required and attribute.default is None:
            message = make_message(cls, everything=False)
            setattr(message, attribute.name, None)
            with pytest.raises(InvalidValue, match=attribute.name):
                message_to_xml(message)


@pytest.mark.parametrize("cls", TYPES)
def test_every_attribute_and_class_is_documented(cls):
    """Every attribute has a meaning and every class a docstring: the reference is made of them."""
    assert cls.__doc__
    pending = [cls]
    while pending:
        plan = plan_of(pending.pop())
        assert all(spec.doc for spec in (*plan.attributes, *plan.children))
        pending += [child.type for child in plan.children]


def test_requests_and_responses_belong_together():
    """There are 13 requests with 13 responses, and each response flows back."""
    assert len(uftp.request_response_map) == 13
    for request, response in uftp.request_response_map.items():
        assert response.__name__ == f"{request.__name__}Response"
        assert uftp.routing_map[response] == uftp.routing_map[request][::-1]


def test_the_settlement_is_a_request_whatever_its_base():
    """The schemas give FlexSettlement a Result, but it is a request."""
    assert not uftp.is_response(uftp.FlexSettlement)
    assert uftp.request_response_map[uftp.FlexSettlement] is uftp.FlexSettlementResponse


def test_values_may_be_given_in_their_lexical_forms():
    """Dates, durations, decimals and enumerations may be given as text, and prices as numbers."""
    option = uftp.FlexOfferOption(option_reference="a", price=12.5, isps=[])
    assert option.price == Decimal("12.5")
    offer = uftp.FlexOffer(
        isp_duration="PT15M", period="2030-06-12", congestion_point="ean.871685900012636543",
        expiration_date_time=dt.datetime(2030, 6, 12, tzinfo=dt.UTC), offer_options=[option],
    )  # fmt: skip
    assert offer.isp_duration == dt.timedelta(minutes=15)
    assert offer.period == dt.date(2030, 6, 12)
    assert offer.expiration_date_time == "2030-06-12T00:00:00+00:00"
    assert (
        uftp.FlexRequestISP(disposition="Requested", min_power=0, max_power=1, start=1).disposition
        == "Requested"
    )


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (uftp.FlexOfferOption, {"option_reference": "a", "price": "dear", "isps": []}),
        (
            uftp.AgrPortfolioUpdateConnection,
            {"entity_address": "ean.123456789012", "start_period": "tomorrow"},
        ),
        (uftp.AgrPortfolioUpdateConnection, {"entity_address": "x", "start_period": dt.datetime(2030, 1, 1)}),  # noqa: DTZ001
        (uftp.FlexOrderSettlementStatus, {"disposition": "Perhaps"}),
        (uftp.FlexOrderStatus, {"flex_order_message_id": "x", "is_validated": "perhaps"}),
    ],
)
def test_values_that_mean_nothing_are_refused_at_once(cls, values):
    """A constructor refuses what it cannot understand, naming the attribute."""
    with pytest.raises(InvalidValue, match=cls.__name__):
        cls(**values)


@pytest.mark.parametrize(
    ("price", "currency", "written"),
    [("12.5", "EUR", "12.50"), ("12", "EUR", "12.00"), ("12.1234", "EUR", "12.1234"), ("1200", "JPY", "1200"),
     ("12.500", "KWD", "12.500"), ("0", "EUR", "0.00"), ("1E+3", "EUR", "1000.00")],
)  # fmt: skip
def test_prices_are_written_with_the_decimals_of_their_currency(price, currency, written, make_message):
    """Some peers compare prices by their scale: euros have two decimals, yen none, and more only where needed."""
    offer = make_message(uftp.FlexOffer, currency=currency)
    offer.offer_options[0].price = Decimal(price)
    assert f'Price="{written}"'.encode() in message_to_xml(offer)


def test_a_price_with_five_decimals_is_refused(make_message):
    """An amount has at most four significant decimals."""
    offer = make_message(uftp.FlexOffer)
    offer.offer_options[0].price = Decimal("1.00001")
    with pytest.raises(InvalidValue, match="four decimals"):
        message_to_xml(offer)


def test_long_lists_are_written_and_read_like_short_ones(make_message):
    """The fast way for long ISP lists gives the same XML and the same values as the ordinary way."""
    isps = [uftp.FlexOfferOptionISP(power=-n, start=n, duration=1 + n % 2) for n in range(1, 97, 2)]
    offer = make_message(uftp.FlexOffer)
    offer.offer_options = [uftp.FlexOfferOption(option_reference="a", price=1, isps=isps)]
    root = parse(message_to_xml(offer))
    written = [
        (int(e.get("Power")), int(e.get("Start")), int(e.get("Duration", "1"))) for e in root.iter("ISP")
    ]
    assert written == [(i.power, i.start, i.duration) for i in isps]
    assert message_from_xml(message_to_xml(offer)) == offer


def test_attributes_in_another_order_are_read_rightly(make_message):
    """The order of attributes means nothing, not even in the middle of a long list."""
    offer = make_message(uftp.FlexOffer)
    isps = [uftp.FlexOfferOptionISP(power=-n, start=n) for n in range(1, 21)]
    offer.offer_options = [uftp.FlexOfferOption(option_reference="a", price=1, isps=isps)]
    xml = message_to_xml(offer).replace(
        b'<ISP Power="-7" Start="7"/>', b"<ISP Start='7' Power='-7' Duration='1'/>"
    )
    assert message_from_xml(xml) == offer


@pytest.mark.parametrize("bad", [0, -1, 2.5, "x", None])
def test_an_isp_number_that_is_none_cannot_be_written(bad, make_message):
    """In long lists too every ISP number is checked."""
    offer = make_message(uftp.FlexOffer)
    offer.offer_options[0].isps = [uftp.FlexOfferOptionISP(power=1, start=n) for n in (1, 2, 3, 4, 5, bad)]
    with pytest.raises(InvalidValue, match="start"):
        message_to_xml(offer)


def test_a_boolean_is_no_power(make_message):
    """True is not one watt by accident: a list with it goes the careful way, which writes 1."""
    offer = make_message(uftp.FlexOffer)
    offer.offer_options[0].isps = [uftp.FlexOfferOptionISP(power=True, start=n) for n in range(1, 9)]
    assert b'Power="1"' in message_to_xml(offer)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_that_xml_allows_survives(text):
    """Texts come back as they were, white space included; what XML cannot carry is refused when writing."""
    order = uftp.FlexReservationUpdate(
        isp_duration="PT15M", period="2030-06-12", congestion_point="ean.871685900012636543", contract_id=text,
        reference="r", isps=[], sender_domain="a.example.com", recipient_domain="b.example.com",
        time_stamp="2030-06-11T10:00:00Z", message_id="00000000-0000-4000-8000-000000000001",
        conversation_id="00000000-0000-4000-8000-000000000002",
    )  # fmt: skip
    try:
        xml = message_to_xml(order, allow_empty=True)
    except InvalidValue:
        assert any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF or c in "\ufffe\uffff" for c in text)
    else:
        assert message_from_xml(xml, validate=False).contract_id == text


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_nothing_else(blob):
    """Whatever bytes come, reading ends with a message or a SchemaException."""
    with pytest.raises(SchemaException):
        message_from_xml(blob)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_changed_messages_are_read_or_refused(data):
    """A message with any bytes exchanged is read or refused, never a crash."""
    xml = bytearray(
        b'<D-Prognosis Version="3.1.0" SenderDomain="a.example.com" RecipientDomain="b.example.com"'
        b' TimeStamp="2030-06-11T10:00:00Z" MessageID="00000000-0000-4000-8000-000000000001"'
        b' ConversationID="00000000-0000-4000-8000-000000000002" ISP-Duration="PT15M" TimeZone="Europe/Amsterdam"'
        b' Period="2030-06-12" CongestionPoint="ean.871685900012636543" Revision="1"><ISP Power="1" Start="1"/>'
        b"</D-Prognosis>"
    )
    for _ in range(data.draw(st.integers(1, 4))):
        xml[data.draw(st.integers(0, len(xml) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = message_from_xml(bytes(xml))
    except SchemaException:
        return
    assert isinstance(message, uftp.DPrognosis)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("Period", "12345-01-01"), ("ISP-Duration", "P1M"), ("ISP-Duration", "P1Y2M3DT4H"),
     ("Revision", "-9223372036854775808"),
     ("Period", "2030-06-12+02:00"), ("TimeStamp", "2030-06-11T10:00:00"), ("TimeStamp", "2030-06-11T24:00:00Z")],
)  # fmt: skip
def test_odd_but_valid_values_are_read(attribute, value, make_message):
    """What the schema allows is read, however odd: judging it is the rules' business."""
    root = parse(message_to_xml(make_message(uftp.DPrognosis)))
    root.set(attribute, value)
    assert isinstance(message_from_xml(etree.tostring(root)), uftp.DPrognosis)


def test_all_message_classes_are_keyword_only_dataclasses():
    """Every public message class is a keyword-only dataclass without surprises."""
    for cls in TYPES:
        assert dataclasses.is_dataclass(cls)
        assert all(field.kw_only for field in dataclasses.fields(cls))


@pytest.mark.parametrize(
    "bad", ['<ISP Power="1" Start="0"/>', '<ISP Power="1.5" Start="9"/>', '<ISP Power="1" Start="9" Duration="0"/>',
            '<ISP Power="1" Start="9" More="1"/>', "text", "<ISP/>"]
)  # fmt: skip
def test_a_bad_isp_in_a_long_run_is_found(bad, make_message):
    """One bad element among many good ones is refused, wherever it stands."""
    offer = make_message(uftp.FlexOffer)
    isps = [uftp.FlexOfferOptionISP(power=-n, start=n) for n in range(1, 41)]
    offer.offer_options = [uftp.FlexOfferOption(option_reference="a", price=1, isps=isps)]
    good = message_to_xml(offer)
    for place in (
        b'<ISP Power="-1" Start="1"/>',
        b'<ISP Power="-20" Start="20"/>',
        b'<ISP Power="-40" Start="40"/>',
    ):
        assert place in good
        with pytest.raises(SchemaException):
            message_from_xml(good.replace(place, bad.encode()))


def test_messages_that_come_at_once_do_not_make_the_schemas_at_once(make_message, monkeypatch):
    """The first messages of many threads are read, and libxml2 makes one schema after another, each once."""
    making, most, made = [], [], []
    make_schema = etree.XMLSchema

    def slow_schema(document):
        making.append(document)
        time.sleep(0.05)
        most.append(len(making))
        made.append(make_schema(document))
        making.pop()
        return made[-1]

    monkeypatch.setattr(etree, "XMLSchema", slow_schema)
    reading._schemas.cache_clear()
    message = make_message(uftp.FlexOffer)
    xml = message_to_xml(message)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(message_from_xml, [xml] * 8)) == [message] * 8
    assert most == [1, 1]
